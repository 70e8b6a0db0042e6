"""From lanes to a report: CPU and wall time per message, and both ratios. The table of rtt, pipelined and feed."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.contenders import FLOOR, Contender, reference
from benchmarks.harness.figures import figure, paired_ratio
from benchmarks.harness.report import Report, ratio, spread
from benchmarks.harness.rounds import Lane

COLUMNS = [
    "contender",
    "CPU µs a message",
    "wall µs a message",
    "CPU: x picows",
    "x C floor",
    "wall: x picows",
    "user mode",
    "rounds",
]


def add_table(report: Report, title: str, lanes: dict[Contender, Lane], **where: Any) -> None:
    """`lanes` were run together. `where`: what the JSON says of them."""
    table = report.table(title, COLUMNS)
    floor = lanes.get(FLOOR)
    for contender, lane in lanes.items():
        peer = reference(contender)
        beside = lanes.get(peer._replace(way=contender.way)) or lanes.get(peer)  # if it can, in the same way
        against = None if beside is None else paired_ratio(lane.cpu_ns, beside.cpu_ns)
        wall_against = None if beside is None else paired_ratio(lane.wall_ns, beside.wall_ns)
        over_floor = None if floor is None else paired_ratio(lane.cpu_ns, floor.cpu_ns)
        cpu, wall = figure(lane.cpu_ns), figure(lane.wall_ns)
        table.rows.append(
            [
                contender.label,
                spread(cpu.scaled(1e-3), 3),
                spread(wall.scaled(1e-3), 3),
                ratio(against),
                ratio(over_floor),
                ratio(wall_against),
                "" if lane.user_share is None else f"{lane.user_share:.0%}",
                str(len(lane.cpu_ns)),
            ]
        )
        report.row(
            **where,
            library=contender.library,
            loop=contender.loop,
            way=contender.way,
            cpu_ns=cpu._asdict(),
            wall_ns=wall._asdict(),
            cpu_over_picows=against and against._asdict(),
            wall_over_picows=wall_against and wall_against._asdict(),
            cpu_over_floor=over_floor and over_floor._asdict(),
            user_share=lane.user_share,
            messages_a_round=lane.count * lane.messages,
            samples={"cpu_ns": lane.cpu_ns, "wall_ns": lane.wall_ns},
        )
