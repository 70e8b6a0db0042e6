"""feed: a server pushes small frames as fast as they are taken; what does receiving one cost the client?"""

from __future__ import annotations

import argparse
from contextlib import nullcontext

from benchmarks.harness.children import NO_ENV, Family, two_cores
from benchmarks.harness.compare import add_table
from benchmarks.harness.contenders import CYTHON, LIBRARIES, Contender, contenders
from benchmarks.harness.figures import figure
from benchmarks.harness.lanes import Clients
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report, spread
from benchmarks.harness.rounds import Lane, interleave
from benchmarks.hooks import compiled

BUDGET_S = {"quick": 45, "full": 180}
ACCESS = {
    # The floor only ever counts frames: its figure stands beside all three.
    "feed-none": "the payload is not looked at",
    "feed-bytes": "BINARY, the payload becomes bytes",
    "feed-str": "TEXT, the payload becomes str",
}
# More ways to look at nothing: in libraries with a listener, if they know it.
BATCH, MSG_TYPE = "on_ws_frames", "msg_type == TEXT"
WAYS = {BATCH: "feed-batch", MSG_TYPE: "feed-msgtype"}
LISTENERS = ("ws_core", "picows")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, default=128, help="payload size in bytes (128)")


def run(options: argparse.Namespace) -> Report:
    report = Report("feed", {"size": options.size, "quick": options.quick})
    share_s = BUDGET_S["quick" if options.quick else "full"] / len(ACCESS)
    entrants = contenders(options, (*LIBRARIES, *CYTHON))
    needs_cython = any(each.library in CYTHON for each in entrants)
    with programs() as built, compiled("listener_modules") if needs_cython else nullcontext() as modules:
        env = {"PYTHONPATH": str(modules)} if modules else NO_ENV
        with Family(built, two_cores(), env=env) as family:
            clients = Clients(family, entrants)
            for access, text in ACCESS.items():
                lanes = clients.lanes(access, options.size)
                if access == "feed-none":
                    lanes |= _other_ways(clients, entrants, options.size)
                interleave(list(lanes.values()), share_s)
                title = f"client, feed of {options.size} B frames: {text}"
                add_table(report, title, lanes, side="client", access=access, size=options.size)
                if access == "feed-none":
                    _question_table(report, lanes)
    return report


def _other_ways(clients: Clients, entrants: list[Contender], size: int) -> dict[Contender, Lane]:
    some = [each for each in entrants if each.library.partition("@")[0] in LISTENERS]
    return {
        each._replace(way=way): lane
        for way, mode in WAYS.items()
        for each, lane in clients.lanes(mode, size, only=some).items()
    }


def _question_table(report: Report, lanes: dict[Contender, Lane]) -> None:
    """What the comparison costs by itself, from the difference within each round."""
    table = report.table("of it frame.msg_type == WSMsgType.TEXT", ["contender", "CPU ns a frame"])
    for contender, lane in lanes.items():
        without = lanes.get(contender._replace(way=""))
        if contender.way == MSG_TYPE and without is not None:
            more = figure([own - other for own, other in zip(lane.cpu_ns, without.cpu_ns, strict=True)])
            table.rows.append([contender._replace(way="").label, spread(more, 0)])
            report.row(library=contender.library, loop=contender.loop, way=contender.way, more_ns=more._asdict())
