"""autoping: keepalive of 50,000 idle connections, in bytes and CPU; and what it costs while frames come."""

from __future__ import annotations

import argparse
import resource
import shutil
import time

from benchmarks.harness.callgrind import Counts, Workload
from benchmarks.harness.children import Child, Family, two_cores
from benchmarks.harness.contenders import Contender, contenders
from benchmarks.harness.figures import figure, paired_ratio
from benchmarks.harness.lanes import Clients
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report, ratio, spread
from benchmarks.harness.rounds import interleave
from benchmarks.idle import private_bytes, raise_descriptor_limit

PARTS = ("sockets", "stubs", "frames", "instructions")
#: Seconds of the idle timeout in peers/__main__.py, and a little: by then each connection has been pinged.
SETTLED_S = 12
WARM_UP = 50
CHUNK = 500
SPARE_DESCRIPTORS = 200
BUDGET_S = {"quick": 20, "full": 90}
FRAME_SIZE = 128
#: How the client is set up, how it receives, and what that means.
WATCHED = {
    ("", "feed-none"): "off",
    ("+ping", "feed-none"): "standard PING",
    ("+ping", "feed-custom"): "custom ping, no pong expected",
    ("+expecting", "feed-expecting"): "custom ping, a pong expected all the time",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, default=50_000, help="how many, if descriptors allow (50000)")
    parser.add_argument("--seconds", type=int, default=30, help="of idling that are measured (30)")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of " + ",".join(PARTS))


def run(options: argparse.Namespace) -> Report:
    parts = options.parts.split(",")
    report = Report("autoping", {"connections": options.connections, "parts": parts, "quick": options.quick})
    if "sockets" in parts:
        count = _as_many_as_allowed(options.connections)
        title = f"{count:,} idle connections, keepalive every 10 s, over sockets to a C peer"
        _idle(report, options, title, "sockets", count)
    if "stubs" in parts:
        title = f"{options.connections:,} idle connections, keepalive every 10 s, no sockets, no system calls"
        _idle(report, options, title, "stubs", options.connections)
    if "frames" in parts:
        _frames(report, options)
    if "instructions" in parts:
        if shutil.which("valgrind") is None and not options.quick:
            raise SystemExit("instructions needs valgrind: use --parts " + ",".join(PARTS[:3]))
        _instructions(report, options)
    return report


def _as_many_as_allowed(wanted: int) -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - SPARE_DESCRIPTORS)
    raise_descriptor_limit(count + SPARE_DESCRIPTORS)
    return count


def _idle(report: Report, options: argparse.Namespace, title: str, over: str, count: int) -> None:
    variant = "" if over == "sockets" else "+stub"
    libraries = tuple(f"{name}{variant}{ping}" for name in ("ws_core", "picows") for ping in ("", "+ping"))
    entrants = [each for each in contenders(options, libraries) if each.library != "c"]
    if options.quick:
        entrants = [each for each in entrants if each.loop == "asyncio"]
    columns = ["server", "KiB a connection", "of it keepalive: bytes", "CPU ms a second", "µs a ping", "pings a second"]
    table = report.table(title, columns)
    found: dict[Contender, tuple[float, float, float]] = {}
    with programs() as built:
        for each in entrants:
            with Family(built, two_cores()) as family:
                server = family.measured("server", each.library, each.loop)
                measure = _over_sockets if over == "sockets" else _over_stubs
                found[each] = measure(family, server, count, options.seconds)
    for each, (size, cpu, pings) in found.items():
        without = (
            found.get(Contender(each.library.removesuffix("+ping"), each.loop)) if "+ping" in each.library else None
        )
        table.rows.append(
            [
                each.label,
                f"{size / 1024:.2f}",
                "" if without is None else f"{size - without[0]:.0f}",
                f"{cpu * 1e3:.1f}",
                f"{(cpu - without[1]) / pings * 1e6:.1f}" if without and pings else "",
                f"{pings:.0f}",
            ]
        )
        report.row(
            over=over, library=each.library, loop=each.loop, count=count, bytes=size, cpu_s_a_second=cpu, pings=pings
        )


