"""The registry of extensions: who owns which option, and which hooks a connection gets.

An extension joins core at run time: by ``register_extension``, by an entry
point of the group ``ws_core.extensions`` (looked up at the first connection,
not at import), or for one connection through ``extensions=``. It acts only
when one of its options is given. This module knows no sockets and no frames,
only their types.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ws_core.enums import WSMsgType
from ws_core.errors import WSMissingExtension
from ws_core.upgrade import WSUpgradeRequest, WSUpgradeResponse
from ws_core.url import WSParsedURL

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from ws_core import WSFrame, WSTransport

__all__ = ["Extension", "TransportHook", "WSMessage", "register_extension", "registered_extensions"]

ENTRY_POINT_GROUP = "ws_core.extensions"

_logger = logging.getLogger("ws_core.extension")


class WSMessage(NamedTuple):
    """What is about to leave as one frame. ``message._replace(payload=...)`` makes another one."""

    #: A WSMsgType; a message stays data, or stays control.
    msg_type: int
    #: Before masking; at most 125 bytes of a control frame.
    payload: bytes
    #: False for every frame but the last of a fragmented message.
    fin: bool = True
    #: Reserved bits (RFC 6455 section 5.2): only for the owner of a negotiated extension.
    rsv1: bool = False
    #: The second one.
    rsv2: bool = False
    #: The third one.
    rsv3: bool = False


class TransportHook:
    """
    Sees what passes one connection. Subclass it, override what is needed; the rest costs nothing.

    Methods run on the loop's thread in the read path, like a listener's. One that raises ends the connection as a
    listener's would.
    """

    __slots__ = ()  # so that a subclass may do without a __dict__: there is a hook for each connection

    #: The message types that on_frame and on_send want to see.
    opcodes: Iterable[int] = frozenset(WSMsgType)

    def on_open(self, transport: WSTransport) -> None:
        """The connection is open; the listener's on_ws_connected comes after it."""

    def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
        """A frame of one of `opcodes` has come: return it to pass it on, another WSFrame, or None to consume it."""
        return frame

    def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage | None:
        """
        A message of one of `opcodes` is about to be framed: return it to pass it on, another :class:`WSMessage` to send
        that instead, or None to send nothing.

        The last hook is asked first, the reverse of on_frame. PONGs that core answers with pass here, too; CLOSE frames
        do not. What a hook sends itself passes all hooks.
        """
        return message

    def on_user_pong(self, transport: WSTransport) -> None:
        """``transport.notify_user_specific_pong_received()`` was called."""

    def on_close(self, transport: WSTransport) -> None:
        """The connection is gone; the listener's on_ws_disconnected comes after it."""


class Connector(Protocol):
    """What ``Extension.open_connection`` finds in ``options["connector"]``."""

    async def open_transport(self, protocol: asyncio.BaseProtocol, url: WSParsedURL) -> asyncio.Transport:
        """A transport to the host and port of `url`, paused or not, without TLS."""
        ...

    async def start_tls(
        self, transport: asyncio.Transport, protocol: asyncio.BaseProtocol, context: SSLContext, server_hostname: str
    ) -> asyncio.Transport:
        """TLS on top of `transport`. If it raises, the caller aborts `transport`."""
        ...


class Listening(Protocol):
    """What ``Extension.open_server`` returns: an asyncio.Server, or whatever has these of its methods."""

    @property
    def sockets(self) -> Iterable[socket.socket]: ...
    def is_serving(self) -> bool: ...
    async def start_serving(self) -> None: ...
    def close(self) -> None: ...
    async def wait_closed(self) -> None: ...


