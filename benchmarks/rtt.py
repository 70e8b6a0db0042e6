"""rtt: one message there and back, one at a time, over one connection."""

from __future__ import annotations

import argparse
import itertools

from benchmarks.harness.children import Family, two_cores
from benchmarks.harness.compare import add_table
from benchmarks.harness.contenders import LIBRARIES, PEERS, contenders
from benchmarks.harness.lanes import Clients, Servers
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report
from benchmarks.harness.rounds import interleave

WHERE = {"together": "on one core", "apart": "on a core each"}
BUDGET_S = {"quick": 40, "full": 180}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", default="256", help="payload sizes in bytes, with commas (256; e.g. 32,256,8192)")
    text = "where the peer runs: on the core of the measured process, on another one (together,apart: both in turn)"
    parser.add_argument("--cores", default="together,apart", help=text)


def run(options: argparse.Namespace) -> Report:
    sizes = [int(size) for size in options.sizes.split(",")]
    placements = options.cores.split(",")
    report = Report("rtt", {"sizes": sizes, "cores": placements, "quick": options.quick})
    entrants = contenders(options, (*LIBRARIES, *PEERS))
    share_s = BUDGET_S["quick" if options.quick else "full"] / (2 * len(sizes) * len(placements))
    with programs() as built, Family(built, two_cores()) as family:
        sides: dict[str, Clients | Servers] = {"client": Clients(family, entrants), "server": Servers(family, entrants)}
        for placement, size, (side, group) in itertools.product(placements, sizes, sides.items()):
            family.place_peers(placement)
            lanes = group.lanes("rtt", size)
            interleave(list(lanes.values()), share_s)
            title = f"{side}, echo of {size} B, one at a time, client and server {WHERE[placement]}"
            add_table(report, title, lanes, side=side, size=size, cores=placement)
    return report
