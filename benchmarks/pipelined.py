"""pipelined: bursts of 100 messages; the next burst leaves when the last answer has come."""

from __future__ import annotations

import argparse

from benchmarks.harness.children import Family, two_cores
from benchmarks.harness.compare import add_table
from benchmarks.harness.contenders import contenders
from benchmarks.harness.lanes import Clients, Servers
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report
from benchmarks.harness.rounds import interleave

BUDGET_S = {"quick": 40, "full": 150}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, default=256, help="payload size in bytes (256)")
    parser.add_argument("--burst", type=int, default=100, help="messages in a burst (100)")


def run(options: argparse.Namespace) -> Report:
    size, burst = options.size, options.burst
    report = Report("pipelined", {"size": size, "burst": burst, "quick": options.quick})
    entrants = contenders(options)
    share_s = BUDGET_S["quick" if options.quick else "full"] / 2
    with programs() as built, Family(built, two_cores()) as family:
        for side, group in (("server", Servers(family, entrants)), ("client", Clients(family, entrants))):
            lanes = group.lanes("burst", size, burst)
            interleave(list(lanes.values()), share_s)
            add_table(report, f"{side}, echo of bursts of {burst} x {size} B", lanes, side=side, size=size, burst=burst)
    return report
