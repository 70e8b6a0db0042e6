"""The options: what is refused, where, and what their defaults are."""

from __future__ import annotations

import math
from typing import Any

import pytest

import ws_core
from harness import Net, Recorder
from ws_autoping import WSAutoPingStrategy
from ws_autoping._extension import AutoPing, extension, strategy, timeouts
from ws_core import ws_connect, ws_create_server

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
]


@pytest.mark.parametrize("options", WRONG, ids=str)
@pytest.mark.parametrize("enabled", [True, False])
async def test_wrong_values_raise_before_anything_is_opened(options: dict[str, Any], enabled: bool) -> None:
    with pytest.raises((TypeError, ValueError), match="auto_ping"):
        await ws_connect(Recorder, "ws://127.0.0.1:9/", enable_auto_ping=enabled, **options)
    with pytest.raises((TypeError, ValueError), match="auto_ping"):
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


async def test_values_that_change_nothing() -> None:
    net = Net(tls=False, fast=True)
    server = await net.serve(enable_auto_ping=False, auto_ping_idle_timeout=5.0)
    transport, _ = await net.connect(server, enable_auto_ping=False)
    assert transport.stats.frames_out == 0
    await net.aclose()
