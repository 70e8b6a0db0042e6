"""All that this package asks of core beyond the hook points: one place to look at when core's API moves."""

from __future__ import annotations

import time

from ws_core import WSCloseCode, WSDisconnectKind, WSDisconnectReason, WSListener, WSTransport

__all__ = ["backlog", "call_failed", "clock", "give_up", "heard_at", "is_listening", "is_overridden", "listener_of"]

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


def heard_at(transport: WSTransport) -> float:
    """When the last byte came from the peer, by `clock`."""
    return float(transport.stats.last_data_time)


def backlog(transport: WSTransport) -> tuple[int, bool]:
    """How many bytes have left for the peer, and whether more of them wait."""
    waiting = int(transport.write_backlog_size)
    return transport.stats.bytes_out - waiting, waiting > 0


def is_listening(transport: WSTransport) -> bool:
    """Whether anything can be heard at all: somebody who pauses reading keeps the peer's bytes outside."""
    return bool(transport.underlying_transport.is_reading())


def give_up(transport: WSTransport, message: str) -> None:
    """The peer is gone: CLOSE(GOING_AWAY) if it can be sent, then the end; core cuts what does not move."""
    transport.fail(WSCloseCode.GOING_AWAY, WSDisconnectReason(WSDisconnectKind.TIMEOUT, message))


def call_failed(transport: WSTransport, where: str, exc: Exception) -> None:
    """A method of the listener raised outside of the read path: end the connection as core would."""
    message = f"{where} raised {type(exc).__name__}: {exc}"
    transport.fail(WSCloseCode.INTERNAL_ERROR, WSDisconnectReason(WSDisconnectKind.CALLBACK_ERROR, message, exc))
