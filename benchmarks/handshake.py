"""handshake: what it costs a server to accept a connection and answer its upgrade, in CPU time."""

from __future__ import annotations

import argparse
import time

from benchmarks.harness.children import Child, Family, two_cores
from benchmarks.harness.contenders import FLOOR, LIBRARIES, PEERS, Contender, contenders, reference
from benchmarks.harness.figures import figure, paired_ratio
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report, ratio, spread

ROUNDS = {"quick": 8, "full": 30}
PAUSE_S = 0.05  # for the ends of the last round's connections, which are not what is measured


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, default=300, help="how many a round, one after the other (300)")


def run(options: argparse.Namespace) -> Report:
    report = Report("handshake", {"connections": options.connections, "quick": options.quick})
    entrants = contenders(options, (*LIBRARIES, "ws_core+fast", *PEERS))
    samples: dict[Contender, list[float]] = {each: [] for each in entrants}
    with programs() as built, Family(built, two_cores()) as family:
        driver = family.peer("driver")
        servers = {each: family.measured("server", each.library, each.loop) for each in entrants}
        for number in range(ROUNDS["quick" if options.quick else "full"] + 1):
            for each in entrants if number % 2 == 0 else reversed(entrants):
                taken = _round(driver, servers[each], options.connections)
                if number:  # the first one warms up
                    samples[each].append(taken)
    table = report.table("server, upgrades of plain connections", ["contender", "CPU µs each", "x picows", "x C floor"])
    for each, own in samples.items():
        beside = samples.get(reference(each)) if each != FLOOR else None
        over_floor = paired_ratio(own, samples[FLOOR])
        against = None if beside is None else paired_ratio(own, beside)
        cpu = figure(own)
        table.rows.append([each.label, spread(cpu.scaled(1e6), 1), ratio(against), ratio(over_floor)])
        report.row(library=each.library, loop=each.loop, cpu_s=cpu._asdict(), samples=own)
    return report


def _round(driver: Child, server: Child, count: int) -> float:
    """Seconds of the server's CPU time for one of `count` connections."""
    before = _cpu_s(server)
    driver.ask(f"crowd {server.greeting['port']} {count}")
    taken = (_cpu_s(server) - before) / count
    driver.ask("crowd-close")
    time.sleep(PAUSE_S)
    return taken


def _cpu_s(child: Child) -> float:
    """CLOCK_PROCESS_CPUTIME_ID of another process (clock_getcpuclockid(3))."""
    return time.clock_gettime(~child.pid << 3 | 2)
