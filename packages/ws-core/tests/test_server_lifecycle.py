"""A server's own life: listening on TCP and unix sockets, connections, time limits for silent peers, shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

import ws_core
from harness import (
    Echo,
    Net,
    RawPeer,
    Recorder,
    client_frame,
    client_ssl_context,
    request_bytes,
    until,
    within,
)
from ws_core import WSCloseCode, WSFrame, WSListener, WSMsgType, WSServer, WSTransport, WSUpgradeRequest

SHORT_S = 0.05  # a time limit for what would never happen by itself


class Silent(WSListener):
    """Answers nothing, not even a CLOSE."""

    def __init__(self) -> None:
        self.disconnected = False

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.disconnected = True


async def ended(peer: RawPeer) -> bytes:
    """Up to the end of the stream, which may be a reset."""
    try:
        return await peer.rest()
    except ConnectionError:
        return b""


# ------------------------------------------------------------------ listening


async def test_what_a_server_has(net: Net) -> None:
    server = await net.serve()
    assert isinstance(server, WSServer)
    assert server.is_serving()
    assert server.get_loop() is asyncio.get_running_loop()
    (listening,) = server.sockets
    host, port = listening.getsockname()[:2]
    assert host == "127.0.0.1"
    assert port > 0
    assert server.connections == frozenset()
    assert repr(server).startswith("<WSServer")


async def test_no_port_is_a_free_one(one_net: Net) -> None:
    for kwargs in ({}, {"port": None}, {"port": 0}):
        server = await one_net.serve(**kwargs)
        await one_net.connect(server)


async def test_several_hosts(one_net: Net) -> None:
    server = await one_net.serve(host=["127.0.0.1", "127.0.0.2"])
    ports = {listening.getsockname()[0]: listening.getsockname()[1] for listening in server.sockets}
    assert set(ports) == {"127.0.0.1", "127.0.0.2"}
    for host, port in ports.items():
        await one_net.connect(f"ws://{host}:{port}/")


async def test_a_port_that_is_taken(plain_net: Net) -> None:
    server = await plain_net.serve()
    with pytest.raises(OSError, match=r"(?i)address already in use|errno"):
        await plain_net.serve(port=plain_net.port(server))


async def test_a_socket_of_ones_own(net: Net) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    server = await net.serve(sock=listening)
    assert net.port(server) == listening.getsockname()[1]
    await net.connect(server)


async def test_reuse_port(plain_net: Net) -> None:
    first = await plain_net.serve(reuse_port=True)
    second = await plain_net.serve(reuse_port=True, port=plain_net.port(first))
    assert plain_net.port(first) == plain_net.port(second)
    await plain_net.connect(first)


async def test_start_serving_later(plain_net: Net) -> None:
    server = await plain_net.serve(start_serving=False)
    assert not server.is_serving()
    await server.start_serving()
    assert server.is_serving()
    await plain_net.connect(server)


async def test_close_leaves_the_connections(net: Net) -> None:
    server = await net.serve()
    port = net.port(server)
    transport, listener = await net.connect(server)
    server.close()
    assert not server.is_serving()
    assert server.sockets == ()
    transport.send(WSMsgType.TEXT, "still here")
    assert (await listener.frame()).get_payload_as_ascii_text() == "still here"
    with pytest.raises(ConnectionRefusedError):
        await net.connect(port)


async def test_unix_socket(net: Net, socket_path: Path) -> None:
    server = await net.serve(path=str(socket_path))
    assert socket_path.is_socket()
    assert server.sockets[0].family == socket.AF_UNIX
    context = client_ssl_context() if net.tls else None
    name = "localhost" if net.tls else None
    reader, writer = await within(asyncio.open_unix_connection(str(socket_path), ssl=context, server_hostname=name))
    peer = RawPeer(reader, writer)
    net._peers.append(peer)
    await peer.send(request_bytes() + client_frame(1, b"hello"))
    assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
    assert await peer.frame() == (0x81, b"hello")
    shutdown = asyncio.ensure_future(server.shutdown())
    assert await peer.frame() == (0x88, b"\x03\xe9")
    await peer.send(client_frame(8, b"\x03\xe9"))
    peer.close()
    await within(shutdown)


async def test_http_over_a_unix_socket(plain_net: Net, socket_path: Path) -> None:
    """There is no peer name to log."""
    await plain_net.serve(lambda request: None, path=str(socket_path))
    reader, writer = await within(asyncio.open_unix_connection(str(socket_path)))
    peer = RawPeer(reader, writer)
    plain_net._peers.append(peer)
    await peer.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (await peer.rest()).startswith(b"HTTP/1.1 404 ")


# ------------------------------------------------------------------ connections


async def test_connections(net: Net) -> None:
    made: list[Recorder] = []

    def factory(request: WSUpgradeRequest) -> Recorder:
        made.append(Recorder())
        return made[-1]

    server = await net.serve(factory)
    clients = [(await net.connect(server))[0] for _ in range(3)]
    await until(lambda: len(server.connections) == 3)
    assert server.connections == {recorder.transport for recorder in made}
    assert all(isinstance(transport, WSTransport) for transport in server.connections)
    before = server.connections
    clients[1].disconnect()
    await made[1].event("disconnected")
    await until(lambda: len(server.connections) == 2)
    assert server.connections == before - {made[1].transport}


async def test_connections_while_callbacks_run(plain_net: Net) -> None:
    """It is there in on_ws_connected, and gone when all is over."""
    seen: list[bool] = []

    class Looks(Recorder):
        def on_ws_connected(self, transport: WSTransport) -> None:
            seen.append(transport in server.connections)
            super().on_ws_connected(transport)

    made = Looks()
    server = await plain_net.serve(lambda request: made)
    transport, _ = await plain_net.connect(server)
    await made.event("connected")
    assert seen == [True]
    transport.disconnect()
    await made.event("disconnected")
    await until(lambda: not server.connections)


@pytest.mark.parametrize("how", ["close_clients", "abort_clients"])
async def test_ending_all_connections(net: Net, how: str) -> None:
    server = await net.serve(websocket_handshake_timeout=None)
    clients = [await net.connect(server) for _ in range(3)]
    await until(lambda: len(server.connections) == 3)
    waiting = await net.raw(server, upgrade=False)
    await until(lambda: server._settings.pending)
    getattr(server, how)()
    for _, listener in clients:
        await listener.event("disconnected")
        assert listener.events == ["connected", "disconnected"]
    assert await ended(waiting) == b""
    await until(lambda: not server.connections and not server._settings.pending)
    assert server.is_serving()
    await net.connect(server)


@pytest.mark.parametrize("how", ["close_clients", "abort_clients"])
async def test_what_waits_is_sent_or_dropped(plain_net: Net, how: str) -> None:
    server, peer = await plain_net.server_and_peer()
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    while server.transport.write_backlog_size < 10_000_000:
        server.transport.send(WSMsgType.BINARY, b"x" * 100_000)
    sent = server.transport.stats.bytes_out
    getattr(plain_net._servers[0], how)()
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    with contextlib.suppress(ConnectionError):
        received = len(await peer.rest())
        assert received == sent if how == "close_clients" else received < sent
    peer.close()
    await server.event("disconnected")


# ------------------------------------------------------------------ time limits


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET", b"GET / HTTP/1.1\r\nHost: h\r\n", request_bytes()[:-1]],
    ids=["nothing", "word", "line", "almost"],
)
async def test_silent_peers_are_dropped(net: Net, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = await net.serve(websocket_handshake_timeout=SHORT_S)
    peer = await net.raw(server, upgrade=False)
    await peer.send(sent)
    assert await ended(peer) == b""
    assert not server._settings.pending
    (record,) = [record for record in caplog.records if record.name.startswith("ws_core")]
    assert record.levelno == logging.INFO
    assert "within 0.05 seconds" in record.getMessage()


async def test_slow_peers_are_dropped(net: Net) -> None:
    """A byte from time to time does not keep the connection open: the limit is for all of the request."""
    server = await net.serve(websocket_handshake_timeout=0.1)
    peer = await net.raw(server, upgrade=False)

    async def send() -> None:
        await peer.send(b"GET / HTTP/1.1\r\nX: ")
        while True:
            await peer.send(b"x")
            await asyncio.sleep(0.01)

    sending = asyncio.ensure_future(send())
    assert await ended(peer) == b""
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError, ConnectionError):
        await sending


async def test_a_silent_peer_in_the_tls_handshake_is_dropped(plain_net: Net, loop_name: str, fast: bool | None) -> None:
    async with contextlib.aclosing(Net(tls=True, fast=fast)) as secure:
        server = await secure.serve(websocket_handshake_timeout=SHORT_S)
        reader, writer = await asyncio.open_connection("127.0.0.1", secure.port(server))
        peer = RawPeer(reader, writer)
        plain_net._peers.append(peer)
        assert await ended(peer) == b""


async def test_an_async_factory_that_takes_too_long(net: Net) -> None:
    cancelled = asyncio.Event()

    async def factory(request: WSUpgradeRequest) -> Echo:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    server = await net.serve(factory, websocket_handshake_timeout=SHORT_S)
    peer = await net.raw(server, upgrade=False)
    await peer.send(request_bytes())
    assert await ended(peer) == b""
    await within(cancelled.wait())
    await until(lambda: not server._settings.pending)


async def test_the_limit_ends_with_the_upgrade(plain_net: Net) -> None:
    server = await plain_net.serve(websocket_handshake_timeout=SHORT_S)
    transport, listener = await plain_net.connect(server)
    silent = await plain_net.raw(server, upgrade=False)
    assert await ended(silent) == b""  # later than any limit of the first connection
    transport.send(WSMsgType.TEXT, "still here")
    assert (await listener.frame()).get_payload_as_ascii_text() == "still here"


async def test_no_limit(plain_net: Net) -> None:
    """While another server's limit passes, twice."""
    endless = await plain_net.serve(websocket_handshake_timeout=None)
    limited = await plain_net.serve(websocket_handshake_timeout=SHORT_S)
    peer = await plain_net.raw(endless, upgrade=False)
    for _ in range(2):
        assert await ended(await plain_net.raw(limited, upgrade=False)) == b""
    await peer.send(request_bytes())
    assert (await peer.head()).startswith(b"HTTP/1.1 101 ")


