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


@dataclass(frozen=True)
class Workload:
    """A fixed number of messages for a client or a server."""

    title: str
    role: str
    mode: str
    count: int
    size: int
    length: int = 1


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

    def count_all(self, jobs: Sequence[tuple[Workload, Contender]]) -> list[float | None]:
        """:meth:`count` for each of them, as many at a time as there are cores."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(lambda job: self.count(f"{job[0].role}-{job[0].mode}-{job[0].size}", *job), jobs))

    def count(self, name: str, work: Workload, contender: Contender) -> float | None:
        """Instructions a message, or None if this contender has no such workload. `name`: of the profile's file."""
        out = self._folder / f"{name}.{contender.library}.{contender.loop}".replace(" ", "-").replace("/", "-")
        wrap = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--quiet"]
        env = {**self._env, "BENCH_CALLGRIND_MARKS": str(self._marks), "PYTHONHASHSEED": "0"}
        with Family(self._marked, ANYWHERE, wrap, env) as family, Family(self._built, ANYWHERE) as peers:
            measured = family.measured(work.role, contender.library, contender.loop)
            measure = _measure_client if work.role == "client" else _measure_server
            if not measure(work, measured, peers.peer):
                return None
        return _summary(out) / (work.count * work.length)


def _measure_client(work: Workload, client: Child, peer: Callable[[str], Child]) -> bool:
    port = peer("server").greeting["port"]
    answer = client.ask(f"connect {port} {work.mode}")
    if "id" not in answer:
        return False
    command = f"run {answer['id']} {work.count} {work.size} {work.length} 0"
    client.ask(command, PATIENCE_S)  # warms up; its profile is overwritten by a later number
    client.ask(command, PATIENCE_S)
    return True


def _measure_server(work: Workload, server: Child, peer: Callable[[str], Child]) -> bool:
    driver = peer("driver")
    number = driver.ask(f"connect {server.greeting['port']} {work.mode}")["id"]
    command = f"run {number} {work.count} {work.size} {work.length} 0"
    driver.ask(command, PATIENCE_S)
    server.ask("begin")
    driver.ask(command, PATIENCE_S)
    server.ask("end")
    return True


def _summary(out: Path) -> int:
    """The total of the last dump: OUT.1, OUT.2, ... (OUT itself is the rest, after the last mark)."""
    dumps = sorted(out.parent.glob(f"{out.name}.[0-9]*"), key=lambda path: int(path.suffix[1:]))
    for line in dumps[-1].read_text().splitlines():
        if line.startswith(("summary:", "totals:")):
            return int(line.split()[1])
    raise RuntimeError(f"no total in {dumps[-1]}")
