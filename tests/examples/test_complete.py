"""Every file of examples/ is run by a test, and stands in their list."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from example import EXAMPLES

ROOT = EXAMPLES.parent
# Parts of an example that another file of it runs.
PARTS = {"cython_listener/setup.py", "extension_c/setup.py"}


def examples() -> set[str]:
    return {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.py")} - PARTS


def named_by_tests() -> set[str]:
    """What the tests name in a string, beside those of this file."""
    found = set()
    for folder in (ROOT / "tests", *ROOT.glob("packages/*/tests")):
        for path in folder.rglob("test_*.py"):
            if path != Path(__file__):
                found |= {
                    node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)
                }
    return {value for value in found if isinstance(value, str)}


def test_every_example_has_a_test() -> None:
    named = named_by_tests()
    # A project is installed as a whole: its test names the folder.
    assert {name for name in examples() if name not in named and name.partition("/")[0] not in named} == set()


def test_every_example_is_listed() -> None:
    listed = re.findall(r"^\| \[[^]]+\]\(([^)]+)\)", (EXAMPLES / "README.md").read_text(), re.M)
    assert sorted(listed) == sorted(examples())
    assert len(listed) == len(set(listed))


def test_every_example_says_how_to_run_it() -> None:
    for name in examples() - {"demo.py"}:
        docstring = ast.get_docstring(ast.parse((EXAMPLES / name).read_text())) or ""
        assert re.search(rf"^(python {Path(name).name}|pip install \.)", docstring, re.M), name
