"""What an option changes, seen from outside: the same traffic with it and without."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import Any

import pytest

import ws_core
from harness import Net, RawPeer, Recorder, client_frame, frame_bytes, request_bytes, until, within
from ws_core import WSFrame, WSMsgType, WSTransport

# ------------------------------------------------------------------ enable_auto_pong


async def test_a_server_without_auto_pong(net: Net) -> None:
    """The PING is the listener's, and nobody else answers it."""
    server, peer = await net.server_and_peer(enable_auto_pong=False)
    await peer.send(client_frame(9, b"alive?"))
    ping = await server.frame()
    assert (ping.msg_type, bytes(ping)) == (WSMsgType.PING, b"alive?")
    server.transport.send(WSMsgType.TEXT, "not yet")
    server.transport.send_pong(ping.get_payload_as_bytes())
    assert [await peer.frame() for _ in range(2)] == [(0x81, b"not yet"), (0x8A, b"alive?")]


@pytest.mark.parametrize("enable_auto_pong", [True, False])
async def test_a_client_with_and_without_auto_pong(net: Net, enable_auto_pong: bool) -> None:
    answers: list[tuple[int, bytes]] = []

    async def serve(peer: RawPeer) -> None:
        await net.accept_upgrade(peer)
        await peer.send(frame_bytes(9, b"alive?") + frame_bytes(1, b"behind it"))
        answers.append(await peer.frame())

    transport, listener = await net.connect(await net.raw_server(serve), enable_auto_pong=enable_auto_pong)
    pings = [] if enable_auto_pong else [WSMsgType.PING]
    assert [(await listener.frame()).msg_type for _ in range(len(pings) + 1)] == [*pings, WSMsgType.TEXT]
    transport.send(WSMsgType.TEXT, "the first word" if pings else "the second")
    await until(lambda: answers)
    assert answers == [(0x81, b"the first word") if pings else (0x8A, b"alive?")]


# ------------------------------------------------------------------ disconnect_on_exception


@pytest.mark.parametrize("disconnect_on_exception", [True, False])
async def test_a_client_with_and_without_disconnect_on_exception(
    plain_net: Net, disconnect_on_exception: bool, caplog: pytest.LogCaptureFixture
) -> None:
    class Raising(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            super().on_ws_frame(transport, frame)
            raise LookupError("no such symbol")

    server = await plain_net.serve()
    transport, listener = await plain_net.connect(server, Raising, disconnect_on_exception=disconnect_on_exception)
    transport.send(WSMsgType.TEXT, "one")
    await listener.event("frame")
    if disconnect_on_exception:
        with pytest.raises(LookupError, match="no such symbol"):
            await within(transport.wait_disconnected())
        return
    transport.send(WSMsgType.TEXT, "two")
    await listener.event("frame", 2)
    assert transport.disconnect_reason is None
    errors = [record.exc_info[1] for record in caplog.records if record.levelno == logging.ERROR and record.exc_info]
    assert [str(error) for error in errors] == ["no such symbol"] * 2
    transport.disconnect()
    await within(transport.wait_disconnected())  # raises nothing: it was logged


# ------------------------------------------------------------------ cork


@pytest.mark.parametrize("cork", [True, False])
async def test_cork(one_net: Net, cork: bool) -> None:
    """What waits after each answer to the frames of one read."""
    sizes: list[int] = []

    class Answering(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            transport.send(WSMsgType.BINARY, frame)
            sizes.append(transport.write_backlog_size)

    _, peer = await one_net.server_and_peer(Answering, cork=cork)
    await peer.send(client_frame(2, b"x" * 10) * 5)
    assert await within(peer.reader.readexactly(5 * 12)) == frame_bytes(2, b"x" * 10) * 5
    assert sizes == ([12, 24, 36, 48, 60] if cork else [0] * 5)


# ------------------------------------------------------------------ read_buffer_init_size


@pytest.mark.parametrize("size", [1, 300_000])
async def test_read_buffer_init_size(one_net: Net, size: int) -> None:
    """How much room a half frame has to grow in, when a little of it has come."""
    server, peer = await one_net.server_and_peer(read_buffer_init_size=size)
    payload = bytes(range(256)) * 4000
    frame = client_frame(2, payload)
    before = server.transport.stats.last_data_time
    await peer.send(frame[:1000])
    await until(lambda: server.transport.stats.last_data_time > before)
    room = len(server.transport.underlying_transport.get_protocol().get_buffer(-1))
    assert 300_000 - 1000 <= room < 500_000 if size == 300_000 else room < 10_000
    await peer.send(frame[1000:])
    assert bytes(await server.frame()) == payload


# ------------------------------------------------------------------ websocket_handshake_timeout

# Longer than the default; the clock jumps instead of being waited for.
JUMP_S = 6.0


async def jump(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was due in the meantime has been done when this returns."""
    loop = asyncio.get_running_loop()
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + JUMP_S)
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("kwargs", "ends"),
    [({}, True), ({"websocket_handshake_timeout": 50}, False), ({"websocket_handshake_timeout": None}, False)],
    ids=["default", "longer", "none"],
)
async def test_the_time_limit_of_a_client(
    one_net: Net, kwargs: Any, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def serve(peer: RawPeer) -> None:
        await peer.head()
        asked.set()
        await peer.rest()

    url = one_net.url(await one_net.raw_server(serve))
    connecting = asyncio.ensure_future(ws_core.ws_connect(Recorder, url, **kwargs))
    await within(asked.wait())
    await jump(monkeypatch)
    assert connecting.done() is ends
    connecting.cancel()
    with pytest.raises(asyncio.TimeoutError if ends else asyncio.CancelledError):
        await connecting


@pytest.mark.parametrize(
    ("kwargs", "ends"),
    [({}, True), ({"websocket_handshake_timeout": 50}, False), ({"websocket_handshake_timeout": None}, False)],
    ids=["default", "longer", "none"],
)
async def test_the_time_limit_of_a_server(
    one_net: Net, kwargs: Any, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await one_net.serve(**kwargs)
    peer = await one_net.raw(server, upgrade=False)
    await peer.send(request_bytes()[:-1])
    await until(lambda: server._settings.pending)
    await jump(monkeypatch)
    assert bool(server._settings.pending) is not ends
    if ends:
        with contextlib.suppress(ConnectionError):  # cut is cut
            assert await peer.rest() == b""
        return
    await peer.send(b"\n")
    assert (await peer.head()).startswith(b"HTTP/1.1 101 ")


# ------------------------------------------------------------------ socket options


async def test_small_segments_are_neither_held_back_nor_acknowledged_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP_NODELAY and, where there is one, TCP_QUICKACK, on both sides. The system shows the latter to nobody."""
    one_net = Net(tls=False, fast=True)  # our own sockets are tuned in C: test_no_delay sees half of it
    asked: dict[int, set[tuple[int, int, Any]]] = {}
    original = socket.socket.setsockopt

    def setsockopt(sock: socket.socket, level: int, option: int, *value: Any) -> None:
        if sock.family == socket.AF_INET and level == socket.IPPROTO_TCP:
            asked.setdefault(sock.fileno(), set()).add((level, option, *value))
        original(sock, level, option, *value)

    monkeypatch.setattr(socket.socket, "setsockopt", setsockopt)
    server, client = await one_net.pair()
    expected = {(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)}
    if hasattr(socket, "TCP_QUICKACK"):
        expected.add((socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1))
    for side in (server, client):
        assert asked[side.transport.underlying_transport.get_extra_info("socket").fileno()] >= expected
