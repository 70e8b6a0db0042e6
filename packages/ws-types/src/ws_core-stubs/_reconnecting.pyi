# reconnecting() with all options of ws_connect, also those that extensions own: see CONTRIBUTING.md.
from collections.abc import Awaitable, Callable, Sequence
from ssl import SSLContext
from typing import Any

from typing_extensions import Self

from ws_core._connect import WSSocketFactory
from ws_core._options import WSLoggerLike
from ws_core._retry import Backoff
from ws_core._transport import WSTransport
from ws_core.client import WSListenerFactory
from ws_core.enums import WSAutoPingStrategy
from ws_core.extension import Extension
from ws_core.upgrade import WSHeadersLike

__all__ = ["WSReconnecting", "reconnecting"]

def reconnecting(
    ws_listener_factory: WSListenerFactory,
    url: str | Callable[[], str | Awaitable[str]],
    *,
    backoff_min: float = 1.0,
    backoff_max: float = 60.0,
    backoff_factor: float = 2.0,
    healthy_after: float = 10.0,
    max_attempts: int | None = None,
    retry: Callable[[Exception], bool | None] | None = None,
    logger_name: WSLoggerLike = None,
    # What ws_connect takes.
    ssl_context: SSLContext | None = None,
    disconnect_on_exception: bool = True,
    websocket_handshake_timeout: float | None = 5,
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
    **options: Any,
) -> WSReconnecting: ...

class WSReconnecting:
    def __init__(
        self,
        factory: WSListenerFactory,
        url: str | Callable[[], str | Awaitable[str]],
        backoff: Backoff,
        healthy_after_s: float,
        max_attempts: int | None,
        retry: Callable[[Exception], bool | None] | None,
        logger_name: WSLoggerLike,
        options: dict[str, Any],
    ) -> None: ...
    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> WSTransport: ...
    async def aclose(self) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...
