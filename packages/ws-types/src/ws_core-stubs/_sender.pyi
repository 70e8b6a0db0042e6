# Internal, but for the properties that WSTransport inherits.
import asyncio
import logging
from collections.abc import Callable
from typing import Any, final

from typing_extensions import Self, disjoint_base

from ws_core._resets import ResetWatch

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
    busy_poll_us: int
    debug: Callable[..., None] | None
    resets: ResetWatch | None
    def __new__(
        cls,
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
        busy_poll_us: int,
        debug: Callable[..., None] | None,
        resets: ResetWatch | None,
    ) -> Self: ...
    def check_thread(self, what: str) -> int: ...

@disjoint_base
class Sender:
    @property
    def underlying_transport(self) -> asyncio.Transport: ...
    @property
    def is_client_side(self) -> bool: ...
    @property
    def is_close_frame_sent(self) -> bool: ...
    @property
    def is_disconnected(self) -> bool: ...
    async def drain(self) -> None: ...
