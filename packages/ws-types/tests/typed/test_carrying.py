"""WSTransport, WSFrame, WSListener and broadcast(): what a program touches for each message."""

from __future__ import annotations

import array
import asyncio
from contextlib import AbstractContextManager
from typing import Any

from typing_extensions import Buffer, assert_type, override

from checks import check
from ws_core import (
    WSCloseCode,
    WSCloseHandshake,
    WSCloseInfo,
    WSDisconnectKind,
    WSDisconnectReason,
    WSFrame,
    WSListener,
    WSMsgType,
    WSStats,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    broadcast,
)
from ws_core.testing import Recorder, connected_pair


class Batches(WSListener):
    """All callbacks there are, each with the type that it is called with."""

    def __init__(self) -> None:
        self.kept: list[WSFrame] = []
        self.views: list[memoryview] = []

    @override
    def on_ws_connected(self, transport: WSTransport) -> None:
        check(transport, WSTransport)

    @override
    def on_ws_frames(self, transport: WSTransport, frames: list[WSFrame]) -> None:
        check(frames, list[WSFrame])
        self.kept += frames
        self.views += [frame.get_payload_as_memoryview() for frame in frames]

    @override
    def on_ws_disconnected(self, transport: WSTransport) -> None:
        check(transport, WSTransport)

    @override
    def send_user_specific_ping(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, "ping")

    @override
    def is_user_specific_pong(self, frame: WSFrame) -> bool:
        return frame.get_payload_as_bytes() == b"pong"

    @override
    def pause_writing(self) -> None:
        pass

    @override
    def resume_writing(self) -> None:
        pass

    @override
    def on_write_backlog(self, transport: WSTransport) -> None:
        transport.disconnect(graceful=False)


async def test_frames() -> None:
    async with connected_pair(Batches, Recorder) as pair:
        assert isinstance(pair.client_listener, Batches)
        pair.server.send(WSMsgType.TEXT, "hello")
        await pair.deliver()
        (frame,) = pair.client_listener.kept
        check(assert_type(frame, WSFrame), WSFrame)
        check(assert_type(frame.msg_type, WSMsgType), WSMsgType)
        for flag in (frame.fin, frame.rsv1, frame.rsv2, frame.rsv3, frame.last_in_buffer):
            check(assert_type(flag, bool), bool)
        for size in (frame.payload_size, frame.tail_size, len(frame)):
            check(assert_type(size, int), int)
        check(assert_type(frame.get_payload_as_bytes(), bytes), bytes)
        check(assert_type(frame.get_payload_as_utf8_text(), str), str)
        check(assert_type(frame.get_payload_as_ascii_text(), str), str)
        check(assert_type(frame.replace(payload=bytearray(b"x"), fin=False), WSFrame), WSFrame)
        check(assert_type(frame.replace(msg_type=WSMsgType.BINARY), WSFrame), WSFrame)
        # A frame is a buffer.
        buffer: Buffer = frame
        assert bytes(frame) == bytearray(frame) == bytes(memoryview(buffer)) == b"hello"
        view = check(assert_type(frame.get_payload_as_memoryview(), memoryview), memoryview)
        # Not `view == b"hello"`: see the README.
        assert view == memoryview(b"hello")
        assert bytes(view[1:3]) == b"el"


async def test_close_frames() -> None:
    async with connected_pair() as pair:
        pair.server.send_close(WSCloseCode.GOING_AWAY, "bye")
        await pair.deliver()
        frame = pair.client_listener.frames[-1]
        assert isinstance(frame, WSFrame)
        check(assert_type(frame.get_close_code(), WSCloseCode | int), WSCloseCode)
        check(assert_type(frame.get_close_message(), bytes | None), bytes)
        check(assert_type(frame.get_close_reason(), str | None), str)
        handshake = check(assert_type(pair.client.close_handshake, WSCloseHandshake | None), WSCloseHandshake)
        assert handshake is not None
        check(assert_type(handshake.recv, WSCloseInfo | None), WSCloseInfo)
        assert handshake.recv is not None
        code, reason = handshake.recv
        check(assert_type(code, WSCloseCode | int), WSCloseCode)
        check(assert_type(reason, str | None), str)
        check(assert_type(handshake.recv_then_sent, bool), bool)


