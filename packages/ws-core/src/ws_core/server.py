"""ws_create_server: accept WebSockets, and answer plain HTTP on the same port (RFC 6455 section 4.2)."""

from __future__ import annotations

import asyncio
import functools
import inspect
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ws_core._connect import fast_net
from ws_core._handshake import (
    HTTPProblem,
    RequestReader,
    check_request,
    check_subprotocols,
    choose_subprotocol,
    is_upgrade,
)
from ws_core._listener import WSListener
from ws_core._options import WSLoggerLike, check_seconds, make_config, refuse
from ws_core._protocol import WSProtocol
from ws_core._sender import Config
from ws_core._transport import WSTransport
from ws_core.enums import WSCloseCode
from ws_core.errors import WSHandshakeError
from ws_core.extension import ActiveExtension, Extension, TransportHook, claim_options
from ws_core.negotiation import Negotiation
from ws_core.upgrade import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, copy_response

_FactoryResult = WSListener | WSUpgradeResponseWithListener | None
WSServerListenerFactory = Callable[[WSUpgradeRequest], _FactoryResult | Awaitable[_FactoryResult]]

#: Seconds that the answer to a refused request may take to leave; then the connection is cut.
_REFUSAL_PATIENCE_S = 2.0


class _Settings:
    """What all connections of one server share. One object, so that a connection holds one reference."""

    def __init__(
        self,
        config: Config,
        factory: WSServerListenerFactory,
        timeout_s: float | None,
        subprotocols: tuple[str, ...],
        origins: frozenset[str | None] | None,
        max_connections: int | None,
        extensions: list[ActiveExtension],
    ) -> None:
        self.config = config
        self.factory = factory
        self.timeout_s = timeout_s
        self.subprotocols = subprotocols
        self.origins = origins
        self.max_connections = max_connections
        self.extensions = extensions
        self.connections: set[WSTransport] = set()
        # Connections before the end of their handshake: shutdown() drops them.
        self.pending: set[ServerHandshake] = set()
        self.shutting_down = False


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
    :param max_connections: a request beyond so many open connections gets 503
    :param read_buffer_init_size: bytes; first size of the buffer that a frame grows in that is too large for one read
    :param strict: RFC 6455 in full. False hands over what comes: reserved bits, fragments in any order, text that is
        not UTF-8, any close code
    :param use_aiofastnet: None: aiofastnet where the loop allows it; False: the loop's own transports
    :param cork: gather what the listener sends while the frames of one read are dispatched into one write
    :param busy_poll_us: as for :func:`ws_connect`
    :param max_write_backlog: bytes that may wait for a slow peer; beyond it the listener's on_write_backlog decides
    :param extensions: :class:`Extension` objects for this server only, beside the registered ones
    :param kwargs: options of extensions (``enable_auto_ping``, ...); the rest goes to ``loop.create_server``, or to
        ``loop.create_unix_server`` (``ssl``, ``backlog``, ``reuse_port``, ``sock``, ``start_serving``, ...)
    """
    refuse(kwargs, {"protocol_factory": "the protocol is this library"})
    active = claim_options(kwargs, extensions, False)
    loop = asyncio.get_running_loop()
    timeout_s = check_seconds("websocket_handshake_timeout", websocket_handshake_timeout)
    if isinstance(origins, str):
        raise TypeError(f"origins must be a sequence of values, not the str {origins!r}")
    if max_connections is not None and max_connections < 0:
        raise ValueError(f"max_connections must be 0 or more, it is {max_connections}")
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
    settings = _Settings(
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
    if path is not None:
        if host is not None or port is not None:
            raise ValueError("path= is for a unix socket, it excludes host and port")
        create: Any = loop.create_unix_server if module is None else functools.partial(module.create_unix_server, loop)
        return WSServer(await create(protocol_factory, path, **kwargs), settings)
    if kwargs.get("sock") is None and port is None:
        port = 0
    create = loop.create_server if module is None else functools.partial(module.create_server, loop)
    return WSServer(await create(protocol_factory, host, port, **kwargs), settings)


class WSServer:
    """
    A listening server: what asyncio.Server has, and the connections it has accepted.

    As an async context manager it is shut down at the end, see :meth:`shutdown`.
    """

    def __init__(self, server: asyncio.Server, settings: _Settings) -> None:
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
        await self._server.start_serving()

    async def serve_forever(self) -> None:
        """
        Accept connections until cancelled, or until :meth:`close`, which cancels it; then stop listening.

        It does not wait for the connections, as asyncio's does: inside ``async with server``, the shutdown follows.
        """
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
        if self._forever is not None:
            self._forever.cancel()
        self._server.close()

    async def wait_closed(self) -> None:
        """Wait until it is closed and (from Python 3.12 on) its last connection is gone."""
        await self._server.wait_closed()

    def close_clients(self) -> None:
        """End every connection: send what waits, no closing handshake."""
        for transport in self.connections:
            transport.disconnect()
        self._drop_pending()

    def abort_clients(self) -> None:
        """Cut every connection."""
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

        Returns when every on_ws_disconnected has returned.
        """
        self._settings.shutting_down = True
        self.close()
        self._drop_pending()
        await asyncio.gather(*(transport.close(code, message, timeout) for transport in self.connections))

    def _drop_pending(self) -> None:
        for handshake in list(self._settings.pending):
            handshake.abort()

    async def __aenter__(self) -> WSServer:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.shutdown()

    def __repr__(self) -> str:
        return f"<WSServer sockets={self.sockets!r} connections={len(self._settings.connections)}>"


