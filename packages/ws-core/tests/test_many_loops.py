"""Several event loops in several threads of one process, all at once, and frames that go from thread to thread."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import gc
import hashlib
import os
import queue
import random
import socket
import struct
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import ws_core
from harness import TIMEOUT_S, Echo, Net, Recorder, until, within
from loops import FREE_THREADED, LIMIT_S, STRESS, Kind, run_at_once, run_in_loop, run_loops
from ws_core import (
    Extension,
    TransportHook,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    broadcast,
    extension,
    register_extension,
    registered_extensions,
)

THREADS = 4


@pytest.fixture
def kind(loop_name: str, tls: bool, fast: bool | None) -> Kind:
    return Kind(loop_name, tls, fast).prepared()


@pytest.fixture
def plain(loop_name: str, fast: bool | None) -> Kind:
    return Kind(loop_name, False, fast).prepared()


@pytest.fixture(autouse=True)
def _short_turns() -> Iterator[None]:
    """Where there is a GIL, threads take turns: as many as the interpreter can make."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


# ------------------------------------------------------------------ messages that can be checked, and who checks them


class Messages:
    """Numbered messages of random sizes, each with its hash in front."""

    def __init__(self) -> None:
        self._random = random.Random()
        self._noise = os.urandom(400_000)

    def make(self, number: int) -> bytes:
        size = self._random.randrange(self._random.choice((100, 100, 100, 5_000, 70_000, 200_000)))
        start = self._random.randrange(len(self._noise) - size)
        body = struct.pack(">I", number) + self._noise[start : start + size]
        return hashlib.blake2b(body, digest_size=16).digest() + body


def number_of(message: WSFrame | memoryview) -> int:
    """Its number; AssertionError if a byte of it is not what was sent."""
    data = bytes(message)
    assert hashlib.blake2b(data[16:], digest_size=16).digest() == data[:16], "a kept frame has changed"
    return int.from_bytes(data[16:20], "big")


class Keepers:
    """Threads that keep what they are given for a while, check that it is what it was, and drop it."""

    def __init__(self, count: int = 2) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(count)
        self._threads = [self._pool.submit(self._run) for _ in range(count)]

    def keep(self, message: WSFrame | memoryview) -> None:
        self._queue.put(message)

    def _run(self) -> int:
        kept: collections.deque[Any] = collections.deque()
        checked = 0
        while (message := self._queue.get()) is not None:
            kept.append(message)
            if len(kept) > 20:
                number_of(kept.popleft())
                checked += 1
        for message in kept:
            number_of(message)
        return checked + len(kept)

    def finish(self) -> int:
        """How many messages were checked."""
        for _ in self._threads:
            self._queue.put(None)
        checked = sum(thread.result(LIMIT_S) for thread in self._threads)
        self._pool.shutdown()
        return checked


class KeepingEcho(Echo):
    def __init__(self, keepers: Keepers) -> None:
        self._keepers = keepers

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        super().on_ws_frame(transport, frame)
        if frame.msg_type == WSMsgType.BINARY:
            self._keepers.keep(frame)


class KeepingClient(WSListener):
    """Sends numbered messages, a few at a time, and gets each of them back, in order."""

    AHEAD = 4

    def __init__(self, count: int, messages: Messages, keepers: Keepers) -> None:
        self._messages = messages
        self._keepers = keepers
        self._count = count
        self._sent = 0
        self._came = 0
        self.kept = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _send_next(self, transport: WSTransport) -> None:
        if self._sent < self._count:
            transport.send(WSMsgType.BINARY, self._messages.make(self._sent))
            self._sent += 1

    def on_ws_connected(self, transport: WSTransport) -> None:
        for _ in range(self.AHEAD):
            self._send_next(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.BINARY:
            return
        assert number_of(frame) == self._came
        if self._came % 3:
            self._keepers.keep(frame if self._came % 3 == 1 else frame.get_payload_as_memoryview())
            self.kept += 1
        self._came += 1
        self._send_next(transport)
        if self._came == self._count:
            self.done.set_result(None)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(f"after {self._came} messages: {transport.disconnect_reason}"))


# ------------------------------------------------------------------ the tests


@pytest.mark.skipif(not FREE_THREADED, reason="for free-threaded builds: nox -s free_threaded")
def test_importing_ws_core_leaves_the_gil_off() -> None:
    """Every module of it, in a process of its own. A module that does not declare itself safe brings the GIL back."""
    names = [path.name.partition(".")[0] for path in Path(ws_core.__file__).parent.glob("[!_]*.py")]
    names += [path.name.partition(".")[0] for path in Path(ws_core.__file__).parent.glob("_*.so")]
    assert {"_buffer", "_frame", "_protocol", "client", "server"} <= set(names)
    code = f"import sys, importlib\nfor name in {names}: importlib.import_module('ws_core.' + name)\n"
    code += "assert not sys._is_gil_enabled()"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=environment)


