"""large: frames of 100 KiB and 1 MiB there and back; then some of 64 MiB, and what memory they leave behind."""

from __future__ import annotations

import argparse
import itertools
import statistics
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness.children import Answer, Child, Family, two_cores
from benchmarks.harness.compare import add_table
from benchmarks.harness.contenders import Contender, contenders
from benchmarks.harness.lanes import Clients, Servers
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report
from benchmarks.harness.rounds import interleave
from benchmarks.idle import private_bytes
from benchmarks.rtt import WHERE

BUDGET_S = {"quick": 30, "full": 180}
ROUNDS = {"quick": 1, "full": 5}
ENORMOUS_MIB = 64
ENORMOUS_COUNT = 3  # in each process
SMALL = 256
MIB = 1 << 20


class Enormous(NamedTuple):
    """What one process has done with them."""

    wall_s: float  # a message
    cpu_s: float
    before: float  # private bytes
    peak: float  # of the resident set, above what it was before
    after: float  # private bytes, when a small message has followed


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", default="102400,1048576", help="payload sizes in bytes (102400,1048576)")
    text = "where the peer runs: on the core of the measured process, on another one (together; e.g. together,apart)"
    parser.add_argument("--cores", default="together", help=text)


def run(options: argparse.Namespace) -> Report:
    sizes = [int(size) for size in options.sizes.split(",")]
    placements = options.cores.split(",")
    report = Report("large", {"sizes": sizes, "cores": placements, "quick": options.quick})
    entrants = contenders(options)
    share_s = BUDGET_S["quick" if options.quick else "full"] / max(1, 2 * len(sizes) * len(placements))
    with programs() as built:
        with Family(built, two_cores()) as family:
            sides: dict[str, Clients | Servers] = {
                "client": Clients(family, entrants),
                "server": Servers(family, entrants),
            }
            for placement, size, (side, group) in itertools.product(placements, sizes, sides.items()):
                family.place_peers(placement)
                lanes = group.lanes("rtt", size)
                interleave(list(lanes.values()), share_s)
                title = f"{side}, echo of {size / 1024:.0f} KiB, one at a time, client and server {WHERE[placement]}"
                add_table(report, title, lanes, side=side, size=size, cores=placement)
        for side in ("client", "server"):
            found: dict[Contender, list[Enormous]] = {each: [] for each in entrants}
            for number in range(ROUNDS["quick" if options.quick else "full"]):
                for each in entrants if number % 2 == 0 else reversed(entrants):
                    with Family(built, two_cores()) as family:  # a fresh process: nobody inherits another one's heap
                        found[each].append(_enormous(family, side, each))
            _enormous_table(report, side, found)
    return report


def _enormous(family: Family, side: str, contender: Contender) -> Enormous:
    measured = family.measured(side, contender.library, contender.loop)
    peer = family.peer("server" if side == "client" else "driver")
    driver, server = (measured, peer) if side == "client" else (peer, measured)
    number = driver.ask(f"connect {server.greeting['port']} rtt")["id"]
    watched = measured.pid if side == "server" else 0

    def round_trips(count: int, size: int) -> Answer:
        return driver.ask(f"run {number} {count} {size} 1 {watched}")

    round_trips(10, SMALL)
    before = private_bytes(measured)
    resident = _reset_peak(measured)
    answers = [round_trips(1, ENORMOUS_MIB * MIB) for _ in range(ENORMOUS_COUNT)]
    peak = _status(measured, "VmHWM")
    round_trips(10, SMALL)
    return Enormous(
        statistics.median(answer["wall"] for answer in answers) / 1e9,
        statistics.median(answer["cpu" if side == "client" else "watched"] for answer in answers) / 1e9,
        before,
        peak - resident,
        private_bytes(measured),
    )


def _reset_peak(child: Child) -> int:
    Path(f"/proc/{child.pid}/clear_refs").write_text("5")
    return _status(child, "VmRSS")


def _status(child: Child, name: str) -> int:
    for line in Path(f"/proc/{child.pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {name} of {child.name}")


def _enormous_table(report: Report, side: str, found: dict[Contender, list[Enormous]]) -> None:
    table = report.table(
        f"{side}, {ENORMOUS_COUNT} messages of {ENORMOUS_MIB} MiB there and back: a message, and private memory in MiB",
        ["contender", "wall ms", "CPU ms", "before", "peak, more", "after", "left behind"],
    )
    for contender, runs in found.items():
        middle = Enormous(*(statistics.median(values) for values in zip(*runs, strict=True)))
        figures = (
            *(f"{seconds * 1e3:.0f}" for seconds in (middle.wall_s, middle.cpu_s)),
            *(f"{size / MIB:.1f}" for size in (middle.before, middle.peak, middle.after)),
            f"{(middle.after - middle.before) / MIB:+.1f}",
        )
        table.rows.append([contender.label, *figures])
        report.row(
            side=side,
            size=ENORMOUS_MIB * MIB,
            library=contender.library,
            loop=contender.loop,
            median=middle._asdict(),
            samples=[each._asdict() for each in runs],
        )
