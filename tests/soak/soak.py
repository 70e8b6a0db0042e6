"""Ten thousand connections with traffic and churn, and messages that are compared byte for byte: for minutes.

    python tests/soak/soak.py [load|half-open|integrity] [--minutes 2] [--connections 10000] [--tls] [--loop uvloop]

load: a server and its clients, a process each. Fails unless memory and latency are flat once it is warm, every message
is answered, every connection has its one end, and all descriptors come back. integrity: integrity.py on both event
loops, plain and TLS, in equal parts of the time. half-open: connections that never finish their request, half_open.py.
Without a name: all of it, the first two for so many minutes each.

Owns what counts as flat.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from half_open import half_open

from crowd import Crowd
from harness import Net, certificate_authority, client_ssl_context
from integrity import exchange
from leftovers import descriptors, resident_bytes

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
WINDOWS = 12
#: Of them, before anything is compared: caches fill, the allocator finds its size.
WARM_UP = 3
MIB = 1024 * 1024
#: Beside connections: pipes, modules, what a test starts with.
SPARE_DESCRIPTORS = 200


class Window(NamedTuple):
    """What was seen in a part of the time. Milliseconds, MiB."""

    messages: int
    p50: float
    p99: float
    longest: float
    server_memory: float
    client_memory: float
    descriptors: int


def growth(values: list[float]) -> float:
    """How much the later half is above the earlier one, by their medians: one bad moment is no trend."""
    half = len(values) // 2
    return statistics.median(values[-half:]) - statistics.median(values[:half])


def what_is_not_flat(windows: list[Window], connections: int) -> list[str]:
    """`windows`: warm ones. Sentences about what has grown."""
    found = []
    for name in ("server_memory", "client_memory"):
        values = [getattr(each, name) for each in windows]
        allowed = 2 + 0.02 * values[0]
        if growth(values) > allowed:
            found.append(f"{name} grows: {values[0]:.1f} to {values[-1]:.1f} MiB, {allowed:.1f} more are allowed")
    for name, factor, floor in (("p50", 0.5, 0.5), ("p99", 1.0, 10.0)):
        values = [getattr(each, name) for each in windows]
        allowed = floor + factor * statistics.median(values[: len(values) // 2])
        if growth(values) > allowed:
            found.append(f"latency grows: {name} from {values[0]:.2f} to {values[-1]:.2f} ms")
    most = max(each.descriptors for each in windows)
    if most > connections + SPARE_DESCRIPTORS:
        found.append(f"the server has {most} descriptors for {connections} connections")
    return found


def look(crowd: Crowd, server: int) -> Window:
    times = crowd.latencies
    seconds = (times.percentile(0.5), times.percentile(0.99), times.longest)
    memory = [resident_bytes(process) / MIB for process in (server, os.getpid())]
    window = Window(times.count, *(1000 * each for each in seconds), *memory, descriptors(server))
    times.clear()
    return window


HEAD = "     at   messages  p50 ms  p99 ms  max ms  server MiB  client MiB  descriptors"


def row(at_s: float, window: Window) -> str:
    times = f"{window.p50:8.2f}{window.p99:8.2f}{window.longest:8.1f}"
    memory = f"{window.server_memory:12.1f}{window.client_memory:12.1f}"
    return f"{at_s:6.0f} s{window.messages:11,}{times}{memory}{window.descriptors:13,}"


@contextlib.contextmanager
def serving(arguments: argparse.Namespace) -> Iterator[subprocess.Popen[str]]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).with_name("server.py")), arguments.loop]
        if arguments.tls:
            command.append(os.path.join(folder, "server.pem"))
            issued = certificate_authority().issue_cert("127.0.0.1")
            issued.private_key_and_cert_chain_pem.write_to_path(command[-1])
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


async def load(arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures; `wrong` has what should not be."""
    wrong: list[str] = []
    windows: list[Window] = []
    seconds = 60 * arguments.minutes
    with serving(arguments) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        url = f"{'wss' if arguments.tls else 'ws'}://127.0.0.1:{port}/"
        loop = asyncio.get_running_loop()
        crowd = Crowd(url, client_ssl_context() if arguments.tls else None)
        await crowd.come(1)  # what a process opens with its first connection stays
        await crowd.go()
        before = descriptors(server.pid), descriptors(os.getpid())
        start = loop.time()
        await crowd.come(arguments.connections)
        print(f"{arguments.connections:,} connections are open after {loop.time() - start:.0f} s", flush=True)
        await crowd.warm_up()
        print(HEAD, flush=True)

        def note() -> None:
            windows.append(look(crowd, server.pid))
            print(row(seconds * len(windows) / WINDOWS, windows[-1]), flush=True)

        await crowd.live(seconds, arguments.rate, arguments.churn, note, WINDOWS)
        await crowd.go()
        for _ in range(200):  # the server's side of the last ends
            after = descriptors(server.pid), descriptors(os.getpid())
            if after <= before:
                break
            await asyncio.sleep(0.05)
        server.send_signal(signal.SIGTERM)
        seen = json.loads(server.stdout.readline())
    done = dict(crowd.done)
    wrong += what_is_not_flat(windows[WARM_UP:], arguments.connections)
    wrong += [f"ended without being asked to: {count} times {reason}" for reason, count in crowd.surprises.items()]
    if after > before:
        wrong.append(f"descriptors of server and clients: {before} before, {after} after")
    if done["sent"] != done["answered"] + done.get("unanswered", 0):
        wrong.append("messages were lost, or answered twice")
    for who, counts in (("server", seen), ("clients", done)):
        if counts["opened"] != counts["ended"]:
            wrong.append(f"{who}: {counts['opened']} connections were opened, {counts['ended']} have ended")
    print(", ".join(f"{name}: {count:,}" for name, count in sorted(done.items())))
    print(f"descriptors of server and clients: {before} before, {after} after")
    return {"windows": [each._asdict() for each in windows], "done": done, "seen": seen, "wrong": wrong}


