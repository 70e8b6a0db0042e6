"""Counts the user-mode instructions of a fixed number of messages, by callgrind. No noise, but no kernel either."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.children import ANYWHERE, NO_ENV, Child, Family
from benchmarks.harness.contenders import Contender
from benchmarks.harness.profile import Profile, read
from benchmarks.harness.programs import programs, shared_library

PATIENCE_S = 240.0
MEMBERS = 100  # of a room that is broadcast to


@dataclass(frozen=True)
class Workload:
    """A fixed number of messages for a client or a server."""

    title: str
    role: str
    mode: str
    count: int
    size: int
    length: int = 1  # messages of each of `count`; of a broadcast: deliveries, to MEMBERS clients

    @property
    def messages(self) -> int:
        return self.count * self.length


class Counts:
    """Runs workloads under callgrind. Several threads may count at once: nobody is pinned, counting knows no noise."""

    def __init__(self, env: Mapping[str, str] = NO_ENV, keep: Path | None = None):
        self._env = env
        self._keep = keep

    def __enter__(self) -> Counts:
        if shutil.which("valgrind") is None:
            raise SystemExit("counting instructions needs valgrind (and its header valgrind/callgrind.h)")
        with ExitStack() as stack:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-callgrind-"))
            self._folder = self._keep or Path(temporary)
            self._folder.mkdir(parents=True, exist_ok=True)
            self._built = stack.enter_context(programs())
            self._marked = stack.enter_context(programs("-DWITH_CALLGRIND"))
            self._marks = stack.enter_context(shared_library("callgrind_marks.c"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def count_all(self, jobs: Sequence[tuple[Workload, Contender]], times: int = 1) -> list[float | None]:
        """:meth:`count` for each of them, as many at a time as there are cores."""

        def count(job: tuple[Workload, Contender]) -> float | None:
            work, contender = job
            return self.count(f"{work.role}-{work.mode}-{work.size}x{work.length}", work, contender, times)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(count, jobs))

    def count(self, name: str, work: Workload, contender: Contender, times: int = 1) -> float | None:
        """Instructions a message, or None if this contender has no such workload."""
        (profile,) = self.profiles(name, [work], contender, times)
        return None if profile is None else profile.instructions / work.messages

    def profiles(
        self, name: str, works: Sequence[Workload], contender: Contender, times: int = 1
    ) -> list[Profile | None]:
        """What one process executes for each of them, all of one role: starting it is most of the time that it takes.

        The least of `times`: what the other end does in pieces because the machine is busy can only add to it. `name`:
        of the profiles' files.
        """
        (role,) = {work.role for work in works}
        stretches = _of_client if role == "client" else _of_server
        out = self._folder / f"{name}.{contender.library}.{contender.loop}".replace(" ", "-").replace("/", "-")
        # Recording begins with the first mark: until then callgrind is several times faster.
        wrap = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "--quiet"]
        env = {**self._env, "BENCH_CALLGRIND_MARKS": str(self._marks), "PYTHONHASHSEED": "0"}
        found = []
        with Family(self._marked, ANYWHERE, wrap, env) as family, Family(self._built, ANYWHERE) as peers:
            measured = family.measured(role, contender.library, contender.loop)
            peer = peers.peer("server" if role == "client" else "driver")
            for work in works:
                dumps = [_last_dump(out) for _ in stretches(work, measured, peer, times)]
                found.append(min(dumps, key=lambda profile: profile.instructions) if dumps else None)
        return found


def _of_client(work: Workload, client: Child, server: Child, times: int) -> Iterator[None]:
    """Stops after each stretch that was counted."""
    answer = client.ask(f"connect {server.greeting['port']} {work.mode}")
    if "id" not in answer:
        return
    command = f"run {answer['id']} {work.count} {work.size} {work.length} 0"
    client.ask(command, PATIENCE_S)  # warms up
    for _ in range(times):
        client.ask(command, PATIENCE_S)
        yield


def _of_server(work: Workload, server: Child, driver: Child, times: int) -> Iterator[None]:
    port = server.greeting["port"]
    if work.mode == "broadcast":
        driver.ask(f"crowd {port} {MEMBERS} /room", PATIENCE_S)
        command = f"crowd-broadcast {work.count} {work.length // MEMBERS} {work.size} - 0"
    else:
        number = driver.ask(f"connect {port} {work.mode}")["id"]
        command = f"run {number} {work.count} {work.size} {work.length} 0"
    driver.ask(command, PATIENCE_S)
    for _ in range(times):
        server.ask("begin")
        driver.ask(command, PATIENCE_S)
        server.ask("end")
        yield


def _last_dump(out: Path) -> Profile:
    """OUT.1, OUT.2, ... are the dumps (OUT itself is the rest, after the last mark)."""
    return read(max(out.parent.glob(f"{out.name}.[0-9]*"), key=lambda path: int(path.suffix[1:])))
