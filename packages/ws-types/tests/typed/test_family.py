"""ws_proxy and ws_autoping: their public names, and that they fit core's."""

from __future__ import annotations

from typing_extensions import assert_type

import ws_autoping
import ws_proxy
from checks import check
from ws_autoping import RTTStats, WSAutoPingStrategy, measure_roundtrip_time, rtt_stats
from ws_core import WSError
from ws_core.extension import Connector
from ws_core.testing import connected_pair
from ws_proxy import WSProxyError
from ws_proxy.stream import Connector as WhatProxiesAskFor


def fits(connector: Connector) -> WhatProxiesAskFor:
    """What core gives has what ws-proxy asks of it."""
    return connector


async def test_autoping() -> None:
    async with connected_pair() as pair:
        stats = check(assert_type(rtt_stats(pair.client), RTTStats), RTTStats)
        check(assert_type(stats.count, int), int)
        for seconds in (stats.last, stats.min, stats.mean, stats.p50, stats.p99, stats.smoothed, stats.jitter):
            check(assert_type(seconds, float), float)
        check(assert_type(await measure_roundtrip_time(pair.client, 2, timeout=5), list[float]), list[float])
        check(assert_type(await pair.client.measure_roundtrip_time(1), list[float]), list[float])
    strategy = WSAutoPingStrategy(1)
    check(assert_type(strategy, WSAutoPingStrategy), WSAutoPingStrategy)
    text: str = check(ws_autoping.__version__, str)
    assert text


def test_proxy() -> None:
    error = WSProxyError("no", "socks5://127.0.0.1:1080", "asking for example.org:443", 3)
    check(assert_type(error.proxy, str), str)
    check(assert_type(error.step, str), str)
    check(assert_type(error.code, int | None), int)
    check(assert_type(error.is_temporary, bool), bool)
    base: WSError = error
    text: str = check(ws_proxy.__version__, str)
    assert base
    assert text
    assert callable(fits)
