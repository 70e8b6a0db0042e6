"""What the tests of reconnecting share: the call, and servers that behave otherwise each time."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import ws_core
from harness import TIMEOUT_S, Net, RawPeer, Recorder, client_ssl_context

Behaviour = Callable[[RawPeer], Awaitable[Any]]


def again(net: Net, where: Any, factory: Any = Recorder, **kwargs: Any) -> ws_core.WSReconnecting:
    """reconnecting() the way `net` opens connections. `where`: a server, a port, a URL, a function that gives one."""
    if net.tls:
        kwargs.setdefault("ssl_context", client_ssl_context())
    kwargs.setdefault("use_aiofastnet", net.use_aiofastnet)
    kwargs.setdefault("websocket_handshake_timeout", TIMEOUT_S)
    url = where if isinstance(where, str) or callable(where) else net.url(where)
    return ws_core.reconnecting(factory, url, **kwargs)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """A handler for Net.raw_server: the first connection meets the first behaviour, and so on; the last one stays."""
    left = list(behaviours)

    async def serve(peer: RawPeer) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(peer)

    return serve


def says(answer: bytes) -> Behaviour:
    """Answers the request with these bytes and hangs up."""

    async def serve(peer: RawPeer) -> None:
        await peer.head()
        await peer.send(answer)
        peer.close()

    return serve


def refuses(status: int, headers: str = "") -> Behaviour:
    """Answers with an HTTP status. `headers`: whole lines, each with its line end."""
    return says(f"HTTP/1.1 {status} Some Words\r\nContent-Length: 0\r\n{headers}\r\n".encode())


async def accepts(peer: RawPeer) -> None:
    """Accepts the upgrade and hangs up when something comes, such as a CLOSE."""
    await Net.accept_upgrade(peer)
    await peer.reader.read(1)
    peer.close()


async def accepts_and_leaves(peer: RawPeer) -> None:
    """Accepts the upgrade and ends the stream."""
    await Net.accept_upgrade(peer)
    peer.close()


async def is_mute(peer: RawPeer) -> None:
    """Never says anything."""
    await peer.rest()
    peer.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
