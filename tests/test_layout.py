"""The shape of the tree (docs/explanation/design.md): who imports whom, what lies where, what a wheel holds."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from importlib.metadata import files, requires, version
from pathlib import Path

import pytest

import ws_core
from ws_core._capi import layout as installed_layout
from ws_core._layout import layout_number

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
CORE = ROOT / "packages/ws-core/src/ws_core"
PACKAGES = {
    "ws-core": ("wirelark-ws-core", "ws_core"),
    "ws-proxy": ("wirelark-ws-proxy", "ws_proxy"),
    "ws-autoping": ("wirelark-ws-autoping", "ws_autoping"),
    "ws-types": ("wirelark-ws-types", "ws_core-stubs"),
}
# Files over 500 lines, each with its reason.
LONG_FILES = {
    "packages/ws-core/tests/test_transport.py": "one file of tests for each file",
}
# What each module of core may import from core, beside what everybody may: imports point down.
EVERYBODY = {"enums", "errors", "_version"}
LAYERS = {
    "enums": set(),
    "errors": {"upgrade"},  # for annotations only
    "_version": set(),
    "stats": set(),
    "closing": set(),
    "upgrade": {"_listener"},  # for annotations only
    "url": set(),
    "_handshake": {"upgrade", "url"},
    "extension": {"upgrade", "url", "_frame", "_transport"},  # the latter for annotations only
    "negotiation": {"_transport", "extension", "upgrade"},  # the first for annotations only
    "_tuning": set(),
    "_linger": {"_transport"},  # for annotations only
    "_resets": set(),
    "_options": {"_resets", "_sender"},
    "capi": set(),
    "_layout": {"_capi"},  # when a compiled module asks, not before
    "_wire": set(),
    "_buffer": {"_wire"},
    "_frame": {"_buffer", "_wire"},
    "_hooks": {"_frame", "extension"},
    "_sender": {"_buffer", "_wire"},
    "_ending": {"_frame", "_linger", "_sender", "_wire", "closing"},
    "_transport": {"_ending", "_hooks", "_sender", "_wire", "extension", "stats", "upgrade"},
    "_broadcast": {"_transport", "_wire", "closing"},
    "_listener": {"_frame", "_transport", "_wire"},
    "_receiver": {"_buffer", "_frame", "_hooks", "_listener", "_sender", "_sys", "_transport", "_wire", "closing"},
    "_sys": set(),
    "_socket": {"_receiver", "_sys"},
    "_deadlines": set(),
    "_adopting": {"_socket", "_sys"},
    "_accepting": {"_adopting"},
    "_dial": set(),
    "_connect": {"_adopting", "_dial", "extension", "url"},
    "_protocol": {"_hooks", "_listener", "_receiver", "_sender", "_socket", "_transport", "_tuning", "closing"},
    "_capi": {"_buffer", "_frame", "_hooks", "_listener", "_transport", "_wire", "capi"},
    "client": {
        *{"_connect", "_handshake", "_listener", "_options", "_protocol", "_sender", "_transport"},
        *{"extension", "negotiation", "upgrade", "url"},
    },
    "_upgrading": {
        *{"_deadlines", "_handshake", "_listener", "_protocol", "_sender", "_transport"},
        *{"extension", "negotiation", "upgrade"},
    },
    "server": {
        *{"_accepting", "_connect", "_ending", "_handshake", "_options", "_protocol", "_transport", "_upgrading"},
        *{"extension"},
    },
    "__main__": {"_cli"},
    "bench": {"_cli"},
    "_cli": {"ws_core", "_listener"},  # a user of it, like anybody else
    "testing": {"_upgrading", "_frame", "_listener", "_transport", "client", "extension", "server", "upgrade", "url"},
    "_retry": set(),
    "_reconnecting": {"_listener", "_options", "_retry", "_transport", "client", "url"},
}


def tracked() -> list[str]:
    output = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in output.splitlines() if (ROOT / name).is_file()]


def imports_of(path: Path) -> set[str]:
    """Modules of core that a source file names in an import, at any depth of it."""
    found: set[str] = set()
    text = path.read_text()
    for match in re.finditer(r"^\s*(?:from\s+ws_core(?:\.(\w+))?\s+c?import\b(.*)|c?import\s+ws_core)", text, re.M):
        found.add(match[1] or "ws_core")
    return found


def core_modules() -> list[str]:
    files = {path.stem for path in CORE.iterdir() if path.suffix in (".py", ".pyx", ".pxd")} - {"__init__"}
    return sorted(files | {path.parent.name for path in CORE.glob("*/__init__.py")})


def test_every_module_of_core_has_its_layer() -> None:
    assert set(core_modules()) == set(LAYERS)


@pytest.mark.parametrize("module", core_modules())
def test_imports_point_down(module: str) -> None:
    allowed = LAYERS[module] | EVERYBODY | {module}
    for path in [*CORE.glob(f"{module}.p*"), *CORE.glob(f"{module}/*.py")]:
        found = imports_of(path)
        if module == "extension":
            found.discard("ws_core")  # for annotations only
        assert found <= allowed, f"{path.name} imports {found - allowed}"


def test_annotations_only_means_that() -> None:
    """The upward imports that LAYERS allows stand under TYPE_CHECKING."""
    upward = {
        "errors": "upgrade",
        "upgrade": "_listener",
        "extension": "_transport",
        "_linger": "_transport",
        "negotiation": "_transport",
    }
    for module, target in upward.items():
        tree = ast.parse((CORE / f"{module}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                assert node.module not in (f"ws_core.{target}", "ws_core"), f"{module} imports {target} at run time"


def test_wire_knows_only_libc() -> None:
    for path in (CORE / "_wire").iterdir():
        for include in re.findall(r'#\s*include\s*[<"]([^>"]+)', path.read_text()):
            assert "python" not in include.lower(), f"{path.name} includes {include}"
            assert "/" not in include or include.startswith(("sys/", "arm_")), f"{path.name} includes {include}"


def test_each_wire_part_has_a_header_and_a_test() -> None:
    parts = {path.stem for path in (CORE / "_wire").iterdir()}
    for part in parts:
        assert (CORE / "_wire" / f"{part}.h").exists()
        assert (ROOT / f"packages/ws-core/tests/wire/test_{part}.c").exists(), f"{part} has no C test"


def test_only_the_upgrade_knows_http_and_only_the_loop_side_knows_asyncio() -> None:
    for module in ("_handshake", "url", "errors", "upgrade", "enums", "stats", "closing"):
        text = (CORE / f"{module}.py").read_text()
        assert not re.search(r"^\s*(import|from) asyncio", text, re.M), f"{module} knows asyncio"
    for module in core_modules():
        for suffix in (".py", ".pyx"):
            path = CORE / f"{module}{suffix}"
            if path.exists() and module != "_handshake":
                assert "httptools" not in re.sub(r"#.*|\"\"\".*?\"\"\"", "", path.read_text(), flags=re.S), module


def test_extensions_import_only_public_names_of_core() -> None:
    for package in ("ws-proxy", "ws-autoping"):
        for path in (ROOT / "packages" / package / "src").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ws_core":
                    names = {alias.name for alias in node.names}
                    assert node.module == "ws_core", f"{path} imports {node.module}"
                    assert names <= set(ws_core.__all__), f"{path} imports {names - set(ws_core.__all__)}"
                if isinstance(node, ast.ImportFrom) and node.module:
                    others = {"ws_proxy", "ws_autoping"} - {path.parent.name}
                    assert node.module.split(".")[0] not in others, f"{path} imports a sibling"


def test_core_names_extensions_only_in_the_table_of_hints() -> None:
    for path in [*CORE.glob("*.py"), *CORE.glob("*.pyx")]:
        text = path.read_text()
        if path.name == "extension.py":
            text = re.sub(r"_HINTS[^=]*= \{.*?\n\}", "", text, flags=re.S)
        assert not re.search(r"ws_proxy|ws_autoping|wirelark-ws-(proxy|autoping)", text), path.name


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_a_distribution_of_its_own(package: str) -> None:
    distribution, _ = PACKAGES[package]
    folder = ROOT / "packages" / package
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "src", "tests"):
        assert (folder / name).exists(), f"{package} has no {name}"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == distribution
    assert version(distribution) in (folder / "CHANGELOG.md").read_text()


def test_requirements_between_packages_are_ranges() -> None:
    """An oldest core, never ==, never an upper bound."""
    for package in ("ws-proxy", "ws-autoping"):
        lines = [line for line in requires(PACKAGES[package][0]) or [] if line.startswith("wirelark-ws-core")]
        assert lines
        for line in lines:
            assert ">=" in line
            assert not re.search(r"==|<|~=", line), line


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_holds_every_file_of_the_package(package: str) -> None:
    distribution, name = PACKAGES[package]
    installed = {str(file) for file in files(distribution) or ()}
    source = ROOT / "packages" / package / "src"
    for tracked_name in tracked():
        path = ROOT / tracked_name
        if source in path.parents and path.suffix in (".py", ".pyi", ".pxd", ".h", ".typed"):
            assert str(path.relative_to(source)) in installed, f"{path} is not in the wheel"
    assert any(file.endswith("py.typed") for file in installed)
    assert not any(file.endswith((".c", ".pyx")) for file in installed), "sources are in the wheel"
    assert any(name in file for file in installed)


def test_the_layout_number_follows_the_pxd_files(tmp_path: Path) -> None:
    """What is installed was compiled with the number of the tree's files; any change of a declaration changes it."""
    assert layout_number(CORE) == installed_layout
    installed = Path(ws_core.get_include()).parent
    assert layout_number(installed) == installed_layout
    assert f"layout_{installed_layout:08x}" in (installed / "_layout.pxd").read_text()
    for name in ("_listener.pxd", "_sender.pxd", "_wire.pxd", "_wire/reader.h"):
        package = shutil.copytree(CORE, tmp_path / name.replace("/", "-"))
        path = package / name
        text = path.read_text()
        path.write_text(text + ("\n# a comment\n" if path.suffix == ".pxd" else "\n/* a comment */\n"))
        assert layout_number(package) == installed_layout
        path.write_text(f"{text}\ncdef int more;\n")
        assert layout_number(package) != installed_layout, f"a change of {name} is not seen"


