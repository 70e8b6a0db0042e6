"""ws_connect: open a WebSocket as a client (RFC 6455 section 4.1)."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Sequence
from ssl import SSLContext
from typing import Any, TypeVar

from multidict import CIMultiDict

from ws_core._connect import Connector, WSSocketFactory
from ws_core._handshake import ResponseReader, build_request, check_response, check_subprotocols, new_key
from ws_core._listener import WSListener
from ws_core._options import WSLoggerLike, check_count, check_function, check_seconds, make_config, refuse
from ws_core._protocol import WSProtocol
from ws_core._sender import Config
from ws_core._transport import WSTransport
from ws_core.errors import WSHandshakeError, WSInvalidStatusError, WSInvalidURL
from ws_core.extension import ActiveExtension, Extension, claim_options
from ws_core.negotiation import Negotiation
from ws_core.upgrade import WSHeadersLike, WSUpgradeRequest, WSUpgradeResponse, add_headers
from ws_core.url import WSParsedURL, parse_url

if sys.version_info >= (3, 11):
    from asyncio import timeout as _timeout
else:
    from async_timeout import timeout as _timeout

_L = TypeVar("_L", bound=WSListener)
WSListenerFactory = Callable[[], _L] | Callable[[WSUpgradeRequest, WSUpgradeResponse], _L]

_REDIRECTS = (301, 302, 303, 307, 308)
# Headers of the user's that say who he is: for the origin that he gave them for.
_CREDENTIALS = ("Authorization", "Cookie", "Proxy-Authorization")
#: Seconds in which nothing more comes of a refusal's body: then it is taken as it is.
_BODY_PATIENCE_S = 1.0


async def ws_connect(
    ws_listener_factory: WSListenerFactory[WSListener],
    url: str,
    *,
    ssl_context: SSLContext | None = None,
    disconnect_on_exception: bool = True,
    websocket_handshake_timeout: float | None = 5,
    logger_name: WSLoggerLike = None,
    enable_auto_pong: bool = True,
    max_frame_size: int = 10 * 1024 * 1024,
    extra_headers: WSHeadersLike | None = None,
    subprotocols: Sequence[str] = (),
    max_redirects: int = 5,
    socket_factory: WSSocketFactory | None = None,
    read_buffer_init_size: int = 16 * 1024,
    strict: bool = True,
    use_aiofastnet: bool | None = None,
    cork: bool = True,
    busy_poll_us: int = 0,
    max_write_backlog: int | None = None,
    extensions: Sequence[Extension] = (),
    **kwargs: Any,
) -> tuple[WSTransport, WSListener]:
    """
    Open a WebSocket connection; returns the transport and the listener that the factory made.

    :param ws_listener_factory: called without arguments, or with (WSUpgradeRequest, WSUpgradeResponse) if it takes
        two; returns a :class:`WSListener`
    :param url: ws:// or wss://; ``user:password@`` in it becomes a Basic Authorization header
    :param ssl_context: for wss://; None: the standard library's default context
    :param disconnect_on_exception: an exception in on_ws_frame ends the connection; False: it is logged
    :param websocket_handshake_timeout: seconds for all of it: name look-up, connection, tunnel, TLS, upgrade and
        redirects. None: no limit. On expiry asyncio.TimeoutError, and nothing is left open
    :param logger_name: suffix under ``ws_core.``, or a Logger or LoggerAdapter; None: ``ws_core.client``
    :param enable_auto_pong: answer a PING by a PONG; PINGs are not given to the listener then
    :param max_frame_size: bytes; a data frame that announces more ends the connection with MESSAGE_TOO_BIG
    :param extra_headers: mapping or pairs; ``Host`` replaces ours. On a redirect to another origin Authorization and
        Cookie are left out
    :param subprotocols: offered in this order; the server's choice is ``transport.subprotocol``
    :param max_redirects: how many redirects to follow; never from wss to ws
    :param socket_factory: plain or async function of a :class:`WSParsedURL`; returns a socket, connected or not, or
        None to connect as usual. The socket belongs to the library from then on
    :param read_buffer_init_size: bytes; first size of the buffer that a frame grows in that is too large for one read
    :param strict: RFC 6455 in full. False hands over what comes: reserved bits, fragments in any order, text that is
        not UTF-8, any close code
    :param use_aiofastnet: None: plain connections by sockets of our own, TLS by aiofastnet, where the loop allows it.
        True: all by aiofastnet. False: all by the loop's own transports
    :param cork: gather what the listener sends while the frames of one read are dispatched into one write
    :param busy_poll_us: microseconds for which the socket is read again and again after something came, before the
        event loop goes on: the answer to a request is met without its delay, and everything else on the loop waits so
        long. Plain TCP and unix sockets; without effect on TLS and on uvloop's own transports. 0: off
    :param max_write_backlog: bytes that may wait for a slow peer; beyond it the listener's on_write_backlog decides
    :param extensions: :class:`Extension` objects for this connection only, beside the registered ones
    :param kwargs: options of extensions (``proxy``, ``enable_auto_ping``, ...); the rest goes to
        ``loop.create_connection`` (``local_addr``, ``happy_eyeballs_delay``, ``server_hostname``, ...)

    Raises TypeError, ValueError and :class:`WSInvalidURL` for arguments that make no sense, :class:`WSMissingExtension`
    for an option whose distribution is not installed, :class:`WSHandshakeError` and its subclasses if the server
    refuses or answers nonsense, asyncio.TimeoutError, what the factory raises, and whatever the system raises (OSError,
    ssl.SSLError), unwrapped. Then, and if it is cancelled, nothing is left open.
    """
    refuse(
        kwargs,
        {
            "ssl": "use ssl_context, and wss:// in the URL",
            "sock": "use socket_factory",
            "all_errors": "the first error is raised",
            "protocol_factory": "the protocol is this library",
            "host": "it stands in the URL",
            "port": "it stands in the URL",
        },
    )
    check_function("ws_listener_factory", ws_listener_factory)
    active = claim_options(kwargs, extensions, True)
    loop = asyncio.get_running_loop()
    timeout_s = check_seconds("websocket_handshake_timeout", websocket_handshake_timeout)
    config = make_config(
        is_client_side=True,
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
    if ssl_context is not None and not isinstance(ssl_context, SSLContext):
        raise TypeError(f"ssl_context must be an SSLContext or None, not {ssl_context!r}")
    if socket_factory is not None:
        check_function("socket_factory", socket_factory)
    connector = Connector(loop, use_aiofastnet, ssl_context, socket_factory, active, kwargs)
    subprotocols = check_subprotocols(subprotocols)
    check_count("max_redirects", max_redirects)
    headers: CIMultiDict[str] = CIMultiDict()
    add_headers(headers, extra_headers)
    target = parse_url(url)
    user_info = target.user_info
    async with _timeout(timeout_s):
        for left in range(max_redirects, -1, -1):
            handshake = ClientHandshake(config, target, ws_listener_factory, headers, subprotocols, user_info, active)
            try:
                return await handshake.run(connector)
            except WSInvalidStatusError as exc:
                if exc.response is None or exc.response.status not in _REDIRECTS:
                    raise
                if left == 0:
                    raise _refused(
                        exc, f"the server redirects, and no more than max_redirects={max_redirects} are followed"
                    ) from exc
                following = _redirect_target(exc, target)
            if following.origin != target.origin:
                user_info = following.user_info
                for name in (*_CREDENTIALS, "Host"):
                    headers.popall(name, None)
            elif following.user_info is not None:
                user_info = following.user_info
            target = following
    raise AssertionError("unreachable")


def _refused(refusal: WSInvalidStatusError, message: str) -> WSInvalidStatusError:
    return WSInvalidStatusError(message, refusal.raw_header, refusal.raw_body, refusal.response)


def _redirect_target(refusal: WSInvalidStatusError, current: WSParsedURL) -> WSParsedURL:
    """Where a 3xx answer sends us."""
    import urllib.parse

    response = refusal.response
    assert response is not None

    def error(message: str) -> WSHandshakeError:
        return _refused(refusal, message)

    location = response.headers.get("Location")
    if location is None:
        raise error(f"the server redirects (HTTP status {int(response.status)}) without a Location header") from refusal
    try:
        joined = urllib.parse.urljoin(current.url, location)
    except ValueError:
        raise error("the server redirects to where no WebSocket can be: the Location is not a URL") from refusal
    scheme, colon, rest = joined.partition(":")
    joined = {"http": "ws", "https": "wss"}.get(scheme.lower(), scheme) + colon + rest
    try:
        following = parse_url(joined)
    except WSInvalidURL as exc:
        raise error(f"the server redirects to where no WebSocket can be: {exc}") from exc
    if current.is_secure and not following.is_secure:
        raise error(
            f"the server redirects from wss to ws, which is not followed: {following.scheme}://{following.netloc}"
        )
    return following


def takes(factory: Callable[..., Any], count: int) -> bool:
    """Whether a listener factory takes `count` arguments. Decided by its signature: it is called once."""
    if isinstance(factory, type) and getattr(factory, "__init__", None) is object.__init__:
        return False
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


class ClientHandshake:
    """One attempt at an upgrade. The protocol hands it the bytes until it calls ``protocol.opened``."""

    def __init__(
        self,
        config: Config,
        url: WSParsedURL,
        factory: WSListenerFactory[WSListener],
        headers: CIMultiDict[str],
        subprotocols: Sequence[str],
        user_info: tuple[str, str] | None,
        extensions: list[ActiveExtension],
    ) -> None:
        self._config = config
        self._url = url
        self._factory = factory
        self._subprotocols = subprotocols
        self._negotiation = Negotiation(extensions, True)
        self._key = new_key()
        self._reader = ResponseReader()
        self._request = build_request(url, self._key, headers, subprotocols, user_info)
        self._negotiation.offer(self._request)
        self._request_bytes = self._request.to_bytes()  # raises for what cannot be sent, and nothing is open yet
        self._done: asyncio.Future[tuple[WSTransport, WSListener]] = config.loop.create_future()
        self._protocol: WSProtocol | None = None
        self._transport: asyncio.Transport | None = None
        self._body_timer: asyncio.TimerHandle | None = None

    async def run(self, connector: Connector) -> tuple[WSTransport, WSListener]:
        protocol = WSProtocol(self._config, self)
        try:
            await connector.connect(protocol, self._url)
            return await self._done
        except BaseException:
            self._done.cancel()  # nobody will ask it how the connection ended
            if self._transport is not None:
                self._transport.abort()
            raise
        finally:
            self._reader.let_go()
            if self._done.done() and not self._done.cancelled():
                self._done.exception()  # looked at: asyncio has nothing to complain of

    # ------------------------------------------------------------- the protocol's calls

    def connection_made(self, protocol: WSProtocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._transport = transport
        if self._config.debug is not None:
            self._config.debug("send upgrade request %r", self._request)
        transport.write(self._request_bytes)

    def data_received(self, data: bytes) -> None:
        if self._done.done():
            return
        try:
            complete = self._reader.feed(data)
        except WSHandshakeError as exc:
            self._fail(exc)
            return
        if complete:
            self._finish()
        elif self._reader.has_answer:
            # The headers of a refusal are here. Its body says why: wait for it as long as it comes.
            if self._body_timer is not None:
                self._body_timer.cancel()
            self._body_timer = self._config.loop.call_later(_BODY_PATIENCE_S, self._end_of_answer)

    def eof_received(self) -> None:
        self._end_of_answer()

    def connection_lost(self, connection: WSTransport, exc: Exception | None) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
        if exc is not None and not self._done.done() and not self._reader.has_answer:
            self._fail(exc)
        self._end_of_answer()

    # -------------------------------------------------------------

    def _end_of_answer(self) -> None:
        if not self._done.done():
            self._fail(self._reader.end())

    def _fail(self, exc: BaseException) -> None:
        if isinstance(exc, StopIteration):  # a future does not take it
            cause, exc = exc, RuntimeError("the listener factory raised StopIteration")
            exc.__cause__ = cause
        if not self._done.done():
            self._done.set_exception(exc)
        if self._transport is not None:
            self._transport.abort()

    def _finish(self) -> None:
        protocol = self._protocol
        assert protocol is not None
        try:
            response, subprotocol = check_response(self._reader, self._key, self._subprotocols)
            if self._config.debug is not None:
                self._config.debug("upgrade response %r", response)
            negotiation = self._negotiation
            negotiation.accept(self._request, response, self._reader.raw_header)
            # The factory's signature is its own; mypy cannot know which of the two it has.
            factory: Any = self._factory
            listener = factory(self._request, response) if takes(factory, 2) else factory()
            if not isinstance(listener, WSListener):
                raise TypeError(f"ws_listener_factory must return a WSListener, not {listener!r}")
            negotiation.attach(protocol.transport)
        except BaseException as exc:
            self._fail(exc)
            if not isinstance(exc, Exception):
                raise
            return
        # Before on_ws_connected: a callback that raises ends a connection that ws_connect has returned.
        self._done.set_result((protocol.transport, listener))
        protocol.opened(
            listener,
            self._request,
            response,
            subprotocol,
            self._reader.tail,
            is_secure=self._url.is_secure,
            rsv=negotiation.rsv,
        )
