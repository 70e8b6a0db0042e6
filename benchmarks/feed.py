"""feed: a server pushes small frames as fast as they are taken; what does receiving one cost the client?"""

from __future__ import annotations

import argparse

from benchmarks.harness.children import Family, two_cores
from benchmarks.harness.compare import add_table
from benchmarks.harness.contenders import contenders
from benchmarks.harness.lanes import Clients
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report
from benchmarks.harness.rounds import interleave

BUDGET_S = {"quick": 40, "full": 150}
ACCESS = {
    # The floor only ever counts frames: its figure stands beside all three.
    "feed-none": "the payload is not looked at",
    "feed-bytes": "BINARY, the payload becomes bytes",
    "feed-str": "TEXT, the payload becomes str",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, default=128, help="payload size in bytes (128)")


def run(options: argparse.Namespace) -> Report:
    report = Report("feed", {"size": options.size, "quick": options.quick})
    share_s = BUDGET_S["quick" if options.quick else "full"] / len(ACCESS)
    with programs() as built, Family(built, two_cores()) as family:
        clients = Clients(family, contenders(options))
        for access, text in ACCESS.items():
            lanes = clients.lanes(access, options.size)
            interleave(list(lanes.values()), share_s)
            title = f"client, feed of {options.size} B frames: {text}"
            add_table(report, title, lanes, side="client", access=access, size=options.size)
    return report
