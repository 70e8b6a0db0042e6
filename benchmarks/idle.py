"""idle: what a connection that does nothing costs its server in memory, at 5,000 of them."""

from __future__ import annotations

import argparse
import resource
from contextlib import nullcontext
from pathlib import Path

from benchmarks.harness.certificates import certificates
from benchmarks.harness.children import NO_ENV, Child, Family, two_cores
from benchmarks.harness.contenders import BARE, FLOOR, LIBRARIES, PEERS, Contender, contenders
from benchmarks.harness.figures import figure
from benchmarks.harness.programs import NO_OPENSSL, programs, tls_programs
from benchmarks.harness.report import Report, spread

ROUNDS = {"quick": 1, "full": 3}
WARM_UP = 50  # connections before the first look, so that what is made once is not counted
CHUNK = 500
CENSUS = Contender("ws_core", "asyncio")  # whose objects are counted by type
CENSUS_CONNECTIONS = 1000
STAGES = ("upgraded", "after a message")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, default=5000, help="how many (5000)")
    parser.add_argument("--size", type=int, default=256, help="of the one message that each echoes, in bytes (256)")
    parser.add_argument("--tls", action="store_true", help="connections over TLS")


def run(options: argparse.Namespace) -> Report:
    count = options.connections
    raise_descriptor_limit(count + 1000)
    report = Report("idle", {"connections": count, "size": options.size, "tls": options.tls, "quick": options.quick})
    libraries = tuple(name for name in LIBRARIES if not (options.quick and name.endswith("+loop")))
    # Over TLS ws_core is always on aiofastnet, and native/ speaks no TLS.
    more = ("picows.websockets",) if options.tls else ("ws_core+fast", *PEERS)
    with (
        tls_programs() if options.tls else programs() as built,
        certificates() if options.tls else nullcontext(NO_ENV) as env,
    ):
        if not built:
            report.note(NO_OPENSSL)
        entrants = [each for each in contenders(options, (*libraries, *more, *BARE)) if built or each != FLOOR]
        samples: dict[Contender, list[tuple[float, float]]] = {each: [] for each in entrants}
        for number in range(ROUNDS["quick" if options.quick else "full"]):
            for contender in entrants if number % 2 == 0 else reversed(entrants):
                # A fresh process each time: memory once taken does not come back.
                with Family(built, two_cores(), env=env) as family:
                    server = family.measured("server", contender.library, contender.loop)
                    driver = family.peer("driver")
                    samples[contender].append(_measure(server, driver, count, options.size))
                    driver.ask("crowd-close")
        _memory_table(report, samples, options.tls)
        if CENSUS in samples:
            # In a process of its own: counting takes memory, too.
            with Family(built, two_cores(), env=env) as family:
                _census_table(report, *_take_census(family))
    return report


def _measure(server: Child, driver: Child, count: int, size: int) -> tuple[float, float]:
    """Private bytes a connection: after the upgrade, and after one message on each."""
    port = server.greeting["port"]
    driver.ask(f"crowd {port} {WARM_UP}")
    driver.ask(f"crowd-echo {size}")
    before = private_bytes(server)
    for first in range(0, count, CHUNK):  # on a busy machine 5,000 TLS handshakes take minutes
        driver.ask(f"crowd {port} {min(CHUNK, count - first)}", timeout_s=120)
    upgraded = private_bytes(server)
    driver.ask(f"crowd-echo {size}", timeout_s=120)
    used = private_bytes(server)
    return (upgraded - before) / count, (used - before) / count


def private_bytes(server: Child) -> int:
    """What would be free if the process ended: Private_Clean and Private_Dirty of smaps_rollup."""
    server.ask("settle")
    total = 0
    for line in Path(f"/proc/{server.pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("Private_Clean", "Private_Dirty"):
            total += int(value.split()[0]) * 1024
    return total


def raise_descriptor_limit(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(f"{needed} descriptors are needed and the hard limit is {hard}: use --connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed) if soft != resource.RLIM_INFINITY else soft, hard))


def _memory_table(report: Report, samples: dict[Contender, list[tuple[float, float]]], tls: bool) -> None:
    columns = ["contender", *STAGES, "over its bare transport", "runs"]
    table = report.table(f"server, private KiB an idle connection{' over TLS' if tls else ''}", columns)
    used = {contender: figure([pair[1] for pair in pairs]) for contender, pairs in samples.items()}
    for contender, pairs in samples.items():
        upgraded = figure([pair[0] for pair in pairs])
        below = _bare(contender, tls)
        bare = None if below is None else used.get(below)
        over = None if bare is None or contender.library in (*BARE, "c") else used[contender].median - bare.median
        table.rows.append(
            [
                contender.label,
                spread(upgraded.scaled(1 / 1024), 2),
                spread(used[contender].scaled(1 / 1024), 2),
                "" if over is None else f"{over / 1024:.2f}",
                str(len(pairs)),
            ]
        )
        report.row(
            library=contender.library,
            loop=contender.loop,
            upgraded_bytes=upgraded._asdict(),
            used_bytes=used[contender]._asdict(),
            over_bare_transport_bytes=over,
            samples=pairs,
        )


def _bare(contender: Contender, tls: bool) -> Contender | None:
    """The transport that this contender stands on, alone; None: its own, which is nothing without it."""
    library = contender.library.partition("@")[0]
    if library == "ws_core" and not tls:
        return None
    on_aiofastnet = library in ("ws_core", "ws_core+fast", "picows", "picows.websockets")
    return Contender("bare aiofastnet" if on_aiofastnet else "bare loop", contender.loop)


def _take_census(family: Family) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Objects by type, before and after CENSUS_CONNECTIONS connections."""
    server = family.measured("server", CENSUS.library, CENSUS.loop)
    driver = family.peer("driver")
    looks = []
    for count in (WARM_UP, CENSUS_CONNECTIONS):
        driver.ask(f"crowd {server.greeting['port']} {count}")
        driver.ask("crowd-echo 256")
        server.ask("settle")
        look = server.ask_json("census")
        assert isinstance(look, dict)
        looks.append(look)
    return looks[0], looks[1]


def _census_table(report: Report, before: dict[str, list[int]], after: dict[str, list[int]]) -> None:
    table = report.table(
        f"{CENSUS.label}: Python objects by type (sys.getsizeof; what C code allocates for itself is not in it)",
        ["type", "objects a connection", "bytes a connection"],
    )
    rows = []
    for name, (number, size) in after.items():
        number_before, size_before = before.get(name, (0, 0))
        rows.append((name, (number - number_before) / CENSUS_CONNECTIONS, (size - size_before) / CENSUS_CONNECTIONS))
    rows = sorted((row for row in rows if row[2] >= 8), key=lambda row: -row[2])
    table.rows = [[name, f"{number:.2f}", f"{size:.0f}"] for name, number, size in rows]
    table.rows.append(["together", f"{sum(row[1] for row in rows):.2f}", f"{sum(row[2] for row in rows):.0f}"])
    report.document["census"] = [{"type": name, "objects": number, "bytes": size} for name, number, size in rows]
