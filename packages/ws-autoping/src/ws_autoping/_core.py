"""All that this package asks of core beyond the hook points: one place to look at when core's API moves."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import Any

from ws_core import WSCloseCode, WSDisconnectKind, WSDisconnectReason, WSListener, WSTransport

__all__ = [
    *("backlog", "call", "call_failed", "check_callback", "clock", "give_up", "has_callback", "heard_at"),
    *("is_listening", "is_overridden", "listener_of", "no_coroutine"),
]

#: The clock of ``transport.stats.last_data_time``, in seconds. Not loop.time(): uvloop's is a millisecond behind.
clock = time.monotonic


def listener_of(transport: WSTransport) -> WSListener:
    """The connection's listener, from its on_open on."""
    listener = transport.listener
    assert listener is not None  # it goes after on_close
    return listener


def is_overridden(listener: WSListener, method: str) -> bool:
    """Whether `method` of this listener is not the one of WSListener. Also asks the instance."""
    if method in getattr(listener, "__dict__", ()):
        return True
    return getattr(type(listener), method) is not getattr(WSListener, method)


def has_callback(listener: WSListener, method: str) -> bool:
    """Whether the listener has `method`, which WSListener has not."""
    return getattr(listener, method, None) is not None


def check_callback(listener: WSListener, method: str) -> None:
    """TypeError for a `method` of the listener that cannot be called as a callback; to have none is fine."""
    callback = getattr(listener, method, None)
    if callback is None:
        return
    where = f"{type(listener).__name__}.{method}"
    if not callable(callback):
        raise TypeError(f"{where} must be a method, not {callback!r}")
    if inspect.iscoroutinefunction(callback):
        raise TypeError(f"{where} is a coroutine function: callbacks are plain functions, which may start a task")


def no_coroutine(method: str, result: object) -> None:
    """TypeError if a callback has returned a coroutine, which nobody would ever run."""
    if asyncio.iscoroutine(result):
        result.close()
        raise TypeError(f"{method} returned a coroutine: callbacks are plain functions, which may start a task")


def call(transport: WSTransport, listener: WSListener, method: str, *args: Any) -> None:
    """Call a method of the listener, outside or inside of the read path. If it raises, the connection ends."""
    try:
        no_coroutine(method, getattr(listener, method)(*args))
    except Exception as exc:
        call_failed(transport, method, exc)


def heard_at(transport: WSTransport) -> float:
    """When the last byte came from the peer, by `clock`."""
    return float(transport.stats.last_data_time)


def backlog(transport: WSTransport) -> tuple[int, bool]:
    """How many bytes have left for the peer, and whether more of them wait."""
    waiting = int(transport.write_backlog_size)
    return transport.stats.bytes_out - waiting, waiting > 0


def is_listening(transport: WSTransport) -> bool:
    """Whether anything can be heard at all: somebody who pauses reading keeps the peer's bytes outside."""
    try:
        return bool(transport.underlying_transport.is_reading())
    except RuntimeError:
        # NotImplementedError: a transport of an extension that does not tell. asyncio's TLS until Python 3.10 when it
        # has ended. Without an answer, reading goes on.
        return True


def give_up(transport: WSTransport, message: str) -> None:
    """The peer is gone: CLOSE(GOING_AWAY) if it can be sent, then the end; core cuts what does not move."""
    transport.fail(WSCloseCode.GOING_AWAY, WSDisconnectReason(WSDisconnectKind.TIMEOUT, message))


def call_failed(transport: WSTransport, where: str, exc: Exception) -> None:
    """A method of the listener raised: end the connection as core would."""
    message = f"{where} raised {type(exc).__name__}: {exc}"
    transport.fail(WSCloseCode.INTERNAL_ERROR, WSDisconnectReason(WSDisconnectKind.CALLBACK_ERROR, message, exc))
