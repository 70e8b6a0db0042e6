"""The pages under docs/ and llms.txt: their code runs, their tables and links are right, the API pages are complete.

A page's blocks run in order, in one namespace. A block that defines main() is run then, and must print what the block
of text behind it shows. Coroutines called test_... run at the end of the page.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT, Block, blocks, broken_links, table_rows

import ws_autoping
import ws_core
import ws_core.negotiation
import ws_core.testing
import ws_proxy
from harness import within

DOCS = ROOT / "docs"
GUIDES = DOCS / "guides"
# Guides whose blocks are not run here, each with its reason.
NOT_RUN = {
    "write-an-extension.md": "tests/capi builds and runs its files",
    "proxies.md": "packages/ws-proxy/tests/test_pages.py runs its call",
    "deploying.md": "tests/deploying runs its configurations; its code is a part of an example, see below",
}
PAGES = [
    page.name
    for page in sorted(GUIDES.glob("*.md"))
    if page.name not in NOT_RUN and any(block.language == "python" for block in blocks(page))
]
FOLDERS = ("benchmarks", "examples", "packages/*", "tests/*")
API_PAGES = sorted((DOCS / "reference/api").glob("*.md"))


async def run(page: Path) -> int:
    """Run the code of a page; returns how many of its functions were called."""
    namespace: dict[str, Any] = {"__name__": page.stem}
    parts = blocks(page)
    called = 0
    for block, behind in zip(parts, [*parts[1:], None], strict=True):
        if block.language != "python":
            continue
        namespace.pop("main", None)
        exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), namespace)
        if "main" in namespace:
            called += 1
            printed = StringIO()
            with redirect_stdout(printed):
                await within(namespace["main"]())
            assert isinstance(behind, Block)
            assert behind.language == "text", f"{page.name}:{block.line}: behind main() stands what it prints"
            assert printed.getvalue() == behind.code, f"{page.name}:{block.line}"
    for name, test in namespace.items():
        if name.startswith("test_") and inspect.iscoroutinefunction(test):
            called += 1
            await within(test())
    return called


@pytest.mark.parametrize("page", [*PAGES, "../index.md"])
async def test_the_code_of_a_page_runs(page: str, loop_name: str) -> None:
    assert await run(GUIDES / page)


@pytest.mark.parametrize("page", ["*.md", "llms.txt", "docs/**/*.md", *(f"{folder}/*.md" for folder in FOLDERS)])
def test_links_lead_somewhere(page: str) -> None:
    found = list(ROOT.glob(page))
    assert found
    assert {path.name: broken for path in found if (broken := broken_links(path))} == {}


def test_llms_txt_names_every_page_and_every_public_function() -> None:
    text = (ROOT / "llms.txt").read_text()
    pages = {path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md")}
    # Those are the site's: what they show stands in the sources, and in examples/README.md.
    generated = {path.relative_to(ROOT).as_posix() for path in [*API_PAGES, DOCS / "examples.md"]}
    assert {page for page in pages if f"({page})" not in text} == generated
    functions = [name for name in ws_core.__all__ if inspect.isfunction(getattr(ws_core, name))]
    assert [name for name in functions if not re.search(rf"`(await )?{name}[`(]", text)] == []


# ------------------------------------------------------------- the reference


def options_of(function: Callable[..., Any]) -> dict[str, str]:
    """The options of a function with their defaults, as tables write them."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: shown(one.default) for one in parameters if one.default is not inspect.Parameter.empty}


def shown(default: object) -> str:
    return f"`{getattr(default, 'name', default)}`"


def options_in(heading: str) -> dict[str, str]:
    return {row[0].strip("`"): row[1] for row in table_rows(DOCS / "reference/options.md", heading)}


def test_the_options_of_core() -> None:
    client, server = options_of(ws_core.ws_connect), options_of(ws_core.ws_create_server)
    both = {name: default for name, default in client.items() if server.get(name) == default}
    assert options_in("Client and server") == both
    assert options_in("Client only") == {name: client[name] for name in client if name not in both}
    assert options_in("Server only") == {name: server[name] for name in server if name not in both}
    assert options_in("reconnecting") == options_of(ws_core.reconnecting)


@pytest.mark.parametrize("extension", ws_core.registered_extensions(), ids=lambda extension: str(extension.name))
def test_the_options_of_extensions(extension: ws_core.Extension) -> None:
    listed = options_in(extension.name)
    assert list(listed) == list(extension.options)
    for name, default in extension.options.items():
        assert listed[name] == shown(default), name


def test_every_option_has_a_unit_and_a_meaning() -> None:
    headings = ["Client and server", "Client only", "Server only", "reconnecting"]
    for heading in [*headings, *(extension.name for extension in ws_core.registered_extensions())]:
        for row in table_rows(DOCS / "reference/options.md", heading):
            assert len(row) == 4, row
            assert all(row), row


@pytest.mark.parametrize("module", [ws_core, ws_core.testing, ws_core.negotiation, ws_proxy, ws_autoping])
def test_the_api_pages_have_every_public_name(module: Any) -> None:
    text = "".join(page.read_text() for page in API_PAGES)
    documented = re.findall(rf"^\.\. auto\w+:: {re.escape(module.__name__)}\.(\w+)(?:\(\))?$", text, re.M)
    assert len(documented) == len(set(documented))
    others = {"__version__"} | (set() if module is ws_core else set(ws_core.__all__))
    assert set(documented) == set(module.__all__) - others


@pytest.mark.parametrize("cls", [ws_core.WSTransport, ws_core.WSFrame])
def test_attributes_without_a_docstring_are_described(cls: type) -> None:
    """Those of compiled classes: autodoc leaves them out."""
    text = (DOCS / f"reference/api/{cls.__name__[2:].lower()}.md").read_text()
    bare = {name for name in dir(cls) if not name.startswith("_") and not getattr(cls, name).__doc__}
    assert bare
    assert set(re.findall(r"^   \.\. py:attribute:: (\w+)$", text, re.M)) == bare


@pytest.mark.parametrize(
    ("page", "example"), [("cython.md", "cython_listener/fast_echo.pyx"), ("deploying.md", "echo_processes.py")]
)
def test_a_guide_shows_a_part_of_an_example(page: str, example: str) -> None:
    path = ROOT / "examples" / example
    (shown,) = (block.code for block in blocks(GUIDES / page) if block.file == path.name)
    assert shown in path.read_text()


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
