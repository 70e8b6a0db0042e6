"""Builds the projects in tests/capi as a stranger would: from the installed wheel, into a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent.parent / "capi"
BUILD_LIMIT_S = 300


def copied(project: Path, folder: Path) -> Path:
    """A copy of a project, so that nothing is left behind in the tree."""
    copy = folder / "source"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("build", "__pycache__", "*.so", "*.egg-info"))
    return copy


def install(source: Path, site: Path) -> None:
    """Build a project with the Python of this test, and the packages it has, and install it into `site`."""
    command = ["-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    _run([*command, "--disable-pip-version-check", "--target", str(site), str(source)], source)


def compile_only(source: Path, site: Path) -> None:
    """The quicker half of install(): only the extension modules."""
    _run(["setup.py", "-q", "build_ext", "--build-lib", str(site)], source)


def _run(command: list[str], folder: Path) -> None:
    result = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "CFLAGS": "-O0 -g0"},  # quick to build; what it does is the same
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_LIMIT_S,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def import_error(module: str, *paths: Path) -> str:
    """What an import of `module` says, in a fresh Python that sees `paths` first. Anything but ImportError fails."""
    code = f"try:\n    import {module}\nexcept ImportError as exc:\n    print(exc)\nelse:\n    print('imported')\n"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        cwd=paths[0],
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
        check=False,
    )
    assert result.returncode == 0, f"exit code {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout.strip()
