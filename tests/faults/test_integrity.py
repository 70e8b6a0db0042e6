"""Every byte arrives, once and in order, whatever is going on: tests/soak/integrity.py for a moment."""

from __future__ import annotations

from harness import Net
from integrity import exchange

SECONDS = 0.4


async def test_what_arrives_is_what_was_sent(net: Net) -> None:
    done = await exchange(net, SECONDS, "gate")
    assert done["messages"] > 100
