"""Each case of the table, on each side, strict and not: whole, byte by byte, and cut at every byte. In memory.

Over real sockets, whole, it is test_cases_on_sockets.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import cases
from loops import STRESS
from play import SIDES, complaints
from vectors import Case

#: Of a failing stream, each cut wants a connection of its own, half a millisecond: a quarter of them in turn, so that
#: neighbours in the table have each; all of them with WIRELARK_STRESS=2.
EVERY = 4 if STRESS == 1 else 1
both_sides = pytest.mark.parametrize("side", SIDES)
both_ways = pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])


def test_the_table_is_sound() -> None:
    """Hundreds of cases; each has a name of its own, and ends where its verdict says."""
    table = [case for family in cases.FAMILIES for case in family()]
    assert len(table) > 2000
    names = [case.name for case in table]
    assert {name for name in names if names.count(name) > 1} == set()
    for case in table:
        for verdict in case.strict, case.lenient:
            assert verdict.delivered < len(case.frames) or not isinstance(verdict.then, int), case.name


@both_sides
@both_ways
@pytest.mark.parametrize("family", cases.FAMILIES, ids=lambda family: family.__name__)
async def test_cases(family: Callable[[], Iterator[Case]], side: str, strict: bool) -> None:
    found: list[str] = []
    for turn, case in enumerate(family()):
        found += await complaints(case, side, strict, lambda at, turn=turn: (at + turn) % EVERY == 0)
    assert not found, "\n".join(found)
