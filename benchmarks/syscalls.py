"""syscalls: system calls a message by name, counted by strace. What is left of a round trip once user mode is small.

Each process runs twice, with FEW and with MANY messages, and the difference counts: whatever starting and connecting
took is in both. A traced process is slow, so what the other end sends in the meantime gathers: of bursts and of a feed,
reads are as large as they can be.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks.harness.callgrind import Workload
from benchmarks.harness.children import ANYWHERE, Family
from benchmarks.harness.contenders import PEERS, Contender, contenders
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report
from benchmarks.native import plays

LIBRARIES = ("ws_core", "picows", "aiohttp", "websockets", *PEERS)
FEW, MANY = 1, 5  # times `count`
WORKLOADS = {
    "rtt-client": Workload("client, round trip of 256 B", "client", "rtt", 500, 256),
    "rtt-server": Workload("server, round trip of 256 B", "server", "rtt", 500, 256),
    "burst-client": Workload("client, bursts of 100 x 256 B", "client", "burst", 20, 256, 100),
    "burst-server": Workload("server, bursts of 100 x 256 B", "server", "burst", 20, 256, 100),
    "feed": Workload("client, feed of 128 B frames, bytes", "client", "feed-bytes", 100_000, 128),
}
LEAST = 10  # calls in all; less is taken for noise
SHOWN = 0.05  # of somebody's calls; the others share a column


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="some of " + ",".join(WORKLOADS))


def run(options: argparse.Namespace) -> Report:
    if shutil.which("strace") is None:
        raise SystemExit("counting system calls needs strace (apt-get install strace)")
    entrants = contenders(options, LIBRARIES)
    names = options.workloads.split(",")
    report = Report("syscalls", {"workloads": names})
    jobs = [(name, each) for name in names for each in entrants if plays(each.library, WORKLOADS[name].role)]
    with programs() as built, ThreadPoolExecutor(2) as pool:
        counts = dict(zip(jobs, pool.map(lambda job: _a_message(built, WORKLOADS[job[0]], job[1]), jobs), strict=True))
    for name in names:
        _table(report, name, {each: calls for (of, each), calls in counts.items() if of == name and calls is not None})
    return report


def _table(report: Report, name: str, counts: dict[Contender, Counter[str]]) -> None:
    ranked = [call for call, _ in sum(counts.values(), Counter()).most_common()]
    shown = [call for call in ranked if any(own[call] > SHOWN * own.total() for own in counts.values())]
    table = report.table(f"{WORKLOADS[name].title}: system calls a message", ["contender", "all", *shown, "others"])
    for each, own in counts.items():
        cells = [own.total(), *(own[call] for call in shown), sum(own[call] for call in own if call not in shown)]
        table.rows.append([each.label, *(f"{number:.3g}" if number else "" for number in cells)])
        report.row(workload=name, library=each.library, loop=each.loop, calls=dict(own))


def _a_message(built: dict[str, Path], work: Workload, contender: Contender) -> Counter[str] | None:
    few, many = (_trace(built, replace(work, count=work.count * times), contender) for times in (FEW, MANY))
    if few is None or many is None:
        return None
    messages = work.messages * (MANY - FEW)
    return Counter({name: n / messages for name in many if (n := many[name] - few[name]) > LEAST})


def _trace(built: dict[str, Path], work: Workload, contender: Contender) -> Counter[str] | None:
    """All calls of the process by name; None: it does not know this workload."""
    with tempfile.TemporaryDirectory(prefix="bench-strace-") as folder:
        out = Path(folder, "counts")
        wrap = ["strace", "-f", "-c", "-U", "name,calls", "-o", str(out)]
        with Family(built, ANYWHERE, wrap) as family, Family(built, ANYWHERE) as peers:
            measured = family.measured(work.role, contender.library, contender.loop)
            peer = peers.peer("server" if work.role == "client" else "driver")
            client, server = (measured, peer) if work.role == "client" else (peer, measured)
            answer = client.ask(f"connect {server.greeting['port']} {work.mode}")
            if "id" not in answer:
                return None
            client.ask(f"run {answer['id']} {work.count} {work.size} {work.length} 0", timeout_s=240)
        rows = (line.split() for line in out.read_text().splitlines())
        return Counter(
            {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit() and row[0] != "total"}
        )
