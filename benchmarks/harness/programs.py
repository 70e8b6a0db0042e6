"""Compiles the C programs (c/*.c) for one run, into a directory that goes with it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "c"
FLAGS = ["-std=c11", "-O3", "-Wall", "-Wextra"]
SHARED_PARTS = ["ws.c", "meter.c"]


@contextmanager
def programs(*flags: str) -> Iterator[dict[str, Path]]:
    """The path of each program by its name: driver, server."""
    with tempfile.TemporaryDirectory(prefix="bench-c-") as folder:
        built = {}
        for name in ("driver", "server"):
            built[name] = Path(folder, name)
            sources = [str(SOURCES / part) for part in (f"{name}.c", *SHARED_PARTS)]
            _cc(*FLAGS, *flags, "-o", str(built[name]), *sources)
        yield built


@contextmanager
def shared_library(source: str, *flags: str) -> Iterator[Path]:
    """One C file as a shared library."""
    with tempfile.TemporaryDirectory(prefix="bench-c-") as folder:
        path = Path(folder, source).with_suffix(".so")
        _cc(*FLAGS, *flags, "-shared", "-fPIC", "-o", str(path), str(SOURCES / source))
        yield path


def _cc(*arguments: str) -> None:
    subprocess.run([os.environ.get("CC", "cc"), *arguments], check=True)
