"""Servers for plain sockets accept by themselves: listening, closing, running out of descriptors."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from typing import Any

import pytest

from harness import Net, until, within
from ws_core import WSMsgType


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
