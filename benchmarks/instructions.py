"""instructions: user-mode instructions a message, counted by callgrind. No noise, but no kernel either."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.harness.callgrind import Counts, Workload
from benchmarks.harness.contenders import FLOOR, Contender, contenders, reference
from benchmarks.harness.report import Report

LIBRARIES = {"quick": ("ws_core", "picows"), "full": ("ws_core", "picows", "ws_core+loop", "picows+loop")}

WORKLOADS = {
    "rtt-client": Workload("client, round trip of 256 B", "client", "rtt", 400, 256),
    "rtt-server": Workload("server, round trip of 256 B", "server", "rtt", 400, 256),
    "burst-client": Workload("client, bursts of 100 x 256 B", "client", "burst", 10, 256, 100),
    "burst-server": Workload("server, bursts of 100 x 256 B", "server", "burst", 10, 256, 100),
    "feed-none": Workload("client, 128 B frames, no payload", "client", "feed-none", 20000, 128),
    "feed-bytes": Workload("client, 128 B frames, bytes", "client", "feed-bytes", 20000, 128),
    "feed-str": Workload("client, 128 B frames, str", "client", "feed-str", 20000, 128),
}
QUICK = ["rtt-client", "burst-server", "feed-bytes"]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workloads", help="some of " + ",".join(WORKLOADS))
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the profiles there, for callgrind_annotate")


def run(options: argparse.Namespace) -> Report:
    entrants = contenders(options, LIBRARIES["quick" if options.quick else "full"])
    names = options.workloads.split(",") if options.workloads else QUICK if options.quick else list(WORKLOADS)
    report = Report("instructions", {"workloads": names, "quick": options.quick})
    jobs = [(WORKLOADS[name], each) for name in names for each in entrants]
    with Counts(keep=options.keep) as counter:
        counts = iter(counter.count_all(jobs))
    _table(report, names, entrants, {(name, each): next(counts) for name in names for each in entrants})
    return report


def _table(
    report: Report, names: list[str], entrants: list[Contender], counts: dict[tuple[str, Contender], float | None]
) -> None:
    for name in names:
        columns = ["contender", "instructions a message", "x picows", "x C floor"]
        table = report.table(WORKLOADS[name].title, columns)
        for contender in entrants:
            own = counts[name, contender]
            if own is None:
                continue
            beside = counts.get((name, reference(contender))) if contender != FLOOR else None
            floor = counts.get((name, FLOOR))
            table.rows.append([contender.label, f"{own:.0f}", _ratio(own, beside), _ratio(own, floor)])
            report.row(workload=name, library=contender.library, loop=contender.loop, instructions=own)


def _ratio(own: float, other: float | None) -> str:
    return f"{own / other:.2f}" if other else ""
