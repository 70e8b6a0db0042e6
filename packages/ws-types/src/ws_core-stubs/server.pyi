# ws_create_server with the options that extensions own: see CONTRIBUTING.md.
import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from typing_extensions import Buffer, Self

from ws_core._options import WSLoggerLike
from ws_core._transport import WSTransport
from ws_core._upgrading import ServerSettings, WSServerListenerFactory
from ws_core.enums import WSAutoPingStrategy
from ws_core.extension import Extension, Listening

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
    max_frame_size: int = 10485760,
    subprotocols: Sequence[str] = (),
    origins: Sequence[str | None] | None = None,
    max_connections: int | None = None,
    read_buffer_init_size: int = 16384,
    strict: bool = True,
    use_aiofastnet: bool | None = None,
    cork: bool = True,
    busy_poll_us: int = 0,
    max_write_backlog: int | None = None,
    extensions: Sequence[Extension] = (),
    # Options of extensions. (None: a server goes through no proxy, another value is refused.)
    proxy: None = None,
    proxy_ssl_context: None = None,
    enable_auto_ping: bool = False,
    auto_ping_idle_timeout: float | None = None,
    auto_ping_reply_timeout: float | None = None,
    auto_ping_strategy: WSAutoPingStrategy = ...,
    rtt_threshold: float | None = None,
    stall_timeout: float | None = None,
    **kwargs: Any,
) -> WSServer: ...

class WSServer:
    def __init__(self, server: Listening, settings: ServerSettings) -> None: ...
    @property
    def connections(self) -> frozenset[WSTransport]: ...
    @property
    def sockets(self) -> tuple[socket.socket, ...]: ...
    def get_loop(self) -> asyncio.AbstractEventLoop: ...
    def is_serving(self) -> bool: ...
    async def start_serving(self) -> None: ...
    async def serve_forever(self) -> None: ...
    def close(self) -> None: ...
    async def wait_closed(self) -> None: ...
    def close_clients(self) -> None: ...
    def abort_clients(self) -> None: ...
    async def shutdown(
        self, code: int = ..., message: str | Buffer | None = None, timeout: float | None = 5.0
    ) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...
