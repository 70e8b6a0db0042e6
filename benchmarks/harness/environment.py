"""What instruction counts depend on beside our own source, and where a file's last version came from."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.harness.children import ROOT

# What valgrind shows a program of the machine's SIMD; it has no AVX-512.
_SIMD = ("sse4_2", "avx", "avx2", "asimd")


def environment() -> dict[str, str]:
    cython, compiler = built_by(installed_core())
    return {
        "architecture": platform.machine(),
        "simd": next((name for name in reversed(_SIMD) if name in _cpu_flags()), "none"),
        "python": sys.version,
        "libc": os.confstr("CS_GNU_LIBC_VERSION") or "unknown",
        "compiler": compiler,
        "cython": cython,
        **{name: importlib.metadata.version(name) for name in ("aiofastnet", "uvloop")},
        "valgrind": subprocess.run(
            ["valgrind", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip(),
    }


def installed_core() -> Path:
    spec = importlib.util.find_spec("ws_core")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def built_by(core: Path) -> tuple[str, str]:
    """Which Cython and which compiler made the core in this folder: both leave their names in a module."""
    (path,) = core.glob("_receiver.*.so")
    module = path.read_bytes()
    cython = re.search(rb"_cython_(\d\w+)", module)
    compiler = re.search(rb"GCC: (\([^)]*\) [\d.]+)|clang version [\d.]+", module)
    return cython[1].decode() if cython else "unknown", compiler[0].decode() if compiler else "unknown"


def _cpu_flags() -> set[str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split()}


def last_commit_of(path: Path) -> str:
    """The commit that last changed it."""
    status = _git("status", "--porcelain", "--", str(path))
    commit = _git("log", "-1", "--format=%H", "--", str(path))
    if status or not commit:
        raise SystemExit(f"{path.name} has changes that are not committed: which core they are of is unknown")
    return commit


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
