"""Callbacks that do what nobody expects, at the moments when it hurts: each of these once broke something."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import socket
import struct
import sys
from typing import Any

import pytest

from harness import Net, RawPeer, Recorder, client_frame, frame_bytes, request_bytes, until, within
from ws_core import (
    Extension,
    TransportHook,
    WSCloseCode,
    WSDisconnectKind,
    WSFrame,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    _linger,
    broadcast,
)


class Full(Recorder):
    """Runs `action` once, inside the next write that the kernel does not take."""

    action: Any = None

    def on_write_backlog(self, transport: WSTransport) -> None:
        action, self.action = self.action, None
        if action is not None:
            action()


async def full(net: Net) -> tuple[Full, RawPeer, int]:
    """A server's listener behind a backlog, so that each write asks it; and how many frames went before."""
    listener, peer = await net.server_and_peer(Full, max_write_backlog=1_000_000)
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    count = 0
    while listener.transport.write_backlog_size < 10_000_000:
        listener.transport.send(WSMsgType.BINARY, b"-" * 100_000)
        count += 1
    return listener, peer, count


async def rest_of(peer: RawPeer, count: int, frames: int) -> list[bytes]:
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    for _ in range(count):
        assert await peer.frame() == (0x82, b"-" * 100_000)
    return [(await peer.frame())[1] for _ in range(frames)]


async def test_a_send_inside_the_write_of_a_full_cork(net: Net) -> None:
    """The gather buffer is full, leaves, and the callback gathers again: nothing is overwritten, order holds."""
    listener, peer, count = await full(net)
    transport = listener.transport
    listener.action = lambda: transport.send(WSMsgType.BINARY, b"n" * 65_000)
    with transport.cork():
        transport.send(WSMsgType.BINARY, b"a" * 60_000)
        transport.send(WSMsgType.BINARY, b"b" * 60_000)
        transport.send(WSMsgType.BINARY, b"c" * 1_000)
    gc.collect()
    assert listener.action is None
    assert await rest_of(peer, count, 4) == [b"a" * 60_000, b"b" * 60_000, b"n" * 65_000, b"c" * 1_000]


@pytest.mark.parametrize("size", [40_000, 400_000])
@pytest.mark.parametrize("corked", [True, False])
async def test_a_bytearray_cannot_be_resized_while_it_is_sent(net: Net, size: int, corked: bool) -> None:
    listener, peer, count = await full(net)
    transport = listener.transport
    payload = bytearray(b"x" * size)
    refused: list[BufferError] = []

    def clear() -> None:
        try:
            payload.clear()
        except BufferError as exc:
            refused.append(exc)

    listener.action = clear
    before = [b"first" * 10_000] if corked else []
    if corked:
        with transport.cork():
            transport.send(WSMsgType.BINARY, before[0])
            transport.send(WSMsgType.BINARY, payload)
    else:
        transport.send(WSMsgType.BINARY, payload)
    assert await rest_of(peer, count, len(before) + 1) == [*before, b"x" * size]
    assert listener.action is None
    assert len(refused) == 1
    payload.clear()  # nothing holds it any more


async def test_a_send_inside_a_large_write(net: Net) -> None:
    """Header and payload of a large frame stay together, whatever the callback sends."""
    listener, peer, count = await full(net)
    transport = listener.transport
    listener.action = lambda: transport.send(WSMsgType.TEXT, "nested")
    transport.send(WSMsgType.BINARY, b"y" * 500_000)
    assert await rest_of(peer, count, 2) == [b"y" * 500_000, b"nested"]


