"""Arguments that ws_connect and ws_create_server share: checked here, early, with an error that says what to do."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from typing import TYPE_CHECKING, Any

from ws_core._resets import reset_watch
from ws_core._sender import Config

__all__ = ["WS_DEBUG_LL", "WSLoggerLike"]

#: The level below DEBUG at which every frame is logged.
WS_DEBUG_LL: int = 9

if TYPE_CHECKING:
    _LoggerAdapter = logging.LoggerAdapter[Any]
else:
    _LoggerAdapter = logging.LoggerAdapter  # has no [] before Python 3.11

WSLoggerLike = str | logging.Logger | _LoggerAdapter | None

# A frame's size meets signed sizes only below this.
_MAX_FRAME_SIZE_LIMIT = 2**62


def resolve_logger(logger_name: WSLoggerLike, default: str) -> logging.Logger | _LoggerAdapter:
    """A suffix under ``ws_core.``, or a logger that is taken as it is."""
    if logger_name is None:
        return logging.getLogger(f"ws_core.{default}")
    if isinstance(logger_name, str):
        return logging.getLogger(f"ws_core.{logger_name}")
    if isinstance(logger_name, (logging.Logger, logging.LoggerAdapter)):
        return logger_name
    raise TypeError(f"logger_name must be a str, a Logger or a LoggerAdapter, not {type(logger_name).__name__}")


def check_function(name: str, value: Any) -> None:
    """Something to call: a function or a class."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, or a class, not {value!r}")


def check_count(name: str, value: int) -> None:
    """How many of something."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} must be 0 or more, it is {value}")


def check_seconds(name: str, value: float | None) -> float | None:
    """A time-out: a positive number of seconds, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds or None, not {value!r}")
    if math.isnan(value) or value <= 0:
        raise ValueError(f"{name} must be more than 0 seconds, or None for no limit; it is {value!r}")
    return None if math.isinf(value) else float(value)


def check_bytes(name: str, value: int, least: int) -> int:
    """A size in bytes."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, a number of bytes, not {value!r}")
    if not least <= value <= _MAX_FRAME_SIZE_LIMIT:
        raise ValueError(f"{name} must be a number of bytes from {least} to 2**62, it is {value}")
    return value


def _check_window(value: int) -> int:
    """busy_poll_us: the loop stands still meanwhile, so a second is a mistake of units."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"busy_poll_us must be an int, a number of microseconds, not {value!r}")
    if not 0 <= value <= 1_000_000:
        raise ValueError(f"busy_poll_us must be from 0 (off) to 1000000 microseconds, it is {value}")
    return value


def make_config(
    *,
    is_client_side: bool,
    logger_name: WSLoggerLike,
    disconnect_on_exception: bool,
    enable_auto_pong: bool,
    max_frame_size: int,
    read_buffer_init_size: int,
    strict: bool,
    cork: bool,
    max_write_backlog: int | None,
    busy_poll_us: int,
) -> Config:
    """Check what is common to both sides and pack it into what the protocol reads."""
    logger = resolve_logger(logger_name, "client" if is_client_side else "server")
    return Config(
        asyncio.get_running_loop(),
        logger,
        is_client_side=is_client_side,
        disconnect_on_exception=bool(disconnect_on_exception),
        enable_auto_pong=bool(enable_auto_pong),
        strict=bool(strict),
        cork=bool(cork),
        max_frame_size=check_bytes("max_frame_size", max_frame_size, 0),
        read_buffer_init_size=check_bytes("read_buffer_init_size", read_buffer_init_size, 1),
        max_write_backlog=None if max_write_backlog is None else check_bytes("max_write_backlog", max_write_backlog, 0),
        busy_poll_us=_check_window(busy_poll_us),
        # Asked once for all connections: the hot path only tests for None.
        debug=functools.partial(logger.log, WS_DEBUG_LL) if logger.isEnabledFor(WS_DEBUG_LL) else None,
        resets=reset_watch(),
    )


def refuse(kwargs: dict[str, Any], instead: dict[str, str]) -> None:
    """Arguments of the event loop's method that this library sets itself."""
    for name, advice in instead.items():
        if name in kwargs:
            raise TypeError(f"the argument {name}= is not accepted here: {advice}")
