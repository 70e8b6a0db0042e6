"""The Cython example, built against the ws_core that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from example import EXAMPLES, run_example

from harness import Net, Recorder
from ws_core import WSMsgType


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fast_echo in it, as pip installs it."""
    folder = tmp_path_factory.mktemp("cython_listener")
    source = shutil.copytree(EXAMPLES / "cython_listener", folder / "source")
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "installed"), str(source)],
        env={**os.environ, "PYTHONMALLOC": "default"},  # the compiler is not what is tested
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "installed"


async def test_cython_listener(one_net: Net, built: Path) -> None:
    async with run_example("cython_listener/serve.py", "--port", 0, path=built) as example:
        port = await example.port()
        messages = [b"", b"hello", bytes(range(256)) * 64, os.urandom(16385), os.urandom(300_000)]
        transport, client = await one_net.connect(port)
        for message in messages:
            transport.send(WSMsgType.BINARY, message)
            frame = await client.frame()
            assert (frame.msg_type, frame.get_payload_as_bytes()) == (WSMsgType.BINARY, message)
        transport.send(WSMsgType.TEXT, "in two ", fin=False)
        transport.send(WSMsgType.CONTINUATION, "pieces")
        pieces = [await client.frame(), await client.frame()]
        assert [(piece.msg_type, piece.fin) for piece in pieces] == [
            (WSMsgType.TEXT, False),
            (WSMsgType.CONTINUATION, True),
        ]
        assert b"".join(pieces) == b"in two pieces"
        transport.send_ping()
        assert (await client.frame()).msg_type == WSMsgType.PONG

        transport.send_close(4000, "bye")
        closing = await client.frame()
        assert (closing.get_close_code(), closing.get_close_reason()) == (4000, "bye")
        transport.disconnect()
        assert await example.line() == f"{sum(map(len, messages)) + 13} bytes echoed"
        assert await example.interrupt() == []


async def test_two_listeners_at_once(one_net: Net, built: Path) -> None:
    """Each has memory of its own."""
    async with run_example("cython_listener/serve.py", "--port", 0, path=built) as example:
        port = await example.port()
        clients: list[Recorder] = [(await one_net.connect(port))[1] for _ in range(2)]
        for client, text in zip(clients, ("one", "two"), strict=True):
            assert client.transport is not None
            client.transport.send(WSMsgType.TEXT, text)
        assert [(await client.frame()).get_payload_as_bytes() for client in clients] == [b"one", b"two"]