async def attack(arguments: argparse.Namespace) -> dict[str, Any]:
    with serving(arguments) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        url = f"{'wss' if arguments.tls else 'ws'}://127.0.0.1:{port}/"
        crowd = Crowd(url, client_ssl_context() if arguments.tls else None)
        return await half_open(server.pid, port, crowd, arguments.connections)


def integrity(minutes: float) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for name, new_loop in LOOPS.items():
        for tls in (False, True):
            loop = new_loop()

            async def main(tls: bool = tls) -> Any:
                net = Net(tls=tls, fast=None)
                try:
                    return await exchange(net, minutes * 60 / 4, None)
                finally:
                    await net.aclose()

            done = dict(loop.run_until_complete(main()))
            loop.close()
            said = ", ".join(f"{key}: {count:,}" for key, count in sorted(done.items()))
            print(f"{name}, {'TLS' if tls else 'plain'}: {said}", flush=True)
            total[f"{name} {'tls' if tls else 'plain'}"] = done
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=["load", "integrity", "half-open"], help="by default all")
    parser.add_argument("--minutes", type=float, default=2.0, help="of each, by default %(default)s")
    parser.add_argument("--connections", type=int, default=10_000, help="by default %(default)s")
    parser.add_argument("--rate", type=float, default=2000, help="messages a second, by default %(default)s")
    parser.add_argument("--churn", type=float, default=50, help="connections a second, by default %(default)s")
    parser.add_argument("--loop", choices=LOOPS, default="asyncio", help="by default %(default)s")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < arguments.connections + SPARE_DESCRIPTORS:
        raise SystemExit(f"a process may have {hard} descriptors here: --connections {hard - SPARE_DESCRIPTORS}")
    figures: dict[str, Any] = {}
    for what, run in {"load": load, "half-open": attack}.items():
        if arguments.what in (None, what):
            loop = LOOPS[arguments.loop]()
            figures[what] = loop.run_until_complete(run(arguments))
            loop.close()
    if arguments.what in (None, "integrity"):
        figures["integrity"] = integrity(arguments.minutes)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    wrong = [each for figure in figures.values() for each in figure.get("wrong", ())]
    print("\n".join(f"WRONG: {each}" for each in wrong) or "all is well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