# ------------------------------------------------------------------ peers that go away


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: h\r\n"], ids=["nothing", "half a line", "half a head"]
)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_peer_that_goes_away(net: Net, sent: bytes, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """A port scanner: not worth a line above INFO."""
    caplog.set_level(logging.INFO)
    server = await net.serve()
    peer = await net.raw(server, upgrade=False)
    await peer.send(sent)
    await until(lambda: server._settings.pending)
    if how == "close":
        peer.close()
    else:
        peer.writer.transport.abort()
    await until(lambda: not server._settings.pending)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
    await net.connect(server)


async def test_a_peer_that_goes_away_while_an_async_factory_thinks(net: Net) -> None:
    """Whatever the factory says then, no connection comes of it and nothing is left."""
    go = asyncio.Event()
    made: list[Recorder] = []

    async def factory(request: WSUpgradeRequest) -> Recorder:
        made.append(Recorder())
        await go.wait()
        return made[-1]

    server = await net.serve(factory)
    peer = await net.raw(server, upgrade=False)
    await peer.send(request_bytes())
    await until(lambda: made)
    peer.writer.transport.abort()
    go.set()
    await until(lambda: not server._settings.pending and not server.connections)
    assert made[0].events in ([], ["connected", "disconnected"])


# ------------------------------------------------------------------ shutdown


async def test_shutdown(net: Net) -> None:
    """Every client gets a closing handshake, with code and reason, and the port is free."""
    made: list[Recorder] = []

    class Answers(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            super().on_ws_frame(transport, frame)
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    def factory(request: WSUpgradeRequest) -> Recorder:
        made.append(Recorder())
        return made[-1]

    server = await net.serve(factory)
    port = net.port(server)
    clients = [await net.connect(server, Answers) for _ in range(3)]
    await until(lambda: len(server.connections) == 3)
    await within(server.shutdown(WSCloseCode.SERVICE_RESTART, "back soon"))
    assert [recorder.events[-1] for recorder in made] == ["disconnected"] * 3
    assert server.connections == frozenset()
    assert not server.is_serving()
    for transport, listener in clients:
        await listener.event("disconnected")
        assert transport.close_handshake.recv == (WSCloseCode.SERVICE_RESTART, "back soon")
    with pytest.raises(ConnectionRefusedError):
        await net.connect(port)
    await within(server.wait_closed())
    await within(server.shutdown())  # again: nothing to do


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"code": 5}, "status code 5"),
        ({"message": "x" * 124}, "123 bytes"),
        ({"message": b"\xff"}, "utf-8"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": "5"}, "timeout"),
    ],
)
async def test_a_shutdown_that_cannot_be_has_done_nothing(one_net: Net, arguments: Any, match: str) -> None:
    server = await one_net.serve()
    transport, _ = await one_net.connect(server)
    with pytest.raises(ValueError, match=match):
        await within(server.shutdown(**arguments))
    assert server.is_serving()
    assert not transport.is_disconnected


