"""docs/tutorial.md, done step by step, as by a reader: its files are written, started, stopped, started again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from example import Example
from pages import ROOT, blocks

from harness import within

PAGE = ROOT / "docs/tutorial.md"


@pytest.fixture
def port() -> Iterator[int]:
    """One that nobody else is given meanwhile: it is bound here, without listening, and the server may bind it, too."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]


class Reader:
    """Has a folder, and writes the files of the page into it, one after the other."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.parts = iter(blocks(PAGE))

    def write(self, name: str) -> None:
        """The next file of the page is this one."""
        block = next(part for part in self.parts if part.file)
        assert block.file == name
        (self.folder / name).write_text(block.code.replace("9001", str(self.port)))

    def change(self, name: str) -> None:
        """The next block takes the place of the line that begins like its last one."""
        block = next(part for part in self.parts if part.language == "python")
        lines = (self.folder / name).read_text().splitlines()
        new = block.code.replace("9001", str(self.port)).rstrip().splitlines()
        (at,) = (number for number, line in enumerate(lines) if line.partition("(")[0] == new[-1].partition("(")[0])
        (self.folder / name).write_text("\n".join([*lines[:at], *new, *lines[at + 1 :], ""]))

    def shown(self) -> list[str]:
        """The lines of the next block of output."""
        return next(part for part in self.parts if part.language == "text").code.splitlines()

    @contextlib.asynccontextmanager
    async def run(self, *arguments: str) -> AsyncIterator[Example]:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-W", "error", *arguments],
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield Example(process)
        finally:
            if process.returncode is None:
                process.kill()
            await within(process.communicate())


async def test_the_tutorial(tmp_path: Path, port: int) -> None:
    reader = Reader(tmp_path, port)
    reader.write("server.py")
    reader.write("client.py")
    async with reader.run("server.py") as server:
        assert await server.line() == "listening"
        async with reader.run("client.py") as client:
            assert await client.end() == reader.shown()
        assert await server.interrupt() == []

    reader.write("server.py")
    reader.write("client.py")
    shown = reader.shown()
    async with reader.run("client.py") as client:
        async with reader.run("server.py") as server:
            assert await server.line() == "listening"
            first = [await client.line() for _ in range(3)]
            assert [first[0], *map(kind, first[1:])] == ["connected", "price", "price"]
            assert await server.interrupt() == []
        async with reader.run("server.py") as server:
            seen = [await client.line()]
            while seen[-1] != "connected":
                seen.append(await client.line())
            seen.append(await client.line())
            assert {*map(kind, await client.interrupt())} <= {"price"}
    # More prices than the page shows may have come, and other ones first.
    assert [line for line in seen[:-2] if kind(line) != "price"] == [shown[3]]
    assert [kind(line) for line in seen[-2:]] == [kind(line) for line in shown[4:]]

    reader.change("client.py")
    async with reader.run("server.py") as server, reader.run("client.py") as client:
        assert await server.line() == "listening"
        assert await client.line() == "connected"
        assert kind(await client.line()) == "price"
        server.process.send_signal(signal.SIGSTOP)
        line = await client.line()
        while kind(line) == "price":
            line = await client.line()
        assert [line] == reader.shown()
        server.process.send_signal(signal.SIGCONT)
        assert await client.line() == "connected"
        assert {*map(kind, await client.interrupt(log="timeout: no byte came"))} <= {"price"}
        assert await server.interrupt() == []

    reader.write("test_server.py")
    (reader.folder / "pytest.ini").write_text(
        "[pytest]\n"
    )  # not this project's settings, below which the folder may lie
    async with reader.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_server.py") as tests:
        assert (await tests.end())[-1].startswith("1 passed")
    assert not [part for part in reader.parts if part.language == "python"]


def kind(line: str) -> str:
    return line.partition(" ")[0]
