"""imports: what it costs to import a library where asyncio has been imported, and where the time of ws_core goes."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from typing import NamedTuple

from benchmarks.harness.children import two_cores
from benchmarks.harness.figures import figure, paired_ratio
from benchmarks.harness.report import Report, ratio, spread

ROUNDS = {"quick": 12, "full": 40}
# What brings a client and a server. Some libraries import their parts when they are first asked for.
STATEMENTS = {
    "ws_core": "from ws_core import WSListener, ws_connect, ws_create_server",
    "picows": "from picows import WSListener, ws_connect, ws_create_server",
    "websockets": "from websockets.asyncio.client import connect; from websockets.asyncio.server import serve",
    "aiohttp": "from aiohttp import ClientSession, web",
}
# Prints milliseconds of wall and CPU time.
PROGRAM = """
import asyncio, time
wall, cpu = time.perf_counter(), time.process_time()
{statement}
print((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)
"""
TOP = 15


class Sample(NamedTuple):
    wall_ms: float
    cpu_ms: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--top", type=int, default=TOP, help=f"modules of ws_core's import that are listed ({TOP})")


def run(options: argparse.Namespace) -> Report:
    report = Report("imports", {"quick": options.quick})
    samples = _take_turns(_statements(options), ROUNDS["quick" if options.quick else "full"])
    table = report.table(
        "in a fresh process, after import asyncio", ["", "wall ms", "x picows", "CPU ms", "x picows", "rounds"]
    )
    for name, own in samples.items():
        cells: list[str] = []
        row: dict[str, object] = {"library": name, "statement": STATEMENTS[name.partition("@")[0]]}
        for clock in Sample._fields:
            values = [getattr(sample, clock) for sample in own]
            beside = [getattr(sample, clock) for sample in samples.get("picows", [])]
            cells += [spread(figure(values), 1), ratio(paired_ratio(values, beside)) if beside else ""]
            row |= {clock: figure(values)._asdict(), f"{clock}_samples": values}
        table.rows.append([name, *cells, str(len(own))])
        report.row(**row)
    report.note("What is imported:\n" + "\n".join(f"  {STATEMENTS[name.partition('@')[0]]}" for name in samples))
    if "ws_core" in samples:
        _where_the_time_goes(report, options.top)
    return report


def _statements(options: argparse.Namespace) -> dict[str, str | None]:
    """The folder that comes first on the path of each contender."""
    names = [name for name in STATEMENTS if importlib.util.find_spec(name) is not None]
    wanted = [name for name in names if options.only is None or any(word in name for word in options.only.split(","))]
    return {**dict.fromkeys(wanted), **{f"ws_core@{folder}": folder for folder in options.also}}


def _take_turns(folders: dict[str, str | None], rounds: int) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {name: [] for name in folders}
    for number in range(rounds + 1):
        for name in folders if number % 2 == 0 else reversed(folders):
            text = _python(folders[name], "-c", PROGRAM.format(statement=STATEMENTS[name.partition("@")[0]])).stdout
            if number:  # the first one writes .pyc files and fills the page cache
                samples[name].append(Sample(*map(float, text.split())))
    return samples


def _python(folder: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    core = two_cores().measured
    env = dict(os.environ)
    if folder:
        env["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, [env.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd="/",  # nothing to import lies there
        env=env,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}) if core is not None else None,
    )


def _where_the_time_goes(report: Report, top: int) -> None:
    """`python -X importtime`, which slows things down: good for comparing the modules with each other."""
    text = _python(None, "-X", "importtime", "-c", f"import asyncio\n{STATEMENTS['ws_core']}").stderr
    modules = [line.removeprefix("import time:").split("|") for line in text.splitlines() if "|" in line]
    before = next(i for i, (*_, name) in enumerate(modules) if name.strip() == "asyncio")
    table = report.table("ws_core by python -X importtime, ms", ["module", "its own", "with what it imports"])
    found = [(name.strip(), int(own), int(whole)) for own, whole, name in modules[before + 1 :]]
    for name, own, whole in sorted(found, key=lambda each: -each[1])[:top]:
        table.rows.append([name, f"{own / 1e3:.1f}", f"{whole / 1e3:.1f}"])
    table.rows.append(["all", f"{sum(own for _, own, _ in found) / 1e3:.1f}", ""])
    report.document["importtime"] = [{"module": name, "own_us": own, "whole_us": whole} for name, own, whole in found]
