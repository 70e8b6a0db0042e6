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
PARTS = {"driver": ["driver.c", "crowd.c", "dial.c"], "server": ["server.c"]}
SHARED_PARTS = ["ws.c", "meter.c", "tls.c"]
OPENSSL = ["-lssl", "-lcrypto"]
NO_OPENSSL = (
    "No C floor: it needs OpenSSL's headers (apt-get install libssl-dev), and they are not here. "
    "The other end of every connection is picows on asyncio instead."
)


@contextmanager
def programs(*flags: str, libraries: tuple[str, ...] = ()) -> Iterator[dict[str, Path]]:
    """The path of each program by its name: driver, server."""
    with tempfile.TemporaryDirectory(prefix="bench-c-") as folder:
        built = {}
        for name, parts in PARTS.items():
            built[name] = Path(folder, name)
            sources = [str(SOURCES / part) for part in (*parts, *SHARED_PARTS)]
            _cc(*FLAGS, *flags, "-o", str(built[name]), *sources, *libraries)
        yield built


@contextmanager
def tls_programs() -> Iterator[dict[str, Path]]:
    """The same, speaking TLS. None of them where OpenSSL cannot be compiled against: see NO_OPENSSL."""
    if _has_openssl():
        with programs("-DWITH_TLS", libraries=tuple(OPENSSL)) as built:
            yield built
    else:
        yield {}


def _has_openssl() -> bool:
    with tempfile.TemporaryDirectory(prefix="bench-c-") as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <openssl/ssl.h>\nint main(void) { return TLS_method() == NULL; }\n")
        command = [os.environ.get("CC", "cc"), "-o", str(Path(folder, "probe")), str(source), *OPENSSL]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def shared_library(source: str, *flags: str) -> Iterator[Path]:
    """One C file as a shared library."""
    with tempfile.TemporaryDirectory(prefix="bench-c-") as folder:
        path = Path(folder, source).with_suffix(".so")
        _cc(*FLAGS, *flags, "-shared", "-fPIC", "-o", str(path), str(SOURCES / source))
        yield path


def _cc(*arguments: str) -> None:
    subprocess.run([os.environ.get("CC", "cc"), *arguments], check=True)
