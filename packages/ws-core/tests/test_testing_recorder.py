"""Recorder and frame_bytes: what tests watch and provoke by."""

from __future__ import annotations

import asyncio

import pytest

from harness import within
from ws_core import (
    WSDisconnectKind,
    WSMsgType,
)
from ws_core.testing import Recorder, connected_pair, frame_bytes

pytestmark = pytest.mark.usefixtures("loop_name")


async def test_next_frame() -> None:
    async with connected_pair() as pair:
        waiting = asyncio.create_task(pair.server_listener.next_frame())
        await asyncio.sleep(0)
        pair.client.send(WSMsgType.TEXT, "1")
        pair.client.send(WSMsgType.PONG, "2")
        assert (await within(waiting)).get_payload_as_bytes() == b"1"
        assert (await pair.server_listener.next_frame()).msg_type == WSMsgType.PONG
        with pytest.raises(asyncio.TimeoutError, match=r"no frame within 0\.01 seconds.*'connected', 'frame'"):
            await pair.server_listener.next_frame(timeout=0.01)


async def test_next_message() -> None:
    async with connected_pair() as pair:
        send = pair.client.send
        send(WSMsgType.TEXT, "hé".encode()[:2], False)
        waiting = asyncio.create_task(pair.server_listener.next_message())
        await pair.deliver()
        assert not waiting.done()
        send(WSMsgType.PONG, "between")
        send(WSMsgType.CONTINUATION, "hé".encode()[2:], False)
        send(WSMsgType.CONTINUATION, "llo")
        send(WSMsgType.BINARY, b"\x00\xff")
        send(WSMsgType.TEXT, None)
        send(WSMsgType.PONG, "behind")
        assert await within(waiting) == "héllo"
        assert await pair.server_listener.next_message() == b"\x00\xff"
        assert await pair.server_listener.next_message() == ""
        assert (await pair.server_listener.next_frame()).get_payload_as_bytes() == b"behind"
        send(WSMsgType.TEXT, "half", False)
        with pytest.raises(asyncio.TimeoutError, match="no message"):
            await pair.server_listener.next_message(timeout=0.01)
        send(WSMsgType.CONTINUATION, " and half")
        assert await pair.server_listener.next_message() == "half and half"
        pair.client.send_close(4000)
        with pytest.raises(ConnectionError, match="4000"):
            await pair.server_listener.next_message()
        with pytest.raises(ConnectionError, match="ended without another message: peer: the peer sent CLOSE 4000"):
            await pair.server_listener.next_message()


async def test_waiting_for_what_cannot_come() -> None:
    async with connected_pair() as pair:
        waiting = asyncio.create_task(pair.client_listener.next_frame())
        error = OSError("the cable is pulled")
        await asyncio.sleep(0)
        pair.wire.lose(error)
        with pytest.raises(ConnectionError, match="without another frame: network error: .*the cable") as caught:
            await within(waiting)
        assert caught.value.__cause__ is error


async def test_a_recorder_that_does_not_answer() -> None:
    async with connected_pair(server_factory=lambda: Recorder(answer_close=False)) as pair:
        await pair.client.close(timeout=0.01)
        await pair.deliver()
        assert pair.client.disconnect_reason.kind is WSDisconnectKind.TIMEOUT
        assert [frame.msg_type for frame in pair.server_listener.frames] == [WSMsgType.CLOSE]


@pytest.mark.parametrize("size", [0, 5, 125, 126, 65535, 65536])
async def test_frame_bytes(size: int) -> None:
    async with connected_pair() as pair:
        payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
        for direction, masked, listener in (
            (pair.wire.to_server, True, pair.server_listener),
            (pair.wire.to_client, False, pair.client_listener),
        ):
            direction.inject(frame_bytes(WSMsgType.BINARY, payload, masked=masked, fin=False))
            frame = await listener.next_frame()
            assert frame.get_payload_as_bytes() == payload
            assert frame.msg_type == WSMsgType.BINARY
            assert not frame.fin


def test_frame_bytes_that_are_wrong() -> None:
    assert frame_bytes(1, b"x", masked=False, rsv1=True) == b"\xc1\x01x"
    assert frame_bytes(1, b"x", masked=False, rsv2=True, fin=False) == b"\x21\x01x"
    assert frame_bytes(15, b"", masked=True, rsv3=True) == b"\x9f\x80\x12\x34\x56\x78"
    assert frame_bytes(2, b"x", masked=False, announced_size=2**63) == b"\x82\x7f\x80" + bytes(7) + b"x"
    for wrong in -1, 16:
        with pytest.raises(ValueError, match="opcode"):
            frame_bytes(wrong, masked=False)