def test_echo_with_frames_kept_in_other_threads(kind: Kind) -> None:
    """Whoever drops a frame, the block that it lies in is written to again only when nobody has one."""
    keepers = Keepers()
    count = 30 * STRESS
    clients: list[KeepingClient] = []

    async def main(net: Net) -> None:
        server = await net.serve(lambda request: KeepingEcho(keepers))
        messages = Messages()
        mine = [(await net.connect(server, lambda: KeepingClient(count, messages, keepers))) for _ in range(3)]
        for transport, client in mine:
            await client.done
            await within(transport.close())
            clients.append(client)
        await until(lambda: not server.connections)

    try:
        run_loops(kind, *[main] * THREADS)
    finally:
        checked = keepers.finish()
    assert len(clients) == 3 * THREADS
    assert checked == sum(client.kept for client in clients) + count * len(clients)


def test_thousands_of_small_frames_of_one_block_are_dropped_in_other_threads(plain: Kind) -> None:
    """
    While the loop makes new ones in the same block: not one of them may be miscounted.

    Where there is no GIL, an object goes in the thread that has made it, unless that one had let go of it before the
    others did: so the loop holds on to what it hands over, for a little less time than they do.
    """
    count, hand = 20_000 * STRESS, 50
    numbers = struct.Struct(">QQQ")
    handed: queue.SimpleQueue[Any] = queue.SimpleQueue()

    class Collect(WSListener):
        def __init__(self) -> None:
            self.came = 0
            self.hand: list[WSFrame] = []
            self.before: collections.deque[list[WSFrame]] = collections.deque(maxlen=2)

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.BINARY:
                self.came += 1
                self.hand.append(frame)
                if len(self.hand) == hand:
                    handed.put((self.came - hand, self.hand))
                    self.before.append(self.hand)
                    self.hand = []

    async def main(net: Net) -> None:
        server = await net.serve(lambda request: listener)
        transport, _ = await net.connect(server)
        for start in range(0, count, 1_000):
            with transport.cork():
                for number in range(start, start + 1_000):
                    transport.send(WSMsgType.BINARY, numbers.pack(number, number, number))
            await transport.drain()
        await until(lambda: listener.came == count)

    def drop() -> int:
        kept: collections.deque[tuple[int, list[WSFrame]]] = collections.deque()
        checked = 0
        while (given := handed.get()) is not None or kept:
            if given is not None:
                kept.append((given[0], given[1][:]))
            if len(kept) > 6 or given is None:
                first, frames = kept.popleft()
                for number in range(first + hand - 1, first - 1, -1):
                    assert numbers.unpack(frames.pop()) == (number, number, number)
                    checked += 1
            if given is None:
                handed.put(None)  # for the rest, and for the other dropper
        handed.put(None)
        return checked

    listener = Collect()
    with ThreadPoolExecutor(2) as pool:
        droppers = [pool.submit(drop) for _ in range(2)]
        try:
            run_loops(plain, main)
        finally:
            handed.put(None)
        assert sum(dropper.result(LIMIT_S) for dropper in droppers) == count


def test_the_same_objects_are_sent_by_every_loop(kind: Kind) -> None:
    messages: list[Any] = [b"", b"x" * 125, os.urandom(70_000), os.urandom(300_000), "text " * 20_000, "ä" * 1_000]
    rounds = 2 * STRESS

    async def main(net: Net) -> None:
        server = await net.serve(lambda request: Recorder())
        clients = [(await net.connect(server))[1] for _ in range(4)]
        await until(lambda: len(server.connections) == 4)
        for turn in range(rounds):
            for message in messages:
                msg_type = WSMsgType.TEXT if isinstance(message, str) else WSMsgType.BINARY
                if turn % 2:
                    assert broadcast(server.connections, msg_type, message) == 4
                    continue
                for transport in server.connections:
                    transport.send(msg_type, message)
            await asyncio.sleep(0)
        for client in clients:
            for _ in range(rounds):
                for message in messages:
                    payload = (await client.frame()).get_payload_as_memoryview()
                    assert payload == (message.encode() if isinstance(message, str) else message)

    run_loops(kind, *[main] * THREADS)


class Attached(TransportHook):
    opened = 0

    def on_open(self, transport: WSTransport) -> None:
        self.opened += 1


class OneOption(Extension):
    def __init__(self, option: str) -> None:
        self.name = option
        self.options = {option: None}

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook | None:
        hook: TransportHook = options[self.name]
        return hook


