"""gate: fails when a message takes more instructions than benchmarks/baseline.json says, or fewer.

Three figures of each workload, by callgrind, a message:

- *all*: every instruction of user mode. It is what the user pays, but of a round trip on asyncio 17,000 of 20,000 are
  the interpreter's and the loop's: half as much again in our own code would be less than 3 % of it.
- *own*: those that are executed in ws_core's shared objects. They see each branch, but not what the interpreter does
  for us: looking up an attribute costs it a hundred and us a dozen.
- *calls*: how often our code calls into the interpreter or libc. 6 to 15 a message, so one more is 7 % or more.

Any of them moving by more than 3 % fails. Ten runs, with the machine overloaded: *all* repeats within 0.8 %, *own*
within 0.2 % and *calls* within 0.2 % (README.md has the table). Once, in a clean clone, *all* of both round trips on
asyncio was 2.5 % higher with *own* and *calls* the same, and the next time it was not: what the interpreter does
differs between processes. So if something has moved, all is counted once more, in new ones, and the least counts.

None of them is a property of our source alone. From CPython 3.11 to 3.13 *own* moves by 6 to 15 % (what the headers
inline) and *all* by up to 84 %; another Cython, compiler, libc or uvloop can do the same. So the baseline says what it
was taken with. Where all of that is the same, its numbers are what is compared with; anywhere else they mean nothing,
and the core of the commit that wrote them is built and counted here and now, in the same environment, in their place.
Which processor it is does not matter as long as valgrind shows the same instruction set to the program (AVX2 at most:
mask.c then chooses alike).
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness.callgrind import Counts
from benchmarks.harness.contenders import Contender
from benchmarks.harness.cores import core_of_commit
from benchmarks.harness.environment import built_by, environment, installed_core, last_commit_of
from benchmarks.harness.profile import Profile
from benchmarks.harness.report import Report
from benchmarks.instructions import WORKLOADS

BASELINE = Path(__file__).with_name("baseline.json")
TOLERANCE = 0.03
TIMES = 5  # the least of so many
CLIENT = ("rtt-client", "burst-client", "feed-none", "feed-bytes", "feed-str")
SERVER = ("rtt-server", "burst-server")
# One process each. On uvloop a batch takes the same way as on asyncio, so a round trip is enough.
GROUPS = (("asyncio", CLIENT), ("asyncio", SERVER), ("uvloop", CLIENT[:1]), ("uvloop", SERVER[:1]))
OURS = "/ws_core/"  # in the path of a shared object
ADVICE = (
    "Either repair what moved, or, if it is meant to move (getting better is, too), write the new figures down with\n"
    "    nox -s bench -- gate --update          (or: python -m benchmarks gate --update)\n"
    "and commit benchmarks/baseline.json together with the change that moved them."
)


class Counted(NamedTuple):
    """One workload, a message. `functions` and `called` are for the reader: which of them moved."""

    all: float
    own: float
    calls: float
    functions: dict[str, float]
    called: dict[str, float]


MEASURES = {
    "all": "instructions of user mode",
    "own": "instructions in ws_core itself",
    "calls": "calls from ws_core into others",
}
PARTS = {"own": "functions", "calls": "called"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--update", action="store_true", help="write what is counted to benchmarks/baseline.json")


def run(options: argparse.Namespace) -> Report:
    report = Report("gate", {"tolerance": TOLERANCE})
    here = environment()
    with Counts() as counts:
        now = _count(counts, "ws_core")
        if options.update:
            before, against = _written(here) or now, "was"
            _write(here, now)
        else:
            before, against = _baseline(counts, here, report)
        moved = _moved(before, now)
        if moved and not options.update:
            with Counts() as afresh:  # in a folder of its own: the dumps are numbered
                again = _count(afresh, "ws_core")
            now = {name: least(now[name], again[name]) for name in now}
            moved = _moved(before, now)
    _table(report, before, now, against)
    if moved and not options.update:
        report.failed = True
        report.note("\n".join([f"Moved by more than {TOLERANCE:.0%}:", *moved, "", ADVICE]))
    return report


def _moved(before: dict[str, Counted], now: dict[str, Counted]) -> list[str]:
    return [line for name in now for line in judge(name, before.get(name), now[name])]


def least(one: Counted, other: Counted) -> Counted:
    """Of two counts of one workload."""
    return min(one, other, key=lambda counted: counted.all)


def judge(workload: str, before: Counted | None, now: Counted) -> list[str]:
    """A line for each figure that moved, in either direction."""
    if before is None:
        return [f"  {workload}: the baseline does not know it"]
    lines = []
    for measure, meaning in MEASURES.items():
        old, new = getattr(before, measure), getattr(now, measure)
        if abs(new - old) > TOLERANCE * old:
            part = PARTS.get(measure)
            which = _differences(getattr(before, part), getattr(now, part), old / 200) if part else ""
            lines.append(f"  {workload}: {meaning}, {old:g} -> {new:g} a message ({new / old - 1:+.1%}){which}")
    return lines


def _differences(before: dict[str, float], now: dict[str, float], least: float) -> str:
    """The five names that moved most, if by more than `least`."""
    by = {name: abs(now.get(name, 0) - before.get(name, 0)) for name in {*before, *now}}
    names = [name for name in sorted(by, key=lambda name: (-by[name], name)) if by[name] > least][:5]
    return "".join(f"\n      {name}: {before.get(name, 0):g} -> {now.get(name, 0):g}" for name in names)


def _count(counts: Counts, library: str) -> dict[str, Counted]:
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(counts.profiles, names[0], [WORKLOADS[name] for name in names], Contender(library, loop), TIMES)
            for loop, names in GROUPS
        ]
        return {
            f"{name} {loop}": _counted(profile, WORKLOADS[name].messages)
            for (loop, names), job in zip(GROUPS, jobs, strict=True)
            for name, profile in zip(names, job.result(), strict=True)
            if profile is not None
        }


def _counted(profile: Profile, messages: int) -> Counted:
    own, calls = profile.own_of(OURS), profile.calls_out_of(OURS)
    return Counted(
        all=round(profile.instructions / messages, 1),
        own=round(own.total() / messages, 1),
        calls=round(calls.total() / messages, 3),
        # Not what happens once a burst, or less often.
        functions={name: round(count / messages, 1) for name, count in own.most_common() if count >= 5 * messages},
        called={name: round(count / messages, 2) for name, count in calls.most_common() if count >= messages / 20},
    )


def _baseline(counts: Counts, here: dict[str, str], report: Report) -> tuple[dict[str, Counted], str]:
    if written := _written(here):
        return written, "baseline"
    there = json.loads(BASELINE.read_text())["environment"]
    different = [f"  {name}: {there[name]} there, {value} here" for name, value in here.items() if there[name] != value]
    commit = last_commit_of(BASELINE)
    with core_of_commit(commit) as site:
        if built_by(site / "ws_core") != built_by(installed_core()):
            raise SystemExit(f"ws_core was built by {built_by(installed_core())}, and a build has other tools now")
        before = _count(counts, f"ws_core@{site}")
    text = f"The baseline was taken elsewhere, so the core of {commit[:9]}, which wrote it, was built and counted here:"
    report.note("\n".join([text, *different]))
    return before, f"core of {commit[:9]}"


def _written(here: dict[str, str]) -> dict[str, Counted] | None:
    """The figures of the baseline, if they were taken in the same environment."""
    document = json.loads(BASELINE.read_text())
    if document["environment"] != here:
        return None
    return {name: Counted(**values) for name, values in document["workloads"].items()}


def _write(here: dict[str, str], now: dict[str, Counted]) -> None:
    document = {"environment": here, "workloads": {name: counted._asdict() for name, counted in now.items()}}
    BASELINE.write_text(json.dumps(document, indent=1) + "\n")


def _table(report: Report, before: dict[str, Counted], now: dict[str, Counted], against: str) -> None:
    columns = ["workload", *(column for name in MEASURES for column in (f"{name}: {against}", "now", "%"))]
    table = report.table("a message: instructions of user mode, those of ws_core itself, calls out of it", columns)
    for name, counted in now.items():
        row = [name]
        known = before.get(name)
        for measure in MEASURES:
            old, new = getattr(known, measure, None), getattr(counted, measure)
            row += [f"{old:g}", f"{new:g}", f"{(new / old - 1) * 100:+.2f}"] if old else ["", f"{new:g}", ""]
        table.rows.append(row)
        report.row(workload=name, before=known and known._asdict(), now=counted._asdict())
