# ws_connect with the listener of the factory's type, and with the options that extensions own: see CONTRIBUTING.md.
from collections.abc import Callable, Sequence
from ssl import SSLContext
from typing import Any, overload

from typing_extensions import TypeVar

from ws_core._connect import WSSocketFactory
from ws_core._listener import WSListener
from ws_core._options import WSLoggerLike
from ws_core._transport import WSTransport
from ws_core.enums import WSAutoPingStrategy
from ws_core.extension import Extension
from ws_core.upgrade import WSHeadersLike, WSUpgradeRequest, WSUpgradeResponse

_L = TypeVar("_L", bound=WSListener, default=WSListener)
WSListenerFactory = Callable[[], _L] | Callable[[WSUpgradeRequest, WSUpgradeResponse], _L]

@overload
async def ws_connect(
    ws_listener_factory: Callable[[], _L],
    url: str,
    *,
    ssl_context: SSLContext | None = None,
    disconnect_on_exception: bool = True,
    websocket_handshake_timeout: float | None = 5,
    logger_name: WSLoggerLike = None,
    enable_auto_pong: bool = True,
    max_frame_size: int = 10485760,
    extra_headers: WSHeadersLike | None = None,
    subprotocols: Sequence[str] = (),
    max_redirects: int = 5,
    socket_factory: WSSocketFactory | None = None,
    read_buffer_init_size: int = 16384,
    strict: bool = True,
    use_aiofastnet: bool | None = None,
    cork: bool = True,
    busy_poll_us: int = 0,
    max_write_backlog: int | None = None,
    extensions: Sequence[Extension] = (),
    # Options of extensions.
    proxy: str | list[str] | tuple[str, ...] | None = None,
    proxy_ssl_context: SSLContext | None = None,
    enable_auto_ping: bool = False,
    auto_ping_idle_timeout: float | None = None,
    auto_ping_reply_timeout: float | None = None,
    auto_ping_strategy: WSAutoPingStrategy = ...,
    rtt_threshold: float | None = None,
    stall_timeout: float | None = None,
    **kwargs: Any,
) -> tuple[WSTransport, _L]: ...
@overload
async def ws_connect(
    ws_listener_factory: Callable[[WSUpgradeRequest, WSUpgradeResponse], _L],
    url: str,
    *,
    ssl_context: SSLContext | None = None,
    disconnect_on_exception: bool = True,
    websocket_handshake_timeout: float | None = 5,
    logger_name: WSLoggerLike = None,
    enable_auto_pong: bool = True,
    max_frame_size: int = 10485760,
    extra_headers: WSHeadersLike | None = None,
    subprotocols: Sequence[str] = (),
    max_redirects: int = 5,
    socket_factory: WSSocketFactory | None = None,
    read_buffer_init_size: int = 16384,
    strict: bool = True,
    use_aiofastnet: bool | None = None,
    cork: bool = True,
    busy_poll_us: int = 0,
    max_write_backlog: int | None = None,
    extensions: Sequence[Extension] = (),
    # Options of extensions.
    proxy: str | list[str] | tuple[str, ...] | None = None,
    proxy_ssl_context: SSLContext | None = None,
    enable_auto_ping: bool = False,
    auto_ping_idle_timeout: float | None = None,
    auto_ping_reply_timeout: float | None = None,
    auto_ping_strategy: WSAutoPingStrategy = ...,
    rtt_threshold: float | None = None,
    stall_timeout: float | None = None,
    **kwargs: Any,
) -> tuple[WSTransport, _L]: ...
def takes(factory: Callable[..., Any], count: int) -> bool: ...
