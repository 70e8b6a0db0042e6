"""The strangers' modules, each built once in a session, when a test first asks for one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest

from strangers import HERE, copied, install


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder into which a project of this folder is installed."""

    @lru_cache
    def build(project: str) -> Path:
        folder = tmp_path_factory.mktemp(project)
        install(copied(HERE / project, folder), folder / "site")
        return folder / "site"

    return build


@pytest.fixture(scope="session")
def stranger(built: Callable[[str], Path]) -> Callable[[str], ModuleType]:
    """The module of a project, imported from there."""

    @lru_cache
    def load(project: str) -> ModuleType:
        name = f"capi_{project}"
        (path,) = built(project).glob(f"{name}.*.so")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
        return module

    return load


@pytest.fixture(params=["c_plain", "cpp17"])
def plain(request: pytest.FixtureRequest, stranger: Callable[[str], ModuleType]) -> ModuleType:
    """The listener and the hook made of functions, in C and in C++."""
    return stranger(request.param)


@pytest.fixture
def sender(stranger: Callable[[str], ModuleType]) -> ModuleType:
    return stranger("c_sender")


@pytest.fixture
def cython_listener(stranger: Callable[[str], ModuleType]) -> ModuleType:
    return stranger("cython_listener")


@pytest.fixture
def cython_hook(stranger: Callable[[str], ModuleType]) -> ModuleType:
    return stranger("cython_hook")
