"""Round-trip times, summed up in little memory.

Mean, smoothed time and jitter are running figures. The quantiles come from a
histogram whose buckets grow by 4 % each, so they are right to 2 %; it covers
only the span of what was measured, and never more than 530 buckets of 4 bytes.

Knows no clock and no connection: samples come in, a snapshot goes out.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

__all__ = ["RTTRecord", "RTTStats"]

_GROWTH = 1.04
_LOG_GROWTH = math.log(_GROWTH)
#: Seconds; what lies outside counts in the first or the last bucket.
_SHORTEST_S = 1e-6
_LONGEST_S = 1000.0

# RFC 6298 section 2: how much the newest sample weighs.
_ALPHA = 1 / 8
_BETA = 1 / 4


@dataclass(frozen=True)
class RTTStats:
    """Round-trip times of one connection so far, in seconds. A snapshot; all but `count` are NaN as long as it is 0."""

    #: How many were measured.
    count: int
    #: The newest.
    last: float
    #: The shortest.
    min: float
    #: Their arithmetic mean.
    mean: float
    #: Median, right to 2 %.
    p50: float
    #: 99th percentile, right to 2 %.
    p99: float
    #: SRTT of RFC 6298: follows the newest samples by an eighth each.
    smoothed: float
    #: RTTVAR of RFC 6298: how far samples are from `smoothed`, on average.
    jitter: float


_NOTHING = RTTStats(0, *[math.nan] * 7)


def _bucket(rtt_s: float) -> int:
    clipped = min(max(rtt_s, _SHORTEST_S), _LONGEST_S)
    return int(math.log(clipped / _SHORTEST_S) / _LOG_GROWTH)


class RTTRecord:
    """Takes samples, gives RTTStats."""

    __slots__ = ("_count", "_first", "_histogram", "_jitter", "_last", "_max", "_min", "_sum", "smoothed")

    def __init__(self) -> None:
        self._count = 0
        self._last = self._min = self._max = self._sum = 0.0
        #: SRTT of RFC 6298, in seconds.
        self.smoothed = 0.0
        self._jitter = 0.0
        # Counts of the buckets from _first on.
        self._first = 0
        self._histogram = array("I")

    def add(self, rtt_s: float) -> None:
        """A round trip took `rtt_s` seconds."""
        self._last = rtt_s
        self._sum += rtt_s
        if self._count == 0:
            # RFC 6298 (2.2)
            self._min = self._max = self.smoothed = rtt_s
            self._jitter = rtt_s / 2
        else:
            self._min = min(self._min, rtt_s)
            self._max = max(self._max, rtt_s)
            # RFC 6298 (2.3); the jitter first, it needs the old smoothed time.
            self._jitter += _BETA * (abs(self.smoothed - rtt_s) - self._jitter)
            self.smoothed += _ALPHA * (rtt_s - self.smoothed)
        self._count += 1
        self._count_in(_bucket(rtt_s))

    def _count_in(self, bucket: int) -> None:
        histogram = self._histogram
        if not histogram:
            self._first = bucket
        if bucket < self._first:
            self._histogram = histogram = array("I", [0] * (self._first - bucket)) + histogram
            self._first = bucket
        at = bucket - self._first
        if at >= len(histogram):
            histogram.extend([0] * (at + 1 - len(histogram)))
        histogram[at] += 1

    def _quantile(self, fraction: float) -> float:
        rank = math.ceil(fraction * self._count)
        seen = 0
        for at, count in enumerate(self._histogram):
            seen += count
            if seen >= rank:
                middle = _SHORTEST_S * math.exp(_LOG_GROWTH * (self._first + at + 0.5))
                return min(max(middle, self._min), self._max)
        return self._max

    def stats(self) -> RTTStats:
        """What has been measured so far."""
        if self._count == 0:
            return _NOTHING
        return RTTStats(
            count=self._count,
            last=self._last,
            min=self._min,
            mean=self._sum / self._count,
            p50=self._quantile(0.50),
            p99=self._quantile(0.99),
            smoothed=self.smoothed,
            jitter=self._jitter,
        )
