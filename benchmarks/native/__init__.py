"""Peers that are not Python: how each is found, compiled and started.

What is not installed is left out; `tools/bench_peers.sh` installs all of them. What was compiled is kept in
.nox/natives, because Boost.Beast takes a compiler 40 seconds.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SOURCES = Path(__file__).resolve().parent
ROOT = SOURCES.parents[1]
C_PARTS = SOURCES.parent / "c"
KEPT = ROOT / ".nox/natives"
NPM = ROOT / ".nox/peers"  # where nox has npm install
GOCODE = Path("/usr/share/gocode")  # where Debian has Go's libraries
GO = {"GO111MODULE": "off", "GOPATH": str(GOCODE), "GOFLAGS": ""}


class Native(NamedTuple):
    framework: str  # in place of an event loop
    roles: tuple[str, ...]
    version: Callable[[], str | None]  # None: not installed
    command: Callable[[], list[str]]  # without the role


def plays(library: str, role: str) -> bool:
    return library not in NATIVES or role in NATIVES[library].roles


def command(library: str, role: str) -> list[str]:
    native = NATIVES[library]
    return [*native.command(), role] if len(native.roles) > 1 else native.command()


def versions() -> dict[str, str | None]:
    return {name: native.version() for name, native in NATIVES.items()}


@functools.cache
def _boost_version() -> str | None:
    """As its headers have it."""
    if shutil.which("c++") is None:
        return None
    probe = "#include <boost/version.hpp>\n#include <boost/beast/version.hpp>\nBOOST_LIB_VERSION"
    done = subprocess.run(
        ["c++", "-E", "-P", "-x", "c++", "-"], input=probe, capture_output=True, text=True, check=False
    )
    match = re.search(r'"(\w+)"\s*$', done.stdout)
    return match[1].replace("_", ".") if match and not done.returncode else None


def _beast() -> list[str]:
    sources = [SOURCES / "beast.cpp", C_PARTS / "meter.c", C_PARTS / "meter.h"]

    def build(out: Path) -> None:
        meter = out.with_suffix(".o")
        _run(["cc", "-O3", "-c", "-o", str(meter), str(C_PARTS / "meter.c")])
        flags = ["-std=c++17", "-O3", "-DNDEBUG", "-pthread", "-I", str(C_PARTS)]
        _run(["c++", *flags, "-o", str(out), str(SOURCES / "beast.cpp"), str(meter)])

    return [str(_kept("beast", sources, build))]


@functools.cache
def _gorilla_version() -> str | None:
    if shutil.which("go") is None or not (GOCODE / "src/github.com/gorilla/websocket").is_dir():
        return None
    package = ["dpkg-query", "-W", "-f", "${Version}", "golang-github-gorilla-websocket-dev"]
    return f"{_output(package)} ({_output(['go', 'version']).split()[2]})"


def _gorilla() -> list[str]:
    source = SOURCES / "gorilla.go"
    return [str(_kept("gorilla", [source], lambda out: _run(["go", "build", "-o", str(out), str(source)], GO)))]


def _bun_program() -> str | None:
    return shutil.which("bun") or shutil.which(str(NPM / "node_modules/.bin/bun"))


@functools.cache
def _bun_version() -> str | None:
    program = _bun_program()
    return None if program is None else _output([program, "--version"])


def _bun() -> list[str]:
    return [str(_bun_program()), str(SOURCES / "bun.js")]


NATIVES = {
    "beast": Native("asio", ("client", "server"), _boost_version, _beast),
    "bun": Native("uWebSockets", ("server",), _bun_version, _bun),
    "gorilla": Native("Go", ("server",), _gorilla_version, _gorilla),
}


def _kept(name: str, sources: Sequence[Path], build: Callable[[Path], None]) -> Path:
    """The program, compiled unless these very sources have been before."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    out = KEPT / f"{name}-{digest[:16]}"
    if not out.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            build(Path(folder, name))
            Path(folder, name).rename(out)
    return out


def _run(arguments: Sequence[str], env: Mapping[str, str] | None = None) -> None:
    subprocess.run(arguments, check=True, env={**os.environ, **(env or {})})


def _output(arguments: Sequence[str]) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()
