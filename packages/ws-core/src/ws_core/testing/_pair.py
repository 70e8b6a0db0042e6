"""A client's listener and a server's, connected in memory.

Both sides are opened by ws_connect and ws_create_server, through the real handshake: an extension of those two calls
leads one to the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ws_core._listener import WSListener
from ws_core._transport import WSTransport
from ws_core._upgrading import WSServerListenerFactory
from ws_core.client import WSListenerFactory, takes, ws_connect
from ws_core.extension import Extension, TransportHook, claim_options
from ws_core.server import ws_create_server
from ws_core.testing._recorder import Recorder
from ws_core.testing._wire import Wire, running_loop
from ws_core.upgrade import WSUpgradeResponseWithListener
from ws_core.url import WSParsedURL

_Made = WSListener | WSUpgradeResponseWithListener | None
_ServerFactory = WSServerListenerFactory | Callable[[], _Made | Awaitable[_Made]]


@dataclass(frozen=True)
class Pair:
    """A connection in memory, seen from everywhere. See :func:`connected_pair`."""

    #: The transport of the client's side, and of the server's.
    client: WSTransport
    server: WSTransport
    #: The listeners that the factories made. (Any: their attributes are the test's own.)
    client_listener: Any
    server_listener: Any
    #: What lies between.
    wire: Wire

    async def deliver(self, timeout: float = 10.0) -> None:
        """Wait until everything that was sent has arrived, see :meth:`Wire.deliver`."""
        await self.wire.deliver(timeout)


@asynccontextmanager
async def connected_pair(
    client_factory: WSListenerFactory[WSListener] = Recorder,
    server_factory: _ServerFactory = Recorder,
    url: str = "ws://memory/",
    *,
    wire: Wire | None = None,
    client_options: Mapping[str, Any] | None = None,
    server_options: Mapping[str, Any] | None = None,
) -> AsyncIterator[Pair]:
    """
    A client's listener and a server's, connected in memory: ``async with connected_pair(Client, Server) as pair:``.

    :param client_factory: as for ws_connect
    :param server_factory: as for ws_create_server, except that it may also take no argument: a class will do
    :param url: what the client asks for; ws:// only
    :param wire: one that was set up before, whose settings hold for the opening handshake, too; None: a new one
    :param client_options: keyword arguments of ws_connect, but those about sockets, TLS and redirects
    :param server_options: keyword arguments of ws_create_server, but those about sockets and TLS

    Bytes arrive by themselves, in later turns of the event loop; ``await pair.deliver()`` waits for them. When the
    block ends the connection is cut on both sides and both on_ws_disconnected have returned; what a callback raised is
    where it always is: wait_disconnected raises it on the client's side, the server's is in its log and its
    disconnect_reason.

    Raises what ws_connect raises: :class:`WSInvalidStatusError` if the server refuses (a redirect is not followed, it
    is such a refusal), :class:`WSHandshakeError`, asyncio.TimeoutError, :class:`WSMissingExtension`. TypeError for an
    option that cannot be used here, ValueError for wss://, RuntimeError for a wire that was used before, and outside of
    a running event loop.
    """
    running_loop()
    wire = Wire() if wire is None else wire
    route = _Route(wire)
    for_client = _checked("client_options", ws_connect, client_options, True)
    for_server = _checked("server_options", ws_create_server, server_options, False)
    for options in for_client, for_server:
        options["extensions"] = [*options.get("extensions", ()), route]
        options["use_aiofastnet"] = False
    server = await ws_create_server(_with_request(server_factory), **for_server)
    try:
        await ws_connect(client_factory, url, max_redirects=0, **for_client)
        if len(route.opened) < 2:
            raise RuntimeError("one side failed behind the answer to the upgrade: its log says why")
        (client, client_listener), (accepted, server_listener) = route.opened[True], route.opened[False]
        yield Pair(client, accepted, client_listener, server_listener, wire)
    finally:
        server.close()
        await wire.close()


class _Opened(TransportHook):
    """Notes a transport and its listener: both may be gone when the other side has finished its handshake."""

    opcodes = ()

    def __init__(self, opened: dict[bool, tuple[WSTransport, WSListener | None]]) -> None:
        self._opened = opened

    def on_open(self, transport: WSTransport) -> None:
        self._opened[transport.is_client_side] = transport, transport.listener


class _Route(Extension):
    """Leads ws_connect to ws_create_server, over a wire."""

    name = "ws_core.testing"

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._accept: Callable[[], asyncio.BufferedProtocol]
        #: By is_client_side.
        self.opened: dict[bool, tuple[WSTransport, WSListener | None]] = {}

    async def open_server(
        self, protocol_factory: Callable[[], asyncio.BufferedProtocol], options: dict[str, Any]
    ) -> asyncio.Server:
        self._accept = protocol_factory
        return asyncio.Server(asyncio.get_running_loop(), [], protocol_factory, None, 0, None)  # listens nowhere

    async def open_connection(self, endpoint: WSParsedURL, options: dict[str, Any]) -> asyncio.Transport:
        if endpoint.is_secure:
            raise ValueError("a connection in memory has no TLS: use a ws:// URL")
        client_end, server_end = self._wire.connect()
        protocol = self._accept()
        server_end.set_protocol(protocol)
        protocol.connection_made(server_end)
        server_end.resume_reading()
        return client_end  # ws_connect does the same with it

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook:
        return _Opened(self.opened)


def _with_request(factory: _ServerFactory) -> WSServerListenerFactory:
    call: Any = factory
    return call if takes(factory, 1) else lambda request: call()


_NOT_HERE = {
    "ssl_context": "a connection in memory has no TLS",
    "ssl": "a connection in memory has no TLS",
    "socket_factory": "a connection in memory has no socket",
    "use_aiofastnet": "a connection in memory has a transport of its own",
    "host": "a connection in memory has no port",
    "port": "a connection in memory has no port",
    "path": "a connection in memory has no socket",
    "max_redirects": "there is nowhere else to go, a redirect raises WSInvalidStatusError",
}


def _checked(argument: str, function: Any, options: Mapping[str, Any] | None, is_client_side: bool) -> dict[str, Any]:
    """A copy of `options`. TypeError for what a connection in memory would pass over."""
    given = dict(options or {})
    for name in given:
        if name in _NOT_HERE:
            raise TypeError(f"{argument}: {name}= is not accepted here: {_NOT_HERE[name]}")
    rest = {name: value for name, value in given.items() if name not in function.__kwdefaults__}
    for active in claim_options(rest, given.get("extensions", ()), is_client_side):
        kind = type(active.extension)
        if kind.open_connection is not Extension.open_connection or kind.open_server is not Extension.open_server:
            raise TypeError(f"{argument}: the extension {active.extension.name!r} opens connections of its own")
    if rest:
        raise TypeError(
            f"{argument}: {function.__name__} and the extensions know no {', '.join(rest)}; "
            "arguments of the event loop about sockets are not accepted here"
        )
    return given
