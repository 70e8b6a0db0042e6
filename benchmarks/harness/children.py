"""Processes that a benchmark starts: pinned to a core, driven by lines on pipes, ended by their own id.

A command is one line; its answer is one line, ``ok name=number ...`` or ``error why``.
"""

from __future__ import annotations

import functools
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks import native

ROOT = Path(__file__).resolve().parents[2]
ANSWER_S = 60.0
# In place of a C program that could not be compiled.
PYTHON_PEER = ("picows", "asyncio")

Answer = dict[str, int]


class ChildError(RuntimeError):
    """A child said ``error``, said nothing in time, or is gone."""


class Child:
    """One process and the pipes to it."""

    def __init__(self, name: str, command: Sequence[str], core: int | None, env: Mapping[str, str] | None = None):
        self.name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._buffer = b""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            # Before it starts: threads are pinned with the one that makes them, and Go counts the cores it may use.
            preexec_fn=None if core is None else functools.partial(os.sched_setaffinity, 0, {core}),
        )
        try:
            self.greeting = self._answer(ANSWER_S)
        except ChildError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def pin(self, core: int | None) -> None:
        """Moves its main thread, so only who has no other."""
        if core is not None:
            os.sched_setaffinity(self._process.pid, {core})

    def ask(self, command: str, timeout_s: float = ANSWER_S) -> Answer:
        """Send one command and wait for its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command.encode() + b"\n")
            self._process.stdin.flush()
        except OSError as exc:
            raise ChildError(f"{self.name} is gone: {self._last_words()}") from exc
        return self._answer(timeout_s, command)

    def ask_json(self, command: str) -> object:
        """For the rare answer that is not numbers: ``ok`` and a JSON document."""
        return json.loads(self._line_after(command))

    def _line_after(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()
        line = self._line(ANSWER_S, command)
        if not line.startswith("ok "):
            raise ChildError(f"{self.name}: {command!r}: {line}")
        return line[3:]

    def _answer(self, timeout_s: float, command: str = "start") -> Answer:
        line = self._line(timeout_s, command)
        word, *fields = line.split()
        if word != "ok":
            raise ChildError(f"{self.name}: {command!r}: {line}; {self._last_words()}")
        return {name: int(value) for name, value in (field.split("=") for field in fields)}

    def _line(self, timeout_s: float, command: str) -> str:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        while b"\n" not in self._buffer:
            if not select.select([fd], [], [], timeout_s)[0]:
                raise ChildError(f"{self.name}: no answer to {command!r} in {timeout_s} s")
            data = os.read(fd, 65536)
            if not data:
                raise ChildError(f"{self.name} ended during {command!r}: {self._last_words()}")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-2000:].strip() or "it wrote nothing to stderr"

    def close(self) -> None:
        """Ask it to end; insist after a moment."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()  # end of input means "quit" to every child
                except OSError:
                    pass
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Cores(NamedTuple):
    """One core for what is measured, the other for who talks to it. None: wherever the system likes."""

    measured: int | None
    peer: int | None


NO_ENV: Mapping[str, str] = {}
ANYWHERE = Cores(None, None)


def two_cores() -> Cores:
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[-1], allowed[0])


class Family:
    """Starts children of all kinds, and ends them all."""

    def __init__(
        self,
        programs: Mapping[str, Path],
        cores: Cores,
        wrap: Sequence[str] = (),
        env: Mapping[str, str] = NO_ENV,
    ):
        self._programs = programs
        self._cores = cores
        self._wrap = list(wrap)  # e.g. valgrind, before the command of a measured process
        self._env = env
        self._stack = ExitStack()
        self._peers: list[Child] = []

    def peer(self, program: str) -> Child:
        """A C program on the peers' core. Where it is not among the programs: a Python process in its place."""
        role = "client" if program == "driver" else "server"
        built = self._programs.get(program)
        command = [sys.executable, "-m", "benchmarks.peers", role, *PYTHON_PEER] if built is None else [str(built)]
        child = self._start(f"peer {program}", command, self._cores.peer, self._env)
        self._peers.append(child)
        return child

    def place_peers(self, placement: str) -> None:
        """``apart``: on a core of their own; ``together``: on the core of the measured processes."""
        core = {"apart": self._cores.peer, "together": self._cores.measured}[placement]
        for child in self._peers:
            child.pin(core)

    def measured(self, role: str, library: str, loop: str) -> Child:
        """A contender, `role` being client or server, on the core that is measured."""
        env = dict(self._env)
        if library == "c":
            command = [str(self._programs["driver" if role == "client" else "server"])]
        elif library in native.NATIVES:
            command = native.command(library, role)
        else:
            name, _, folder = library.partition("@")
            command = [sys.executable, "-m", "benchmarks.peers", role, name, loop]
            if folder:  # comes before what is installed
                env["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, [env.get("PYTHONPATH")])])
        return self._start(f"{library} {loop} {role}", self._wrap + command, self._cores.measured, env)

    def _start(self, name: str, command: Sequence[str], core: int | None, env: Mapping[str, str] = NO_ENV) -> Child:
        return self._stack.enter_context(Child(name, command, core, env))

    def __enter__(self) -> Family:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()
