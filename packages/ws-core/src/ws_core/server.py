"""ws_create_server and WSServer: listen, and keep the connections. Each upgrade is _upgrading.py."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from ws_core._accepting import SocketServer
from ws_core._connect import FAST_TLS_BUFFERS, fast_net, own_sockets
from ws_core._ending import check_close_timeout, close_payload
from ws_core._handshake import check_subprotocols
from ws_core._options import WSLoggerLike, check_count, check_function, check_seconds, make_config, refuse
from ws_core._protocol import WSProtocol
from ws_core._transport import WSTransport
from ws_core._upgrading import ServerHandshake, ServerSettings, WSServerListenerFactory
from ws_core.enums import WSCloseCode
from ws_core.extension import Extension, Listening, claim_options


async def ws_create_server(
    ws_listener_factory: WSServerListenerFactory,
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
    path: str | None = None,
    disconnect_on_exception: bool = True,
    websocket_handshake_timeout: float | None = 5,
    logger_name: WSLoggerLike = None,
    enable_auto_pong: bool = True,
    max_frame_size: int = 10 * 1024 * 1024,
    subprotocols: Sequence[str] = (),
    origins: Sequence[str | None] | None = None,
    max_connections: int | None = None,
    read_buffer_init_size: int = 16 * 1024,
    strict: bool = True,
    use_aiofastnet: bool | None = None,
    cork: bool = True,
    busy_poll_us: int = 0,
    max_write_backlog: int | None = None,
    extensions: Sequence[Extension] = (),
    **kwargs: Any,
) -> WSServer:
    """
    Listen for WebSocket connections on a TCP port, or on a unix socket.

    :param ws_listener_factory: plain or async function, called with the :class:`WSUpgradeRequest` before its upgrade
        headers are checked. It returns a :class:`WSListener`, a :class:`WSUpgradeResponseWithListener` (its own
        answer: extra headers, or a plain HTTP page), or None: 404. An exception in it is logged, the client gets 500
    :param host: as for loop.create_server: a name, several, or None for all interfaces
    :param port: 0 or None: a free one, see ``server.sockets``
    :param path: of a unix socket, instead of host and port
    :param disconnect_on_exception: an exception in on_ws_frame ends the connection; False: it is logged
    :param websocket_handshake_timeout: seconds from the connection to the answer; then it is dropped. With ``ssl=``
        the TLS handshake has the same time, unless ``ssl_handshake_timeout`` says otherwise. None: no limit
    :param logger_name: suffix under ``ws_core.``, or a Logger or LoggerAdapter; None: ``ws_core.server``
    :param enable_auto_pong: answer a PING by a PONG; PINGs are not given to the listener then
    :param max_frame_size: bytes; a data frame that announces more ends the connection with MESSAGE_TOO_BIG
    :param subprotocols: the first of these that a client offers is chosen: ``transport.subprotocol``
    :param origins: allowed values of the Origin header (RFC 6455 section 10.2); another one gets 403. None in it
        allows requests without the header, which only programs send, never browsers
    :param max_connections: an upgrade beyond so many open connections gets 503; other requests are served
    :param read_buffer_init_size: bytes; first size of the buffer that a frame grows in that is too large for one read
    :param strict: RFC 6455 in full. False hands over what comes: reserved bits, fragments in any order, text that is
        not UTF-8, any close code
    :param use_aiofastnet: None: plain sockets are driven by this library, TLS by aiofastnet, where the loop allows it;
        True: aiofastnet for both; False: the loop's own transports
    :param cork: gather what the listener sends while the frames of one read are dispatched into one write
    :param busy_poll_us: as for :func:`ws_connect`
    :param max_write_backlog: bytes that may wait for a slow peer; beyond it the listener's on_write_backlog decides
    :param extensions: :class:`Extension` objects for this server only, beside the registered ones
    :param kwargs: options of extensions (``enable_auto_ping``, ...); the rest goes to ``loop.create_server``, or to
        ``loop.create_unix_server`` (``ssl``, ``backlog``, ``reuse_port``, ``sock``, ``start_serving``, ...)

    Raises TypeError and ValueError for arguments that make no sense, :class:`WSMissingExtension` for an option whose
    distribution is not installed, and whatever the system raises (OSError: the port is in use), unwrapped. Then nothing
    is left open.
    """
    refuse(kwargs, {"protocol_factory": "the protocol is this library"})
    check_function("ws_listener_factory", ws_listener_factory)
    active = claim_options(kwargs, extensions, False)
    loop = asyncio.get_running_loop()
    timeout_s = check_seconds("websocket_handshake_timeout", websocket_handshake_timeout)
    if origins is not None:
        if isinstance(origins, str) or not isinstance(origins, Iterable):
            raise TypeError(f"origins must be a sequence of values, not {origins!r}")
        origins = tuple(origins)
        for origin in origins:
            if origin is not None and not isinstance(origin, str):
                raise TypeError(f"origins must be str or None, not {origin!r}")
    if max_connections is not None:
        check_count("max_connections", max_connections)
    config = make_config(
        is_client_side=False,
        logger_name=logger_name,
        disconnect_on_exception=disconnect_on_exception,
        enable_auto_pong=enable_auto_pong,
        max_frame_size=max_frame_size,
        read_buffer_init_size=read_buffer_init_size,
        strict=strict,
        cork=cork,
        max_write_backlog=max_write_backlog,
        busy_poll_us=busy_poll_us,
    )
    settings = ServerSettings(
        config,
        ws_listener_factory,
        timeout_s,
        check_subprotocols(subprotocols),
        None if origins is None else frozenset(origins),
        max_connections,
        active,
    )
    if kwargs.get("ssl") is not None and timeout_s is not None:
        kwargs.setdefault("ssl_handshake_timeout", timeout_s)

    def protocol_factory() -> WSProtocol:
        return WSProtocol(config, ServerHandshake(settings))

    for each in active:
        opened = await each.extension.open_server(protocol_factory, each.options)
        if opened is not None:
            return WSServer(opened, settings)
    module = fast_net(use_aiofastnet, loop, kwargs.get("ssl"))
    own = own_sockets(use_aiofastnet, loop) and kwargs.get("ssl") is None
    if module is not None and kwargs.get("ssl") is not None:
        kwargs = {**FAST_TLS_BUFFERS, **kwargs}
    start_serving = kwargs.pop("start_serving", True)
    kwargs["start_serving"] = start_serving and not own
    if path is not None:
        if host is not None or port is not None:
            raise ValueError("path= is for a unix socket, it excludes host and port")
        create: Any = loop.create_unix_server if module is None else functools.partial(module.create_unix_server, loop)
        server = await create(protocol_factory, path, **kwargs)
    else:
        if kwargs.get("sock") is None and port is None:
            port = 0
        create = loop.create_server if module is None else functools.partial(module.create_server, loop)
        server = await create(protocol_factory, host, port, **kwargs)
    if own:
        server = SocketServer(server, loop, protocol_factory, kwargs.get("backlog", 100))
        if start_serving:
            try:
                await server.start_serving()
            except BaseException:  # listen(2) fails where another socket listens already
                if kwargs.get("sock") is None:  # that one stays the caller's
                    server.close()
                raise
    return WSServer(server, settings)


class WSServer:
    """
    A listening server: what asyncio.Server has, and the connections it has accepted.

    As an async context manager it is shut down at the end, see :meth:`shutdown`. Its methods raise RuntimeError in any
    thread but its loop's; what it is and has may be read anywhere.
    """

    def __init__(self, server: Listening, settings: ServerSettings) -> None:
        self._server = server
        self._settings = settings
        self._forever: asyncio.Future[None] | None = None

    @property
    def connections(self) -> frozenset[WSTransport]:
        """The open connections of now."""
        return frozenset(self._settings.connections)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets; empty once it is closed."""
        return tuple(self._server.sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop it serves on."""
        return self._settings.config.loop

    def is_serving(self) -> bool:
        """Whether it accepts connections."""
        return self._server.is_serving()

    async def start_serving(self) -> None:
        """Begin to accept, after ``start_serving=False``."""
        self._check_thread("start_serving")
        await self._server.start_serving()

    async def serve_forever(self) -> None:
        """
        Accept connections until cancelled, or until :meth:`close`, which cancels it; then stop listening.

        It does not wait for the connections, as asyncio's does: inside ``async with server``, the shutdown follows.
        """
        self._check_thread("serve_forever")
        if self._forever is not None:
            raise RuntimeError("serve_forever() runs already")
        if not self.sockets:
            raise RuntimeError("the server is closed")
        self._forever = self.get_loop().create_future()
        try:
            await self.start_serving()
            await self._forever
        finally:
            self._forever = None
            self.close()

    def close(self) -> None:
        """Stop listening. Open connections go on: see :meth:`shutdown`."""
        self._check_thread("close")
        if self._forever is not None:
            self._forever.cancel()
        self._server.close()

    async def wait_closed(self) -> None:
        """Wait until it is closed and its last connection is gone (with the loop's own server: from Python 3.12 on)."""
        self._check_thread("wait_closed")
        await self._server.wait_closed()

    def close_clients(self) -> None:
        """End every connection: send what waits, no closing handshake."""
        self._check_thread("close_clients")
        for transport in self.connections:
            transport.disconnect()
        self._drop_pending()

    def abort_clients(self) -> None:
        """Cut every connection."""
        self._check_thread("abort_clients")
        for transport in self.connections:
            transport.disconnect(graceful=False)
        self._drop_pending()

    async def shutdown(
        self, code: int = WSCloseCode.GOING_AWAY, message: str | bytes | None = None, timeout: float | None = 5.0
    ) -> None:
        """
        Stop accepting, close every connection by a closing handshake, and cut what has not answered in time.

        :param code: status code of the CLOSE frames
        :param message: their reason
        :param timeout: seconds for all connections together; None: no limit

        Returns when every on_ws_disconnected has returned. ValueError, and nothing has happened, for what
        :meth:`WSTransport.close` would not take.
        """
        self._check_thread("shutdown")
        close_payload(code, message)
        check_close_timeout(timeout)
        self._settings.shutting_down = True
        self.close()
        self._drop_pending()
        await asyncio.gather(*(transport.close(code, message, timeout) for transport in self.connections))

    def _check_thread(self, method: str) -> None:
        self._settings.config.check_thread(f"WSServer.{method}")

    def _drop_pending(self) -> None:
        for handshake in list(self._settings.pending):
            handshake.abort()

    async def __aenter__(self) -> WSServer:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.shutdown()

    def __repr__(self) -> str:
        return f"<WSServer sockets={self.sockets!r} connections={len(self._settings.connections)}>"
