"""Sums of round-trip times: against figures worked out the long way."""

from __future__ import annotations

import math
import random
import statistics
import sys

import pytest

from ws_autoping.rtt import RTTRecord


def test_nothing_measured() -> None:
    stats = RTTRecord().stats()
    assert stats.count == 0
    assert all(math.isnan(getattr(stats, name)) for name in ("last", "min", "mean", "p50", "p99", "smoothed", "jitter"))


def test_the_first_sample() -> None:
    record = RTTRecord()
    record.add(0.2)
    stats = record.stats()
    assert (stats.count, stats.last, stats.min, stats.mean, stats.p50, stats.p99) == (1, 0.2, 0.2, 0.2, 0.2, 0.2)
    assert (stats.smoothed, stats.jitter) == (0.2, 0.1)  # RFC 6298 (2.2)


def test_a_vector_of_rfc_6298_by_hand() -> None:
    """Section 2 with pencil and paper; every figure is exact in binary."""
    record = RTTRecord()
    for sample, smoothed, jitter in [
        (100.0, 100.0, 50.0),  # R, R/2
        (120.0, 102.5, 42.5),  # 3/4 of 50 + 1/4 of |100 - 120|; 7/8 of 100 + 1/8 of 120
        (80.0, 99.6875, 37.5),  # 3/4 of 42.5 + 1/4 of |102.5 - 80|; 7/8 of 102.5 + 1/8 of 80
        (200.0, 112.2265625, 53.203125),  # 3/4 of 37.5 + 1/4 of |99.6875 - 200|; 7/8 of 99.6875 + 1/8 of 200
    ]:
        record.add(sample)
        assert (record.stats().smoothed, record.stats().jitter) == (smoothed, jitter)
    stats = record.stats()
    assert (stats.count, stats.last, stats.min, stats.mean) == (4, 200.0, 80.0, 125.0)
    # The second of four, and the fourth: to 2 %.
    assert stats.p50 == pytest.approx(100, rel=0.02)
    assert stats.p99 == pytest.approx(200, rel=0.02)


def test_smoothing_of_rfc_6298() -> None:
    record = RTTRecord()
    samples = [0.1, 0.3, 0.05, 0.05, 1.0]
    srtt, rttvar = samples[0], samples[0] / 2
    record.add(samples[0])
    for sample in samples[1:]:
        record.add(sample)
        rttvar = (1 - 1 / 4) * rttvar + 1 / 4 * abs(srtt - sample)
        srtt = (1 - 1 / 8) * srtt + 1 / 8 * sample
    stats = record.stats()
    assert stats.smoothed == pytest.approx(srtt)
    assert stats.jitter == pytest.approx(rttvar)
    assert stats.last == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_are_right_to_two_per_cent(seed: int) -> None:
    chance = random.Random(seed)
    samples = [chance.lognormvariate(-6, 1.0) for _ in range(20_000)]
    record = RTTRecord()
    for sample in samples:
        record.add(sample)
    stats = record.stats()
    ordered = sorted(samples)
    assert stats.p50 == pytest.approx(ordered[9_999], rel=0.021)
    assert stats.p99 == pytest.approx(ordered[19_799], rel=0.021)
    assert stats.mean == pytest.approx(statistics.fmean(samples))
    assert stats.min == ordered[0]


def test_memory_is_fixed() -> None:
    chance = random.Random(1)
    record = RTTRecord()
    for _ in range(50_000):
        record.add(10 ** chance.uniform(-9, 6))
    assert sys.getsizeof(record._histogram) < 4000
    record.add(0.0)
    assert record.stats().min == 0.0
