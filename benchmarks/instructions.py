"""instructions: user-mode instructions a message, counted by callgrind. No noise, but no kernel either."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.harness.children import ANYWHERE, Child, Family
from benchmarks.harness.contenders import FLOOR, Contender, contenders, reference
from benchmarks.harness.programs import programs, shared_library
from benchmarks.harness.report import Report

LIBRARIES = {"quick": ("ws_core", "picows"), "full": ("ws_core", "picows", "ws_core+loop", "picows+loop")}
PATIENCE_S = 240.0


class Workload:
    """A fixed number of messages for a client or a server."""

    def __init__(self, title: str, role: str, mode: str, count: int, size: int, length: int = 1):
        self.title = title
        self.role = role
        self.mode = mode
        self.count = count
        self.size = size
        self.length = length


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
    counts = count_all([(WORKLOADS[name], each) for name in names for each in entrants], options.keep)
    jobs = iter(counts)
    _table(report, names, entrants, {(name, each): next(jobs) for name in names for each in entrants})
    return report


def count_all(jobs: list[tuple[Workload, Contender]], keep: Path | None = None) -> list[float | None]:
    """Instructions a message for each of the jobs, or None where a contender has no such workload."""
    if shutil.which("valgrind") is None:
        raise SystemExit("instructions needs valgrind (and its header valgrind/callgrind.h)")
    with tempfile.TemporaryDirectory(prefix="bench-callgrind-") as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with programs() as built, programs("-DWITH_CALLGRIND") as marked, shared_library("callgrind_marks.c") as marks:
            count = partial(_count, built, marked, marks, folder)
            # Counting knows no noise: as many at a time as there are cores, and nobody is pinned.
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return list(pool.map(lambda job: count(*job), jobs))


def _count(
    built: dict[str, Path], marked: dict[str, Path], marks: Path, folder: Path, work: Workload, contender: Contender
) -> float | None:
    """Instructions a message, or None if this contender has no such workload."""
    out = folder / f"{work.role}.{work.mode}.{work.size}.{contender.library}.{contender.loop}".replace(
        " ", "-"
    ).replace("/", "-")
    wrap = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--quiet"]
    env = {"BENCH_CALLGRIND_MARKS": str(marks), "PYTHONHASHSEED": "0"}
    with Family(marked, ANYWHERE, wrap, env) as family, Family(built, ANYWHERE) as peers:
        measured = family.measured(work.role, contender.library, contender.loop)
        measure = _measure_client if work.role == "client" else _measure_server
        if not measure(work, measured, peers.peer):
            return None
    return _summary(out) / (work.count * work.length)


def _measure_client(work: Workload, client: Child, peer: Callable[[str], Child]) -> bool:
    port = peer("server").greeting["port"]
    answer = client.ask(f"connect {port} {work.mode}")
    if "id" not in answer:
        return False
    command = f"run {answer['id']} {work.count} {work.size} {work.length} 0"
    client.ask(command, PATIENCE_S)  # warms up; its profile is overwritten by a later number
    client.ask(command, PATIENCE_S)
    return True


def _measure_server(work: Workload, server: Child, peer: Callable[[str], Child]) -> bool:
    driver = peer("driver")
    number = driver.ask(f"connect {server.greeting['port']} {work.mode}")["id"]
    command = f"run {number} {work.count} {work.size} {work.length} 0"
    driver.ask(command, PATIENCE_S)
    server.ask("begin")
    driver.ask(command, PATIENCE_S)
    server.ask("end")
    return True


def _summary(out: Path) -> int:
    """The total of the last dump: OUT.1, OUT.2, ... (OUT itself is the rest, after the last mark)."""
    dumps = sorted(out.parent.glob(f"{out.name}.[0-9]*"), key=lambda path: int(path.suffix[1:]))
    for line in dumps[-1].read_text().splitlines():
        if line.startswith(("summary:", "totals:")):
            return int(line.split()[1])
    raise RuntimeError(f"no total in {dumps[-1]}")


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
