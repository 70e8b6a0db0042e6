"""Where and with what a run was made: what every result says about itself."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from benchmarks import native

DISTRIBUTIONS = ("wirelark-ws-core", "picows", "websockets", "aiohttp", "uvloop", "aiofastnet", "python-socks")


def describe() -> dict[str, object]:
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "cores_allowed": len(os.sched_getaffinity(0)),
            "kernel": f"{platform.system()} {platform.release()}",
            "arch": platform.machine(),
            "load_1min": os.getloadavg()[0],
            "transparent_hugepage": _first_line("/sys/kernel/mm/transparent_hugepage/enabled"),
        },
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cc": _cc_version(),
        "libraries": {**{name: _version(name) for name in DISTRIBUTIONS}, **native.versions()},
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text().splitlines()[0]
    except (OSError, IndexError):
        return None


def _cc_version() -> str | None:
    try:
        output = subprocess.run([os.environ.get("CC", "cc"), "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return output.stdout.splitlines()[0]
