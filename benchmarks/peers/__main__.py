"""One contender: ``python -m benchmarks.peers client|server LIBRARY LOOP``, driven by lines on standard input.

client: ``connect PORT MODE [PROXY]`` -> ``ok id=N``; ``check ID SIZE``: one echo;
        ``run ID COUNT SIZE LENGTH PID`` -> ``ok wall= cpu= user= sys= watched=``: the CPU time of PID, too
        ``dial PORT PROXY COUNT`` -> the same clocks (see callbacks.py)
        ``crowd PORT COUNT``, ``crowd-echo SIZE``, ``crowd-close``: as c/driver.c, in whose place it may be
server: greets with ``ok port=N``
        ``stubs COUNT``: connections without sockets, ``pongs``: how many PINGs they have answered (see stubs.py)
both:   ``begin``, ``end`` (the meter), ``settle`` (collect garbage), ``census`` (see census.py)
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import resource
import sys
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.peers import stubs
from benchmarks.peers.meter import Meter

MODULES = {
    "ws_core": "callbacks",
    "picows": "callbacks",
    "websockets": "websockets_peer",
    "picows.websockets": "websockets_peer",
    "aiohttp": "aiohttp_peer",
    "bare aiofastnet": "bare",
    "bare loop": "bare",
}
KEEPALIVE = {"enable_auto_ping": True, "auto_ping_idle_timeout": 10, "auto_ping_reply_timeout": 10}
PERIODICALLY = 2  # in both libraries
# "ws_core+ping": with these options.
SETTINGS: dict[str, dict[str, Any]] = {
    "busy20": {"busy_poll_us": 20},
    "busy100": {"busy_poll_us": 100},
    "fast": {"use_aiofastnet": True},
    "loop": {"use_aiofastnet": False},
    "stub": {"use_aiofastnet": False},
    "lax": {"strict": False},
    "ping": KEEPALIVE,
    "cython": {},  # not an option: see callbacks.py
    "expecting": {
        "enable_auto_ping": True,
        "auto_ping_strategy": PERIODICALLY,
        "auto_ping_idle_timeout": 3,
        "auto_ping_reply_timeout": 3,
    },
}


async def commands() -> AsyncIterator[list[str]]:
    """Lines from standard input until it ends, read by the event loop like anything else."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    rest = b""

    def readable() -> None:
        nonlocal rest
        data = os.read(0, 4096)
        if not data:
            loop.remove_reader(0)
            lines.put_nowait(None)
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            lines.put_nowait(line.decode())

    loop.add_reader(0, readable)
    while (line := await lines.get()) is not None:
        yield line.split()


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def main(role: str, library: str) -> None:
    name, *variants = library.split("+")
    settings = {option: value for variant in variants for option, value in SETTINGS[variant].items()}
    library_peer: Any = importlib.import_module(f"benchmarks.peers.{MODULES[name]}").make(library, settings)
    if "stub" in variants:
        stubs.catch_servers(asyncio.get_running_loop())
    meter = Meter()
    connections: list[Any] = []
    crowd: list[Any] = []
    say(f"ok port={await library_peer.serve()}" if role == "server" else "ok")
    async for name, *words in commands():
        if name == "connect":
            connection = await library_peer.connect(int(words[0]), *words[1:])
            if connection is None:
                say("ok")
            else:
                connections.append(connection)
                say(f"ok id={len(connections) - 1}")
        elif name == "dial":
            say(await library_peer.dial(int(words[0]), words[1], int(words[2])))
        elif name == "run":
            number, count, size, length, watched = map(int, words)
            meter.start(watched)
            await connections[number].run(count, size, length)
            say(meter.stop())
        elif name == "check":
            await connections[int(words[0])].run(1, int(words[1]), 1)
            say("ok")
        elif name == "crowd":
            crowd += [await library_peer.connect(int(words[0]), "rtt") for _ in range(int(words[1]))]
            say("ok")
        elif name == "crowd-echo":
            for connection in crowd:
                await connection.run(1, int(words[0]), 1)
            say("ok")
        elif name == "crowd-close":
            say("ok")  # this process ends next, and they with it
        elif name == "begin":
            meter.start()
            say("ok")
        elif name == "end":
            say(meter.stop())
        elif name == "stubs":
            await stubs.open_connections(int(words[0]))
            say("ok")
        elif name == "pongs":
            say(f"ok pongs={stubs.pongs()}")
        elif name == "settle":
            gc.collect()
            say("ok")
        elif name == "census":
            from benchmarks.peers.census import census

            say(f"ok {census()}")
        else:
            say(f"error unknown command {name}")
    os._exit(0)  # the runner waits, and nothing here needs a farewell


def start(role: str, library: str, loop_name: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if loop_name == "uvloop":
        import uvloop

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main(role, library))


if __name__ == "__main__":
    start(*sys.argv[1:])
