"""hooks: what transport hooks cost a frame, by kind and number, beside a core from which they have been taken out."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.callgrind import Counts, Workload
from benchmarks.harness.children import ROOT, Family, two_cores
from benchmarks.harness.contenders import LOOPS, Contender
from benchmarks.harness.cores import install_core, run_or_exit
from benchmarks.harness.figures import figure, paired_ratio
from benchmarks.harness.lanes import Clients
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report, ratio, spread
from benchmarks.harness.rounds import Lane, interleave

BUDGET_S = {"quick": 20, "full": 120}
WITHOUT = "a core without hooks"
SETTINGS = {
    "no hook": "",
    "one for other opcodes (Python)": "other*1",
    "one in C": "c*1",
    "one in Cython": "cython*1",
    "one in Python": "python*1",
    **{f"{count} in C": f"c*{count}" for count in (2, 4, 8)},
    **{f"{count} in Python": f"python*{count}" for count in (2, 4, 8)},
}
QUICK = ("no hook", "one for other opcodes (Python)", "one in C", "one in Python")


@dataclass(frozen=True)
class Direction:
    title: str
    mode: str
    count: int  # for callgrind
    size: int  # bytes of payload
    length: int


DIRECTIONS = {
    "receiving": Direction(
        "on_frame: a feed of 128 B frames, the payload is not looked at", "feed-none", 20000, 128, 1
    ),
    "sending": Direction("on_send: bursts of 100 x 128 B, sent, echoed and received", "burst", 40, 128, 100),
}

# What a core without hooks lacks: every place where the path of a data frame asks for them. (file, what, instead)
CUTS = (
    ("_receiver.pyx", "if transport.hooks is not None and transport.hooks.opcodes >> opcode & 1:", "if False:"),
    ("_receiver.pyx", "if transport.wr_hooked >> WL_OP_PONG & 1:", "if False:"),
    ("_sender.pyx", "if self.wr_hooked >> (first & 0x0F) & 1:", "if False:"),
    ("_transport.pyx", "if self.wr_hooked >> msg_type & 1 or self.wr_cork", "if self.wr_cork"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--loops", default="asyncio", help="event loops of the timed part: asyncio,uvloop (asyncio)")


def run(options: argparse.Namespace) -> Report:
    names = [name for name in SETTINGS if name in QUICK or not options.quick]
    report = Report("hooks", {"settings": names, "quick": options.quick})
    with changed_core(CUTS) as bare, compiled("hook_modules") as modules, programs() as built:
        _count(report, names, bare, modules)
        for loop in options.loops.split(","):
            if loop not in LOOPS:
                raise SystemExit(f"--loops: {loop!r} is none of {', '.join(LOOPS)}")
            for direction in DIRECTIONS:
                share_s = BUDGET_S["quick" if options.quick else "full"] / len(DIRECTIONS)
                _time(report, names, bare, modules, built, direction, loop, share_s)
    return report


def _modes(direction: str, names: Sequence[str]) -> dict[str, str]:
    mode = DIRECTIONS[direction].mode
    return {name: f"{mode}/{direction}/{SETTINGS[name]}" if SETTINGS[name] else mode for name in names}


def _count(report: Report, names: Sequence[str], bare: Path, modules: Path) -> None:
    """User-mode instructions a frame."""
    loop = LOOPS[0]
    with Counts({"PYTHONPATH": str(modules)}) as counts, ThreadPoolExecutor(os.cpu_count()) as pool:
        for direction, way in DIRECTIONS.items():
            jobs: dict[str, Future[float | None]] = {}
            for name, mode in {WITHOUT: way.mode, **_modes(direction, names)}.items():
                work = Workload(way.title, "client", mode, way.count, way.size, way.length)
                contender = Contender(f"ws_core@{bare}" if name == WITHOUT else "ws_core", loop)
                jobs[name] = pool.submit(counts.count, f"{direction}-{len(jobs)}", work, contender)
            table = report.table(f"{way.title}: instructions", ["", "a frame", "more", f"x {WITHOUT}"])
            without = jobs[WITHOUT].result()
            assert without is not None
            for name, job in jobs.items():
                own = job.result()
                assert own is not None
                table.rows.append([name, f"{own:.0f}", f"{own - without:.0f}", f"{own / without:.3f}"])
                report.row(direction=direction, hooks=name, instructions=own)


def _time(
    report: Report,
    names: Sequence[str],
    bare: Path,
    modules: Path,
    built: dict[str, Path],
    direction: str,
    loop: str,
    budget_s: float,
) -> None:
    """CPU time a frame, all in turn: a connection each, of one process but for the core without hooks."""
    way = DIRECTIONS[direction]
    core, without = Contender("ws_core", loop), Contender(f"ws_core@{bare}", loop)
    with Family(built, two_cores(), env={"PYTHONPATH": str(modules)}) as family:
        clients = Clients(family, (core, without))
        lanes: dict[str, Lane] = {WITHOUT: clients.lane(without, way.mode, way.size, way.length)}
        for name, mode in _modes(direction, names).items():
            lanes[name] = clients.lane(core, mode, way.size, way.length)
        interleave(list(lanes.values()), budget_s)
    table = report.table(f"{way.title}: {loop}", ["", "CPU ns a frame", f"x {WITHOUT}", "rounds"])
    for name, lane in lanes.items():
        cpu = figure(lane.cpu_ns)
        against = paired_ratio(lane.cpu_ns, lanes[WITHOUT].cpu_ns)
        table.rows.append([name, spread(cpu, 0), ratio(against), str(len(lane.cpu_ns))])
        report.row(direction=direction, loop=loop, hooks=name, cpu_ns=cpu._asdict(), over_without=against._asdict())


@contextmanager
def changed_core(cuts: Sequence[tuple[str, str, str]]) -> Iterator[Path]:
    """A folder with a ws_core from this tree, after these changes: (file, what, instead)."""
    with tempfile.TemporaryDirectory(prefix="bench-core-") as temporary:
        source = Path(temporary, "ws-core")
        ignore = shutil.ignore_patterns("build", "*.so", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT / "packages/ws-core", source, ignore=ignore)
        for name, what, instead in cuts:
            path = source / "src/ws_core" / name
            text = path.read_text()
            if text.count(what) != 1:
                raise SystemExit(f"the cuts are behind the code, {name} has {text.count(what)} times {what!r}")
            path.write_text(text.replace(what, instead))
        site = Path(temporary, "site")
        install_core(source, site, "--no-build-isolation", "--no-index")
        yield site


@contextmanager
def compiled(folder: str) -> Iterator[Path]:
    """A folder with the modules of this one of benchmarks/, compiled against what is installed."""
    with tempfile.TemporaryDirectory(prefix="bench-modules-") as temporary:
        source = Path(temporary, "source")
        shutil.copytree(ROOT / "benchmarks" / folder, source)
        site = Path(temporary, "site")
        run_or_exit([sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(site)], source)
        yield site
