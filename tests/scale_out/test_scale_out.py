"""examples/scale_out with a real Redis and a real HAProxy: a worker is killed, and no viewer misses a message.

`nox -s scale_out` installs the two; elsewhere left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis.asyncio
from example import EXAMPLES, Example, run_example

from harness import Recorder, until, within
from ws_core import WSCloseCode, WSFrame, WSHandshakeError, WSInvalidStatusError, WSMsgType, WSTransport, ws_connect

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
PROGRAMS = ("redis-server", "haproxy")
MISSING = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
VIEWERS = 12
MESSAGES = 150

pytestmark = pytest.mark.skipif(
    bool(MISSING) and not os.environ.get("WIRELARK_SCALE_OUT"), reason=f"not installed: {', '.join(MISSING)}"
)


def watch_room() -> ModuleType:
    spec = importlib.util.spec_from_file_location("watch_room", EXAMPLES / "scale_out/watch_room.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def running(*command: object, port: int, **env: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """A server that listens on `port` soon."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PATH": PATH, **{name: str(value) for name, value in env.items()}},
    )

    def listens() -> bool:
        assert process.returncode is None, f"{command[0]} has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        await until(listens)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def room_of(folder: Path, store: int, workers: int) -> AsyncIterator[tuple[Example, int]]:
    """The example and its port, and behind it a Redis at the port `store` that lives in `folder`."""
    room = free_port()
    arguments = ("--port", room, "--redis", f"redis://127.0.0.1:{store}/0", "--workers", workers)
    async with (
        running("redis-server", "--port", store, "--bind", "127.0.0.1", "--save", "", "--dir", folder, port=store),
        run_example("scale_out/serve_room.py", *arguments) as example,
    ):
        yield example, room


def connections_of(pid: int) -> int:
    """Sockets that a process has."""
    found = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found += os.readlink(each).startswith("socket:")
    return found