class ServerHandshake:
    """The upgrade of one connection. The protocol hands it the bytes until it calls ``protocol.opened``."""

    __slots__ = (
        "_answered",
        "_head_only",
        "_protocol",
        "_reader",
        "_settings",
        "_task",
        "_timer",
        "_transport",
    )

    def __init__(self, settings: _Settings) -> None:
        self._settings = settings
        self._reader: RequestReader | None = RequestReader()
        self._protocol: WSProtocol | None = None
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._head_only = False  # the request is a HEAD: its answer has no body (RFC 9110 section 9.3.2)
        self._answered = False

    # ------------------------------------------------------------- the protocol's calls

    def connection_made(self, protocol: WSProtocol, transport: asyncio.Transport) -> None:
        settings = self._settings
        self._protocol = protocol
        self._transport = transport
        if settings.shutting_down:
            transport.abort()
            return
        settings.pending.add(self)
        if settings.timeout_s is not None:
            self._timer = settings.config.loop.call_later(settings.timeout_s, self._too_slow)

    def data_received(self, data: bytes) -> None:
        if self._answered or self._reader is None:
            return  # what stands behind a request that was refused
        if self._reader.done:
            self._reader.tail += data  # an async factory thinks; reading is paused, this was under way
            return
        try:
            if not self._reader.feed(data):
                return
            request = self._reader.request()
            self._head_only = request.method == b"HEAD"
            assert self._protocol is not None
            self._check_before_factory(request)
            self._call_factory(request)
        except HTTPProblem as problem:
            self._refuse(problem)

    def eof_received(self) -> None:
        pass  # the transport closes itself

    def connection_lost(self, connection: WSTransport, exc: Exception | None) -> None:
        settings = self._settings
        settings.connections.discard(connection)
        settings.pending.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        self._protocol = None
        self._transport = None

    def abort(self) -> None:
        """The server shuts down. A factory that still thinks is not listened to any more."""
        self._answered = True
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------- the way of a request

    def _check_before_factory(self, request: WSUpgradeRequest) -> None:
        settings = self._settings
        if request.method not in (b"GET", b"HEAD"):
            raise HTTPProblem(405, "only GET and HEAD are answered here", [("Allow", "GET, HEAD")])
        if not is_upgrade(request):
            return
        if settings.origins is not None:
            values = request.headers.getall("Origin", [])
            origin = values[0] if values else None
            if len(values) > 1 or origin not in settings.origins:
                raise HTTPProblem(403, f"origin {origin!r} is not allowed here")
        if settings.max_connections is not None and len(settings.connections) >= settings.max_connections:
            raise HTTPProblem(503, "too many connections", [("Retry-After", "1")])

    def _call_factory(self, request: WSUpgradeRequest) -> None:
        try:
            result = self._settings.factory(request)
        except (Exception, asyncio.CancelledError):
            self._failed("the listener factory raised")
            return
        if inspect.isawaitable(result):
            self._transport.pause_reading()
            self._task = self._settings.config.loop.create_task(self._await_factory(request, result))
        else:
            self._answer(request, result)

    async def _await_factory(self, request: WSUpgradeRequest, result: Awaitable[_FactoryResult]) -> None:
        try:
            outcome = await result
        except asyncio.CancelledError:
            # By the end of the connection, and then this does nothing; or what the factory waited for was cancelled.
            self._failed("the listener factory was cancelled")
            raise
        except Exception:
            self._failed("the listener factory raised")
            return
        finally:
            self._task = None
        if self._transport is None or self._answered:
            return
        try:
            # Again: others may have come while the factory was thinking.
            self._check_before_factory(request)
            self._answer(request, outcome)
        except HTTPProblem as problem:
            self._refuse(problem)
        finally:
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def _failed(self, what: str) -> None:
        if self._transport is None:
            return
        self._settings.config.logger.exception("%s; the client gets 500", what)
        self._refuse(HTTPProblem(500, "Internal Server Error"))

    def _answer(self, request: WSUpgradeRequest, result: object) -> None:
        if result is None:
            self._refuse(HTTPProblem(404, "Not Found"))
            return
        listener: WSListener | None
        if isinstance(result, WSListener):
            response, listener = WSUpgradeResponse.create_101_response(), result
        elif isinstance(result, WSUpgradeResponseWithListener):
            response, listener = result.response, result.listener
        else:
            self._settings.config.logger.error(
                "the listener factory returned %r, not a WSListener, a WSUpgradeResponseWithListener or None; "
                "the client gets 500",
                result,
            )
            self._refuse(HTTPProblem(500, "Internal Server Error"))
            return
        if response.status != 101:
            self._send_and_close(response)
            return
        self._upgrade(request, response, listener)

    def _upgrade(self, request: WSUpgradeRequest, response: WSUpgradeResponse, listener: WSListener | None) -> None:
        settings = self._settings
        protocol = self._protocol
        assert protocol is not None
        assert self._reader is not None
        accept = check_request(request)
        response = copy_response(response)
        response.headers["Upgrade"] = "websocket"
        response.headers["Connection"] = "Upgrade"
        response.headers["Sec-WebSocket-Accept"] = accept
        subprotocol = response.headers.get("Sec-WebSocket-Protocol")
        if subprotocol is None:
            subprotocol = choose_subprotocol(request, settings.subprotocols)
            if subprotocol is not None:
                response.headers["Sec-WebSocket-Protocol"] = subprotocol
        transport = protocol.transport
        hooks: list[TransportHook] = []
        rsv = 0
        try:
            if settings.extensions:
                negotiation = Negotiation(settings.extensions, False)
                negotiation.accept(request, response)
                hooks, rsv = negotiation.attach(transport), negotiation.rsv
            answer = response.to_bytes()
        except WSHandshakeError as exc:
            raise HTTPProblem(400, str(exc)) from exc
        except Exception:
            self._failed("the upgrade cannot be answered")
            return
        if settings.config.debug is not None:
            settings.config.debug("%r is answered by %r", request, response)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        settings.pending.discard(self)
        settings.connections.add(transport)
        self._answered = True
        tail = self._reader.tail
        self._reader = None
        self._transport.write(answer)
        protocol.opened(listener, request, response, subprotocol, tail, hooks, rsv=rsv)

    # ------------------------------------------------------------- refusals

    def _refuse(self, problem: HTTPProblem) -> None:
        if self._transport is None:
            return
        # One line, and no more than INFO: probes and scanners are not errors of ours.
        peer = self._transport.get_extra_info("peername")
        self._settings.config.logger.info("request from %s refused with %d: %s", peer, problem.status, problem)
        response = WSUpgradeResponse.create_error_response(problem.status, str(problem).encode(), problem.headers)
        self._send_and_close(response)

    def _send_and_close(self, response: WSUpgradeResponse) -> None:
        transport = self._transport
        if self._answered or transport is None:
            return
        response = copy_response(response)
        response.headers["Connection"] = "close"
        try:
            answer = response.to_bytes(head_only=self._head_only)
        except (TypeError, ValueError):
            self._failed("the answer of the listener factory cannot be sent")
            return
        self._answered = True
        transport.write(answer)
        # Half-close, so that unread input cannot destroy the answer; the peer's
        # end of stream ends it, or time does.
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._settings.config.loop.call_later(_REFUSAL_PATIENCE_S, transport.abort)
        if transport.can_write_eof():
            transport.write_eof()
        else:
            # Not here: asyncio's TLS would read on, and hand it over, inside this call of ours.
            self._settings.config.loop.call_soon(transport.close)

    def _too_slow(self) -> None:
        if self._transport is None:
            return
        peer = self._transport.get_extra_info("peername")
        self._settings.config.logger.info(
            "no complete upgrade request from %s within %s seconds: connection dropped", peer, self._settings.timeout_s
        )
        self._transport.abort()
