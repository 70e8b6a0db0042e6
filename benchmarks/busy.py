"""busy: a round trip between two cores, both ends in the same library, with busy_poll_us and without."""

from __future__ import annotations

import argparse

from benchmarks.harness.children import Family, two_cores
from benchmarks.harness.compare import add_table
from benchmarks.harness.contenders import contenders
from benchmarks.harness.lanes import Pairs
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report
from benchmarks.harness.rounds import interleave

BUDGET_S = {"quick": 20, "full": 90}
LIBRARIES = ("picows", "ws_core", "ws_core+busy20", "ws_core+busy100")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, default=256, help="payload size in bytes (256)")


def run(options: argparse.Namespace) -> Report:
    report = Report("busy", {"size": options.size, "quick": options.quick})
    cores = two_cores()
    with programs() as built, Family(built, cores) as family:
        lanes = Pairs(family, cores, contenders(options, LIBRARIES)).lanes("rtt", options.size)
        interleave(list(lanes.values()), BUDGET_S["quick" if options.quick else "full"])
        title = f"client (measured) and server of one library, echo of {options.size} B, one at a time, on a core each"
        add_table(report, title, lanes, side="client", size=options.size, cores="apart")
    return report