class Speaker(Recorder):
    """Says things, and knows what has been stored."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        self.stored: list[str] = []
        self.victim: int | None = None  # who is killed when the first message has been stored

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT and "stored" in (message := json.loads(frame.get_payload_as_bytes())):
            self.stored.append(message["stored"])
            if self.victim is not None:
                os.kill(self.victim, signal.SIGKILL)
                self.victim = None
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


async def test_a_worker_is_killed(tmp_path: Path) -> None:
    front = free_port()
    configuration = EXAMPLES / "scale_out/haproxy.cfg"
    module: Any = watch_room()
    seen: list[list[tuple[str, str]]] = [[] for _ in range(VIEWERS)]
    url = f"ws://127.0.0.1:{front}/"
    watches = [module.Watch(url, lambda *message, mine=mine: mine.append(message)) for mine in seen]
    async with contextlib.AsyncExitStack() as stack:
        example, room = await stack.enter_async_context(room_of(tmp_path, free_port(), workers=3))
        said = [await example.line() for _ in range(3)]
        workers = [int(pid) for pid in re.findall(r"worker (\d+) listening", "\n".join(said))]
        assert len(workers) == 3, said
        await stack.enter_async_context(
            running("haproxy", "-db", "-f", configuration, port=front, FRONT=front, ROOM=room)
        )
        tasks = [asyncio.create_task(watch.run()) for watch in watches]
        try:
            await until(lambda: all(watch.transport for watch in watches))
            stored = await speak(url, 0)
            # One that serves viewers, which see their connections end.
            before = [watch.transport for watch in watches]
            victim = max(workers, key=connections_of)
            os.kill(victim, signal.SIGKILL)
            stored += await speak(url, MESSAGES)
            # All that was answered, once and in order, also for the viewers of the worker that is gone.
            await until(lambda: all(len(mine) >= len(stored) for mine in seen))
            for mine in seen:
                assert [number for number, _ in mine] == stored
                assert [text for _, text in mine] == [f"message {number}" for number in range(2 * MESSAGES)]
            back = [watch.transport for watch in watches if watch.transport not in before]
            assert back
            # Another worker has taken its place.
            said = await example.line()
            assert "listening" in said
            workers = [pid for pid in workers if pid != victim] + [int(said.split()[1])]
            # Once more, that of somebody who has said something which is not all answered yet.
            stored += await speak(url, 2 * MESSAGES, kill_in_the_middle_of=workers)
            await until(lambda: all(set(stored) <= {number for number, _ in mine} for mine in seen))
            assert "listening" in await example.line()
            texts = {f"message {number}" for number in range(3 * MESSAGES)}
            await until(lambda: len({len(mine) for mine in seen}) == 1)
            for mine in seen:
                # What was stored and not answered was said again, and is there twice. All have the same.
                assert mine == seen[0]
                assert {text for _, text in mine} == texts
                numbers = [order(number) for number, _ in mine]
                assert numbers == sorted(set(numbers))
            # One who comes now gets all of it.
            late: list[tuple[str, str]] = []
            tasks.append(asyncio.create_task(module.Watch(url, lambda *message: late.append(message)).run()))
            await until(lambda: len(late) == len(seen[0]))
            assert late == seen[0]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await example.interrupt(log="ended: -9")


def order(number: str) -> tuple[int, ...]:
    return tuple(map(int, number.split("-")))


async def speak(url: str, first: int, *, kill_in_the_middle_of: Sequence[int] = ()) -> list[str]:
    """Say some messages; if the connection breaks meanwhile, those that were not answered again. Returns the ids.

    `kill_in_the_middle_of`: workers, of which the one that listens to us is killed.
    """
    stored: list[str] = []
    workers = {pid: connections_of(pid) for pid in kill_in_the_middle_of}
    for attempt in itertools.count():
        assert attempt < 50
        try:
            transport, speaker = await within(ws_connect(Speaker, f"{url}?after={stored[-1] if stored else '0-0'}"))
        except (OSError, WSHandshakeError):
            continue
        assert isinstance(speaker, Speaker)
        speaker.victim = max(workers, key=lambda pid: connections_of(pid) - workers[pid], default=None)
        workers.clear()
        for number in range(first + len(stored), first + MESSAGES):
            transport.send(WSMsgType.TEXT, f"message {number}")
        await until(lambda: len(speaker.stored) + len(stored) == MESSAGES or transport.is_disconnected)  # noqa: B023
        stored += speaker.stored
        await transport.close()
        if len(stored) == MESSAGES:
            return stored
    raise AssertionError


@pytest.mark.parametrize("place", ["yesterday", "1", "1-", "-1-0", "%FF", "1-0%0A", "99999999999999999999-0"])
async def test_a_wrong_place_is_refused(tmp_path: Path, place: str) -> None:
    async with room_of(tmp_path, free_port(), workers=1) as (example, room):
        await example.line()
        with pytest.raises(WSInvalidStatusError, match="400"):
            await ws_connect(Recorder, f"ws://127.0.0.1:{room}/?after={place}")
        await example.interrupt()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_its_end(tmp_path: Path, sent: signal.Signals) -> None:
    """However the supervisor ends, the workers do, too, and say goodbye to their viewers."""
    async with room_of(tmp_path, free_port(), workers=2) as (example, room):
        for _ in range(2):
            await example.line()
        viewers = [(await within(ws_connect(Speaker, f"ws://127.0.0.1:{room}/")))[0] for _ in range(6)]
        example.process.send_signal(sent)
        # Its pipes are open until the last worker is gone, too.
        assert await example.end(code=-9 if sent == signal.SIGKILL else 0) == []
        for viewer in viewers:
            await within(viewer.wait_disconnected())
            assert viewer.close_handshake is not None
            assert viewer.close_handshake.recv is not None
            assert viewer.close_handshake.recv.code == WSCloseCode.GOING_AWAY


async def test_a_worker_that_is_behind(tmp_path: Path) -> None:
    """Who comes from another worker, which was faster, does not get twice what it has seen."""
    store = free_port()
    async with (
        room_of(tmp_path, store, workers=1) as (example, room),
        redis.asyncio.Redis(port=store, decode_responses=True) as client,
    ):
        await example.line()
        # The worker loses its connection, and tries again after a while: this message it does not know yet.
        await client.client_kill_filter(_type="normal", skipme=True)
        seen: Any = await client.xadd("room", {"text": "seen"})
        shown: list[tuple[str, str]] = []
        watch = watch_room().Watch(f"ws://127.0.0.1:{room}/", lambda *message: shown.append(message))
        watch.last = seen
        task = asyncio.create_task(watch.run())
        try:
            await until(lambda: watch.transport)
            new: Any = await client.xadd("room", {"text": "new"})
            await until(lambda: shown and shown[-1][0] == new)
            assert shown == [(new, "new")]
        finally:
            task.cancel()
            await asyncio.wait({task})
        await example.interrupt(log="no Redis, trying again")


async def test_large_messages(tmp_path: Path) -> None:
    """More of them than may wait for a viewer come to one who has been away; one that could never come is refused."""
    async with room_of(tmp_path, free_port(), workers=1) as (example, room):
        await example.line()
        url = f"ws://127.0.0.1:{room}/"
        transport, speaker = await within(ws_connect(Speaker, url))
        for _ in range(300):
            transport.send(WSMsgType.TEXT, "\x01" * 4000)  # six times as many in JSON
        await until(lambda: len(speaker.stored) == 300)
        transport.send(WSMsgType.TEXT, "x" * 5000)
        await within(transport.wait_disconnected())
        assert transport.close_handshake is not None
        assert transport.close_handshake.recv is not None
        assert transport.close_handshake.recv.code == WSCloseCode.MESSAGE_TOO_BIG
        transport, late = await within(ws_connect(Recorder, url))
        for _ in range(300):
            assert (await late.frame()).msg_type == WSMsgType.TEXT
        await transport.close()
        await example.interrupt()
