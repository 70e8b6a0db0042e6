"""Builds a ws_core beside the one that is installed, to be measured in the same run (``ws_core@FOLDER``)."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.children import ROOT


def install_core(source: Path, site: Path, *options: str) -> None:
    """packages/ws-core as it stands in `source`, into the folder `site`. `source` must be a copy: the build leaves
    things in it."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", *options, "--target", str(site), str(source)]
    run_or_exit(pip, source)


def run_or_exit(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed\n{done.stdout}{done.stderr}")


@contextmanager
def core_of_commit(commit: str) -> Iterator[Path]:
    """A folder with the core of a commit, built as its wheel would be: isolated, by what pyproject.toml asks for."""
    with tempfile.TemporaryDirectory(prefix="bench-core-") as temporary:
        archive = ["git", "archive", commit, "packages/ws-core"]
        data = subprocess.run(archive, cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            tar.extractall(temporary, filter="data")
        site = Path(temporary, "site")
        install_core(Path(temporary, "packages/ws-core"), site)
        yield site
