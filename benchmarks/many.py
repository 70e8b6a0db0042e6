"""many: a server with 100 connections, each with one message of 8 KiB there and back at any time."""

from __future__ import annotations

import argparse
import functools

from benchmarks.harness.children import Answer, Child, Family, two_cores
from benchmarks.harness.compare import add_table
from benchmarks.harness.contenders import BARE, LIBRARIES, contenders
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report
from benchmarks.harness.rounds import Lane, interleave

BUDGET_S = {"quick": 30, "full": 120}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, default=100, help="how many (100)")
    parser.add_argument("--size", type=int, default=8192, help="payload size in bytes (8192)")


def run(options: argparse.Namespace) -> Report:
    connections, size = options.connections, options.size
    report = Report("many", {"connections": connections, "size": size, "quick": options.quick})
    lanes = {}
    with programs() as built, Family(built, two_cores()) as family:
        for each in contenders(options, (*LIBRARIES, *BARE)):
            server, driver = family.measured("server", each.library, each.loop), family.peer("driver")
            # What no WebSocket library costs: bytes go back as they came, masked.
            path = "/raw" if each.library in BARE else "/echo"
            driver.ask(f"crowd {server.greeting['port']} {connections} {path}")
            lanes[each] = Lane(each.label, functools.partial(_echo, driver, server, size), "watched", connections)
        interleave(list(lanes.values()), BUDGET_S["quick" if options.quick else "full"])
        title = f"server, echo of {size} B on {connections} connections at the same time, on a core each"
        add_table(report, title, lanes, side="server", size=size, connections=connections)
    return report


def _echo(driver: Child, server: Child, size: int, count: int) -> Answer:
    return driver.ask(f"crowd-run {count} {size} {server.pid}")
