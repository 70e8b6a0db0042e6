"""Counts of durations in little memory: each is known to 3 %, from nanoseconds to hours."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

_BITS = 5  # 32 steps between a power of two and the next one


class Histogram:
    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0
        self.least = 0
        self.most = 0

    def add(self, ns: int) -> None:
        """A duration in nanoseconds."""
        self._counts[_step(ns)] += 1
        self.least = min(self.least, ns) if self.count else ns
        self.most = max(self.most, ns)
        self.count += 1

    def percentile(self, percent: float) -> int:
        """Nanoseconds that so many percent of the durations do not exceed."""
        left = math.ceil(self.count * percent / 100 - 1e-6)
        for step in sorted(self._counts):
            left -= self._counts[step]
            if left <= 0:
                return max(self.least, min(self.most, _end(step)))
        return self.most

    def rows(self, most: int) -> Iterator[tuple[int, int, int]]:
        """At most `most` ranges of equal ratio from the shortest to the longest: (from ns, to ns, how many)."""
        if not self.count:
            return
        first, last = min(self._counts), max(self._counts)
        width = -(-(last - first + 1) // most)
        for start in range(first, last + 1, width):
            inside = sum(self._counts[step] for step in range(start, start + width))
            yield _end(start - 1), _end(start + width - 1), inside


def _step(ns: int) -> int:
    """Durations of one step differ by 3 % at most; steps are in the order of their durations."""
    shift = max(ns.bit_length() - _BITS - 1, 0)
    return (shift << _BITS) + (ns >> shift)


def _end(step: int) -> int:
    """The longest duration of a step."""
    shift = max((step >> _BITS) - 1, 0)
    return ((step - (shift << _BITS) + 1) << shift) - 1