def _over_sockets(family: Family, server: Child, count: int, seconds: int) -> tuple[float, float, float]:
    """Bytes a connection, seconds of CPU a second, pings a second."""
    driver = family.peer("driver")
    port = server.greeting["port"]
    driver.ask(f"crowd {port} {WARM_UP}")
    driver.ask(f"crowd-pong {SETTLED_S * 1000}")
    before = private_bytes(server)
    for first in range(WARM_UP, count, CHUNK):
        driver.ask(f"crowd {port} {min(CHUNK, count - first)}", timeout_s=60)
        driver.ask("crowd-pong 20")  # those that are open already want to be answered meanwhile
    driver.ask(f"crowd-pong {SETTLED_S * 1000}")
    size = (private_bytes(server) - before) / (count - WARM_UP)
    server.ask("begin")
    pongs = driver.ask(f"crowd-pong {seconds * 1000}", timeout_s=seconds + 60)["pongs"]
    cpu = server.ask("end")["cpu"] / 1e9
    driver.ask("crowd-close")
    return size, cpu / seconds, pongs / seconds


def _over_stubs(family: Family, server: Child, count: int, seconds: int) -> tuple[float, float, float]:
    server.ask(f"stubs {WARM_UP}")
    time.sleep(SETTLED_S)
    before = private_bytes(server)
    server.ask(f"stubs {count - WARM_UP}", timeout_s=300)
    time.sleep(SETTLED_S)
    size = (private_bytes(server) - before) / (count - WARM_UP)
    pongs = server.ask("pongs")["pongs"]
    server.ask("begin")
    time.sleep(seconds)
    cpu = server.ask("end")["cpu"] / 1e9
    return size, cpu / seconds, (server.ask("pongs")["pongs"] - pongs) / seconds


def _watched(options: argparse.Namespace) -> list[Contender]:
    # picows ends a connection whose data are no pongs, so nobody expects one from it all the time.
    libraries = ("ws_core", "ws_core+ping", "ws_core+expecting", "picows", "picows+ping")
    return [each for each in contenders(options, libraries) if each.library != "c"]


def _frames(report: Report, options: argparse.Namespace) -> None:
    """CPU time of a client that is fed, all in turn."""
    with programs() as built, Family(built, two_cores()) as family:
        entrants = _watched(options)
        clients = Clients(family, entrants)
        lanes = {}
        for variant, mode in WATCHED:
            some = [each for each in entrants if _variant(each) == variant]
            for each, lane in clients.lanes(mode, FRAME_SIZE, only=some).items():
                lanes[each, mode] = lane
        for lane in lanes.values():
            lane.run(1)  # where a pong is to be expected, until it is
        interleave(list(lanes.values()), BUDGET_S["quick" if options.quick else "full"])
    table = report.table(
        f"client, feed of {FRAME_SIZE} B frames that are not looked at",
        ["client", "keepalive", "CPU ns a frame", "x off", "rounds"],
    )
    for (each, mode), lane in sorted(lanes.items(), key=lambda item: entrants.index(item[0][0])):
        off = lanes.get((Contender(each.library.split("+")[0], each.loop), "feed-none"))
        against = paired_ratio(lane.cpu_ns, off.cpu_ns) if off else None
        what = WATCHED[_variant(each), mode]
        value = figure(lane.cpu_ns)
        table.rows.append([_bare(each), what, spread(value, 1), ratio(against), str(len(lane.cpu_ns))])
        report.row(
            library=each.library,
            loop=each.loop,
            keepalive=what,
            cpu_ns=value._asdict(),
            cpu_over_off=against and against._asdict(),
        )


def _instructions(report: Report, options: argparse.Namespace) -> None:
    jobs = [
        (Workload(what, "client", mode, 20_000, FRAME_SIZE), each)
        for each in _watched(options)
        for (variant, mode), what in WATCHED.items()
        if _variant(each) == variant and each.loop == "asyncio"
    ]
    table = report.table("the same in user-mode instructions a frame", ["client", "keepalive", "instructions", "x off"])
    off = 0.0
    with Counts() as counter:
        counts = counter.count_all(jobs)
    for (work, each), counted in zip(jobs, counts, strict=True):
        assert counted is not None
        off = counted if work.title == "off" else off
        table.rows.append([_bare(each), work.title, f"{counted:.0f}", f"{counted / off:.3f}"])
        report.row(library=each.library, loop=each.loop, keepalive=work.title, instructions=counted)


def _variant(contender: Contender) -> str:
    return "".join(f"+{variant}" for variant in contender.library.split("+")[1:])


def _bare(contender: Contender) -> str:
    return f"{contender.library.split('+')[0]} {contender.loop}"
