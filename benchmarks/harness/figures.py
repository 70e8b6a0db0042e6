"""Medians, quartiles and ratios. Pure arithmetic."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """A median with its quartiles."""

    median: float
    q1: float
    q3: float

    def scaled(self, factor: float) -> Figure:
        return Figure(self.median * factor, self.q1 * factor, self.q3 * factor)


def figure(samples: Sequence[float]) -> Figure:
    if len(samples) == 1:
        return Figure(samples[0], samples[0], samples[0])
    q1, median, q3 = statistics.quantiles(samples, n=4, method="inclusive")
    return Figure(median, q1, q3)


def paired_ratio(samples: Sequence[float], others: Sequence[float]) -> Figure:
    """The ratio within each round, where both met the same weather; then the median of those."""
    return figure([a / b for a, b in zip(samples, others, strict=True) if b > 0])
