"""Who takes part. A new peer: a module in peers/ and a line here."""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from typing import NamedTuple

from benchmarks.native import NATIVES


class Contender(NamedTuple):
    library: str  # a module of peers/ knows it; "c" is the floor
    loop: str
    way: str = ""  # how, where a library has several ways

    @property
    def label(self) -> str:
        name = "C floor (epoll)" if self.library == "c" else f"{self.library} {self.loop}"
        return f"{name}, {self.way}" if self.way else name


FLOOR = Contender("c", "epoll")

# "@FOLDER" after a name: imported from there, for the comparison of a change with what is installed (--also).
# "+fast": plain sockets on aiofastnet's transports, too. "+loop": on the event loop's own transports. "+busy20": with
# busy_poll_us=20. "+ping": with keepalive. peers/__main__.py has them all.
LIBRARIES = ("ws_core", "picows", "ws_core+loop", "picows+loop", "aiohttp", "websockets")
LOOPS = ("asyncio", "uvloop")

# Listeners compiled by Cython, from listener_modules/: in feed as a client, in pipelined as a server.
CYTHON = ("ws_core+cython", "picows+cython")

# Transports with a protocol that does nothing: what a connection costs before any WebSocket library.
BARE = ("bare aiofastnet", "bare loop")

# Beside LIBRARIES in rtt, pipelined, handshake and idle: another Python one, and those of native/.
PEERS = ("picows.websockets", *NATIVES)

_MODULES = {"bare aiofastnet": "aiofastnet", "bare loop": "asyncio"}


def contenders(options: argparse.Namespace, libraries: tuple[str, ...] = LIBRARIES) -> list[Contender]:
    """Everybody who is installed and whose label contains one of the words of --only; the floor always."""
    found = [FLOOR]
    libraries += tuple(f"ws_core@{folder}" for folder in options.also)
    python = [library for library in libraries if library not in NATIVES]
    for loop in LOOPS:
        if importlib.util.find_spec(loop) is None:
            continue
        for library in python:
            module = _MODULES.get(library, re.split("[+@]", library)[0])
            contender = Contender(library, loop)
            if importlib.util.find_spec(module) is not None and _wanted(contender, options.only):
                found.append(contender)
    for library in filter(NATIVES.__contains__, libraries):
        contender = Contender(library, NATIVES[library].framework)
        if not _wanted(contender, options.only):
            continue
        if NATIVES[library].version() is None:
            print(f"left out, not installed: {library} (tools/bench_peers.sh installs it)", file=sys.stderr)
        else:
            found.append(contender)
    return found


def reference(contender: Contender) -> Contender:
    """Whom it is compared with: picows in the same setting, on uvloop for those who are not Python."""
    if contender.library in NATIVES:
        return Contender("picows", "uvloop")
    setting = next((each for each in ("+loop", "+cython") if contender.library.endswith(each)), "")
    return Contender(f"picows{setting}", contender.loop)


def _wanted(contender: Contender, only: str | None) -> bool:
    return only is None or any(word in contender.label for word in only.split(","))
