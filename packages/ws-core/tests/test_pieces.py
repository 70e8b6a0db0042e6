"""Into whatever pieces TCP cuts a stream, a listener sees the same: whole, byte by byte, at every cut, at random cuts.

A table of streams, right and wrong ones, for both sides. What a listener should see of each is written down; then every
way to cut the stream must give just that, the bytes that go back included.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from harness import frame_bytes
from ws_core import WSDisconnectKind, WSFrame, WSMsgType, WSTransport
from ws_core.testing import Pieces, Recorder, Wire, connected_pair

# Where no loop can make a difference, asyncio alone has to do: there are thousands of cuts.
both_loops = pytest.mark.usefixtures("loop_name")
both_sides = pytest.mark.parametrize("side", ["server", "client"])

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = WSMsgType
MASK = b"\xa1\x02\x0f\xff"
WINDOW = 128 * 1024  # bytes; what core reads at most at once


class Frame(NamedTuple):
    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    extra: dict[str, Any] = {}

    def to_bytes(self, masked: bool) -> bytes:
        extra = {"mask": MASK if masked else None, **self.extra}
        if extra.pop("wrong_mask", False):
            extra["mask"] = None if masked else MASK
        return frame_bytes(self.opcode, self.payload, fin=self.fin, rsv=self.rsv, **extra)


@dataclass
class Case:
    """A stream, and what must come of it."""

    frames: list[Frame]
    #: How many of the frames are good and take effect; None: all of them.
    good: int | None = None
    #: Of the CLOSE that ends it, whoever sends it.
    code: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def effective(self) -> list[Frame]:
        return self.frames[: self.good]


def fragments(opcode: int, *payloads: bytes) -> list[Frame]:
    last = len(payloads) - 1
    return [
        Frame(CONTINUATION if index else opcode, payload, fin=index == last) for index, payload in enumerate(payloads)
    ]


SIGNS = "aé€𝄞ÿ\U0010ffff\u07ff\u0800".encode()  # characters of one to four bytes
SPLIT_EVERYWHERE = [frame for at in range(len(SIGNS) + 1) for frame in fragments(TEXT, SIGNS[:at], SIGNS[at:])]
GOOD = [Frame(TEXT, b"good"), Frame(BINARY, b"\x00\xff")]

CASES: dict[str, Case] = {
    "empty": Case([Frame(TEXT), Frame(BINARY), Frame(PING), Frame(PONG), Frame(TEXT)]),
    "small": Case([Frame(TEXT, SIGNS), Frame(BINARY, bytes(range(125))), Frame(TEXT, b"x")]),
    "sizes of the length field": Case(
        [Frame(BINARY, bytes(125)), Frame(BINARY, bytes(126)), Frame(BINARY, bytes(127))]
    ),
    "fragments": Case([*fragments(TEXT, b"a", b"", b"bc", b"d"), *fragments(BINARY, b"\xff", b"\xfe"), Frame(TEXT)]),
    "control frames inside fragments": Case(
        [
            Frame(TEXT, b"a\xc3", fin=False),
            Frame(PING, b"p1"),
            Frame(PONG, b"p2"),
            Frame(CONTINUATION, b"\xa9", fin=False),
            Frame(PING, bytes(125)),
            Frame(CONTINUATION, b"z"),
            Frame(PING),
        ]
    ),
    "UTF-8 fragmented at every byte": Case(SPLIT_EVERYWHERE),
    "UTF-8 in fragments of one byte": Case(fragments(TEXT, *(bytes([byte]) for byte in SIGNS))),
    "CLOSE": Case([*GOOD, Frame(CLOSE, b"\x03\xe8bye"), Frame(TEXT, b"behind it")], 3, 1000),
    "CLOSE without a body": Case([Frame(CLOSE), Frame(TEXT, b"behind it")], 1, 0),
    "CLOSE inside fragments": Case([Frame(TEXT, b"a", fin=False), Frame(CLOSE, b"\x0f\xa0"), *GOOD], 2, 4000),
    "two CLOSE frames": Case([Frame(CLOSE, b"\x03\xe8"), Frame(CLOSE, b"\x03\xe9")], 1, 1000),
    "not UTF-8": Case([*GOOD, Frame(TEXT, b"a\xffb"), *GOOD], 2, 1007),
    "not UTF-8, a surrogate": Case([*GOOD, Frame(TEXT, b"\xed\xa0\x80")], 2, 1007),
    "not UTF-8, too long": Case([*GOOD, Frame(TEXT, b"\xc0\xaf")], 2, 1007),
    "not UTF-8, in a fragment": Case([*GOOD, *fragments(TEXT, b"a\xf0\x9f", b"\x98", b"b")], 4, 1007),
    "UTF-8 that is not finished": Case([*GOOD, *fragments(TEXT, b"a\xf0", b"\x9f\x98")], 3, 1007),
    "not UTF-8, in a CLOSE": Case([*GOOD, Frame(CLOSE, b"\x03\xe8\xc3")], 2, 1007),
    "CLOSE with half a code": Case([*GOOD, Frame(CLOSE, b"\x03")], 2, 1002),
    "CLOSE with a code that is none": Case([*GOOD, Frame(CLOSE, b"\x03\xee")], 2, 1002),
    "no such opcode": Case([*GOOD, Frame(3, b"x"), *GOOD], 2, 1002),
    "no such control opcode": Case([*GOOD, Frame(11), *GOOD], 2, 1002),
    "a reserved bit": Case([*GOOD, Frame(TEXT, b"x", rsv=4), *GOOD], 2, 1002),
    "a fragment of nothing": Case([*GOOD, Frame(CONTINUATION, b"x"), *GOOD], 2, 1002),
    "a message inside a message": Case([Frame(TEXT, b"a", fin=False), Frame(TEXT, b"b"), *GOOD], 1, 1002),
    "a fragmented PING": Case([*GOOD, Frame(PING, b"x", fin=False), *GOOD], 2, 1002),
    "a long PING": Case([*GOOD, Frame(PING, bytes(126)), *GOOD], 2, 1002),
    "a length that could be shorter": Case([*GOOD, Frame(TEXT, b"x", extra={"length_bytes": 2}), *GOOD], 2, 1002),
    "a length of 2**63": Case([*GOOD, Frame(TEXT, b"x", extra={"length": 2**63}), *GOOD], 2, 1002),
    "the wrong side's masking": Case([*GOOD, Frame(TEXT, b"x", extra={"wrong_mask": True}), *GOOD], 2, 1002),
    "too large": Case([*GOOD, Frame(TEXT, bytes(201)), *GOOD], 2, 1009, {"max_frame_size": 200}),
}

LARGE: dict[str, Case] = {
    "65536 bytes": Case([Frame(PING, b"1"), Frame(BINARY, random.Random(1).randbytes(65536)), Frame(PING, b"2")]),
    "larger than a read": Case([*GOOD, Frame(BINARY, random.Random(2).randbytes(WINDOW + 100)), *GOOD]),
    "a large text": Case([Frame(TEXT, SIGNS * 8000), *fragments(TEXT, SIGNS * 5000 + b"\xe2", b"\x82\xac"), *GOOD]),
    "a large text that is not UTF-8": Case([*GOOD, Frame(TEXT, SIGNS * 9000 + b"\xff" + SIGNS)], 2, 1007),
    "many small ones": Case([Frame(BINARY, bytes([n % 256]) * (n % 130)) for n in range(1500)]),
}


class Batches(Recorder):
    """Takes the frames of a read at once. Together they must be the same."""

    def on_ws_frames(self, transport: WSTransport, frames: list[WSFrame]) -> None:
        for frame in frames:
            self.on_ws_frame(transport, frame)


class Seen(NamedTuple):
    """All that a listener and its peer can know in the end. Frames were kept until then."""

    frames: list[tuple[int, bytes, bool]]
    events: list[str]
    answers: list[tuple[int, bytes, bool]]
    reason: Any
    close_handshake: Any


def contents(frames: Iterable[WSFrame]) -> list[tuple[int, bytes, bool]]:
    return [(frame.msg_type, frame.get_payload_as_bytes(), frame.fin) for frame in frames]


async def observe(case: Case, side: str, pieces: Pieces, recorder: type[Recorder] = Recorder) -> Seen:
    """What the listener of `side` sees of the stream in such pieces."""
    stream = b"".join(frame.to_bytes(side == "server") for frame in case.frames)
    async with connected_pair(recorder, recorder, **{f"{side}_options": case.options}) as pair:  # type: ignore[arg-type]
        if side == "server":
            direction, transport, listener, peer = (
                *(pair.wire.to_server, pair.server),
                *(pair.server_listener, pair.client_listener),
            )
        else:
            direction, transport, listener, peer = (
                *(pair.wire.to_client, pair.client),
                *(pair.client_listener, pair.server_listener),
            )
        direction.cut_into(pieces)
        direction.inject(stream)
        await pair.deliver()
        reason = transport.disconnect_reason
        return Seen(
            contents(listener.frames),
            list(listener.events),
            contents(peer.frames),
            None if reason is None else (reason.kind, reason.message),
            transport.close_handshake,
        )


def expected_frames(case: Case) -> list[tuple[int, bytes, bool]]:
    return [(frame.opcode, frame.payload, frame.fin) for frame in case.effective if frame.opcode != PING]


def expected_answers(case: Case) -> list[tuple[int, bytes]]:
    """Without the reason of a CLOSE that reports an error: its words are free."""
    answers = [(int(PONG), frame.payload) for frame in case.effective if frame.opcode == PING]
    if case.code is not None:
        answers.append((int(CLOSE), case.code.to_bytes(2, "big") if case.code else b""))
    return answers


@both_loops
@both_sides
@pytest.mark.parametrize("case", [*CASES.values(), *LARGE.values()], ids=[*CASES, *LARGE])
async def test_whole(case: Case, side: str) -> None:
    """What is written down above is what happens."""
    seen = await observe(case, side, None)
    assert seen.frames == expected_frames(case)
    answers = [(opcode, payload[:2] if opcode == CLOSE else payload) for opcode, payload, _ in seen.answers]
    assert answers == expected_answers(case)
    if case.code is None:
        assert seen.reason is None
        assert seen.events == ["connected"] + ["frame"] * len(seen.frames)
    else:
        by_peer = case.effective[-1].opcode == CLOSE
        assert seen.reason[0] is (WSDisconnectKind.PEER if by_peer else WSDisconnectKind.PROTOCOL_ERROR)
        assert seen.close_handshake.sent.code == case.code
        assert (seen.close_handshake.recv is not None) is by_peer
        assert seen.events == ["connected"] + ["frame"] * len(seen.frames) + ["disconnected"]


@both_sides
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_small_streams_in_pieces(case: Case, side: str) -> None:
    """Byte by byte, cut once at every place, cut at random places."""
    whole = await observe(case, side, None)
    size = sum(len(frame.to_bytes(side == "server")) for frame in case.frames)
    assert await observe(case, side, 1) == whole
    for at in range(1, size):
        assert await observe(case, side, [at]) == whole, at
    for seed in range(10):
        assert await observe(case, side, random.Random(seed)) == whole, seed


@both_loops
@both_sides
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_batches_in_pieces(case: Case, side: str) -> None:
    """The same frames for a listener that takes all frames of a read at once."""
    whole = await observe(case, side, None)
    for pieces in None, 1, 7, [40], random.Random(3):
        assert await observe(case, side, pieces, Batches) == whole, pieces


@both_sides
@pytest.mark.parametrize("case", LARGE.values(), ids=LARGE)
async def test_large_streams_in_pieces(case: Case, side: str) -> None:
    """Cut where buffers change hands: heads, the read window, sizes that a buffer grows to."""
    whole = await observe(case, side, None)
    size = sum(len(frame.to_bytes(side == "server")) for frame in case.frames)
    grown = [2**power for power in range(8, 18)]
    for at in [*range(1, 20), *(at + step for at in grown for step in (-1, 0, 1)), size - 1]:
        if at < size:
            assert await observe(case, side, [at]) == whole, at
    for pieces in 4096, 65521, WINDOW - 1, WINDOW + 1:
        assert await observe(case, side, pieces) == whole, pieces
    for seed in range(3):
        assert await observe(case, side, random.Random(seed)) == whole, seed


@both_sides
async def test_a_stream_that_ends_in_the_middle_of_a_frame(side: str) -> None:
    """Whatever is there of it is not delivered, and what came before it is."""
    stream = b"".join(frame.to_bytes(side == "server") for frame in (*GOOD, Frame(TEXT, SIGNS)))
    first, second, _ = (len(frame.to_bytes(side == "server")) for frame in (*GOOD, Frame(TEXT, SIGNS)))
    for at in range(len(stream)):
        async with connected_pair() as pair:
            at_server = side == "server"
            direction = pair.wire.to_server if at_server else pair.wire.to_client
            listener = pair.server_listener if at_server else pair.client_listener
            direction.inject(stream[:at])
            direction.end()
            await pair.deliver()
            count = (at >= first) + (at >= first + second)
            assert listener.events == ["connected", *["frame"] * count, "disconnected"]
            assert listener.transport.disconnect_reason.kind is WSDisconnectKind.PEER


class Eager(Recorder):
    """Sends when it is connected: from a server, right behind the answer to the upgrade."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        transport.send(WSMsgType.TEXT, SIGNS)


async def test_the_handshake_cut_at_every_place() -> None:
    async with connected_pair(Eager, Eager) as pair:
        size = len(pair.client.request.to_bytes() + pair.server.response.to_bytes())
    for at in range(1, size):
        async with connected_pair(Eager, Eager, wire=Wire(cut_into=[at])) as pair:
            assert await pair.client_listener.next_message() == SIGNS.decode()
            assert await pair.server_listener.next_message() == SIGNS.decode()