class Extension:
    """
    What a distribution adds to core. Subclass it; one object a distribution.

    `options` are the keyword arguments of ws_connect and ws_create_server that it owns, with their defaults. Its hook
    points are called only for a connection on which one of them differs from its default, with all of them in a dict.
    """

    #: Shown in errors: the distribution's name.
    name: str = ""
    #: Owned options and their defaults.
    options: Mapping[str, Any] = {}
    #: Names of WSTransport methods that core leaves to extensions, and the coroutine functions behind them.
    services: Mapping[str, Callable[..., Awaitable[Any]]] = {}

    def check(self, options: dict[str, Any], is_client_side: bool) -> None:
        """Raise ValueError or TypeError for options that cannot work, before anything is opened."""

    async def open_connection(
        self, endpoint: WSParsedURL, options: dict[str, Any]
    ) -> socket.socket | asyncio.Transport | None:
        """
        Client: a connected socket, or an asyncio transport, that leads to `endpoint`; None: not my business.

        TLS with `endpoint` itself is core's. A transport must be paused and its protocol hold no bytes: core sets its
        own. ``options["connector"]`` opens connections the way the user asked for (socket_factory, use_aiofastnet,
        arguments for ``loop.create_connection``): ``await connector.open_transport(protocol, url)``, and
        ``await connector.start_tls(transport, protocol, context, server_hostname)`` on top of any transport.
        Whatever it raises ends ws_connect as it is; then, or if it is cancelled, it must leave nothing open.
        """
        return None

    async def open_server(
        self, protocol_factory: Callable[[], asyncio.BufferedProtocol], options: dict[str, Any]
    ) -> Listening | None:
        """
        Server: an asyncio.Server, or what has its methods (:class:`Listening`), that accepts connections elsewhere than
        on sockets of the event loop; None: not my business.

        For each connection, `protocol_factory()` makes its protocol: it is set on the transport, and its
        ``connection_made(transport)`` is called. Where to listen (host, port, path) and arguments for
        ``loop.create_server`` are not looked at then. Whatever it raises ends ws_create_server as it is.
        """
        return None

    def offer(self, request: WSUpgradeRequest, options: dict[str, Any]) -> None:
        """
        Client: the upgrade request is about to be sent; ``request.headers`` may be added to.

        An extension of the protocol adds its offer: ``request.headers.add("Sec-WebSocket-Extensions",
        format_extension("name", {...}))``, see :mod:`ws_core.negotiation`. Called anew for each redirect.
        """

    def accept(self, request: WSUpgradeRequest, response: WSUpgradeResponse, options: dict[str, Any]) -> Iterable[int]:
        """
        Both sides: the upgrade is being agreed on. Returns the reserved bits (1, 2, 3) that this extension owns on this
        connection from now on (RFC 6455 section 9); frames may carry no other ones.

        On a server `response` is the 101 that will be sent: what is accepted of the request's offers is added to its
        headers. On a client it is the server's answer. ``options["is_client_side"]`` says which. `options` is this
        connection's own copy, which :meth:`attach` gets, too: what was agreed on may be kept there.

        A message whose first frame has an owned bit is not checked for UTF-8: it is not text yet. Raise
        :class:`WSHandshakeError` for an offer or an answer that cannot be: the client's ws_connect raises it, the
        server answers 400. Any other exception: ws_connect raises it, the server logs it and answers 500.
        """
        return ()

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook | None:
        """The upgrade is done: a hook for this connection, or None."""
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


# The one place where core names distributions that it does not need: what to
# install for an option (or a service) that nobody owns. The values are those
# with which the option asks for nothing; `...`: any value, it only qualifies
# another option.
_HINTS: dict[str, tuple[str, str, Any]] = {
    "proxy": ("wirelark-ws-proxy", "proxy", None),
    "proxy_ssl_context": ("wirelark-ws-proxy", "proxy", None),
    "enable_auto_ping": ("wirelark-ws-autoping", "autoping", False),
    "auto_ping_idle_timeout": ("wirelark-ws-autoping", "autoping", ...),
    "auto_ping_reply_timeout": ("wirelark-ws-autoping", "autoping", ...),
    "auto_ping_strategy": ("wirelark-ws-autoping", "autoping", ...),
    "rtt_threshold": ("wirelark-ws-autoping", "autoping", None),
    "stall_timeout": ("wirelark-ws-autoping", "autoping", None),
    "measure_roundtrip_time": ("wirelark-ws-autoping", "autoping", None),
}

_registered: list[Extension] = []
_lock = threading.RLock()  # of _registered; not held while extensions are imported
_entry_points_loaded = False
_entry_points_loading = False
_entry_points_left: list[EntryPoint] | None = None  # not yet loaded; None: nobody has looked which ones there are
_loading_lock = threading.RLock()  # whoever wants extensions while another thread loads them waits for them


def _owner_of(option: str, extensions: Iterable[Extension]) -> Extension | None:
    for extension in extensions:
        if option in extension.options:
            return extension
    return None


