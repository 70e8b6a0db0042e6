"""Servers for plain sockets accept by themselves: listening, closing, running out of descriptors."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from typing import Any

import pytest

from harness import Net, until, within
from ws_core import WSMsgType, WSServer, ws_create_server


@pytest.fixture
def own(loop_name: str) -> Net:
    """On asyncio and uvloop, the default for plain sockets."""
    return Net(tls=False, fast=None)


async def test_start_serving_later(own: Net) -> None:
    server = await own.serve(start_serving=False)
    assert not server.is_serving()
    assert len(server.sockets) == 1
    with pytest.raises(ConnectionRefusedError):
        await own.connect(server)
    await server.start_serving()
    await server.start_serving()
    assert server.is_serving()
    await own.connect(server)


async def test_wait_closed_waits_for_connections(own: Net) -> None:
    server = await own.serve()
    transport, _ = await own.connect(server)
    waiting = asyncio.ensure_future(server.wait_closed())
    server.close()
    server.close()
    assert server.sockets == ()
    await asyncio.sleep(0)
    assert not waiting.done()
    transport.disconnect()
    await within(waiting)
    await within(server.wait_closed())


async def test_a_socket_of_the_callers(own: Net) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    server = await own.serve(sock=sock)
    await own.connect(sock.getsockname()[1])
    server.close()
    with pytest.raises(ConnectionRefusedError):
        await own.connect(sock.getsockname()[1] if sock.fileno() >= 0 else own.url(1))


async def test_several_hosts(own: Net) -> None:
    server = await own.serve(host=["127.0.0.1", "127.0.0.2"], port=0)
    assert len(server.sockets) == 2
    for sock in server.sockets:
        host, port = sock.getsockname()
        await own.connect(f"ws://{host}:{port}/")


async def test_many_at_once(own: Net) -> None:
    server = await own.serve()
    await within(asyncio.gather(*(own.connect(server) for _ in range(60))))
    assert len(server.connections) == 60


async def test_no_descriptors_left(own: Net) -> None:
    """The loop is told once, it goes on with what it has, and later with new connections."""
    import ws_core._accepting

    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    server = await own.serve()
    _, listener = await own.connect(server)
    (connected,) = server.connections
    raw = socket.socket()
    raw.setblocking(False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    retry_s = ws_core._accepting.RETRY_S
    handler: Any = loop.get_exception_handler() if hasattr(loop, "get_exception_handler") else None
    loop.set_exception_handler(lambda loop, context: complaints.append(context))
    ws_core._accepting.RETRY_S = 0.05
    try:
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        await loop.sock_connect(raw, ("127.0.0.1", own.port(server)))
        await until(lambda: complaints)
        connected.send(WSMsgType.TEXT, "still here")
        assert (await listener.frame()).get_payload_as_ascii_text() == "still here"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        ws_core._accepting.RETRY_S = retry_s
    assert "accept" in complaints[0]["message"]
    raw.close()
    await own.connect(server)
    loop.set_exception_handler(handler)


async def test_a_factory_that_fails_leaves_nothing(own: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """No protocol for a new connection: it is closed, and the loop is told."""
    import ws_core.server

    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    server = await own.serve()

    def fails(settings: Any) -> Any:
        raise MemoryError("no")

    monkeypatch.setattr(ws_core.server, "ServerHandshake", fails)
    reader, writer = await asyncio.open_connection("127.0.0.1", own.port(server))
    assert await within(reader.read()) == b""
    writer.close()
    assert [type(context["exception"]) for context in complaints] == [MemoryError]
    waiting = asyncio.ensure_future(server.wait_closed())
    server.close()
    await within(waiting)  # it counts no connection that is not there


async def test_an_address_that_another_socket_listens_on(own: Net) -> None:
    """listen(2) fails: nothing is left open, and it may be tried again."""
    first, second = socket.socket(), socket.socket()
    for sock in (first, second):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    first.bind(("127.0.0.1", 0))
    second.bind(first.getsockname())
    second.listen()
    with pytest.raises(OSError, match="in use"):
        await own.serve(sock=first)
    assert first.fileno() >= 0  # it is the caller's
    server = await own.serve(sock=first, start_serving=False)
    with pytest.raises(OSError, match="in use"):
        await server.start_serving()
    assert not server.is_serving()
    second.close()
    await server.start_serving()
    await own.connect(server)


async def test_closed_while_it_accepts(own: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a callback does to the server is seen before the next accept(2): its descriptor may be another's by then."""
    import ws_core.server

    complaints: list[dict[str, Any]] = []
    server = await own.serve()
    port = own.port(server)
    others: list[socket.socket] = []

    def handler(loop: Any, context: dict[str, Any]) -> None:
        complaints.append(context)
        server.close()
        while len(others) < 4:  # they get the numbers that are free now
            others.append(socket.create_server(("127.0.0.1", 0)))

    def fails(settings: Any) -> Any:
        raise MemoryError("no")

    asyncio.get_running_loop().set_exception_handler(handler)
    monkeypatch.setattr(ws_core.server, "ServerHandshake", fails)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    await until(lambda: complaints)
    await within(server.wait_closed())
    assert [type(context["exception"]) for context in complaints] == [MemoryError]
    for sock in clients + others:
        sock.close()


def test_interrupted_while_it_accepts(loop_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """KeyboardInterrupt comes out of the loop; the connection is closed, and the server counts it no more."""
    import uvloop

    import ws_core.server

    loop = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[loop_name]()

    async def serve() -> WSServer:
        return await ws_create_server(lambda request: None, "127.0.0.1", 0)

    async def end() -> None:
        server.close()
        await within(server.wait_closed())

    def interrupted(settings: Any) -> Any:
        raise KeyboardInterrupt

    server = loop.run_until_complete(serve())
    monkeypatch.setattr(ws_core.server, "ServerHandshake", interrupted)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(asyncio.sleep(10))
        loop.run_until_complete(end())
        assert client.recv(1) == b""
    loop.close()


async def test_a_backlog_below_zero(own: Net) -> None:
    """The system takes it for 0."""
    server = await own.serve(backlog=-1)
    await own.connect(server)