def test_the_c_api_has_the_same_names_everywhere() -> None:
    """The header, its declarations for Cython, what ws_core/__init__.pxd passes on, and its reference."""
    header = re.sub(r"/\*.*?\*/", "", (CORE / "include/ws_core.h").read_text(), flags=re.S)
    table = header[header.index("typedef struct ws_core_api {") :]
    names = set(re.findall(r"^\s*(WS_\w+) =", header, re.M)) | {"WS_CORE_ABI_MAJOR", "WS_CORE_ABI_MINOR"}
    names |= set(re.findall(r"typedef struct (\w+) \{", header)) | {"ws_core_import"}
    functions = re.findall(r"\(\*(\w+)\)\(", header)
    pxd = (CORE / "capi.pxd").read_text()
    assert re.findall(r"\(\*(\w+)\)\(", pxd) == functions
    declared = set(re.findall(r"^\s+(WS_\w+)$", pxd, re.M)) | set(re.findall(r"ctypedef struct (\w+):", pxd))
    assert declared | {"ws_core_import"} == names
    assert "*ws_core_import() except NULL" in pxd
    passed_on = re.search(r"from ws_core.capi cimport \((.*?)\)", (CORE / "__init__.pxd").read_text(), re.S)
    assert passed_on is not None
    assert set(re.findall(r"\w+", passed_on[1])) == names
    reference = (ROOT / "docs/reference/c-api.md").read_text()
    for name in names | set(re.findall(r"\(\*(\w+)\)\(", table)):
        assert f"`{name}" in reference, f"docs/reference/c-api.md does not say what {name} is"