def test_extensions_are_registered_while_other_loops_connect(plain: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "_registered", [])
    count = 8 * STRESS

    def main(thread: int) -> Callable[[Net], Awaitable[None]]:
        async def run(net: Net) -> None:
            server = await net.serve()
            for i in range(count):
                option = f"option_{thread}_{i}"
                register_extension(OneOption(option))
                hook = Attached()
                transport, _ = await net.connect(server, **{option: hook})
                assert hook.opened == 1
                transport.disconnect()

        return run

    run_loops(plain, *map(main, range(THREADS)))
    assert len(registered_extensions()) == THREADS * count


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def test_loops_come_and_go(plain: Kind) -> None:
    """They share nothing: what one loop had goes when it goes, also while others begin."""
    gone: list[weakref.ref[Any]] = []
    keepers = Keepers()

    async def main(net: Net) -> None:
        gone.append(weakref.ref(asyncio.get_running_loop()))
        server = await net.serve(lambda request: KeepingEcho(keepers))
        transport, client = await net.connect(server, lambda: KeepingClient(4, messages, keepers))
        await client.done
        await within(transport.close())

    def churn() -> None:
        for _ in range(5 * STRESS):
            run_in_loop(plain, main)

    messages = Messages()
    before = open_descriptors()
    run_at_once(*[churn] * THREADS)
    keepers.finish()
    gc.collect()
    assert len(gone) == THREADS * 5 * STRESS
    assert [reference() for reference in gone if reference() is not None] == []
    assert open_descriptors() <= before


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_loop_that_is_closed_under_its_connections_goes(kind: Kind) -> None:
    async def leave_open() -> None:
        net = kind.net()
        transport, listener = await net.connect(await net.serve())
        transport.send(WSMsgType.TEXT, "x")
        await listener.frame()

    def leave() -> None:
        loop = kind.new_loop()
        gone.append(weakref.ref(loop))
        # asyncio's TLS complains where the collector finds a connection before its loop; a log record kept by pytest
        # holds the traceback, and the loop in it.
        loop.set_exception_handler(lambda loop, context: None)
        loop.run_until_complete(leave_open())
        loop.close()
        gc.collect()

    gone: list[weakref.ref[Any]] = []
    before = open_descriptors()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        run_at_once(*[leave] * THREADS)
        gc.collect()
    assert len(gone) == THREADS
    assert [reference() for reference in gone if reference() is not None] == []
    assert open_descriptors() <= before


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="the system has no SO_REUSEPORT")
def test_servers_of_several_loops_on_one_port(kind: Kind) -> None:
    """reuse_port=True: the kernel deals connections out. Each is served by the loop that got it, to its end."""
    clients = 40
    served: list[int] = []
    with contextlib.closing(socket.socket()) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = int(reserved.getsockname()[1])
        listening, finished = threading.Barrier(THREADS), threading.Event()
        everybody_closed = threading.Barrier(THREADS)

        async def serve(net: Net) -> None:
            made: list[Recorder] = []
            server = await net.serve(lambda request: made.append(Count()) or made[-1], port=port, reuse_port=True)
            await asyncio.to_thread(listening.wait, TIMEOUT_S)
            await asyncio.to_thread(finished.wait, LIMIT_S)
            await until(lambda: not server.connections)
            assert all(listener.events == ["connected", "disconnected"] for listener in made)
            served.append(len(made))
            await asyncio.to_thread(everybody_closed.wait, TIMEOUT_S)

        class Count(Recorder, Echo):
            def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
                Echo.on_ws_frame(self, transport, frame)

        async def connect(net: Net) -> None:
            try:
                await asyncio.to_thread(listening.wait, TIMEOUT_S)
                for i in range(clients):
                    transport, listener = await net.connect(port)
                    transport.send(WSMsgType.TEXT, f"{i}")
                    assert (await listener.frame()).get_payload_as_utf8_text() == f"{i}"
                    await within(transport.close())
            finally:
                finished.set()

        listening = threading.Barrier(THREADS + 1)
        run_loops(kind, *[serve] * THREADS, connect)
    assert sum(served) == clients
    assert len(served) == THREADS
    assert sum(1 for count in served if count) > 1, "the kernel gave all of them to one server"


def test_attributes_are_read_while_connections_come_and_go(plain: Kind) -> None:
    """By a thread that has nothing to do with their loops: what may be read anywhere is whole whenever it is read."""
    shown: queue.SimpleQueue[WSTransport | None] = queue.SimpleQueue()
    names = ("listener", "request", "response", "subprotocol", "close_handshake", "disconnect_reason", "stats")

    async def main(net: Net) -> None:
        server = await net.serve()
        try:
            for _ in range(10 * STRESS):
                transport, _ = await net.connect(server)
                for side in (transport, *server.connections):
                    shown.put(side)
                await within(transport.close())
        finally:
            shown.put(None)

    def read() -> None:
        while (transport := shown.get()) is not None:
            for _ in range(50):  # meanwhile it is closed
                for name in names:
                    value = getattr(transport, name)
                    assert value is None or type(value).__name__
                assert repr(transport).startswith("<WSTransport ")
                if transport.is_disconnected:
                    assert transport.disconnect_reason is not None

    run_at_once(functools.partial(run_in_loop, plain, main), read)
