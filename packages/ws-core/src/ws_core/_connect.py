"""How a client's byte stream is made: sockets, TLS, extensions' tunnels, aiofastnet or the loop's own transports.

Knows nothing of HTTP or frames: it connects a protocol to an endpoint.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Awaitable, Callable
from ssl import SSLContext
from typing import Any, Union

from ws_core.extension import ActiveExtension
from ws_core.url import WSParsedURL

WSSocketFactory = Callable[[WSParsedURL], Union[socket.socket, None, Awaitable[Union[socket.socket, None]]]]


def fast_net(use_aiofastnet: bool | None, loop: asyncio.AbstractEventLoop) -> Any:
    """The aiofastnet module if connections of this loop go through it, else None."""
    if use_aiofastnet is False:
        return None
    # It drives the loop by add_reader and add_writer, which a loop may lack.
    module = type(loop).__module__
    if use_aiofastnet is None and not module.startswith(("asyncio.", "uvloop")):
        return None
    import aiofastnet

    return aiofastnet


class Connector:
    """Connects protocols to endpoints, one way for all attempts of one ws_connect call."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        use_aiofastnet: bool | None,
        ssl_context: SSLContext | None,
        socket_factory: WSSocketFactory | None,
        extensions: list[ActiveExtension],
        kwargs: dict[str, Any],
    ) -> None:
        self._loop = loop
        self._fast_net = fast_net(use_aiofastnet, loop)
        self._ssl_context = ssl_context
        self._socket_factory = socket_factory
        self._extensions = extensions
        self._kwargs = kwargs

    async def connect(self, protocol: asyncio.BaseProtocol, url: WSParsedURL) -> asyncio.BaseTransport:
        """A transport to `url` that talks to `protocol`, TLS included. Leaves nothing open if it raises."""
        stream = await self._open_by_extension(url)
        if stream is None and self._socket_factory is not None:
            stream = await self._open_by_factory(url)
        if isinstance(stream, asyncio.BaseTransport):
            return await self._take_over(stream, protocol, url)
        kwargs: dict[str, Any] = dict(self._kwargs)
        if url.is_secure:
            kwargs["ssl"] = True if self._ssl_context is None else self._ssl_context
        if stream is None:
            transport, _ = await self._create_connection(lambda: protocol, url.host, url.port, **kwargs)
            return transport
        if url.is_secure:
            kwargs.setdefault("server_hostname", url.host)
        for name in ("local_addr", "happy_eyeballs_delay", "interleave", "family", "proto", "flags"):
            kwargs.pop(name, None)  # they say how to connect, and that is done
        try:
            transport, _ = await self._create_connection(lambda: protocol, sock=stream, **kwargs)
        except BaseException:
            stream.close()
            raise
        return transport

    async def _create_connection(self, *args: Any, **kwargs: Any) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        if self._fast_net is not None:
            return await self._fast_net.create_connection(self._loop, *args, **kwargs)
        return await self._loop.create_connection(*args, **kwargs)

    async def _open_by_extension(self, url: WSParsedURL) -> socket.socket | asyncio.BaseTransport | None:
        for active in self._extensions:
            options = dict(active.options)
            options["socket_factory"] = self._socket_factory
            stream = await active.extension.open_connection(url, options)
            if stream is not None:
                return stream
        return None

    async def _open_by_factory(self, url: WSParsedURL) -> socket.socket | None:
        assert self._socket_factory is not None
        made = self._socket_factory(url)
        sock = await made if inspect.isawaitable(made) else made
        if sock is None:
            return None
        if not isinstance(sock, socket.socket):
            raise TypeError(f"socket_factory must return a socket.socket or None, not {type(sock).__name__}")
        try:
            await connect_socket(self._loop, sock, url)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _take_over(
        self, transport: asyncio.BaseTransport, protocol: asyncio.BaseProtocol, url: WSParsedURL
    ) -> asyncio.BaseTransport:
        """Put `protocol`, behind TLS if the URL says so, on a transport that somebody else has opened."""
        assert isinstance(transport, asyncio.Transport)
        try:
            if not url.is_secure:
                transport.set_protocol(protocol)
                protocol.connection_made(transport)
                transport.resume_reading()
                return transport
            import ssl

            context = self._ssl_context or ssl.create_default_context()
            names = ("ssl_handshake_timeout", "ssl_shutdown_timeout")
            kwargs = {name: self._kwargs[name] for name in names if name in self._kwargs}
            kwargs["server_hostname"] = self._kwargs.get("server_hostname", url.host)
            start_tls: Any = self._loop.start_tls
            if self._fast_net is not None:
                import functools

                start_tls = functools.partial(self._fast_net.start_tls, self._loop)
            secured: asyncio.Transport | None = await start_tls(transport, protocol, context, **kwargs)
            if secured is None:
                raise ConnectionResetError("the connection was lost during the TLS handshake")
            protocol.connection_made(secured)
            return secured
        except BaseException:
            transport.abort()
            raise


async def connect_socket(loop: asyncio.AbstractEventLoop, sock: socket.socket, url: WSParsedURL) -> None:
    """Connect the socket of a factory to `url`, unless it is connected."""
    sock.setblocking(False)
    try:
        sock.getpeername()
        return
    except OSError:
        pass
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        raise ValueError("socket_factory must connect a socket that is neither IPv4 nor IPv6 itself")
    infos = await loop.getaddrinfo(url.host, url.port, family=sock.family, type=socket.SOCK_STREAM)
    if not infos:
        raise OSError(f"no address of {url.host} fits the socket that socket_factory made")
    await loop.sock_connect(sock, infos[0][4])
