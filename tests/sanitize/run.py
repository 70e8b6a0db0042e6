"""Run pytest so that errors in the handling of memory show: `python run.py memory|collector [pytest arguments]`.

Owns: the environment of each way. Without arguments all tests run.

memory     core was built under AddressSanitizer and UBSan (`nox -s sanitize` does), Python's objects come from malloc,
           and so each has its borders. Not LeakSanitizer: an interpreter that ends keeps what it made. It watches over
           _wire in `nox -s wire`.
collector  the garbage collector runs at nearly every new object (gc_stress.py), with the debug hooks of the allocator.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def library(name: str) -> str:
    """Of the compiler that built core."""
    return subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()


def memory() -> dict[str, str]:
    # Not imported: without libasan before all others that ends the process.
    spec = importlib.util.find_spec("ws_core")
    assert spec is not None
    modules = list(Path(str(spec.origin)).parent.glob("*.so"))
    if not modules or any(b"__asan_init" not in module.read_bytes() for module in modules):
        sys.exit(f"{spec.origin}: this core was not built under AddressSanitizer")
    return {
        # The interpreter was not built with it. libstdc++: its exceptions are looked up when libasan comes in.
        "LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so')}",
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:abort_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }


def collector() -> dict[str, str]:
    return {"PYTHONMALLOC": "debug", "PYTHONPATH": str(HERE)}


def main() -> int:
    way, *arguments = sys.argv[1:]
    env = {"memory": memory, "collector": collector}[way]()
    command = [sys.executable, "-m", "pytest", "-q", *(["-p", "gc_stress"] if way == "collector" else [])]
    env["WIRELARK_PATIENCE"] = "10"
    return subprocess.run([*command, *arguments], env={**os.environ, **env}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
