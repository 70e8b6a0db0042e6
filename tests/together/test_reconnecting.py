"""reconnecting with the rest of the family: behind a proxy that fails, and with a keepalive that finds a dead peer."""

from __future__ import annotations

import pytest

from harness import Net, RawPeer, within
from retries import accepts, again, in_turn, is_mute, refuses
from ws_core import WSDisconnectKind
from ws_proxy import WSProxyError

NO_TIME = {"backoff_min": 0.001, "backoff_max": 0.001}


async def passes_on(peer: RawPeer) -> None:
    """A proxy and the server behind it in one."""
    assert (await peer.head()).startswith(b"CONNECT ")
    await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    await accepts(peer)


async def test_a_proxy_that_cannot_reach_the_server_yet(plain_net: Net) -> None:
    proxy = await plain_net.raw_server(in_turn(refuses(502), refuses(503), passes_on))
    connections = again(plain_net, "ws://server.test/", proxy=f"http://127.0.0.1:{proxy}", **NO_TIME)
    async with connections:
        assert not (await within(anext(connections))).is_disconnected


async def test_a_proxy_that_does_not_want(plain_net: Net) -> None:
    proxy = await plain_net.raw_server(in_turn(refuses(502), refuses(407), passes_on))
    with pytest.raises(WSProxyError, match="407"):
        await within(anext(again(plain_net, "ws://server.test/", proxy=f"http://127.0.0.1:{proxy}", **NO_TIME)))


async def test_a_dead_peer(plain_net: Net) -> None:
    async def dies(peer: RawPeer) -> None:
        await Net.accept_upgrade(peer)
        await is_mute(peer)

    port = await plain_net.raw_server(in_turn(dies, accepts))
    keepalive = {"enable_auto_ping": True, "auto_ping_idle_timeout": 0.02, "auto_ping_reply_timeout": 0.02}
    async with again(plain_net, port, **keepalive, **NO_TIME) as connections:
        first = await within(anext(connections))
        await within(anext(connections))
        assert first.disconnect_reason is not None
        assert first.disconnect_reason.kind == WSDisconnectKind.TIMEOUT