def test_small_files() -> None:
    for name in tracked():
        if Path(name).suffix in (".py", ".pyx", ".pxd", ".c", ".h", ".pyi"):
            count = len((ROOT / name).read_text().splitlines())
            assert count <= 500 or name in LONG_FILES, f"{name} has {count} lines"
    for name in LONG_FILES:
        assert len((ROOT / name).read_text().splitlines()) > 500, f"{name} needs no exception any more"


def test_only_text_and_pictures_are_in_the_repository() -> None:
    """Nothing that was built or downloaded: a `git add -A` takes what lies around."""
    binary = {name for name in tracked() if b"\0" in (ROOT / name).read_bytes()}
    assert {name for name in binary if Path(name).parent != Path("docs/pictures")} == set()


def test_the_first_lines_say_what_lives_there() -> None:
    for name in tracked():
        path = ROOT / name
        if "examples" in name or path.name in ("__main__.py", "_version.py") or "ws-types/src" in name:
            continue
        text = path.read_text() if path.suffix in (".py", ".pyx", ".c", ".h") else ""
        if text:
            assert text.lstrip().startswith(('"""', "#", "/*", "//", "from __future__")), (
                f"{name} says nothing at its head"
            )


@pytest.mark.parametrize(("name", "limit"), [("CONTRIBUTING.md", 150), ("noxfile.py", 280)])
def test_short_files(name: str, limit: int) -> None:
    assert len((ROOT / name).read_text().splitlines()) <= limit


def test_import_loads_only_what_every_connection_needs() -> None:
    code = (
        "import sys, ws_core; loaded = {'ws_proxy', 'ws_autoping', 'python_socks', 'aiofastnet', 'ws_core.testing'}"
        " & set(sys.modules); assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_import_loads_later_what_few_ask_for() -> None:
    code = (
        "import sys, ws_core; assert not {'ws_core._reconnecting', 'ws_core._retry'} & set(sys.modules);"
        "assert set(ws_core.__all__) <= set(dir(ws_core)); assert not hasattr(ws_core, 'recnnecting');"
        "names = {}; exec('from ws_core import *', names); assert set(ws_core.__all__) <= set(names);"
        "assert ws_core.reconnecting is names['reconnecting'] is sys.modules['ws_core._reconnecting'].reconnecting"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("benchmark", ["hooks", "strict"])
def test_what_a_benchmark_cuts_out_is_there(benchmark: str) -> None:
    """It compiles a core without that, and would otherwise find out when somebody next runs it."""
    cuts = ast.parse((ROOT / f"benchmarks/{benchmark}.py").read_text())
    (value,) = (
        node.value for node in cuts.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CUTS"
    )
    for name, what, _ in ast.literal_eval(value):
        assert (CORE / name).read_text().count(what) == 1, f"{name}: {what!r}"
