"""The extension object that core finds by its entry point: the options of auto-ping and what they mean."""

from __future__ import annotations

import asyncio
from typing import Any

from ws_autoping._checks import seconds
from ws_autoping.keeper import Keeper
from ws_autoping.pings import be_pings_of, measure_roundtrip_time, pings_of
from ws_autoping.policy import make_policy
from ws_autoping.scheduler import scheduler_of
from ws_autoping.stall import StallWatch
from ws_core import Extension, TransportHook, WSAutoPingStrategy, WSTransport

__all__ = ["AutoPing", "extension"]

#: Seconds, for both timeouts. A client wants to know sooner than a server with many clients.
_CLIENT_DEFAULT_S = 10.0
_SERVER_DEFAULT_S = 20.0
#: Loops count in milliseconds.
_LEAST_S = 0.001


class AutoPing(Extension):
    """
    Owns the options of this package. For the two timeouts of auto-ping, None is what their default looks like to core:
    it depends on the side. For `rtt_threshold` and `stall_timeout` it is off; both work without auto-ping, too.
    """

    name = "wirelark-ws-autoping"
    options = {
        "enable_auto_ping": False,
        "auto_ping_idle_timeout": None,
        "auto_ping_reply_timeout": None,
        "auto_ping_strategy": WSAutoPingStrategy.PING_WHEN_IDLE,
        "rtt_threshold": None,
        "stall_timeout": None,
    }
    services = {"measure_roundtrip_time": measure_roundtrip_time}

    def check(self, options: dict[str, Any], is_client_side: bool) -> None:
        timeouts(options, is_client_side)
        strategy(options["auto_ping_strategy"])
        _optional("rtt_threshold", options)
        _optional("stall_timeout", options, _LEAST_S)

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook | None:
        scheduler = scheduler_of(asyncio.get_running_loop())
        stall_s, rtt_s = _optional("stall_timeout", options, _LEAST_S), _optional("rtt_threshold", options)
        watch = None
        if stall_s is not None:
            watch = StallWatch(scheduler, stall_s)
            transport.add_hook(watch)  # here, so that it comes before all that consume PINGs and PONGs
        if not options["enable_auto_ping"]:
            if rtt_s is not None:
                pings_of(transport).threshold_s = rtt_s
            return None
        idle_s, reply_s = timeouts(options, transport.is_client_side)
        policy = make_policy(strategy(options["auto_ping_strategy"]), idle_s, reply_s, scheduler.clock())
        keeper = Keeper(scheduler, policy, watch)
        keeper.threshold_s = rtt_s
        be_pings_of(transport, keeper)
        return keeper


def timeouts(options: dict[str, Any], is_client_side: bool) -> tuple[float, float]:
    """Idle and reply timeout in seconds. TypeError or ValueError for what cannot be meant."""
    default_s = _CLIENT_DEFAULT_S if is_client_side else _SERVER_DEFAULT_S
    idle_s = _optional("auto_ping_idle_timeout", options, _LEAST_S)
    reply_s = _optional("auto_ping_reply_timeout", options, _LEAST_S)
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


def _optional(name: str, options: dict[str, Any], least: float = 0.0) -> float | None:
    return None if options[name] is None else seconds(name, options[name], least)


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
