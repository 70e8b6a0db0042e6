"""instructions: user-mode instructions a message, counted by callgrind. No noise, but no kernel either."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from benchmarks.harness.callgrind import MEMBERS, Counts, Workload
from benchmarks.harness.children import NO_ENV
from benchmarks.harness.contenders import CYTHON, FLOOR, Contender, contenders, reference
from benchmarks.harness.report import Report
from benchmarks.hooks import compiled

LIBRARIES = {"quick": ("ws_core", "picows"), "full": ("ws_core", "picows", "ws_core+loop", "picows+loop", *CYTHON)}

WORKLOADS = {
    "rtt-client": Workload("client, round trip of 256 B", "client", "rtt", 400, 256),
    "rtt-server": Workload("server, round trip of 256 B", "server", "rtt", 400, 256),
    "burst-client": Workload("client, bursts of 100 x 256 B", "client", "burst", 10, 256, 100),
    "burst-server": Workload("server, bursts of 100 x 256 B", "server", "burst", 10, 256, 100),
    "feed-none": Workload("client, 128 B frames, no payload", "client", "feed-none", 20000, 128),
    "feed-bytes": Workload("client, 128 B frames, bytes", "client", "feed-bytes", 20000, 128),
    "feed-str": Workload("client, 128 B frames, str", "client", "feed-str", 20000, 128),
    "feed-batch": Workload("client, 128 B frames, no payload, on_ws_frames", "client", "feed-batch", 20000, 128),
    "feed-msgtype": Workload("client, 128 B frames, msg_type == TEXT", "client", "feed-msgtype", 20000, 128),
    "broadcast": Workload(f"server, 256 B to {MEMBERS} clients", "server", "broadcast", 20, 256, MEMBERS),
    "broadcast-20": Workload(f"server, 20 x 256 B to {MEMBERS} clients", "server", "broadcast", 5, 256, 20 * MEMBERS),
}
# picows has no such callback: what it is compared with.
INSTEAD = {"feed-batch": "feed-none"}
QUICK = ["rtt-client", "burst-server", "feed-bytes"]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workloads", help="some of " + ",".join(WORKLOADS))
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the profiles there, for callgrind_annotate")


def run(options: argparse.Namespace) -> Report:
    entrants = contenders(options, LIBRARIES["quick" if options.quick else "full"])
    names = options.workloads.split(",") if options.workloads else QUICK if options.quick else list(WORKLOADS)
    report = Report("instructions", {"workloads": names, "quick": options.quick})
    jobs = [(name, each) for name in names for each in entrants if _can(each, WORKLOADS[name])]
    with ExitStack() as stack:
        env = NO_ENV
        if any(each.library in CYTHON for each in entrants):
            env = {"PYTHONPATH": str(stack.enter_context(compiled("listener_modules")))}
        counter = stack.enter_context(Counts(env, keep=options.keep))
        counts = counter.count_all([(WORKLOADS[name], each) for name, each in jobs])
    _table(report, names, entrants, dict(zip(jobs, counts, strict=True)))
    return report


def _can(contender: Contender, work: Workload) -> bool:
    """A client says itself what it cannot do."""
    return work.mode != "broadcast" or contender.library not in CYTHON


def _table(
    report: Report, names: list[str], entrants: list[Contender], counts: dict[tuple[str, Contender], float | None]
) -> None:
    for name in names:
        columns = ["contender", "instructions a message", "x picows", "x C floor"]
        table = report.table(WORKLOADS[name].title, columns)
        for contender in entrants:
            own = counts.get((name, contender))
            if own is None:
                continue
            peer = reference(contender)
            beside = counts.get((name, peer)) or counts.get((INSTEAD.get(name, name), peer))
            beside = beside if contender != FLOOR else None
            floor = counts.get((name, FLOOR))
            table.rows.append([contender.label, f"{own:.0f}", _ratio(own, beside), _ratio(own, floor)])
            report.row(workload=name, library=contender.library, loop=contender.loop, instructions=own)


def _ratio(own: float, other: float | None) -> str:
    return f"{own / other:.2f}" if other else ""
