"""pipelined: bursts of 100 messages; the next burst leaves when the last answer has come."""

from __future__ import annotations

import argparse
from contextlib import nullcontext

from benchmarks.harness.children import NO_ENV, Family, two_cores
from benchmarks.harness.compare import add_table
from benchmarks.harness.contenders import CYTHON, LIBRARIES, PEERS, contenders
from benchmarks.harness.lanes import Clients, Servers
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report
from benchmarks.harness.rounds import interleave
from benchmarks.hooks import compiled

BUDGET_S = {"quick": 40, "full": 150}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, default=256, help="payload size in bytes (256)")
    parser.add_argument("--burst", type=int, default=100, help="messages in a burst (100)")


def run(options: argparse.Namespace) -> Report:
    size, burst = options.size, options.burst
    report = Report("pipelined", {"size": size, "burst": burst, "quick": options.quick})
    entrants = contenders(options, (*LIBRARIES, *CYTHON, *PEERS))
    in_python = [each for each in entrants if each.library not in CYTHON]
    share_s = BUDGET_S["quick" if options.quick else "full"] / 2
    with programs() as built, compiled("listener_modules") if entrants != in_python else nullcontext() as modules:
        env = {"PYTHONPATH": str(modules)} if modules else NO_ENV
        with Family(built, two_cores(), env=env) as family:
            for side, group in (("server", Servers(family, entrants)), ("client", Clients(family, in_python))):
                lanes = group.lanes("burst", size, burst)
                interleave(list(lanes.values()), share_s)
                title = f"{side}, echo of bursts of {burst} x {size} B"
                add_table(report, title, lanes, side=side, size=size, burst=burst)
    return report
