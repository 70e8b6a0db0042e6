"""Frames as bytes, right and wrong ones, for tests that put them on the wire."""

from __future__ import annotations

import struct


def frame_bytes(
    msg_type: int,
    payload: bytes = b"",
    *,
    masked: bool,
    fin: bool = True,
    rsv1: bool = False,
    rsv2: bool = False,
    rsv3: bool = False,
    announced_size: int | None = None,
) -> bytes:
    """
    A frame as it is on the wire (RFC 6455 section 5.2), right or wrong: for :meth:`Direction.inject`.

    :param msg_type: the opcode, 0 to 15; nothing else about the frame is checked
    :param payload: before masking
    :param masked: True for what goes to a server, False for what goes to a client (else it is wrong)
    :param announced_size: bytes that the header announces, where that is not the size of `payload`
    """
    if not 0 <= msg_type <= 15:
        raise ValueError(f"an opcode has 4 bits, {msg_type} does not fit")
    size = len(payload) if announced_size is None else announced_size
    first = fin << 7 | rsv1 << 6 | rsv2 << 5 | rsv3 << 4 | msg_type
    bit = 0x80 if masked else 0
    if size <= 125:
        head = struct.pack(">BB", first, bit | size)
    elif size <= 0xFFFF:
        head = struct.pack(">BBH", first, bit | 126, size)
    else:
        head = struct.pack(">BBQ", first, bit | 127, size)
    if not masked:
        return head + payload
    key = b"\x12\x34\x56\x78"  # the same in each run
    stream = (key * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return head + key + mixed.to_bytes(len(payload), "big")
