"""What a run found: a table to read, and JSON that says where it comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.figures import Figure
from benchmarks.harness.machine import describe


@dataclass
class Table:
    """Rows of text under a title; `rows` of the JSON carry the numbers."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def __str__(self) -> str:
        widths = [max(len(row[i]) for row in [self.columns, *self.rows]) for i in range(len(self.columns))]
        lines = [self.title, ""]
        for row in [self.columns, ["-" * width for width in widths], *self.rows]:
            first, *others = map(str.rjust, row, widths)
            lines.append("  ".join([row[0].ljust(len(first)), *others]).rstrip())
        return "\n".join(lines) + "\n"


class Report:
    """One benchmark's result. Add to it, then print() and save()."""

    def __init__(self, benchmark: str, settings: dict[str, Any]):
        self.document: dict[str, Any] = {"benchmark": benchmark, **describe(), "settings": settings, "rows": []}
        self.tables: list[Table] = []
        self.failed = False  # the exit code: only a benchmark that judges can fail

    def table(self, title: str, columns: list[str]) -> Table:
        table = Table(title, columns)
        self.tables.append(table)
        return table

    def note(self, text: str) -> None:
        """Something the reader of the tables has to know; printed below them."""
        self.document.setdefault("notes", []).append(text)

    def row(self, **values: Any) -> None:
        """One row of the table that was begun last, in numbers."""
        self.document["rows"].append({"table": self.tables[-1].title, **values})

    def print(self) -> None:
        machine = self.document["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in self.document["libraries"].items() if version)
        print(f"{self.document['benchmark']}: {self.document['date']}")
        print(f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, load {machine['load_1min']:.1f}")
        print(f"{self.document['python']}, {versions}\n")
        for table in self.tables:
            print(table)
        for text in self.document.get("notes", []):
            print(f"{text}\n")

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.document, indent=1) + "\n")


def spread(value: Figure, digits: int) -> str:
    """``12.3 [11.9, 13.0]``"""
    return f"{value.median:.{digits}f} [{value.q1:.{digits}f}, {value.q3:.{digits}f}]"


def ratio(value: Figure | None) -> str:
    return "" if value is None else spread(value, 2)