async def test_attributes_of_a_transport() -> None:
    async with connected_pair() as pair:
        transport = pair.client
        check(assert_type(transport.underlying_transport, asyncio.Transport), asyncio.Transport)
        check(assert_type(transport.request, WSUpgradeRequest), WSUpgradeRequest)
        check(assert_type(transport.response, WSUpgradeResponse), WSUpgradeResponse)
        check(assert_type(transport.subprotocol, str | None), str | None)
        check(assert_type(transport.is_client_side, bool), bool)
        check(assert_type(transport.is_secure, bool), bool)
        check(assert_type(transport.is_close_frame_sent, bool), bool)
        check(assert_type(transport.write_backlog_size, int), int)
        check(assert_type(transport.stats, WSStats), WSStats)
        check(assert_type(transport.stats.last_data_time, float), float)
        check(assert_type(transport.user_data, dict[Any, Any]), dict)
        check(assert_type(transport.listener, WSListener | None), Recorder)
        check(assert_type(transport.disconnect_reason, WSDisconnectReason | None), None)
        check(assert_type(transport.cork(), AbstractContextManager[WSTransport, None]), AbstractContextManager)
        with transport.cork() as corked:
            check(assert_type(corked, WSTransport), WSTransport)
        await transport.close(WSCloseCode.OK, b"bye", timeout=None)
        check(assert_type(transport.is_disconnected, bool), bool)
        reason = check(assert_type(transport.disconnect_reason, WSDisconnectReason | None), WSDisconnectReason)
        assert reason is not None
        check(assert_type(reason.kind, WSDisconnectKind), WSDisconnectKind)
        check(assert_type(reason.message, str), str)
        check(assert_type(reason.exception, BaseException | None), None)


async def test_kinds_of_messages() -> None:
    async with connected_pair() as pair:
        transport = pair.client
        pair.server.send(WSMsgType.BINARY, b"frame")
        await pair.deliver()
        frame = pair.client_listener.frames[-1]
        assert isinstance(frame, WSFrame)
        messages: list[str | Buffer | None] = [
            *("text", None, b"bytes", bytearray(b"array"), memoryview(b"view"), array.array("B", b"numbers")),
            *(frame, frame.get_payload_as_memoryview()),
        ]
        for message in messages:
            transport.send(WSMsgType.BINARY, message)
            transport.send_ping(message)
            transport.send_pong(message)
        transport.send(2, b"an int is a message type, too", True, False, rsv2=False, rsv3=False)
        transport.send_reuse_external_bytearray(WSMsgType.BINARY, bytearray(20), 14)
        assert_type(transport.notify_user_specific_pong_received(), None)
        assert_type(await transport.drain(), None)
        await pair.deliver()
        assert len(pair.server_listener.frames) == 2 * len(messages) + 2  # PINGs are answered by core
        transport.send_close(4000, memoryview(b"done"))
        transport.disconnect(False)
        assert_type(await transport.wait_disconnected(), None)


async def test_broadcast() -> None:
    async with connected_pair() as pair:
        everybody = {pair.client}
        check(assert_type(broadcast(everybody, WSMsgType.TEXT, "to a set"), int), int)
        check(assert_type(broadcast((each for each in everybody), WSMsgType.TEXT, b"to a generator"), int), int)
        check(assert_type(broadcast([], WSMsgType.PING, None), int), int)
        of_bytes = [b"one", b"two"]
        check(assert_type(broadcast(everybody, WSMsgType.BINARY, of_bytes), int), int)
        check(assert_type(broadcast(everybody, WSMsgType.BINARY, ("text", b"bytes", None)), int), int)
        check(assert_type(broadcast(everybody, WSMsgType.BINARY, [bytearray(b"x"), memoryview(b"y")]), int), int)
        await pair.deliver()
        assert len(pair.server_listener.frames) == 9
