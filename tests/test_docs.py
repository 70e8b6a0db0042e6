"""The guides' code runs: the blocks of a page, in order, in one namespace; then every test that they define."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import ws_core
from harness import within

ROOT = Path(__file__).parent.parent
GUIDES = ROOT / "docs/guides"
WRITTEN = sorted(
    path
    for folder in (".", "docs/*", "examples", "benchmarks", "packages/*", "tests/*")
    for path in ROOT.glob(f"{folder}/*.md")
    if path.is_file()
)
PAGES = ["testing.md", "keepalive.md"]


@pytest.mark.parametrize("page", PAGES)
async def test_the_code_of_a_guide_runs(page: str, loop_name: str) -> None:
    text = (GUIDES / page).read_text()
    namespace: dict[str, Any] = {"__name__": page}
    for match in re.finditer(r"^```python\n(.*?)^```$", text, re.S | re.M):
        line = text.count("\n", 0, match.start(1))
        exec(compile("\n" * line + match[1], str(GUIDES / page), "exec"), namespace)
    tests = [test for name, test in namespace.items() if name.startswith("test_") and inspect.iscoroutinefunction(test)]
    assert tests
    for test in tests:
        await within(test())


def test_the_guide_to_keepalive_lists_its_options() -> None:
    (extension,) = (each for each in ws_core.registered_extensions() if "enable_auto_ping" in each.options)
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", (GUIDES / "keepalive.md").read_text(), re.M)
    assert [name for name, _ in rows] == list(extension.options)
    for name, default in rows:
        value = extension.options[name]
        if not name.endswith(("idle_timeout", "reply_timeout")):  # their defaults depend on the side
            assert default == (f"`{value.name}`" if hasattr(value, "name") else str(value)), name


def test_the_guide_to_reconnecting_lists_its_options() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+|None) \|", (GUIDES / "reconnecting.md").read_text(), re.M)
    parameters = inspect.signature(ws_core.reconnecting).parameters.values()
    defaults = [(one.name, str(one.default)) for one in parameters if one.default is not inspect.Parameter.empty]
    assert [*rows, ("logger_name", "None")] == defaults


@pytest.mark.parametrize("cls", [ws_core.Extension, ws_core.TransportHook, ws_core.WSMessage])
def test_the_reference_of_hooks_is_complete(cls: type) -> None:
    text = (GUIDES.parent / "reference/hooks.md").read_text()
    names = [name for name in vars(cls) if not name.startswith("_")]
    assert names
    assert [name for name in names if not re.search(rf"`(await )?{name}[`(]", text)] == []


@pytest.mark.parametrize("command", ["talk", "bench"])
def test_the_guide_to_the_commands_lists_their_options(command: str) -> None:
    text = (GUIDES / "command-line.md").read_text()
    parser = importlib.import_module(f"ws_core._cli.{command}").parser()
    options = [action.option_strings[-1] for action in parser._actions if action.option_strings]
    short = {"--header": "-H"}
    assert [option for option in options if f"`{short.get(option, option)}" not in text and option != "--help"] == []


def anchors(page: Path) -> set[str]:
    """What a link may name behind #: GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith(("http://", "https://", "mailto:")):
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_promise_has_its_tests() -> None:
    text = (ROOT / "docs/explanation/reliability.md").read_text()
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", text)
    assert len(named) > 20
    for file, name in named:
        path = ROOT / (file if "/" in file else f"packages/ws-core/tests/{file}")
        assert re.search(rf"^(async def|def|class) {name}\b|^{name} = ", path.read_text(), re.M), f"{file}::{name}"


def test_the_arguments_that_keep_attackers_out() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    calls = [inspect.signature(call).parameters for call in (ws_core.ws_create_server, ws_core.ws_connect)]
    options = {name: value for each in ws_core.registered_extensions() for name, value in each.options.items()}
    passed_on = {"ssl": None}  # to loop.create_server
    known = {**passed_on, **options, **{name: each.default for call in calls for name, each in call.items()}}
    done = re.findall(r"^\|.*\| `(\w+)` \|$", text, re.M)
    left = re.findall(r"^\| `(\w+)` \| (\S+) \|", text, re.M)
    assert len(done) > 5
    assert len(left) > 5
    assert set(done) <= known.keys()
    assert {name: str(known[name]) for name, _ in left} == dict(left)
