"""strict: what strict=True costs beside strict=False, and random mask keys beside those of a cheap generator."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from benchmarks.harness.callgrind import Counts
from benchmarks.harness.children import Family, two_cores
from benchmarks.harness.contenders import LOOPS, Contender
from benchmarks.harness.figures import figure, paired_ratio
from benchmarks.harness.lanes import Clients, Servers
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report, ratio, spread
from benchmarks.harness.rounds import Lane, interleave
from benchmarks.hooks import changed_core
from benchmarks.instructions import WORKLOADS

BUDGET_S = {"quick": 30, "full": 300}
TIMES = 5  # that instructions are counted

# Mask keys of xorshift, seeded once: no system call, no pool, no look at forks. (file, what, instead)
CUTS = (
    ("_wire/entropy.h", "if (e->left == 0 || e->generation != wl_entropy_generation) {", "if (e->left == 0) {"),
    (
        "_wire/entropy.h",
        "const uint32_t index = --e->left;\n    *out = e->words[index];\n    e->words[index] = 0;\n",
        "uint32_t x = e->words[0] | 1;\n    x ^= x << 13;\n    x ^= x >> 17;\n    x ^= x << 5;\n"
        "    *out = e->words[0] = x;\n",
    ),
)


class Question(NamedTuple):
    title: str
    without: str  # the other library
    workloads: tuple[str, ...]


LAX = Question(
    "strict=True beside strict=False",
    "ws_core+lax",
    ("rtt-client", "rtt-server", "burst-client", "burst-server", "feed-none", "feed-bytes", "feed-str"),
)
QUICK = ("rtt-client", "burst-server", "burst-client", "feed-str")
COLUMNS = ["", "instructions: without", "with", "x", "CPU ns: without", "with", "x", "rounds"]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--loops", default="asyncio", help="event loops: asyncio,uvloop (asyncio)")


def run(options: argparse.Namespace) -> Report:
    report = Report("strict", {"loops": options.loops, "quick": options.quick})
    with changed_core(CUTS) as cheap:
        keys = Question("random mask keys beside cheap ones", f"ws_core@{cheap}", ("rtt-client", "burst-client"))
        for loop in options.loops.split(","):
            if loop not in LOOPS:
                raise SystemExit(f"--loops: {loop!r} is none of {', '.join(LOOPS)}")
            for question in (LAX, keys):
                _answer(report, question, loop, options.quick)
    return report


def _answer(report: Report, question: Question, loop: str, quick: bool) -> None:
    names = [name for name in question.workloads if name in QUICK or not quick]
    pair = (Contender(question.without, loop), Contender("ws_core", loop))
    with Counts() as counter:
        counts = iter(counter.count_all([(WORKLOADS[name], each) for name in names for each in pair], TIMES))
    table = report.table(f"{question.title}, a message: {loop}", COLUMNS)
    budget_s = BUDGET_S["quick" if quick else "full"] / (2 * len(names))
    with programs() as built, Family(built, two_cores()) as family:
        sides: dict[str, Clients | Servers] = {"client": Clients(family, pair), "server": Servers(family, pair)}
        for name in names:
            before, after = next(counts), next(counts)
            assert before is not None
            assert after is not None
            work = WORKLOADS[name]
            family.place_peers("together" if work.mode == "rtt" else "apart")
            lanes: dict[Contender, Lane] = sides[work.role].lanes(work.mode, work.size, work.length)
            interleave(list(lanes.values()), budget_s)
            without, own = (lanes[each].cpu_ns for each in pair)
            over = paired_ratio(own, without)
            table.rows.append(
                [
                    work.title,
                    *(f"{before:.0f}", f"{after:.0f}", f"{after / before:.3f}"),
                    *(spread(figure(without), 0), spread(figure(own), 0), ratio(over), str(len(own))),
                ]
            )
            report.row(
                question=question.title,
                workload=name,
                loop=loop,
                instructions={"without": before, "with": after},
                cpu_ns={"without": figure(without)._asdict(), "with": figure(own)._asdict()},
                cpu_over_without=over._asdict(),
                samples={"without": without, "with": own},
            )
