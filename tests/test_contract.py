"""docs/reference/contract.md against the tree: every test it names exists, every public name has a row."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import ws_core

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/reference/contract.md"
CORE_TESTS = "packages/ws-core/tests"


class Row(NamedTuple):
    section: str
    what: str
    tests: tuple[str, ...]


def rows() -> list[Row]:
    found = []
    section = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith(("| --- ", "| row ", "| paragraph ")):
            what, tests = line.removeprefix("| ").removesuffix(" |").split(" | ")
            found.append(Row(section, what, tuple(tests.replace("`", "").split())))
    return found


ROWS = rows()


@cache
def functions_of(path: str) -> frozenset[str]:
    """Names of the test functions of a file; none if there is no such file."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = [node.name for node in ast.parse(file.read_text()).body if isinstance(node, functions)]
    # Of two functions of one name pytest would only see the second.
    return frozenset(name for name in names if name.startswith("test_") and names.count(name) == 1)


def exists(test: str) -> bool:
    path, _, name = test.partition("::")
    return name in functions_of(path if "/" in path else f"{CORE_TESTS}/{path}")


def words(text: str) -> set[str]:
    """What stands in backticks."""
    return {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", code)}


def test_the_page_is_read() -> None:
    assert len(ROWS) > 100
    assert {"WSTransport", "WSFrame", "WSListener", "WSServer", "The topic guides"} <= {row.section for row in ROWS}
    for row in ROWS:
        assert row.tests, f"no test stands beside: {row.what}"
        for test in row.tests:
            assert re.fullmatch(r"[\w/.-]+\.py::test_\w+", test), f"{test!r}, beside: {row.what}"


def test_every_test_exists() -> None:
    named = {test: row.what for row in ROWS for test in row.tests}
    missing = [f"{test}, beside: {what}" for test, what in named.items() if not exists(test)]
    assert not missing, "contract.md names tests that are not there:\n" + "\n".join(missing)


def test_every_public_name_has_a_row() -> None:
    described = set().union(*(words(row.what) for row in ROWS))
    missing = set(ws_core.__all__) - described
    assert not missing, f"contract.md has no row for {sorted(missing)}"


@pytest.mark.parametrize("name", ["WSTransport", "WSListener", "WSFrame", "WSServer"])
def test_every_public_member_has_a_row(name: str) -> None:
    described = set().union(*(words(row.what) for row in ROWS if row.section == name))
    missing = {member for member in dir(getattr(ws_core, name)) if not member.startswith("_")} - described
    assert not missing, f"contract.md has no row for {sorted(missing)} of {name}"
