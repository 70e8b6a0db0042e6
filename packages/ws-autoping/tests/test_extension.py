"""The options: what is refused, where, and what their defaults are."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

import ws_core
from harness import Net, Recorder, until, within
from ws_autoping import WSAutoPingStrategy
from ws_autoping._extension import AutoPing, extension, strategy, timeouts
from ws_core import WSDisconnectKind, WSMsgType, ws_connect, ws_create_server

WRONG = [
    {"auto_ping_idle_timeout": -1},
    {"auto_ping_idle_timeout": 0},
    {"auto_ping_idle_timeout": math.nan},
    {"auto_ping_idle_timeout": math.inf},
    {"auto_ping_idle_timeout": True},
    {"auto_ping_idle_timeout": "10"},
    {"auto_ping_reply_timeout": -0.5},
    {"auto_ping_reply_timeout": 0.0},
    {"auto_ping_reply_timeout": math.nan},
    {"auto_ping_reply_timeout": True},
    {"auto_ping_idle_timeout": 1, "auto_ping_reply_timeout": 2},
    {"auto_ping_strategy": 3},
    {"auto_ping_strategy": None},
    {"auto_ping_strategy": True},
    {"auto_ping_strategy": "PING_WHEN_IDLE"},
    {"auto_ping_idle_timeout": 10**400},
    *({name: value} for name in ("rtt_threshold", "stall_timeout") for value in (0, -1, math.nan, math.inf, True, "1")),
]


@pytest.mark.parametrize("options", WRONG, ids=str)
@pytest.mark.parametrize("enabled", [True, False])
async def test_wrong_values_raise_before_anything_is_opened(options: dict[str, Any], enabled: bool) -> None:
    with pytest.raises((TypeError, ValueError), match="auto_ping|rtt_threshold|stall_timeout"):
        await ws_connect(Recorder, "ws://127.0.0.1:9/", enable_auto_ping=enabled, **options)
    with pytest.raises((TypeError, ValueError), match="auto_ping|rtt_threshold|stall_timeout"):
        await ws_create_server(lambda request: Recorder(), "127.0.0.1", 0, enable_auto_ping=enabled, **options)


def given(**options: Any) -> dict[str, Any]:
    return {**AutoPing.options, **options}


def test_defaults_differ_by_side() -> None:
    assert timeouts(given(), True) == (10.0, 10.0)
    assert timeouts(given(), False) == (20.0, 20.0)
    assert timeouts(given(auto_ping_idle_timeout=30), True) == (30.0, 10.0)


def test_more_frequent_pings_are_no_error() -> None:
    """Who only gives a short idle timeout has not asked for a reply timeout that is longer."""
    assert timeouts(given(auto_ping_idle_timeout=2), True) == (2.0, 2.0)
    with pytest.raises(ValueError, match="longer"):
        timeouts(given(auto_ping_reply_timeout=15), True)
    assert timeouts(given(auto_ping_reply_timeout=15), False) == (20.0, 15.0)


def test_strategy_by_number() -> None:
    assert strategy(2) is WSAutoPingStrategy.PING_PERIODICALLY
    assert WSAutoPingStrategy is ws_core.WSAutoPingStrategy


def test_found_by_its_entry_point() -> None:
    assert extension in ws_core.registered_extensions()


async def test_values_that_change_nothing(one_net: Net) -> None:
    server = await one_net.serve(enable_auto_ping=False, auto_ping_idle_timeout=5.0)
    transport, _ = await one_net.connect(server, enable_auto_ping=False, rtt_threshold=None, stall_timeout=None)
    assert transport.stats.frames_out == 0
    assert transport.user_data == {}


@pytest.mark.parametrize("value", [1e-300, 5e-324, 1e300, 1.7e308, 1, Fraction(1, 3)], ids=str)
async def test_extreme_values(plain_net: Net, value: Any) -> None:
    """Foolish ones, but nothing breaks: a peer that answers within a millisecond cannot be hoped for."""
    server = await plain_net.serve()
    options = {
        "enable_auto_ping": True,
        "auto_ping_idle_timeout": value,
        "stall_timeout": value,
        "rtt_threshold": value,
    }
    if not isinstance(value, (int, float)):
        with pytest.raises(TypeError, match="auto_ping_idle_timeout"):
            await plain_net.connect(server, **options)
        return
    for strategy_number in (1, 2):
        transport, _ = await plain_net.connect(server, **options, auto_ping_strategy=strategy_number)
        if value < 1:
            await within(transport.wait_disconnected())
            assert transport.disconnect_reason.kind is WSDisconnectKind.TIMEOUT
        else:
            transport.send(WSMsgType.TEXT, b"there?")
            await until(lambda transport=transport: transport.stats.frames_in)
