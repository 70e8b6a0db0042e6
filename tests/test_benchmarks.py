"""What the gate of benchmarks/ judges by, and what its charts show. The gate itself is `nox -s bench -- gate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.chart import bars
from benchmarks.gate import BASELINE, GROUPS, TOLERANCE, Counted, judge, least
from benchmarks.harness.profile import read

BEFORE = Counted(all=2000.0, own=500.0, calls=10.0, functions={"f": 400.0, "g": 100.0}, called={"send": 10.0})

# Two objects; main calls f twice and f calls send; f is once inlined from another file, and called below itself.
DUMP = """\
# callgrind format
version: 1
positions: line
events: Ir
summary: 175

ob=(1) /lib/loop.so
fl=(1) loop.c
fn=(1) main
10 5
cob=(2) /site/ws_core/_x.so
cfi=(2) x.c
cfn=(2) f
calls=2 20
+1 170
* 5

ob=(2)
fl=(2)
fn=(2)
20 30
fi=(3) x.h
+5 20
fe=(2)
cob=(3) /lib/libc.so.6
cfn=(3) send
calls=4 0
20 80
cfn=(4) f'2
calls=1 20
-3 40

fn=(4)
17 40

ob=(3)
fl=(4) ???
fn=(3)
0 80
"""


def test_a_dump_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_text(DUMP)
    profile = read(path)
    assert profile.instructions == 5 + 5 + 30 + 20 + 40 + 80
    assert profile.own_of("/ws_core/") == {"f": 90}
    assert profile.calls_out_of("/ws_core/") == {"send": 4}
    assert profile.calls_out_of("loop") == {"f": 2}


def test_what_stays_passes() -> None:
    assert judge("rtt", BEFORE, BEFORE) == []
    for factor in (1 + TOLERANCE * 0.9, 1 - TOLERANCE * 0.9):
        assert judge("rtt", BEFORE, BEFORE._replace(all=2000 * factor, own=500 * factor, calls=10 * factor)) == []


def test_the_least_of_two_counts() -> None:
    more = BEFORE._replace(all=2100.0)
    assert least(more, BEFORE) is least(BEFORE, more) is BEFORE


@pytest.mark.parametrize("factor", [1 + TOLERANCE * 1.1, 1 - TOLERANCE * 1.1])
@pytest.mark.parametrize("measure", ["all", "own", "calls"])
def test_what_moves_fails_in_both_directions(measure: str, factor: float) -> None:
    moved = getattr(BEFORE, measure) * factor
    (line,) = judge("rtt-client asyncio", BEFORE, BEFORE._replace(**{measure: moved}))
    assert "rtt-client asyncio" in line
    assert f"{getattr(BEFORE, measure):g} -> {moved:g}" in line


def test_a_workload_without_a_baseline_fails() -> None:
    (line,) = judge("rtt", None, BEFORE)
    assert "rtt: the baseline does not know it" in line


def test_the_text_names_the_functions() -> None:
    now = BEFORE._replace(own=560.0, calls=11.0, functions={"f": 400.0, "g": 160.0}, called={"send": 10.0, "look": 1.0})
    own, calls = judge("rtt", BEFORE, now)
    assert "g: 100 -> 160" in own
    assert "f:" not in own
    assert "look: 0 -> 1" in calls


def test_the_baseline_has_all_workloads() -> None:
    workloads = json.loads(BASELINE.read_text())["workloads"]
    assert list(workloads) == [f"{name} {loop}" for loop, names in GROUPS for name in names]
    assert {*Counted._fields} == {field for values in workloads.values() for field in values}


def test_bars_are_sorted_and_say_what_differs() -> None:
    def row(library: str, loop: str, median: float) -> dict[str, object]:
        cpu = {"median": median, "q1": median - 100, "q3": median + 200}
        return {"table": "a title", "side": "client", "library": library, "loop": loop, "cpu_ns": cpu}

    shown = bars([row("picows", "uvloop", 9000), row("c", "epoll", 500), row("ws_core", "uvloop", 800)], "cpu_ns")
    assert [bar.label for bar in shown] == ["C floor (epoll)", "ws_core uvloop", "picows uvloop"]
    assert shown[1].value == pytest.approx((0.8, 0.7, 1.0))


def test_bars_of_what_has_no_library() -> None:
    rows = [{"table": "a", "direction": "in", "hooks": hooks, "instructions": n} for hooks, n in (("b", 2), ("a", 1))]
    assert [(bar.label, bar.value.median) for bar in bars(rows, "instructions")] == [("a", 1), ("b", 2)]
