"""One timer for many deadlines, on a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ws_core._deadlines import LOOK_S, Deadlines


class Clock:
    """What Deadlines needs of an event loop."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Any:
        self.timers.append((when, callback))
        return self

    def call_soon(self, callback: Callable[[], None]) -> Any:
        return self.call_at(self.now, callback)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer not in due]
        for _, callback in due:
            callback()


def made(clock: Clock, late: list[str]) -> Deadlines[str]:
    return Deadlines(clock, 5.0, late.append)  # type: ignore[arg-type]


def test_each_in_its_time() -> None:
    clock, late = Clock(), []
    deadlines = made(clock, late)
    for name in "abc":
        deadlines.add(name)
        clock.advance(1)
    assert len(clock.timers) == 1
    clock.advance(1.999)
    assert late == []
    clock.advance(0.001)
    assert late == ["a"]
    clock.advance(2)
    assert late == ["a", "b", "c"]
    assert clock.timers == []


def test_what_is_taken_out_in_time() -> None:
    clock, late = Clock(), []
    deadlines = made(clock, late)
    deadlines.add("a")
    clock.advance(4)
    deadlines.add("b")
    deadlines.discard("a")
    deadlines.discard("nobody")
    clock.advance(1)
    assert late == []
    clock.advance(4)
    assert late == ["b"]


def test_all_done_and_then_another_one() -> None:
    clock, late = Clock(), []
    deadlines = made(clock, late)
    deadlines.add("a")
    clock.advance(1)
    deadlines.discard("a")
    assert len(clock.timers) == 1
    clock.advance(LOOK_S)  # not for all of its 5 seconds: while there is a timer, asyncio is slower
    assert clock.timers == []
    deadlines.add("b")
    clock.advance(5)
    assert late == ["b"]


def test_a_clock_that_is_behind_its_timers() -> None:
    """uvloop's counts whole milliseconds: a timer may come before the time that it was for."""
    clock, late = Clock(), []
    deadlines = made(clock, late)
    deadlines.add("a")
    clock.advance(5 - LOOK_S / 2)
    ((when, callback),) = clock.timers
    clock.timers = []
    clock.now = when - 0.0005
    callback()
    assert late == []
    clock.advance(0.0005)
    assert late == ["a"]


def test_an_error_is_not_the_end_of_it() -> None:
    clock = Clock()
    late: list[str] = []

    def too_late(name: str) -> None:
        late.append(name)
        raise ZeroDivisionError

    deadlines: Deadlines[str] = Deadlines(clock, 5.0, too_late)  # type: ignore[arg-type]
    for name in "ab":
        deadlines.add(name)
    for expected in (["a"], ["a", "b"]):
        with pytest.raises(ZeroDivisionError):
            clock.advance(5)
        assert late == expected


def test_what_is_late_takes_out_others() -> None:
    clock = Clock()
    late: list[str] = []

    def too_late(name: str) -> None:
        late.append(name)
        deadlines.discard("b")
        if name == "a":
            deadlines.add("d")

    deadlines: Deadlines[str] = Deadlines(clock, 5.0, too_late)  # type: ignore[arg-type]
    for name in "abc":
        deadlines.add(name)
    clock.advance(5)
    assert late == ["a", "c"]
    clock.advance(5)
    assert late == ["a", "c", "d"]
