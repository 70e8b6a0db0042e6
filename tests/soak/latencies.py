"""Times that were measured, in memory that does not grow with their number: soak.py watches its own process, too."""

from __future__ import annotations

import math
from array import array

#: A microsecond; what is shorter counts as one.
SHORTEST_S = 1e-6
#: So many for each doubling: 2 % apart.
STEPS = 32
DOUBLINGS = 32


class Latencies:
    """Seconds, counted in steps of 2 %."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.count = 0
        self.longest = 0.0
        self._steps = array("Q", bytes(8 * STEPS * DOUBLINGS))

    def add(self, seconds: float) -> None:
        step = int(STEPS * math.log2(max(seconds / SHORTEST_S, 1.0)))
        self._steps[min(step, len(self._steps) - 1)] += 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, share: float) -> float:
        """What `share` of them are below, and 2 % at most too little; 0 if there are none."""
        left = share * self.count
        for step, count in enumerate(self._steps):
            left -= count
            if left < 0:
                return float(SHORTEST_S * 2 ** (step / STEPS))
        return self.longest
