"""The stubs describe the installed core: its names, its members and the arguments of its functions, all of them.

tests/static asks type checkers; this here reads files, and runs wherever the tests do.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import files, version
from pathlib import Path
from typing import Any

import pytest

import ws_core
from ws_core import registered_extensions

CORE = Path(ws_core.__file__).parent
STUB_FILES = [Path(str(file.locate())) for file in files("wirelark-ws-types") or () if str(file).endswith(".pyi")]
STUBS = STUB_FILES[0].parent if STUB_FILES else Path("wirelark-ws-types is not installed")
WHERE = "packages/ws-types/src/ws_core-stubs"
# An optional callback, which the base class does not have; the buffer protocol, which Python shows from 3.12 on.
NOT_AT_RUN_TIME = {"on_ws_frames", "__buffer__"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def names_of(body: list[ast.stmt]) -> set[str]:
    """What is defined at one level of a stub."""
    found = set()
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname for alias in node.names if alias.asname}
    return found


def stub(module: str) -> list[ast.stmt]:
    return ast.parse((STUBS / f"{module}.pyi").read_text()).body


def classes(module: str) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in stub(module) if isinstance(node, ast.ClassDef)}


def is_compiled(core: Path, module: str) -> bool:
    return any((core / f"{module}{suffix}").exists() for suffix in EXTENSION_SUFFIXES)


def undescribed(core: Path, stubs: Path) -> list[str]:
    """For each public name that is compiled and has no stub: what to do."""
    tree = ast.parse((core / "__init__.py").read_text())
    (public,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    problems = []
    for node in ast.walk(tree):
        module = (getattr(node, "module", None) or "").removeprefix("ws_core.")
        if not isinstance(node, ast.ImportFrom) or not is_compiled(core, module):
            continue
        file = stubs / f"{module}.pyi"
        described = names_of(ast.parse(file.read_text()).body) if file.exists() else set()
        for name in {alias.asname or alias.name for alias in node.names} & set(public) - described:
            problems.append(
                f"ws_core exports {name}, which is compiled, and type checkers do not know it: describe it in "
                f"{WHERE}/{module}.pyi, use it in packages/ws-types/tests/typed, and tell of it in ws-types' CHANGELOG"
            )
    return problems


def test_the_package_is_partial() -> None:
    assert STUB_FILES, "the stubs are not installed"
    assert (STUBS / "py.typed").read_text() == "partial\n"


def test_the_versions_belong_together() -> None:
    """X.Y of the stubs is X.Y of the core that they describe."""
    stubs, core = version("wirelark-ws-types"), ws_core.__version__
    assert stubs.split(".")[:2] == core.split(".")[:2], (
        f"wirelark-ws-types {stubs} describes another core than {core}: go through the CHANGELOG of core, describe in "
        f"{WHERE} what is new, then give packages/ws-types/pyproject.toml core's X.Y"
    )


def test_every_public_name_is_described() -> None:
    problems = undescribed(CORE, STUBS)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("module", ["_frame", "_new"])
def test_a_core_that_has_grown_is_noticed(module: str, tmp_path: Path) -> None:
    """A compiled name more, in a module that has a stub and in one that has none."""
    source = (CORE / "__init__.py").read_text().replace("__all__ = [", '__all__ = [\n    "grown",')
    (tmp_path / "__init__.py").write_text(f"from ws_core.{module} import grown\n{source}")
    for compiled in {file.stem for file in STUB_FILES if is_compiled(CORE, file.stem)} | {module}:
        (tmp_path / f"{compiled}{EXTENSION_SUFFIXES[0]}").touch()
    (problem,) = undescribed(tmp_path, STUBS)
    assert "ws_core exports grown, which is compiled" in problem
    assert f"ws_core-stubs/{module}.pyi" in problem


@pytest.mark.parametrize("module", sorted(file.stem for file in STUB_FILES if file.stem != "_typing"))
def test_what_is_described_is_there(module: str) -> None:
    runtime = importlib.import_module(f"ws_core.{module}")
    for name, node in classes(module).items():
        missing = {member for member in names_of(node.body) if not hasattr(getattr(runtime, name), member)}
        assert missing <= NOT_AT_RUN_TIME, f"{name} in {module}.pyi has {missing}, which core does not have"


# Not _protocol, which is internal: its stub has what core's own modules call.
@pytest.mark.parametrize(
    "module", sorted(file.stem for file in STUB_FILES if is_compiled(CORE, file.stem) and file.stem != "_protocol")
)
def test_every_public_member_is_described(module: str) -> None:
    runtime = importlib.import_module(f"ws_core.{module}")
    for name, node in classes(module).items():
        public = {member for member in vars(getattr(runtime, name)) if not member.startswith("_")}
        missing = public - names_of(node.body)
        assert not missing, (
            f"{name} has {missing}, which type checkers do not know: describe them in {WHERE}/{module}.pyi"
        )


# ------------------------------------------------------------- stubs that stand in front of a pure module


def functions(module: str, name: str) -> list[Function]:
    """The function of that name in a stub; several if it is overloaded. `Class.method` finds methods."""
    body, _, function = stub(module), *name.rpartition(".")[1:]
    if "." in name:
        body = classes(module)[name.partition(".")[0]].body
    return [node for node in body if isinstance(node, Function) and node.name == function]


def arguments_of(function: Function) -> dict[str, tuple[str, ast.expr | None]]:
    """Annotation and default of each argument."""
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    defaults = [*[None] * (len(plain) - len(given.defaults)), *given.defaults, *given.kw_defaults]
    named = zip([*plain, *given.kwonlyargs], defaults, strict=True)
    return {each.arg: ("" if each.annotation is None else ast.unparse(each.annotation), value) for each, value in named}


def owned_options() -> set[str]:
    """Of the family's extensions. Those of strangers, where there are any, are not ours to describe."""
    ours = [extension for extension in registered_extensions() if extension.name.startswith("wirelark-")]
    assert {extension.name for extension in ours} == {"wirelark-ws-autoping", "wirelark-ws-proxy"}
    return {option for extension in ours for option in extension.options}


