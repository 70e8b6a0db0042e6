"""Those who judge: kosoku, and the original Autobahn test suite. Each is a process of its own that writes a report.

How a judge is started, on either side, and when it is done. What its report should say is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

#: permessage-deflate, which core does not have.
LEFT_OUT = ("12.*", "13.*")
#: Seconds for all cases of one side; they take less than two minutes.
LIMIT_S = 900

TakeCases = Callable[[str], Awaitable[None]]
Running = contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]


class Kosoku:
    """Autobahn's cases, run by another runner, on the Python of today."""

    name = "kosoku"

    async def fuzz_server(self, port: int, reports: Path) -> None:
        """Be the client of the server on `port`."""
        async with self._running("fuzzingclient", f"127.0.0.1:{port}", reports) as process:
            await within(process.communicate())  # exit code 1 if a case fails: the report says which

    async def fuzz_clients(self, take_cases: TakeCases, reports: Path) -> None:
        """Be the server of a client, which takes the cases of the URL that it is called with."""
        async with self._running("fuzzingserver", "127.0.0.1:0", reports) as process:
            assert process.stderr is not None
            line = await within(process.stderr.readline())  # "... listening on ws://127.0.0.1:PORT"
            await within(take_cases(line.decode().split()[-1]))
            await within(process.communicate())

    def _running(self, mode: str, address: str, reports: Path) -> Running:
        main = "from kosoku._cli import main; main()"
        left_out = [word for cases in LEFT_OUT for word in ("-x", cases)]
        return running(sys.executable, "-c", main, "-m", mode, address, "-o", str(reports), *left_out)


class Original:
    """autobahntestsuite, which needs a Python 2.7.

    It listens on all interfaces, at a port of its choice: call `namespaces.leave_the_network()` before.
    """

    name = "original"
    port = 9001

    def __init__(self, folder: Path) -> None:
        """`folder`: where it is installed, and stays."""
        self._base = folder.resolve()
        self._python = python27()
        self._install()

    async def fuzz_server(self, port: int, reports: Path) -> None:
        servers = [{"agent": "ws_core", "url": f"ws://127.0.0.1:{port}"}]
        async with self._running("fuzzingclient", reports, servers=servers) as process:
            await within(process.communicate())  # exit code 0, whatever has happened

    async def fuzz_clients(self, take_cases: TakeCases, reports: Path) -> None:
        url = f"ws://127.0.0.1:{self.port}"
        async with self._running("fuzzingserver", reports, url=url) as process:
            output = asyncio.ensure_future(process.communicate())  # read all the time: a pipe is soon full
            await within(listening(self.port, output))
            await within(take_cases(url))  # the report is written at its end; then it would wait for others
            process.terminate()
            await within(output)

    def _running(self, mode: str, reports: Path, **what: Any) -> Running:
        reports.mkdir(parents=True)
        spec = {"outdir": str(reports), "cases": ["*"], "exclude-cases": LEFT_OUT, "exclude-agent-cases": {}, **what}
        path = reports / "spec.json"
        path.write_text(json.dumps(spec))
        wstest = str(self._base / "bin" / "wstest")
        return running(self._python, wstest, "-m", mode, "-u", "0", "-s", str(path), env=self._env())

    def _install(self) -> None:
        """Anew after each change of its requirements. Parts of it are compiled: that takes a minute or two."""
        requirements = Path(__file__).with_name("requirements-python27.txt")
        stamp = self._base / requirements.name
        if stamp.exists() and stamp.read_bytes() == requirements.read_bytes():
            return
        shutil.rmtree(self._base, ignore_errors=True)
        pip = [self._python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-warn-script-location"]
        subprocess.run([*pip, "--user", "-r", str(requirements)], env=self._env(), check=True)
        shutil.copy(requirements, stamp)

    def _env(self) -> dict[str, str]:
        return {**os.environ, "PYTHONUSERBASE": str(self._base)}


@contextlib.asynccontextmanager
async def running(*command: str, env: dict[str, str] | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process, until the end of the block."""
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=env)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def within(awaitable: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaitable, LIMIT_S)


async def listening(port: int, ended: asyncio.Future[tuple[bytes, bytes]]) -> None:
    """Until somebody listens on `port`, or has `ended`, and then said why."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            if ended.done():
                raise SystemExit(b"".join(ended.result()).decode()) from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def python27() -> str:
    """pyenv's first: what it puts into PATH may refuse to start."""
    pyenvs = map(str, Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))
    python = next(pyenvs, None) or shutil.which("python2.7")
    if python is None:
        raise SystemExit("the original needs a Python 2.7, among pyenv's or in PATH: see tests/conformance/README.md")
    return python


def report(folder: Path) -> dict[str, dict[str, Any]]:
    """What a judge has written of each case: "behavior", "behaviorClose", ..."""
    peers = json.loads((folder / "index.json").read_text())
    if len(peers) != 1:
        raise SystemExit(f"{folder} tells of {len(peers)} peers, not of one")
    (cases,) = peers.values()
    return dict(cases)