def _check_extension(extension: Extension, others: Iterable[Extension]) -> None:
    if not isinstance(extension, Extension):
        raise TypeError(f"an extension must be an object of a subclass of ws_core.Extension, {extension!r} is not")
    if not extension.name:
        raise ValueError(f"extension {extension!r} has no name")
    for attribute in ("options", "services"):
        value = getattr(extension, attribute)
        if not isinstance(value, Mapping):
            raise TypeError(f"{attribute} of the extension {extension.name!r} must be a mapping, not {value!r}")
    for option in extension.options:
        other = _owner_of(option, others)
        if other is not None:
            raise ValueError(f"option {option!r} is owned by both {other.name!r} and {extension.name!r}")


def register_extension(extension: Extension) -> None:
    """
    Let `extension` take part in every connection that is opened from now on, in this process.

    Registering the same object again does nothing. ValueError if it has no name or owns an option that another one
    owns; TypeError if it is no Extension.
    """
    with _lock:
        if any(other is extension for other in _registered):
            return
        _check_extension(extension, _registered)
        _registered.append(extension)


def registered_extensions() -> tuple[Extension, ...]:
    """All registered extensions, in the order of their registration; entry points are loaded now."""
    _load_entry_points()
    return tuple(_registered)


def _load_entry_points() -> None:
    global _entry_points_loaded, _entry_points_loading, _entry_points_left
    if _entry_points_loaded:
        return
    with _loading_lock:
        if _entry_points_loaded or _entry_points_loading:  # the latter: an extension asks while it is imported
            return
        _entry_points_loading = True
        try:
            if _entry_points_left is None:
                _entry_points_left = _find_entry_points()
            while _entry_points_left:  # whoever interrupts this comes back to the one that was under way
                _load(_entry_points_left[0])
                del _entry_points_left[0]
            _entry_points_loaded, _entry_points_left = True, None
        finally:
            _entry_points_loading = False


def _find_entry_points() -> list[EntryPoint]:
    import importlib.metadata  # here, since it is the half of what `import ws_core` would cost

    try:
        return list(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP))
    except Exception:
        _logger.exception("the entry points of %s cannot be listed: no installed extension is used", ENTRY_POINT_GROUP)
        return []


def _load(entry_point: EntryPoint) -> None:
    try:
        loaded = entry_point.load()
        register_extension(loaded() if isinstance(loaded, type) else loaded)
    except KeyboardInterrupt:
        raise
    except BaseException:  # SystemExit, too: a module that is a script ends nobody's process but its own
        _logger.exception("extension %r (%s) cannot be used and is left out", entry_point.name, entry_point.value)


class ActiveExtension:
    """An extension that takes part in a connection, with its options."""

    __slots__ = ("extension", "options")

    def __init__(self, extension: Extension, options: dict[str, Any]) -> None:
        self.extension: Extension = extension
        self.options: dict[str, Any] = options


def claim_options(
    kwargs: dict[str, Any], extensions: Iterable[Extension], is_client_side: bool
) -> list[ActiveExtension]:
    """Take the options that extensions own out of `kwargs`; return the extensions that have something to do.

    `extensions`: those of this connection only. They may own options, and are always active.
    """
    if not isinstance(extensions, Iterable):
        raise TypeError(f"extensions must be a sequence of Extension objects, not {extensions!r}")
    own = list(extensions)
    everybody = list(registered_extensions())
    for extension in own:
        if extension not in everybody:
            _check_extension(extension, everybody)
            everybody.append(extension)
    active = []
    for extension in everybody:
        options = dict(extension.options)
        given = kwargs.keys() & options.keys()
        asked = extension in own
        for option in given:
            value = kwargs.pop(option)
            asked = asked or not _same(value, options[option])
            options[option] = value
        if given or asked:
            extension.check(options, is_client_side)
        if asked:
            active.append(ActiveExtension(extension, options))
    for option in [option for option in kwargs if option in _HINTS]:
        distribution, extra, inert = _HINTS[option]
        value = kwargs.pop(option)
        if inert is not ... and not _same(value, inert):
            raise WSMissingExtension(f"the option {option}=", distribution, extra)
    return active


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and bool(a == b))


def find_service(name: str) -> Callable[..., Awaitable[Any]]:
    """The coroutine function of an extension that stands behind a method of WSTransport."""
    for extension in registered_extensions():
        if name in extension.services:
            return extension.services[name]
    distribution, extra, _ = _HINTS[name]
    raise WSMissingExtension(f"transport.{name}()", distribution, extra)
