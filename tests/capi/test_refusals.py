"""Who is let in: modules compiled against released headers run on the tree; others get an ImportError that helps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ws_core
from strangers import HERE, compile_only, copied, import_error
from ws_core._layout import layout_number, write_layout_pxd

HEADER = Path(ws_core.get_include()) / "ws_core.h"
FROZEN = sorted((HERE / "frozen").glob("ws_core-*.h"))


def built_with_header(tmp_path: Path, text: str) -> Path:
    """c_plain, compiled against another header: one beside the source is found first."""
    source = copied(HERE / "c_plain", tmp_path)
    (source / "ws_core.h").write_text(text)
    compile_only(source, tmp_path / "site")
    return tmp_path / "site"


@pytest.mark.parametrize("header", FROZEN, ids=lambda path: path.stem)
def test_modules_compiled_against_a_released_header_are_let_in(tmp_path: Path, header: Path) -> None:
    assert import_error("capi_c_plain", built_with_header(tmp_path, header.read_text())) == "imported"


def test_every_minor_has_its_frozen_header() -> None:
    major, minor = divmod(ws_core.abi_version, 1 << 16)
    frozen = HERE / "frozen" / f"ws_core-{major}.{minor}.h"
    assert frozen.exists(), f"freeze the header: cp {HEADER} {frozen}"
    assert frozen.read_text() == HEADER.read_text(), (
        f"ws_core.h is not {frozen.name} any more. If ABI {major}.{minor} has been released: append only, bump "
        f"WS_CORE_ABI_MINOR and add a new frozen header. If not: cp {HEADER} {frozen}"
    )


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("MINOR", "1u", "99u", ["is older and has 0.1", "pip install --upgrade wirelark-ws-core"]),
        ("MAJOR", "0u", "7u", ["has 0.1, which is incompatible", "pip install --upgrade wirelark-ws-core"]),
    ],
)
def test_an_older_core_is_refused(tmp_path: Path, name: str, old: str, new: str, expected: list[str]) -> None:
    text = HEADER.read_text()
    assert f"WS_CORE_ABI_{name} {old}" in text
    text = text.replace(f"WS_CORE_ABI_{name} {old}", f"WS_CORE_ABI_{name} {new}")
    message = import_error("capi_c_plain", built_with_header(tmp_path, text))
    for part in expected:
        assert part in message


def after(statement: str, module: str, site: Path) -> str:
    """import_error() in a Python that has changed something of core before."""
    path = site / f"changed_{module}.py"
    path.write_text(f'"""A core that says something else."""\n{statement}\nimport {module}\n')
    return import_error(path.stem, site)


def test_a_core_of_a_newer_major_is_refused(built: Callable[[str], Path]) -> None:
    change = "import ctypes, ws_core._capi\n" + (
        "get = ctypes.pythonapi.PyCapsule_GetPointer\n"
        "get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]\n"
        "ctypes.c_uint32.from_address(get(ws_core._capi.table, b'ws_core._capi.table')).value = 3\n"
    )
    message = after(change, "capi_c_plain", built("c_plain"))
    assert "has 3.1, which is incompatible: upgrade this module, or rebuild it" in message


def test_a_core_without_a_c_api_is_refused(tmp_path: Path, built: Callable[[str], Path]) -> None:
    package = tmp_path / "ws_core"
    package.mkdir()
    (package / "__init__.py").write_text('__version__ = "0.0.9"\n')
    message = import_error("capi_c_plain", tmp_path, built("c_plain"))
    assert "ws_core 0.0.9 has none: pip install --upgrade wirelark-ws-core" in message


def test_no_core_at_all_says_so(tmp_path: Path, built: Callable[[str], Path]) -> None:
    code = "import sys; sys.modules['ws_core'] = None\nimport capi_c_plain"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(built("c_plain"))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "ModuleNotFoundError: import of ws_core halted" in result.stderr


def test_a_module_of_another_layout_is_refused(tmp_path: Path) -> None:
    """One method more in the middle of a vtable: without the check, on_ws_frame would be another method."""
    source = copied(HERE / "cython_listener", tmp_path)
    changed = source / "ws_core"  # what Cython finds beside the source comes first
    shutil.copytree(HEADER.parent.parent, changed, ignore=shutil.ignore_patterns("*.so", "*.py", "__pycache__"))
    pxd = changed / "_listener.pxd"
    old = "    cpdef on_ws_frame("
    assert old in pxd.read_text()
    pxd.write_text(pxd.read_text().replace(old, f"    cdef int something_new(self) except -1\n{old}"))
    number = write_layout_pxd(changed)
    assert number != layout_number(HEADER.parent.parent)
    compile_only(source, tmp_path / "site")
    message = import_error("capi_cython_listener", tmp_path / "site")
    assert f"was compiled against the classes of another build of ws_core (layout_{number:08x})" in message
    assert "rebuild it against the installed one" in message


def test_a_core_of_another_layout_refuses_old_modules(built: Callable[[str], Path]) -> None:
    change = "import ws_core._capi; ws_core._capi.layout ^= 1"
    message = after(change, "capi_cython_listener", built("cython_listener"))
    assert "was compiled against the classes of another build of ws_core" in message


def test_a_module_that_uses_the_c_api_alone_does_not_depend_on_the_layout(built: Callable[[str], Path]) -> None:
    change = "import ws_core._capi; ws_core._capi.layout ^= 1"
    assert after(change, "capi_cython_hook", built("cython_hook")) == "imported"


def test_the_check_cannot_be_gone_past(tmp_path: Path) -> None:
    """cimport from the module that has a class: the layout would be compiled in, and nobody would ask for it."""
    source = copied(HERE / "cython_listener", tmp_path)
    (source / "capi_cython_listener.pyx").write_text("from ws_core._listener cimport WSListener\n")
    with pytest.raises(AssertionError, match="cimport WSFrame, WSListener and WSTransport from ws_core"):
        compile_only(source, tmp_path / "site")