@pytest.mark.parametrize("then", ["raise", "return"])
async def test_connection_lost_inside_a_callback(one_net: Net, then: str) -> None:
    """A transport that ends synchronously, or a user who calls what is not his."""

    class Ending(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            super().on_ws_frame(transport, frame)
            transport.underlying_transport.get_protocol().connection_lost(None)
            if then == "raise":
                raise ValueError("after the end")

    listener, peer = await one_net.server_and_peer(Ending)
    await peer.send(client_frame(2, b"x") * 5 + client_frame(9) + client_frame(3))
    await listener.event("disconnected")
    assert listener.events == ["connected", "frame", "disconnected"]


@pytest.mark.parametrize("with_close", [True, False])
async def test_ending_in_the_middle_of_what_was_read(net: Net, with_close: bool) -> None:
    """close() of asyncio's TLS reads on, into us: kept views stay, the CLOSE arrives, nothing is raised."""
    views: list[memoryview] = []

    class Ending(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            super().on_ws_frame(transport, frame)
            views.append(frame.get_payload_as_memoryview())
            if with_close:
                transport.send_close(WSCloseCode.OK, "bye")
            transport.disconnect()

    listener, peer = await net.server_and_peer(Ending)
    peer.writer.write(client_frame(2, b"k" * 200_000) + client_frame(2, b"z" * 1000) * 800)
    if with_close:
        assert await peer.frame() == (0x88, b"\x03\xe8bye")
    peer.close()
    await listener.event("disconnected")
    assert listener.events == ["connected", "frame", "disconnected"]
    assert views[0] == b"k" * 200_000


async def test_cork_is_left_once(plain_net: Net) -> None:
    listener, peer = await plain_net.server_and_peer()
    cork = listener.transport.cork()
    with pytest.raises(RuntimeError, match="not entered"):
        cork.__exit__(None, None, None)
    with cork:
        listener.transport.send(WSMsgType.TEXT, "one")
    with pytest.raises(RuntimeError, match="left already"):
        cork.__exit__(None, None, None)
    listener.transport.send(WSMsgType.TEXT, "two")
    assert [(await peer.frame())[1] for _ in range(2)] == [b"one", b"two"]


@pytest.mark.parametrize("option", [True, False])
async def test_cork_in_the_callback_of_a_last_frame(one_net: Net, option: bool) -> None:
    sizes: list[int] = []

    class Corking(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            with transport.cork():
                for _ in range(3):
                    transport.send(WSMsgType.BINARY, b"x")
                    sizes.append(transport.write_backlog_size)

    listener, peer = await one_net.server_and_peer(Corking, cork=option)
    await peer.send(client_frame(2, b"x"))
    assert await within(peer.reader.readexactly(9)) == frame_bytes(2, b"x") * 3
    assert sizes == [3, 6, 9]
    with listener.transport.cork():
        listener.transport.send(WSMsgType.BINARY, b"y")
        assert listener.transport.write_backlog_size == 3


@pytest.mark.parametrize("where", ["on_ws_connected", "on_ws_frame", "on_ws_disconnected", "on_close"])
async def test_a_cancelled_error_from_a_callback(plain_net: Net, where: str) -> None:
    """It is no Exception; the connection ends as after any other, and leaves the server's set."""

    class Hook(TransportHook):
        def on_close(self, transport: WSTransport) -> None:
            if where == "on_close":
                raise asyncio.CancelledError

    class Cancelled(Recorder):
        def _note(self, event: str) -> None:
            super()._note(event)
            if where == f"on_ws_{event}":
                raise asyncio.CancelledError

    made: list[Cancelled] = []
    server = await plain_net.serve(lambda request: made.append(Cancelled()) or made[-1], max_connections=1)
    peer = await plain_net.raw(server)
    await until(lambda: made and made[0].transport)
    if where == "on_close":
        made[0].transport.add_hook(Hook())
    await peer.send(client_frame(2, b"x"))
    peer.close()
    await made[0].event("disconnected")
    await until(lambda: not server.connections)
    assert made[0].events.count("disconnected") == 1
    await plain_net.raw(server)  # there is room again


async def test_disconnect_right_after_a_reset(plain_net: Net) -> None:
    """The socket is reset, and the loop has not noticed yet."""
    listener, peer = await plain_net.server_and_peer()
    sock = peer.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    listener.transport.send_close(WSCloseCode.OK)
    peer.writer.transport.abort()
    await asyncio.sleep(0)
    listener.transport.disconnect()
    await listener.event("disconnected")


async def clogged(net: Net, monkeypatch: pytest.MonkeyPatch) -> tuple[Recorder, RawPeer]:
    """A server's listener and its peer, which takes nothing of a long backlog; with little patience."""
    monkeypatch.setattr(_linger, "PATIENCE_S", 0.05)
    listener, peer = await net.server_and_peer()
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    while listener.transport.write_backlog_size < 10_000_000:
        listener.transport.send(WSMsgType.BINARY, b"-" * 100_000)
    return listener, peer


async def test_a_graceful_disconnect_is_bounded(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """No CLOSE was sent, and the peer takes nothing."""
    listener, _ = await clogged(net, monkeypatch)
    listener.transport.disconnect()
    await listener.event("disconnected")


async def test_the_end_after_the_peers_is_bounded(plain_net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer has ended its stream, and takes nothing. (Over TLS no such half-close exists.)"""
    listener, peer = await clogged(plain_net, monkeypatch)
    peer.writer.write_eof()
    await listener.event("disconnected")


async def test_a_cancelled_close_is_still_bounded(plain_net: Net) -> None:
    listener, peer = await plain_net.server_and_peer()
    closing = asyncio.ensure_future(listener.transport.close(timeout=1.0))
    assert (await peer.frame())[0] == 0x88
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not listener.transport.is_disconnected
    await listener.event("disconnected")
    assert listener.transport.disconnect_reason.kind is WSDisconnectKind.TIMEOUT
    with pytest.raises(RuntimeError, match="gone"):
        listener.transport.add_hook(TransportHook())


async def test_frames_of_a_batch_before_a_hook_that_raises(one_net: Net) -> None:
    class Hook(TransportHook):
        def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
            if bytes(frame) == b"3":
                raise ValueError("hook")
            return frame

    class Batch(Recorder):
        def on_ws_frames(self, transport: WSTransport, frames: list[WSFrame]) -> None:
            self.frames += frames
            self._note("batch")

    listener, peer = await one_net.server_and_peer(Batch)
    listener.transport.add_hook(Hook())
    await peer.send(b"".join(client_frame(2, b"%d" % index) for index in range(6)))
    assert (await peer.frame())[0] == 0x88
    assert [bytes(frame) for frame in listener.frames] == [b"0", b"1", b"2"]


async def test_the_first_frame_stays_behind_the_answer(plain_net: Net) -> None:
    """An answer that is too large for one write, and a listener that sends at once."""

    class Eager(Recorder):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, "behind it")

    headers = [(f"X-Filler-{index}", "x" * 8_000) for index in range(1_000)]
    server = await plain_net.serve(
        lambda request: WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), Eager())
    )
    peer = await plain_net.raw(server, upgrade=False)
    await peer.send(request_bytes())
    data = b""
    while not data.endswith(frame_bytes(1, b"behind it")):
        chunk = await within(peer.reader.read(1 << 20))
        assert chunk
        data += chunk
    assert data.index(b"\r\n\r\n") + 4 + len(frame_bytes(1, b"behind it")) == len(data)


async def test_what_is_sent_in_on_write_backlog_does_not_ask_again(plain_net: Net) -> None:
    listener, peer, count = await full(plain_net)
    transport = listener.transport
    nested: list[int] = []

    def say() -> None:
        listener.action = lambda: nested.append(1)
        transport.send(WSMsgType.TEXT, "too slow")
        listener.action = None

    listener.action = say
    transport.send(WSMsgType.TEXT, "asks")
    assert await rest_of(peer, count, 2) == [b"asks", b"too slow"]
    assert not nested


@pytest.mark.parametrize("ends", [False, True])
async def test_a_close_inside_the_write_of_a_close(plain_net: Net, ends: bool) -> None:
    """What a callback sends while the CLOSE leaves comes too late: a frame behind it, another CLOSE."""
    listener, peer, count = await full(plain_net)
    transport = listener.transport

    def close() -> None:
        assert transport.close_handshake.sent == (WSCloseCode.GOING_AWAY, "first")
        transport.send(WSMsgType.TEXT, "late")
        transport.send_close(WSCloseCode.TRY_AGAIN_LATER, "second")
        if ends:
            transport.disconnect()

    listener.action = close
    transport.send_close(WSCloseCode.GOING_AWAY, "first")
    transport.disconnect()
    assert await rest_of(peer, count, 1) == [b"\x03\xe9first"]
    assert await peer.rest() == b""


@pytest.mark.parametrize("how", ["send", "broadcast"])
async def test_the_end_inside_the_write_before_a_large_frame(plain_net: Net, how: str) -> None:
    """What has gathered leaves first, and its callback ends the connection: nothing comes behind the CLOSE."""
    listener, peer, count = await full(plain_net)
    transport = listener.transport

    def end() -> None:
        transport.send_close(WSCloseCode.TRY_AGAIN_LATER)
        transport.disconnect()

    listener.action = end
    with transport.cork():
        transport.send(WSMsgType.TEXT, "gathered")
        frames_out = transport.stats.frames_out
        if how == "send":
            transport.send(WSMsgType.BINARY, b"x" * 100_000)
        else:
            broadcast([transport], WSMsgType.BINARY, b"x" * 100_000)
    assert transport.stats.frames_out == frames_out + 1  # the CLOSE
    assert await rest_of(peer, count, 2) == [b"gathered", b"\x03\xf5"]
    assert await peer.rest() == b""


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("it has no words")


class Empty(WSProtocolError):
    def __init__(self) -> None:
        pass  # and neither code nor message are there


@pytest.mark.parametrize("kind", [Unspeakable, Empty])
@pytest.mark.parametrize("where", ["on_ws_connected", "on_ws_frame", "on_ws_disconnected"])
async def test_an_exception_that_cannot_be_looked_at(one_net: Net, kind: type[Exception], where: str) -> None:
    class Raising(Recorder):
        def _note(self, event: str) -> None:
            super()._note(event)
            if where == f"on_ws_{event}":
                raise kind

    listener, peer = await one_net.server_and_peer(Raising)
    await peer.send(client_frame(2, b"x"))
    if where == "on_ws_disconnected":
        peer.close()
    else:
        assert await peer.frame() == (0x88, b"\x03\xf3")
        peer.close()
    await listener.event("disconnected")
    reason = listener.transport.disconnect_reason
    if where != "on_ws_disconnected":
        assert reason.kind is WSDisconnectKind.CALLBACK_ERROR
        assert reason.message == f"{where} raised {kind.__name__}"


async def test_a_transport_cannot_be_copied(one_net: Net) -> None:
    """And neither what it is made of: that would follow pointers into nowhere."""
    listener, _ = await one_net.server_and_peer()
    transport = listener.transport
    inner = [sys.modules["ws_core._buffer"].Block()]
    for thing in (transport, transport.underlying_transport.get_protocol(), transport.cork(), *inner):
        for copied in (copy.copy, copy.deepcopy, pickle.dumps, lambda thing: thing.__reduce_ex__(0)):
            with pytest.raises(TypeError):
                copied(thing)
    with pytest.raises(TypeError):
        sys.modules["ws_core._receiver"].Receiver()


def test_a_listener_can_be_copied() -> None:
    listener = Noted()
    listener.note = ["kept"]  # type: ignore[attr-defined]
    assert copy.copy(listener).note is listener.note  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(listener)).note == ["kept"]


class Noted(WSListener):
    pass


async def test_a_hook_loses_the_connection_while_it_opens(one_net: Net) -> None:
    """The listener is not told of a connection that it has been told the end of."""

    class Losing(TransportHook):
        def on_open(self, transport: WSTransport) -> None:
            protocol = transport.underlying_transport.get_protocol()
            transport.underlying_transport.abort()
            protocol.connection_lost(None)

    class Attaching(Extension):
        name = "losing"

        def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook:
            return Losing()

    listener = Recorder()
    peer = await one_net.raw(await one_net.serve(lambda request: listener, extensions=[Attaching()]))
    assert await peer.rest() == b""
    assert listener.events == ["disconnected"]
