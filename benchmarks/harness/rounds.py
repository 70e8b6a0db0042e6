"""Many short rounds, everybody in turn: A B C, C B A, A B C, ...

So that what else happens on the machine meets all contenders alike, and a
ratio can be taken within each round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.harness.children import Answer

ROUND_S = 0.03
LEAST_ROUNDS = 5
CALIBRATIONS = 3


@dataclass
class Lane:
    """One contender in one setting. `run(count)` makes it do its work `count` times and answers with the clocks."""

    name: str
    run: Callable[[int], Answer]
    cpu_field: str  # which clock of the answer is the measured process's
    messages: int = 1  # in one unit of count
    count: int = 1
    wall_ns: list[float] = field(default_factory=list)
    cpu_ns: list[float] = field(default_factory=list)
    user_ns: int = 0  # over all rounds: the kernel's split is too coarse for one
    sys_ns: int = 0

    def calibrate(self) -> None:
        """Find the count that takes about ROUND_S; warms up as well."""
        count = max(1, 100 // self.messages)
        for _ in range(8):
            # The best of several: after one hiccup of the machine all rounds of this lane would be far too short.
            wall_s = min(self.run(count)["wall"] for _ in range(CALIBRATIONS)) / 1e9
            if wall_s > ROUND_S / 3:
                break
            count *= 4
        self.count = max(1, int(count * ROUND_S / max(wall_s, 1e-6)))

    def round(self) -> None:
        answer = self.run(self.count)
        done = self.count * self.messages
        self.wall_ns.append(answer["wall"] / done)
        self.cpu_ns.append(answer[self.cpu_field] / done)
        if self.cpu_field == "cpu":
            self.user_ns += answer["user"]
            self.sys_ns += answer["sys"]

    @property
    def user_share(self) -> float | None:
        """Of the CPU time, what was not the kernel's; only a process that measures itself knows it."""
        total = self.user_ns + self.sys_ns
        return self.user_ns / total if total else None


def interleave(lanes: list[Lane], budget_s: float) -> None:
    """Run everybody in turn until `budget_s` seconds are gone (but a few rounds in any case)."""
    for lane in lanes:
        lane.calibrate()
    deadline = time.monotonic() + budget_s
    rounds = 0
    while rounds < LEAST_ROUNDS or time.monotonic() < deadline:
        for lane in lanes if rounds % 2 == 0 else reversed(lanes):
            lane.round()
        rounds += 1
