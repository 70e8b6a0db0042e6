"""A server's factory that thinks before it answers: reading is paused meanwhile, and whose reading it is afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import ws_core._upgrading
from harness import Net, Recorder, client_frame, open_sockets, request_bytes, until
from ws_core import WSTransport


async def test_on_ws_connected_may_pause_reading(net: Net) -> None:
    """The listener's pause is not undone by the end of the upgrade."""

    class Pausing(Recorder):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.underlying_transport.pause_reading()
            super().on_ws_connected(transport)

    made: list[Pausing] = []

    async def factory(request: Any) -> Pausing:
        await asyncio.sleep(0)
        made.append(Pausing())
        return made[0]

    peer = await net.raw(await net.serve(factory))
    await until(lambda: made and made[0].transport)
    await asyncio.sleep(0)  # the factory's task has ended
    assert made[0].transport is not None
    assert not made[0].transport.underlying_transport.is_reading()
    await peer.send(client_frame(1, b"later"))
    made[0].transport.underlying_transport.resume_reading()
    assert bytes(await made[0].frame()) == b"later"


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
async def test_the_end_of_a_refused_peer_is_seen(
    net: Net, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer has its 500 and is gone: the connection goes, too, without a time-out that cuts it."""
    monkeypatch.setattr(ws_core._upgrading, "_REFUSAL_PATIENCE_S", 3600.0)

    async def factory(request: Any) -> None:
        await asyncio.sleep(0)
        raise error("no")

    server = await net.serve(factory)
    before = open_sockets()
    peer = await net.raw(server, upgrade=False)
    await peer.send(request_bytes())
    assert (await peer.head()).startswith(b"HTTP/1.1 500 ")
    peer.close()
    await until(lambda: open_sockets() == before)


async def test_who_is_ready_when_the_server_cuts_is_not_asked(net: Net) -> None:
    """In the same turn of the loop, the first of the two: no listener is told of a connection that was cut before."""
    ready = asyncio.Event()
    made: list[Recorder] = []

    async def factory(request: Any) -> Recorder:
        made.append(Recorder())
        await ready.wait()
        return made[0]

    server = await net.serve(factory)
    peer = await net.raw(server, upgrade=False)
    await peer.send(request_bytes())
    await until(lambda: made)
    before = open_sockets()
    ready.set()
    server.abort_clients()
    await until(lambda: open_sockets() < before)
    assert made[0].events == []
