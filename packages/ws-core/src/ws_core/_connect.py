"""How a client's byte stream is made: sockets, TLS, extensions' tunnels, aiofastnet or the loop's own transports.

Knows nothing of HTTP or frames: it connects a protocol to an endpoint.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from ssl import SSLContext
from typing import Any

from ws_core._adopting import drive
from ws_core._dial import DIAL_ARGUMENTS, dial
from ws_core.extension import ActiveExtension, Extension
from ws_core.url import WSParsedURL

#: What aiofastnet has for each TLS connection from its beginning on: room for four records of 16 KiB, each way. A
#: large message makes all of it resident, for as long as the connection lives. Its own default is sixteen, and slower:
#: 100 KiB there and back take 15 % more CPU time.
FAST_TLS_BUFFERS = dict.fromkeys(("ssl_incoming_bio_size", "ssl_outgoing_bio_size"), 4 * (16 * 1024 + 64))

WSSocketFactory = Callable[[WSParsedURL], socket.socket | None | Awaitable[socket.socket | None]]


def fast_net(use_aiofastnet: bool | None, loop: asyncio.AbstractEventLoop, context: SSLContext | None) -> Any:
    """The aiofastnet module if connections of this loop go through it, else None. `context`: None for the default."""
    if use_aiofastnet is False or _has_callbacks(context):
        return None
    if use_aiofastnet is None and not _has_readers(loop):
        return None
    import aiofastnet

    return aiofastnet


def own_sockets(use_aiofastnet: bool | None, loop: asyncio.AbstractEventLoop) -> bool:
    """Whether we drive the plain sockets of this loop ourselves (_socket.pyx)."""
    return use_aiofastnet is None and _has_readers(loop)


def _has_readers(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop is known to have add_reader and add_writer, as others do not need to."""
    return type(loop).__module__.startswith(("asyncio.", "uvloop"))


def _has_callbacks(context: SSLContext | None) -> bool:
    """
    Whether OpenSSL calls back into the standard library's ssl module.

    That expects to find its own objects, which aiofastnet does not make: the interpreter crashes (1.2.0).
    """
    if not isinstance(context, SSLContext):
        # What ssl.create_default_context() does with it.
        return bool(os.environ.get("SSLKEYLOGFILE")) and not sys.flags.ignore_environment
    callbacks = ("sni_callback", "keylog_filename", "_msg_callback")
    return any(getattr(context, name, None) is not None for name in callbacks)


def _contexts_of(extensions: list[ActiveExtension]) -> list[SSLContext | None]:
    """With which an extension may start TLS: those among its options, and the default one in place of a None."""
    values = [value for active in extensions for value in active.options.values()]
    return [value for value in values if value is None or isinstance(value, SSLContext)]


# Arguments of create_connection that only TLS understands.
_TLS_ARGUMENTS = frozenset(
    {
        "server_hostname",
        "ssl_handshake_timeout",
        "ssl_incoming_bio_size",
        "ssl_outgoing_bio_size",
        "ssl_shutdown_timeout",
    }
)
# Before, asyncio's TLS refuses to run on top of itself (Python 3.10) or breaks where a connection fails there (CPython
# gh-113214). Where TLS is put in TLS, aiofastnet does it then, whatever the user has asked for.
_TLS_IN_TLS_SINCE = (3, 12, 2)


