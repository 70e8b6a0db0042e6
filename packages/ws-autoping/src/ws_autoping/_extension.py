"""The extension object that core finds by its entry point: the options of auto-ping and what they mean."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from ws_autoping.keeper import Keeper
from ws_autoping.pings import measure_roundtrip_time
from ws_autoping.scheduler import scheduler_of
from ws_core import Extension, TransportHook, WSAutoPingStrategy, WSTransport

__all__ = ["AutoPing", "extension"]

#: Seconds, for both timeouts. A client wants to know sooner than a server with many clients.
_CLIENT_DEFAULT_S = 10.0
_SERVER_DEFAULT_S = 20.0


class AutoPing(Extension):
    """Owns the auto-ping options. A timeout of None, which is what its default looks like to core, is the side's."""

    name = "wirelark-ws-autoping"
    options = {
        "enable_auto_ping": False,
        "auto_ping_idle_timeout": None,
        "auto_ping_reply_timeout": None,
        "auto_ping_strategy": WSAutoPingStrategy.PING_WHEN_IDLE,
    }
    services = {"measure_roundtrip_time": measure_roundtrip_time}

    def check(self, options: dict[str, Any], is_client_side: bool) -> None:
        timeouts(options, is_client_side)
        strategy(options["auto_ping_strategy"])

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook | None:
        if not options["enable_auto_ping"]:
            return None
        idle_s, reply_s = timeouts(options, transport.is_client_side)
        scheduler = scheduler_of(asyncio.get_running_loop())
        return Keeper(scheduler, strategy(options["auto_ping_strategy"]), idle_s, reply_s)


def timeouts(options: dict[str, Any], is_client_side: bool) -> tuple[float, float]:
    """Idle and reply timeout in seconds. TypeError or ValueError for what cannot be meant."""
    default_s = _CLIENT_DEFAULT_S if is_client_side else _SERVER_DEFAULT_S
    idle_s = _seconds("auto_ping_idle_timeout", options)
    reply_s = _seconds("auto_ping_reply_timeout", options)
    if idle_s is None:
        idle_s = default_s
    if reply_s is None:
        # Whoever only asks for more frequent pings has not asked for an error.
        return idle_s, min(default_s, idle_s)
    if reply_s > idle_s:
        raise ValueError(
            f"auto_ping_reply_timeout ({reply_s:g} seconds) must not be longer than auto_ping_idle_timeout "
            f"({idle_s:g} seconds): the next ping would be due before the last one has failed"
        )
    return idle_s, reply_s


def _seconds(name: str, options: dict[str, Any]) -> float | None:
    value = options[name]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number of seconds above 0, it is {value!r}")
    return float(value)


def strategy(value: Any) -> WSAutoPingStrategy:
    """The strategy behind an option's value: a WSAutoPingStrategy or its number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"auto_ping_strategy must be a WSAutoPingStrategy, not {value!r}")
    try:
        return WSAutoPingStrategy(value)
    except ValueError:
        names = ", ".join(WSAutoPingStrategy.__members__)
        raise ValueError(f"auto_ping_strategy must be one of {names}, not {value!r}") from None


extension = AutoPing()
