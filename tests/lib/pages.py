"""Reads Markdown pages as tests need them: blocks of code, tables, links. Knows nothing of pytest and ws_core."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    #: Of the file whose contents it shows, where the line before it is "`name`:".
    file: str | None
    #: Of its first line of code, from 1.
    line: int
    code: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = []
    for match in re.finditer(r"(?:^`([\w./-]+)`:\n\n)?^```(\w*)\n(.*?)^```$", text, re.S | re.M):
        found.append(Block(match[2], match[1], text.count("\n", 0, match.start(3)) + 1, match[3]))
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)


def table_rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = re.split(rf"^#+ {re.escape(heading)}$", page.read_text(), maxsplit=1, flags=re.M)[1]
    lines = re.findall(r"^\|.*\|$(?:\n|\Z)", re.split(r"^#", section, maxsplit=1, flags=re.M)[0], re.M)
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])] for line in lines]
    return rows[2:]


def anchors(page: Path) -> set[str]:
    """What a link into a page may name: its headings, as GitHub and MyST write them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)) for heading in headings]
    return {heading.strip().lower().replace(" ", "-") for heading in plain}


def broken_links(page: Path) -> list[str]:
    """Links of a page that lead nowhere in the tree. What lies on the internet is not looked at."""
    broken = []
    for target in re.findall(r"\[[^]]*\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    return broken