class Connector:
    """
    Connects protocols to endpoints, one way for all attempts of one ws_connect call.

    An extension's ``open_connection`` gets it as ``options["connector"]`` and may use open_transport and start_tls: so
    what it opens obeys socket_factory, use_aiofastnet and the arguments for ``loop.create_connection``.
    """

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
        self._use_aiofastnet = use_aiofastnet
        self._own_sockets = own_sockets(use_aiofastnet, loop)
        self._ssl_context = ssl_context
        self._socket_factory = socket_factory
        self._extensions = extensions
        self._kwargs = kwargs

    @functools.cached_property
    def _fast_net(self) -> Any:
        """See fast_net(). Not asked before a stream wants it: plain ones do without the import."""
        if any(_has_callbacks(context) for context in _contexts_of(self._extensions)):
            return None  # for all of it: neither's TLS runs on top of the other's
        return fast_net(self._use_aiofastnet, self._loop, self._ssl_context)

    async def connect(self, protocol: asyncio.BaseProtocol, url: WSParsedURL) -> asyncio.BaseTransport:
        """A transport to `url` that talks to `protocol`, TLS included. Leaves nothing open if it raises."""
        stream = await self._open_by_extension(url)
        if stream is not None and not isinstance(stream, socket.socket):
            return await self._take_over(stream, protocol, url)
        if stream is None:
            stream = await self._open_by_factory(url)
        kwargs: dict[str, Any] = dict(self._kwargs)
        if url.is_secure:
            kwargs["ssl"] = True if self._ssl_context is None else self._ssl_context
            if stream is not None:
                kwargs.setdefault("server_hostname", url.host)
        elif self._own_sockets and not kwargs.keys() - DIAL_ARGUMENTS:  # else create_connection says what is wrong
            stream = stream or await dial(self._loop, url.host, url.port, **kwargs)
            return self._drive(protocol, stream)
        return await self._connect_by_loop(protocol, url, stream, kwargs)

    async def open_transport(self, protocol: asyncio.BaseProtocol, url: WSParsedURL) -> asyncio.Transport:
        """For extensions: a transport to the host and port of `url`, by the user's socket_factory if there is one. No
        TLS, whatever its scheme."""
        stream = await self._open_by_factory(url)
        kwargs = {name: value for name, value in self._kwargs.items() if name not in _TLS_ARGUMENTS}
        return await self._connect_by_loop(protocol, url, stream, kwargs)

    async def start_tls(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.BaseProtocol,
        context: SSLContext,
        server_hostname: str,
    ) -> asyncio.Transport:
        """For extensions: TLS on top of `transport`, which may be TLS already. The transport that is returned talks to
        `protocol`, whose connection_made is not called. If it raises, `transport` must be aborted by the caller."""
        module = self._fast_net
        if module is None and self._cannot_nest_tls() and not _has_callbacks(context):
            module = importlib.import_module("aiofastnet")  # another layer of TLS may come on top of this one
        return await self._start_tls(module, transport, protocol, context, server_hostname)

    def _cannot_nest_tls(self) -> bool:
        return sys.version_info < _TLS_IN_TLS_SINCE and type(self._loop).__module__.startswith("asyncio.")

    async def _start_tls(
        self,
        fast_net: Any,
        transport: asyncio.Transport,
        protocol: asyncio.BaseProtocol,
        context: SSLContext,
        server_hostname: str,
    ) -> asyncio.Transport:
        kwargs: dict[str, Any] = {
            name: value for name, value in self._kwargs.items() if name in _TLS_ARGUMENTS and name != "server_hostname"
        }
        start_tls: Any = self._loop.start_tls
        if fast_net is not None:
            if _has_callbacks(context):
                raise ValueError(
                    "TLS needs aiofastnet here, which cannot use an SSLContext with sni_callback, keylog_filename "
                    "(SSLKEYLOGFILE) or _msg_callback"
                )
            start_tls = functools.partial(fast_net.start_tls, self._loop)
            kwargs = {**FAST_TLS_BUFFERS, **kwargs}
        secured: asyncio.Transport | None = await start_tls(
            transport, protocol, context, server_hostname=server_hostname, **kwargs
        )
        if secured is None:
            raise ConnectionResetError("the connection was lost during the TLS handshake")
        return secured

    async def _connect_by_loop(
        self, protocol: asyncio.BaseProtocol, url: WSParsedURL, sock: socket.socket | None, kwargs: dict[str, Any]
    ) -> asyncio.Transport:
        if sock is None:
            return await self._create_connection(lambda: protocol, url.host, url.port, **kwargs)
        try:
            kwargs = {name: value for name, value in kwargs.items() if name not in DIAL_ARGUMENTS}
            return await self._create_connection(lambda: protocol, sock=sock, **kwargs)
        except BaseException:
            sock.close()
            raise

    async def _create_connection(self, *args: Any, **kwargs: Any) -> asyncio.Transport:
        create: Any = self._loop.create_connection
        if self._fast_net is not None:
            create = functools.partial(self._fast_net.create_connection, self._loop)
            if kwargs.get("ssl"):
                kwargs = {**FAST_TLS_BUFFERS, **kwargs}
        transport, _ = await create(*args, **kwargs)
        opened: asyncio.Transport = transport
        return opened

    def _drive(self, protocol: asyncio.BaseProtocol, sock: socket.socket) -> asyncio.Transport:
        try:
            driven: asyncio.Transport = drive(sock, self._loop, protocol)
        except BaseException:
            sock.close()
            raise
        return driven

    async def _open_by_extension(self, url: WSParsedURL) -> socket.socket | asyncio.Transport | None:
        for active in self._extensions:
            options = {**active.options, "connector": self}
            stream = await active.extension.open_connection(url, options)
            if stream is not None:
                _check_stream(stream, active.extension)
                return stream
        return None

    async def _open_by_factory(self, url: WSParsedURL) -> socket.socket | None:
        if self._socket_factory is None:
            return None
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
        self, transport: asyncio.Transport, protocol: asyncio.BaseProtocol, url: WSParsedURL
    ) -> asyncio.Transport:
        """Put `protocol`, behind TLS if the URL says so, on a transport that an extension has opened."""
        try:
            if not url.is_secure:
                transport.set_protocol(protocol)
                protocol.connection_made(transport)
                transport.resume_reading()
                return transport
            context = self._ssl_context or ssl.create_default_context()
            server_hostname = self._kwargs.get("server_hostname", url.host)
            fast_net = self._fast_net
            if fast_net is None and self._cannot_nest_tls() and transport.get_extra_info("sslcontext") is not None:
                fast_net = importlib.import_module("aiofastnet")
            secured = await self._start_tls(fast_net, transport, protocol, context, server_hostname)
            protocol.connection_made(secured)
            return secured
        except BaseException:
            transport.abort()
            raise


def _check_stream(stream: object, extension: Extension) -> None:
    """TypeError for what open_connection() must not return, OSError for a socket that leads nowhere."""
    if isinstance(stream, socket.socket):
        try:
            stream.getpeername()
        except OSError as exc:
            stream.close()
            raise OSError(exc.errno, f"the socket that {extension!r} returned is not connected") from exc
    elif not (hasattr(stream, "set_protocol") and hasattr(stream, "abort")):  # uvloop's are no asyncio.Transport
        raise TypeError(
            f"open_connection() of {extension!r} must return a connected socket, an asyncio transport or None, "
            f"not {stream!r}"
        )


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