OPENERS = [("client", "ws_connect"), ("_reconnecting", "reconnecting"), ("server", "ws_create_server")]


@pytest.mark.parametrize(("module", "name"), OPENERS)
def test_options_of_extensions_are_described(module: str, name: str) -> None:
    runtime = inspect.signature(getattr(ws_core, name)).parameters
    taken = set(inspect.signature(ws_core.ws_connect).parameters) if name == "reconnecting" else set()
    for function in functions(module, name):
        described = arguments_of(function).keys() - runtime.keys() - (taken - {"kwargs"})
        owned = owned_options()
        assert owned <= described, (
            f"{name}() does not know the option {sorted(owned - described)} of an extension: add it under "
            f"'# Options of extensions' in client.pyi (twice), _reconnecting.pyi and server.pyi of {WHERE}"
        )
        assert described <= owned, f"{WHERE}/{module}.pyi: no extension owns {sorted(described - owned)} of {name}()"


# Where a stub says more than its module, which has only what its Python 3.10 has, and no options of extensions.
SAYS_MORE = {
    "WSListenerFactory": "WSListenerFactory[WSListener]",
    "Self": "WSServer|WSReconnecting",
    "str | Buffer | None": "str | bytes | None",
}
STANDS_IN_FRONT = [
    ("client", "ws_connect"),
    ("client", "takes"),
    ("server", "ws_create_server"),
    ("_reconnecting", "reconnecting"),
    *[("server", f"WSServer.{name}") for name in names_of(classes("server")["WSServer"].body)],
    *[
        ("_reconnecting", f"WSReconnecting.{name}")
        for name in names_of(classes("_reconnecting")["WSReconnecting"].body)
    ],
]


@pytest.mark.parametrize(("module", "name"), STANDS_IN_FRONT)
def test_a_stub_says_what_its_module_says(module: str, name: str) -> None:
    runtime: Any = importlib.import_module(f"ws_core.{module}")
    for part in name.split("."):
        runtime = inspect.getattr_static(runtime, part)
    runtime = getattr(runtime, "fget", runtime)
    signature = inspect.signature(runtime)
    for function in functions(module, name):
        described = arguments_of(function)
        for argument in signature.parameters.values():
            if argument.kind in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL) or argument.name == "self":
                continue
            annotation, default = described[argument.name]
            if (name, argument.name) != ("ws_connect", "ws_listener_factory"):  # it is what the overloads are for
                assert SAYS_MORE.get(annotation, annotation) == argument.annotation, argument
            assert (default is None) == (argument.default is argument.empty), argument
            if default is not None and not ast.unparse(default).startswith("..."):
                assert ast.literal_eval(default) == argument.default, argument
        returns = ast.unparse(function.returns or ast.Constant(None))
        if name != "ws_connect":
            assert signature.return_annotation in SAYS_MORE.get(returns, returns).split("|")
        assert isinstance(function, ast.AsyncFunctionDef) == inspect.iscoroutinefunction(runtime)


def test_reconnecting_takes_what_ws_connect_takes() -> None:
    ours = arguments_of(functions("_reconnecting", "reconnecting")[0])
    for overload in functions("client", "ws_connect"):
        for name, (annotation, default) in arguments_of(overload).items():
            if name not in ("ws_listener_factory", "url"):
                assert ours[name][0] == annotation, name
                assert default is not None
                assert ast.unparse(ours[name][1] or default) == ast.unparse(default), name


def test_stubs_need_no_new_python() -> None:
    """A type checker reads them as of the user's Python: what is younger than 3.10 comes from typing_extensions."""
    young = r"from typing import .*\b(Self|Never|TypeVar, default|override|Unpack|Buffer|assert_type)\b"
    for file in STUB_FILES:
        assert not re.search(young, file.read_text()), file.name
