"""tls: one message there and back over TLS, one at a time, over one connection."""

from __future__ import annotations

import argparse
import itertools

from benchmarks.harness.certificates import certificates
from benchmarks.harness.children import Family, two_cores
from benchmarks.harness.compare import add_table
from benchmarks.harness.contenders import FLOOR, contenders
from benchmarks.harness.lanes import Clients, Servers
from benchmarks.harness.programs import NO_OPENSSL, tls_programs
from benchmarks.harness.report import Report
from benchmarks.harness.rounds import interleave
from benchmarks.rtt import WHERE

BUDGET_S = {"quick": 50, "full": 240}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", default="256,8192", help="payload sizes in bytes, with commas (256,8192)")
    text = "where the peer runs: on the core of the measured process, on another one (together; e.g. together,apart)"
    parser.add_argument("--cores", default="together", help=text)


def run(options: argparse.Namespace) -> Report:
    sizes = [int(size) for size in options.sizes.split(",")]
    placements = options.cores.split(",")
    report = Report("tls", {"sizes": sizes, "cores": placements, "quick": options.quick})
    share_s = BUDGET_S["quick" if options.quick else "full"] / (2 * len(sizes) * len(placements))
    with tls_programs() as built, certificates() as env, Family(built, two_cores(), env=env) as family:
        if not built:
            report.note(NO_OPENSSL)
        entrants = [each for each in contenders(options) if built or each != FLOOR]
        sides: dict[str, Clients | Servers] = {"client": Clients(family, entrants), "server": Servers(family, entrants)}
        for placement, size, (side, group) in itertools.product(placements, sizes, sides.items()):
            family.place_peers(placement)
            lanes = group.lanes("rtt", size)
            interleave(list(lanes.values()), share_s)
            title = f"{side} over TLS, echo of {size} B, one at a time, client and server {WHERE[placement]}"
            add_table(report, title, lanes, side=side, size=size, cores=placement)
    return report
