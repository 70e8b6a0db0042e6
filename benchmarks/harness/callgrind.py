"""Counts the user-mode instructions of a fixed number of messages, by callgrind. No noise, but no kernel either."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.children import ANYWHERE, NO_ENV, Child, Family
from benchmarks.harness.contenders import Contender
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
        """Instructions a message, or None if this contender has no such workload. `name`: of the profile's file.

        The least of `times`: what the other end does in pieces because the machine is busy can only add to it.
        """
        out = self._folder / f"{name}.{contender.library}.{contender.loop}".replace(" ", "-").replace("/", "-")
        # Recording begins with the first mark: until then callgrind is several times faster.
        wrap = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "--quiet"]
        env = {**self._env, "BENCH_CALLGRIND_MARKS": str(self._marks), "PYTHONHASHSEED": "0"}
        with Family(self._marked, ANYWHERE, wrap, env) as family, Family(self._built, ANYWHERE) as peers:
            measured = family.measured(work.role, contender.library, contender.loop)
            measure = _measure_client if work.role == "client" else _measure_server
            if not measure(work, measured, peers.peer, times):
                return None
        return min(_summaries(out)[-times:]) / (work.count * work.length)


def _measure_client(work: Workload, client: Child, peer: Callable[[str], Child], times: int) -> bool:
    port = peer("server").greeting["port"]
    answer = client.ask(f"connect {port} {work.mode}")
    if "id" not in answer:
        return False
    command = f"run {answer['id']} {work.count} {work.size} {work.length} 0"
    for _ in range(1 + times):  # the first one warms up
        client.ask(command, PATIENCE_S)
    return True


def _measure_server(work: Workload, server: Child, peer: Callable[[str], Child], times: int) -> bool:
    driver, port = peer("driver"), server.greeting["port"]
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
    return True


def _summaries(out: Path) -> list[int]:
    """The totals of the dumps: OUT.1, OUT.2, ... (OUT itself is the rest, after the last mark)."""
    dumps = sorted(out.parent.glob(f"{out.name}.[0-9]*"), key=lambda path: int(path.suffix[1:]))
    return [_summary(path.read_text()) for path in dumps]


def _summary(dump: str) -> int:
    for line in dump.splitlines():
        if line.startswith(("summary:", "totals:")):
            return int(line.split()[1])
    raise RuntimeError("a dump without a total")