async def test_shutdown_says_going_away(one_net: Net) -> None:
    server = await one_net.serve()
    _, listener = await one_net.connect(server)
    await until(lambda: server.connections)
    shutdown = asyncio.ensure_future(server.shutdown())
    frame = await listener.frame()
    assert frame.get_close_code() == WSCloseCode.GOING_AWAY
    assert frame.get_close_message() is None
    listener.transport.disconnect()
    await within(shutdown)


async def test_shutdown_with_silent_peers(net: Net) -> None:
    """Peers that do not answer, that do not read, and that have not even asked."""
    made: list[Silent] = []

    def factory(request: WSUpgradeRequest) -> Silent:
        made.append(Silent())
        return made[-1]

    server = await net.serve(factory, websocket_handshake_timeout=None)
    answers_nothing = await net.raw(server)
    reads_nothing = await net.raw(server)
    asks_nothing = await net.raw(server, upgrade=False)
    await until(lambda: len(server.connections) == 2 and len(server._settings.pending) == 1)
    for transport in server.connections:
        transport.send(WSMsgType.BINARY, bytes(8_000_000))
    reads_nothing.writer.transport.pause_reading()
    await within(server.shutdown(timeout=SHORT_S))
    assert [listener.disconnected for listener in made] == [True, True]
    assert server.connections == frozenset()
    assert await ended(asks_nothing) == b""
    await ended(answers_nothing)


