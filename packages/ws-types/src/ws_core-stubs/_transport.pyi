import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn, final

from typing_extensions import Buffer

from ws_core.closing import WSCloseHandshake, WSDisconnectReason
from ws_core.extension import TransportHook
from ws_core.stats import WSStats
from ws_core.upgrade import WSUpgradeRequest, WSUpgradeResponse

@final
class Config:
    loop: asyncio.AbstractEventLoop
    logger: logging.Logger | logging.LoggerAdapter[Any]
    is_client_side: bool
    disconnect_on_exception: bool
    enable_auto_pong: bool
    strict: bool
    cork: bool
    max_frame_size: int
    read_buffer_init_size: int
    max_write_backlog: int
    debug: Callable[..., None] | None
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        logger: logging.Logger | logging.LoggerAdapter[Any],
        *,
        is_client_side: bool,
        disconnect_on_exception: bool,
        enable_auto_pong: bool,
        strict: bool,
        cork: bool,
        max_frame_size: int,
        read_buffer_init_size: int,
        max_write_backlog: int | None,
        debug: Callable[..., None] | None,
    ) -> None: ...

@final
class WSTransport:
    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn: ...
    @property
    def underlying_transport(self) -> asyncio.Transport: ...
    @property
    def request(self) -> WSUpgradeRequest: ...
    @property
    def response(self) -> WSUpgradeResponse: ...
    @property
    def subprotocol(self) -> str | None: ...
    @property
    def is_client_side(self) -> bool: ...
    @property
    def is_secure(self) -> bool: ...
    @property
    def is_close_frame_sent(self) -> bool: ...
    @property
    def is_disconnected(self) -> bool: ...
    @property
    def disconnect_reason(self) -> WSDisconnectReason | None: ...
    @property
    def close_handshake(self) -> WSCloseHandshake | None: ...
    @property
    def write_backlog_size(self) -> int: ...
    @property
    def stats(self) -> WSStats: ...
    @property
    def user_data(self) -> dict[Any, Any]: ...
    def send(
        self,
        msg_type: int,
        message: str | Buffer | None,
        fin: bool = True,
        rsv1: bool = False,
        rsv2: bool = False,
        rsv3: bool = False,
    ) -> None: ...
    def send_reuse_external_bytearray(
        self,
        msg_type: int,
        buffer: bytearray,
        msg_offset: int,
        fin: bool = True,
        rsv1: bool = False,
        rsv2: bool = False,
        rsv3: bool = False,
    ) -> None: ...
    def send_ping(self, message: str | Buffer | None = None) -> None: ...
    def send_pong(self, message: str | Buffer | None = None) -> None: ...
    def send_close(self, close_code: int = 0, close_message: str | Buffer | None = None) -> None: ...
    def disconnect(self, graceful: bool = True) -> None: ...
    async def close(
        self, close_code: int = ..., message: str | Buffer | None = None, timeout: float | None = 5.0
    ) -> None: ...
    async def wait_disconnected(self) -> None: ...
    async def drain(self) -> None: ...
    def cork(self) -> AbstractContextManager[WSTransport]: ...
    async def measure_roundtrip_time(self, rounds: int) -> list[float]: ...
    def notify_user_specific_pong_received(self) -> None: ...
    def add_hook(self, hook: TransportHook) -> None: ...
    def remove_hook(self, hook: TransportHook) -> None: ...
