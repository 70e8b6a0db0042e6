"""One timer for many things that have the same time. The loop's own would be an object and a place in a heap for each.

While asyncio has a timer, each turn of the loop takes 3,700 instructions more, a fifth of a round trip: it asks for the
time and computes how long to wait. So the timer goes soon after the last thing that waited, and is not cancelled with
each of them either: then the next one would have to pay for another one.

Knows nothing of what waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")

#: Seconds after which the timer sees that nothing waits any more.
LOOK_S = 0.2


class Deadlines(Generic[_T]):
    """Calls `too_late` with each item that was not taken out `timeout_s` seconds after it was added."""

    __slots__ = ("_loop", "_pending", "_timeout_s", "_timer", "_too_late")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float, too_late: Callable[[_T], None]) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._too_late = too_late
        # In the order in which they were added, so in that of their times.
        self._pending: dict[_T, float] = {}
        self._timer: asyncio.Handle | None = None

    def add(self, item: _T) -> None:
        """Its time begins now. It must not be in already."""
        now = self._loop.time()
        self._pending[item] = due = now + self._timeout_s
        if self._timer is None:
            self._timer = self._loop.call_at(min(due, now + LOOK_S), self._look)

    def discard(self, item: _T) -> None:
        """Take it out, if it is in."""
        self._pending.pop(item, None)

    def _look(self) -> None:
        self._timer = None
        while self._pending:
            item, due = next(iter(self._pending.items()))
            now = self._loop.time()
            if due > now:
                self._timer = self._loop.call_at(min(due, now + LOOK_S), self._look)
                return
            del self._pending[item]
            try:
                self._too_late(item)
            except BaseException:
                self._timer = self._loop.call_soon(self._look)  # the others are late, too
                raise
