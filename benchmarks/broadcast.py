"""broadcast: one message, or 20, from a server to 1,000 clients at once; CPU time of the server for each delivery."""

from __future__ import annotations

import argparse
import functools

from benchmarks.harness.children import Answer, Child, Family, two_cores
from benchmarks.harness.compare import add_table
from benchmarks.harness.contenders import Contender, contenders
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report
from benchmarks.harness.rounds import Lane, interleave
from benchmarks.idle import raise_descriptor_limit

BUDGET_S = {"quick": 40, "full": 180}
LIBRARIES = ("ws_core", "picows", "aiohttp", "websockets", "picows.websockets", "bun")
# What a library does if nobody says how: broadcast() in ws_core (of all the messages) and in both websockets (one after
# the other), publish() in Bun, a loop of sends in the others. Beside that, in ws_core (peers/callbacks.py):
OTHER_WAYS = {
    1: {"send": "a loop of send()"},
    20: {
        "cork": "a loop of send() under cork()",
        "broadcast": "broadcast() for each message",
        "send": "a loop of send()",
    },
}
QUICK = ("cork",)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clients", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--size", type=int, default=256, help="payload size in bytes (256)")


def run(options: argparse.Namespace) -> Report:
    clients, size = options.clients, options.size
    raise_descriptor_limit(clients + 1000)
    report = Report("broadcast", {"clients": clients, "size": size, "quick": options.quick})
    entrants = contenders(options, LIBRARIES)
    share_s = BUDGET_S["quick" if options.quick else "full"] / len(OTHER_WAYS)
    with programs() as built, Family(built, two_cores()) as family:
        crowds = {each: _crowd(family, each, clients) for each in entrants}
        for messages, ways in OTHER_WAYS.items():
            lanes = {}
            for each, (driver, server) in crowds.items():
                has_more = each.library.partition("@")[0] == "ws_core"
                own = {way: ways[way] for way in ways if has_more and (way in QUICK or not options.quick)}
                for way, text in {"-": "", **own}.items():
                    work = functools.partial(_broadcast, driver, server, messages, size, way)
                    lanes[each._replace(way=text)] = Lane(each.label, work, "watched", messages * clients)
            interleave(list(lanes.values()), share_s)
            title = f"server, {messages} x {size} B at a time to {clients:,} clients: a delivery, on a core each"
            add_table(report, title, lanes, side="server", size=size, messages=messages, clients=clients)
    return report


def _crowd(family: Family, contender: Contender, clients: int) -> tuple[Child, Child]:
    """A server, and a driver of its own that holds all the clients."""
    server, driver = family.measured("server", contender.library, contender.loop), family.peer("driver")
    driver.ask(f"crowd {server.greeting['port']} {clients} /room")
    return driver, server


def _broadcast(driver: Child, server: Child, messages: int, size: int, way: str, count: int) -> Answer:
    return driver.ask(f"crowd-broadcast {count} {messages} {size} {way} {server.pid}")