async def test_shutdown_while_an_async_factory_thinks(net: Net) -> None:
    started = asyncio.Event()

    async def factory(request: WSUpgradeRequest) -> Echo:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    server = await net.serve(factory, websocket_handshake_timeout=None)
    peer = await net.raw(server, upgrade=False)
    await peer.send(request_bytes())
    await within(started.wait())
    await within(server.shutdown())
    assert await ended(peer) == b""


async def test_no_upgrade_during_a_shutdown(plain_net: Net) -> None:
    """Whoever was in the queue of the listening socket is not served any more."""
    made: list[Recorder] = []

    def factory(request: WSUpgradeRequest) -> Recorder:
        made.append(Recorder())
        return made[-1]

    server = await plain_net.serve(factory)
    late = socket.create_connection(("127.0.0.1", plain_net.port(server)))  # it is in the queue, not accepted
    late.setblocking(False)
    late.send(request_bytes())
    await within(server.shutdown())
    with contextlib.suppress(ConnectionError):
        assert await within(asyncio.get_running_loop().sock_recv(late, 100)) == b""
    late.close()
    assert made == []


async def test_a_server_is_a_context_manager(net: Net) -> None:
    async with await net.serve() as server:
        assert isinstance(server, WSServer)
        _, listener = await net.connect(server, lambda: Closes())
        await until(lambda: server.connections)
    assert not server.is_serving()
    assert server.connections == frozenset()
    await listener.event("disconnected")
    assert listener.frames[0].get_close_code() == WSCloseCode.GOING_AWAY


class Closes(Recorder):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        super().on_ws_frame(transport, frame)
        transport.send_close(frame.get_close_code())
        transport.disconnect()


async def test_shutdown_is_told_of_by_its_disconnect_reason(one_net: Net) -> None:
    made = Recorder()
    server = await one_net.serve(lambda request: made)
    await one_net.connect(server, Closes)
    await until(lambda: server.connections)
    await within(server.shutdown())
    reason: Any = made.transport.disconnect_reason
    assert reason.kind in (ws_core.WSDisconnectKind.LOCAL, ws_core.WSDisconnectKind.PEER)
