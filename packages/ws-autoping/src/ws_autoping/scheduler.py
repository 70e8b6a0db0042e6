"""One timer for all connections of a loop.

Keepers ask to be woken at a time. They wait in buckets, one for each distinct
time, and a single timer of the loop stands for the earliest bucket: a
connection costs a place in a set, not a task or a timer. Times are rounded up
to a grid that the keeper chooses, so that thousands of connections share
buckets and the loop wakes a few times a second, however many there are.

Knows loops; knows neither transports nor what waking is for.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

__all__ = ["Scheduler", "Sleeper", "scheduler_of"]

#: Sleepers woken in one go; then the loop may do something else first.
_BATCH = 100
#: Seconds. Less than that is not worth a timer, and some loops count in milliseconds.
_LEAST_DELAY_S = 0.001
# Replaced by tests, which have no time to lose.
_clock = time.monotonic


class Sleeper(Protocol):
    """What can wait in a scheduler. It has one due time, which it keeps."""

    def wake(self, now: float) -> None: ...


class Scheduler:
    """
    Wakes sleepers at their times, on one loop and its thread. Holds no reference to that loop.
    """

    def __init__(self, clock: Callable[[], float] = _clock) -> None:
        self.clock = clock
        self._buckets: dict[float, set[Sleeper]] = {}
        self._heap: list[float] = []
        self._timer: weakref.ref[asyncio.TimerHandle] | None = None
        self._timer_due = math.inf

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    def add(self, sleeper: Sleeper, when: float, grid_s: float) -> float:
        """Wake `sleeper` at `when` (seconds on the clock), or up to `grid_s` later. Returns its due time, for
        `remove`."""
        due = math.ceil(when / grid_s) * grid_s
        bucket = self._buckets.get(due)
        if bucket is None:
            self._buckets[due] = {sleeper}
            heapq.heappush(self._heap, due)
        else:
            bucket.add(sleeper)
        if due < self._timer_due:
            self._arm()
        return due

    def remove(self, sleeper: Sleeper, due: float) -> None:
        """Do not wake `sleeper` any more."""
        bucket = self._buckets.get(due)
        if bucket is None:
            return
        bucket.discard(sleeper)
        if not bucket:
            del self._buckets[due]  # its time stays in the heap and is passed over
            if not self._buckets:
                self._heap.clear()
                self._disarm()

    def fire(self) -> None:
        """Wake whose time has come. The timer's callback."""
        self._timer = None
        self._timer_due = -math.inf  # what is added meanwhile need not arm a timer: that is done at the end
        now = self.clock()
        left = _BATCH
        try:
            while left and self._heap and self._heap[0] <= now:
                bucket = self._buckets.get(self._heap[0])
                if not bucket:
                    self._buckets.pop(heapq.heappop(self._heap), None)
                    continue
                left -= 1
                bucket.pop().wake(now)
        finally:
            self._arm()

    def _arm(self) -> None:
        while self._heap and not self._buckets.get(self._heap[0]):
            self._buckets.pop(heapq.heappop(self._heap), None)
        self._disarm()
        if not self._heap:
            return
        delay = max(self._heap[0] - self.clock(), _LEAST_DELAY_S)
        self._timer = weakref.ref(asyncio.get_running_loop().call_later(delay, self.fire))
        self._timer_due = self._heap[0]

    def _disarm(self) -> None:
        timer = None if self._timer is None else self._timer()
        if timer is not None:
            timer.cancel()
        self._timer = None
        self._timer_due = math.inf


# A scheduler is kept by its sleepers and by the loop's timer, not from here:
# else a loop that was thrown away with open connections would stay for good.
_schedulers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Scheduler]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def scheduler_of(loop: asyncio.AbstractEventLoop) -> Scheduler:
    """The scheduler that all connections of `loop` share. Keep it: it lives as long as somebody does."""
    with _lock:
        reference = _schedulers.get(loop)
        scheduler = None if reference is None else reference()
        if scheduler is None:
            scheduler = Scheduler(_clock)
            _schedulers[loop] = weakref.ref(scheduler)
        return scheduler
