"""serve_forever, and what a server's end at Ctrl-C leaves behind."""

from __future__ import annotations

import asyncio

import pytest

from harness import Net, Recorder, request_bytes, until, within
from ws_core import WSCloseCode, WSUpgradeRequest


async def test_serve_forever(plain_net: Net) -> None:
    server = await plain_net.serve(start_serving=False)
    serving = asyncio.ensure_future(server.serve_forever())
    await until(server.is_serving)
    with pytest.raises(RuntimeError, match="already"):
        await server.serve_forever()
    transport, _ = await plain_net.connect(server)
    await until(lambda: server.connections)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await within(serving)
    assert not server.is_serving()
    assert server.connections, "connections go on, and nobody waits for them"
    transport.disconnect()


async def test_a_closed_server_does_not_serve_forever(plain_net: Net) -> None:
    server = await plain_net.serve()
    serving = asyncio.ensure_future(server.serve_forever())
    await asyncio.sleep(0)
    server.close()
    with pytest.raises(asyncio.CancelledError):
        await within(serving)
    with pytest.raises(RuntimeError, match="closed"):
        await server.serve_forever()


async def test_ctrl_c_shuts_down_with_a_closing_handshake(net: Net) -> None:
    """The body of main() in every server: what asyncio.run does at Ctrl-C is to cancel it."""
    server = await net.serve()

    async def main() -> None:
        async with server:
            await server.serve_forever()

    running = asyncio.ensure_future(main())
    _, listener = await net.connect(server)
    await until(lambda: server.connections)
    running.cancel()
    frame = await listener.frame()
    assert frame.get_close_code() == WSCloseCode.GOING_AWAY
    listener.transport.send_close(frame.get_close_code())
    listener.transport.disconnect()
    with pytest.raises(asyncio.CancelledError):
        await within(running)
    assert not server.connections


async def test_a_factory_that_ends_with_the_shutdown_opens_nothing(net: Net) -> None:
    """shutdown() returns when every connection has ended: none may begin after it."""
    gate, listener = asyncio.Event(), Recorder()
    asked = asyncio.Event()

    async def factory(request: WSUpgradeRequest) -> Recorder:
        asked.set()
        await gate.wait()
        return listener

    server = await net.serve(factory)
    peer = await net.raw(server, upgrade=False)
    await peer.send(request_bytes())
    await within(asked.wait())
    gate.set()
    await server.shutdown()  # not in a task of its own: it must come before the factory's next step
    assert b"101" not in await peer.rest()
    assert listener.events == []
    assert not server.connections
