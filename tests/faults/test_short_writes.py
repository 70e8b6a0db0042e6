"""The system takes a few bytes of a write, or none: also the ends of writes that no network can be made to choose."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LIB = Path(__file__).resolve().parents[1] / "lib"

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None or "LD_PRELOAD" in os.environ,
    reason="needs Linux, a C compiler and a free LD_PRELOAD",
)


@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
def test_every_byte_in_its_place(loop_name: str, tmp_path: Path) -> None:
    """A frame of which the first bytes of its header have left, a mask that goes on in the middle, a half backlog."""
    shim = tmp_path / "short_writes.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", shim, LIB / "short_writes.c", "-ldl"], check=True)
    ended = subprocess.run(
        [sys.executable, LIB / "echo_all_ways.py", loop_name],
        env={**os.environ, "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "all the same\n"), ended.stderr
