"""From lanes to a report: CPU and wall time per message, and both ratios. The table of rtt, pipelined and feed."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.contenders import FLOOR, Contender, reference
from benchmarks.harness.figures import Figure, figure, paired_ratio
from benchmarks.harness.report import Report, ratio, spread
from benchmarks.harness.rounds import Lane

COLUMNS = ["contender", "CPU µs a message", "wall µs a message", "CPU: x picows", "x C floor", "user mode", "rounds"]


def add_table(report: Report, title: str, lanes: dict[Contender, Lane], **where: Any) -> None:
    """`lanes` were run together. `where`: what the JSON says of them."""
    table = report.table(title, COLUMNS)
    floor = lanes.get(FLOOR)
    for contender, lane in lanes.items():
        beside = lanes.get(reference(contender))
        against = _ratio(lane, beside) if contender != FLOOR else None
        over_floor = _ratio(lane, floor)
        cpu, wall = figure(lane.cpu_ns), figure(lane.wall_ns)
        table.rows.append(
            [
                contender.label,
                spread(cpu.scaled(1e-3), 3),
                spread(wall.scaled(1e-3), 3),
                ratio(against),
                ratio(over_floor),
                "" if lane.user_share is None else f"{lane.user_share:.0%}",
                str(len(lane.cpu_ns)),
            ]
        )
        report.row(
            **where,
            library=contender.library,
            loop=contender.loop,
            cpu_ns=cpu._asdict(),
            wall_ns=wall._asdict(),
            cpu_over_picows=against and against._asdict(),
            cpu_over_floor=over_floor and over_floor._asdict(),
            user_share=lane.user_share,
            messages_a_round=lane.count * lane.messages,
            samples={"cpu_ns": lane.cpu_ns, "wall_ns": lane.wall_ns},
        )


def _ratio(lane: Lane, other: Lane | None) -> Figure | None:
    return None if other is None else paired_ratio(lane.cpu_ns, other.cpu_ns)
