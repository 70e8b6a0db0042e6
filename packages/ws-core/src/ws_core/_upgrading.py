"""The upgrade on a server: one request judged, given to the factory, and answered (RFC 6455 section 4.2).

server.py listens and keeps the connections; this is what happens between a connection's first byte and its upgrade, or
the plain HTTP answer that it gets instead.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from ws_core._deadlines import Deadlines
from ws_core._handshake import HTTPProblem, RequestReader, check_request, choose_subprotocol, is_upgrade
from ws_core._listener import WSListener
from ws_core._protocol import WSProtocol
from ws_core._sender import Config
from ws_core._transport import WSTransport
from ws_core.errors import WSHandshakeError
from ws_core.extension import ActiveExtension
from ws_core.negotiation import Negotiation
from ws_core.upgrade import (
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    copy_response,
    usual_answer_bytes,
)

_FactoryResult = WSListener | WSUpgradeResponseWithListener | None
WSServerListenerFactory = Callable[[WSUpgradeRequest], _FactoryResult | Awaitable[_FactoryResult]]

#: Seconds that the answer to a refused request may take to leave; then the connection is cut.
_REFUSAL_PATIENCE_S = 2.0


class ServerSettings:
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
        # Of those, the ones whose request is not complete, or whose factory thinks.
        self.deadlines: Deadlines[ServerHandshake] | None = None
        if timeout_s is not None:
            self.deadlines = Deadlines(config.loop, timeout_s, ServerHandshake.too_slow)
        self.shutting_down = False


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

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._reader: RequestReader | None = None  # until there is a connection: TLS may come to nothing
        self._protocol: WSProtocol | None = None
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None  # once it is refused
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
        self._reader = RequestReader()
        settings.pending.add(self)
        if settings.deadlines is not None:
            settings.deadlines.add(self)

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
        if settings.deadlines is not None:
            settings.deadlines.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        if self._reader is not None:
            self._reader.let_go()
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
        if isinstance(result, WSListener):
            self._upgrade(request, None, result)  # nearly always, and without asking what else it may be
        elif inspect.isawaitable(result):
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
            # Before the answer: a listener that pauses reading in on_ws_connected means it. Behind a refusal: or the
            # peer's end would not be seen.
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()
        if self._transport is None or self._answered:
            return
        try:
            # Again: others may have come while the factory was thinking.
            self._check_before_factory(request)
            self._answer(request, outcome)
        except HTTPProblem as problem:
            self._refuse(problem)

    def _failed(self, what: str) -> None:
        if self._transport is None:
            return
        try:
            self._settings.config.logger.exception("%s; the client gets 500", what)
        finally:
            self._refuse(HTTPProblem(500, "Internal Server Error"))

    def _answer(self, request: WSUpgradeRequest, result: object) -> None:
        if result is None:
            self._refuse(HTTPProblem(404, "Not Found"))
            return
        if isinstance(result, WSListener):
            self._upgrade(request, None, result)
            return
        response: object
        listener: object
        if isinstance(result, WSUpgradeResponseWithListener):
            response, listener = result.response, result.listener
        else:
            self._returned_nonsense("%r, not a WSListener, a WSUpgradeResponseWithListener or None", result)
            return
        if not isinstance(response, WSUpgradeResponse):
            self._returned_nonsense("a WSUpgradeResponseWithListener whose response is %r", response)
        elif response.status != 101:
            self._send_and_close(response)
        elif not isinstance(listener, WSListener):
            self._returned_nonsense("a WSUpgradeResponseWithListener whose listener is %r, no WSListener", listener)
        else:
            self._upgrade(request, response, listener)

    def _returned_nonsense(self, what: str, value: object) -> None:
        try:
            self._settings.config.logger.error(f"the listener factory returned {what}; the client gets 500", value)
        finally:
            self._refuse(HTTPProblem(500, "Internal Server Error"))

    def _upgrade(self, request: WSUpgradeRequest, response: WSUpgradeResponse | None, listener: WSListener) -> None:
        """`response`: what the factory wants to answer; None: nothing in particular."""
        settings = self._settings
        protocol = self._protocol
        assert protocol is not None
        assert self._reader is not None
        accept = check_request(request)
        transport = protocol.transport
        rsv = 0
        subprotocol = None
        try:
            if response is None and not settings.subprotocols and not settings.extensions:
                answer = usual_answer_bytes(accept)
            else:
                response, subprotocol, rsv = self._complete(request, response, accept, transport)
                answer = response.to_bytes()
        except WSHandshakeError as exc:
            raise HTTPProblem(400, str(exc)) from exc
        except (Exception, asyncio.CancelledError):
            self._failed("the upgrade cannot be answered")
            return
        if settings.config.debug is not None:
            settings.config.debug("%r is answered by %r", request, answer)
        if settings.deadlines is not None:
            settings.deadlines.discard(self)
        settings.pending.discard(self)
        settings.connections.add(transport)
        self._answered = True
        tail = self._reader.tail
        self._reader = None
        self._transport.write(answer)
        protocol.opened(listener, request, response, subprotocol, tail, rsv=rsv)

    def _complete(
        self, request: WSUpgradeRequest, response: WSUpgradeResponse | None, accept: str, transport: WSTransport
    ) -> tuple[WSUpgradeResponse, str | None, int]:
        """The whole answer, the subprotocol, and the reserved bits that extensions own."""
        settings = self._settings
        response = WSUpgradeResponse(101) if response is None else copy_response(response)
        response.headers["Upgrade"] = "websocket"
        response.headers["Connection"] = "Upgrade"
        response.headers["Sec-WebSocket-Accept"] = accept
        subprotocol = response.headers.get("Sec-WebSocket-Protocol")
        if subprotocol is None:
            subprotocol = choose_subprotocol(request, settings.subprotocols)
            if subprotocol is not None:
                response.headers["Sec-WebSocket-Protocol"] = subprotocol
        if not settings.extensions:
            return response, subprotocol, 0
        negotiation = Negotiation(settings.extensions, False)
        negotiation.accept(request, response)
        negotiation.attach(transport)
        return response, subprotocol, negotiation.rsv

    # ------------------------------------------------------------- refusals

    def _refuse(self, problem: HTTPProblem) -> None:
        if self._transport is None:
            return
        # One line, and no more than INFO: probes and scanners are not errors of ours.
        peer = self._transport.get_extra_info("peername")
        try:
            self._settings.config.logger.info("request from %s refused with %d: %s", peer, problem.status, problem)
        finally:  # loggers are the user's, and may raise
            body = str(problem).encode(errors="backslashreplace")
            response = WSUpgradeResponse.create_error_response(problem.status, body, problem.headers)
            self._send_and_close(response)

    def _send_and_close(self, response: WSUpgradeResponse) -> None:
        transport = self._transport
        if self._answered or transport is None:
            return
        try:
            response = copy_response(response)
            response.headers["Connection"] = "close"
            answer = response.to_bytes(head_only=self._head_only)
        except Exception:  # users put anything into one
            self._failed("the answer of the listener factory cannot be sent")
            return
        self._answered = True
        transport.write(answer)
        # Half-close, so that unread input cannot destroy the answer; the peer's
        # end of stream ends it, or time does.
        if self._settings.deadlines is not None:
            self._settings.deadlines.discard(self)
        self._timer = self._settings.config.loop.call_later(_REFUSAL_PATIENCE_S, transport.abort)
        if transport.can_write_eof():
            transport.write_eof()
        else:
            # Not here: asyncio's TLS would read on, and hand it over, inside this call of ours.
            self._settings.config.loop.call_soon(transport.close)

    def too_slow(self) -> None:
        """Its time is up, and it is neither open nor refused."""
        if self._transport is None:
            return
        peer = self._transport.get_extra_info("peername")
        self._transport.abort()
        self._settings.config.logger.info(
            "no complete upgrade request from %s within %s seconds: connection dropped", peer, self._settings.timeout_s
        )
