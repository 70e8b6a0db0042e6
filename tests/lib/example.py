"""Runs a file of examples/ in a process of its own, as a reader of it would, and imports one to look at its parts."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from harness import within

EXAMPLES = Path(__file__).parent.parent.parent / "examples"

# A shell without job control lets its background jobs ignore Ctrl-C, and they would hand that on to the examples.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Example:
    """One that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self.process = process
        self._stdout = process.stdout

    async def line(self) -> str:
        """The next line it prints."""
        line: bytes = await within(self._stdout.readline())
        assert line, f"the example has ended: {await self.end()}"
        return line.decode().rstrip("\n")

    async def port(self) -> int:
        """The port it listens on: the first thing a server says."""
        line = await self.line()
        assert "listening on port " in line
        return int(line.split()[-1])

    async def end(self, *, code: int = 0, log: str = "") -> list[str]:
        """What it has still printed at its end. `log`: what stands in its stderr, which is empty otherwise."""
        stdout, stderr = await within(self.process.communicate())
        assert (log in stderr.decode()) if log else (not stderr), stderr.decode()
        assert self.process.returncode == code, stdout.decode()
        return str(stdout.decode()).splitlines()

    async def interrupt(self, sent: signal.Signals = signal.SIGINT, *, log: str = "") -> list[str]:
        """Ctrl-C; it ends as if nothing was wrong."""
        self.process.send_signal(sent)
        return await self.end(log=log)


@contextlib.asynccontextmanager
async def run_example(name: str, *arguments: object, path: Path | None = None) -> AsyncIterator[Example]:
    """`name`: of the file in examples/; `path`: a folder to import from."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    process = await asyncio.create_subprocess_exec(
        # A socket or a coroutine that is left behind shows in stderr.
        *[sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    try:
        yield Example(process)
    finally:
        if process.returncode is None:
            process.kill()
        await within(process.communicate())


async def output_of(name: str, *arguments: object, code: int = 0, log: str = "") -> list[str]:
    """The lines of an example that ends by itself."""
    async with run_example(name, *arguments) as example:
        return await example.end(code=code, log=log)


def import_example(name: str) -> Any:
    """The module of an example."""
    sys.path.insert(0, str(EXAMPLES))  # examples import each other
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))
