"""Which core this package allows, and that the session which installs the oldest one knows it."""

from __future__ import annotations

import importlib.util
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("oldest_core", ROOT / "tools/oldest_core.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_wheel_needs_core_and_nothing_else(tool: ModuleType) -> None:
    assert requires("wirelark-ws-autoping") == [f"wirelark-ws-core>={tool.oldest('ws-autoping')}"]


def test_the_oldest_core_can_be_had(tool: ModuleType, tmp_path: Path) -> None:
    """`nox -s oldest_core` runs this package's tests on it."""
    assert (tool.source_of_core(tool.oldest("ws-autoping"), tmp_path) / "pyproject.toml").exists()
    with pytest.raises(SystemExit, match="no tag"):
        tool.source_of_core("0.0.1", tmp_path)


@pytest.mark.parametrize(("a", "b", "same"), [("0.1", "0.1.0", True), ("0.1", "0.1.1", False), ("0.10", "0.1", False)])
def test_same_release(tool: ModuleType, a: str, b: str, same: bool) -> None:
    assert tool.same_release(a, b) is same
