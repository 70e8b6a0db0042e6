"""The Python fuzz targets without atheris: what the corpus holds, and what hypothesis makes of it.

The same examples each time; `WIRELARK_FUZZ=n` makes n times as many, others in each run: `nox -s fuzz`.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import corpus
from python_targets import TARGETS, WORDS

TIMES = int(os.environ.get("WIRELARK_FUZZ", "1"))

every_target = pytest.mark.parametrize("target", TARGETS)


@every_target
def test_the_corpus(target: str) -> None:
    inputs = corpus.read(target)
    assert inputs
    for data in inputs:
        try:
            TARGETS[target](data)
        except Exception as exc:
            raise AssertionError(f"{target}: {data!r}") from exc


@st.composite
def mutated(draw: st.DrawFn, target: str) -> bytes:
    """An input of the corpus with some places changed."""
    data = draw(st.sampled_from(corpus.read(target)))
    words = st.sampled_from(WORDS[target]) | st.binary(max_size=4)
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(data)))
        lost = draw(st.sampled_from([0, 0, 1, 1, 2, 8, 30]))
        repeated = data[at : at + lost] if draw(st.booleans()) else b""
        data = data[:at] + draw(words) + repeated * 2 + data[at + lost :]
    return data


@every_target
@settings(
    max_examples=100 * TIMES,
    deadline=None,
    derandomize=TIMES == 1,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_what_is_like_it(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(mutated(target)))
