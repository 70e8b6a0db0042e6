"""Many sleepers, one timer."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref

from harness import until, within
from ws_autoping.scheduler import Scheduler, scheduler_of


class Sleeper:
    def __init__(self) -> None:
        self.woken: list[float] = []

    def wake(self, now: float) -> None:
        self.woken.append(now)


class CountingScheduler(Scheduler):
    def __init__(self) -> None:
        super().__init__()
        self.fired = 0

    def fire(self) -> None:
        self.fired += 1
        super().fire()


async def test_everybody_is_woken_once_and_never_early(loop_name: str) -> None:
    scheduler = CountingScheduler()
    chance = random.Random(7)
    start = scheduler.clock()
    sleepers = [(Sleeper(), start + chance.uniform(0, 0.2)) for _ in range(3000)]
    chance.shuffle(sleepers)
    for sleeper, when in sleepers:
        scheduler.add(sleeper, when, 0.01)
    await until(lambda: not len(scheduler))
    for sleeper, when in sleepers:
        assert len(sleeper.woken) == 1
        assert sleeper.woken[0] >= when
    # Twenty-one distinct times and batches of 100; some timers are a little early.
    assert scheduler.fired < 100


async def test_who_is_removed_is_not_woken(loop_name: str) -> None:
    scheduler = Scheduler()
    staying, leaving = Sleeper(), Sleeper()
    when = scheduler.clock() + 0.02
    scheduler.add(staying, when, 0.001)
    due = scheduler.add(leaving, when, 0.001)
    scheduler.remove(leaving, due)
    await until(lambda: staying.woken)
    assert leaving.woken == []


async def test_an_earlier_one_comes_first(loop_name: str) -> None:
    scheduler = Scheduler()
    late, early = Sleeper(), Sleeper()
    due = scheduler.add(late, scheduler.clock() + 60, 0.001)
    scheduler.add(early, scheduler.clock() + 0.005, 0.001)
    await until(lambda: early.woken)
    scheduler.remove(late, due)
    assert late.woken == []


async def test_a_sleeper_that_raises_stops_nobody() -> None:
    loop = asyncio.get_running_loop()
    complaints: list[object] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context["exception"]))

    class Broken(Sleeper):
        def wake(self, now: float) -> None:
            raise ZeroDivisionError

    scheduler = Scheduler()
    others = [Sleeper() for _ in range(20)]
    for sleeper in [Broken(), *others, Broken()]:
        scheduler.add(sleeper, scheduler.clock() + 0.005, 0.005)
    await until(lambda: all(sleeper.woken for sleeper in others))
    await until(lambda: len(complaints) == 2)


async def test_waking_up_and_adding_oneself_again(loop_name: str) -> None:
    scheduler = Scheduler()
    done = asyncio.Event()

    class Again(Sleeper):
        def wake(self, now: float) -> None:
            super().wake(now)
            if len(self.woken) == 10:
                done.set()
            else:
                scheduler.add(self, now + 0.002, 0.0001)

    scheduler.add(Again(), scheduler.clock(), 0.0001)
    await within(done.wait())


async def test_one_for_each_loop() -> None:
    loop = asyncio.get_running_loop()
    scheduler = scheduler_of(loop)
    assert scheduler_of(loop) is scheduler


def test_a_loop_that_is_thrown_away_is_not_kept() -> None:
    loop = asyncio.new_event_loop()

    async def leave_something() -> None:
        scheduler_of(asyncio.get_running_loop()).add(Sleeper(), 1e12, 1.0)

    loop.run_until_complete(leave_something())
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None
