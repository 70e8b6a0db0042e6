"""chart: draws the tables of saved results (--json) as SVG, a file each: medians as bars, quartiles as whiskers."""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness.contenders import Contender
from benchmarks.harness.figures import Figure

# What a bar shows: the first of these that a row has, by how much it is scaled, and what the axis says.
METRICS = {
    "cpu_ns": (1e-3, "CPU time a message, µs"),
    "cpu_s": (1e6, "CPU time each, µs"),
    "used_bytes": (1 / 1024, "private memory a connection, KiB"),
    "bytes": (1 / 1024, "memory a connection, KiB"),
    "instructions": (1.0, "instructions of user mode a message"),
    "calls": (1.0, "system calls a message"),
}
OURS, FLOOR, OTHERS = "#c2571a", "#8a8a8a", "#4a78a8"
WIDTH_IN, BAR_IN, FRAME_IN = 8.0, 0.24, 1.75


class Bar(NamedTuple):
    label: str
    library: str
    value: Figure


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULT.json")
    parser.add_argument("-o", "--out", type=Path, default=Path(), metavar="DIR", help="where the charts go (here)")


def run(options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    for path in options.results:
        document = json.loads(path.read_text())
        drawn = 0
        for title, rows in _tables(document).items():
            metric = next((name for name in METRICS if name in rows[0]), None)
            if metric is not None:
                drawn += 1
                out = options.out / f"{document['benchmark']}-{drawn}.svg"
                _draw(
                    out, f"{document['benchmark']}: {title}", METRICS[metric][1], bars(rows, metric), _caption(document)
                )
                print(f"{out}  {title}")
        if not drawn:
            print(f"{path}: nothing that can be drawn")


def bars(rows: list[dict[str, Any]], metric: str) -> list[Bar]:
    """The least first. A label is made of the words in which the rows differ."""
    words = [name for name in rows[0] if name != "table" and isinstance(rows[0][name], str)]
    telling = [name for name in words if len({row.get(name) for row in rows}) > 1 or name == "loop"]
    found = []
    for row in rows:
        library = row.get("library", "ws_core")
        others = [row[name] for name in telling if name not in ("library", "loop")]
        who = Contender(library, row["loop"]).label if "library" in row else ""
        found.append(
            Bar(" ".join(filter(None, [*others, who])), library, _figure(row[metric]).scaled(METRICS[metric][0]))
        )
    return sorted(found, key=lambda bar: bar.value.median)


def _figure(value: Any) -> Figure:
    if isinstance(value, dict) and "median" in value:
        return Figure(**value)
    one = sum(value.values()) if isinstance(value, dict) else value
    return Figure(one, one, one)


def _tables(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in document["rows"]:
        found.setdefault(row.get("table", document["benchmark"]), []).append(row)
    return found


def _caption(document: dict[str, Any]) -> str:
    machine = document["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in document["libraries"].items() if version)
    quick = " A quick run." if document["settings"].get("quick") else ""
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, load {machine['load_1min']:.1f}"
    return f"{document['date'][:10]}, {where}. {document['python']}, {libraries}.{quick}"


def _color(library: str) -> str:
    if library.startswith("ws_core"):
        return OURS
    return FLOOR if library == "c" or library.startswith("bare ") else OTHERS


def _draw(out: Path, title: str, axis: str, shown: list[Bar], caption: str) -> None:
    import matplotlib

    matplotlib.use("svg")
    # Text stays text, and the same result gives the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "wirelark", "font.size": 9})
    from matplotlib import pyplot

    height = FRAME_IN + BAR_IN * len(shown)
    figure, axes = pyplot.subplots(figsize=(WIDTH_IN, height), layout="constrained")
    values = [bar.value for bar in shown]
    medians = [value.median for value in values]
    spreads = [[value.median - value.q1 for value in values], [value.q3 - value.median for value in values]]
    whiskers = spreads if any(map(any, spreads)) else None  # what is counted has none
    colors = [_color(bar.library) for bar in shown]
    axes.barh(range(len(shown)), medians, xerr=whiskers, color=colors, height=0.72, error_kw={"lw": 0.8, "capsize": 2})
    for place, value in enumerate(values):
        text = f"{value.median:,.0f}" if value.median >= 1000 else f"{value.median:.3g}"
        axes.annotate(text, (value.q3, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(shown)), [bar.label for bar in shown])
    axes.invert_yaxis()
    axes.margins(x=0.1, y=0.01)
    axes.set_xlim(left=0)
    axes.set_xlabel(axis)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("\n".join(textwrap.wrap(title, 95)), x=0.01, ha="left", fontsize=10)
    if whiskers:
        caption += " Medians with quartiles."
    figure.supxlabel(textwrap.fill(caption, 165), x=0.01, ha="left", fontsize=6.5, color="#555555")
    figure.savefig(out, metadata={"Date": None})
    pyplot.close(figure)
