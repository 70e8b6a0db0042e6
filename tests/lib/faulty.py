"""A network that fails on demand: a TCP relay between one client and one server. It knows bytes, no TLS, no WebSocket.

Unlike ws_core.testing, both ends have real sockets, and it is their kernel that tells of the end: by FIN or by RST.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

from harness import within

#: Bytes; asked for, so that little of what is sent hides in this machine's kernel.
BUFFER_BYTES = 16 * 1024
_RST_AT_CLOSE = struct.pack("ii", 1, 0)


class Way:
    """One direction. What is behind `limit` never passes."""

    def __init__(self, limit: int | None = None) -> None:
        self.passed = 0
        self.limit = limit
        #: Bytes in one segment.
        self.piece = BUFFER_BYTES
        #: Seconds that each segment takes.
        self.delay = 0.0
        self.open = asyncio.Event()
        self.open.set()
        #: So many bytes have passed as may.
        self.full = asyncio.Event()

    async def carry(self, source: socket.socket, sink: socket.socket) -> None:
        """Up to the end of the stream, which is passed on: the other way may go on."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):  # one end is gone: the test says what the other one is told
            while True:
                await self.open.wait()
                room = self.piece if self.limit is None else min(self.piece, self.limit - self.passed)
                if not room:
                    self.full.set()
                    return
                data = await loop.sock_recv(source, room)
                if not data:
                    break
                await asyncio.sleep(self.delay)  # 0: the loop looks at its sockets
                await self.open.wait()
                await loop.sock_sendall(sink, data)
                self.passed += len(data)
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)


class FaultyWire:
    """Listens, takes one client and connects it to the server."""

    def __init__(self, port: int, up: int | None, down: int | None) -> None:
        self.up = Way(up)
        self.down = Way(down)
        self.client: socket.socket | None = None
        self.server: socket.socket | None = None
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)  # is inherited
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        #: As a server has them: a test connects to the wire as to the server.
        self.sockets = [listening]
        self._tasks = [asyncio.ensure_future(self._run(port))]

    async def _run(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self.client, _ = await loop.sock_accept(self.sockets[0])
        self.client.setblocking(False)
        self.server = socket.socket()
        self.server.setblocking(False)
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        await loop.sock_connect(self.server, ("127.0.0.1", port))
        for end in (self.client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways = (self.up.carry(self.client, self.server), self.down.carry(self.server, self.client))
        self._tasks += map(asyncio.ensure_future, ways)

    async def full(self, or_until: asyncio.Future[Any]) -> None:
        """Until one of the ways has carried its limit, or `or_until` is done."""
        waiting = [asyncio.ensure_future(way.full.wait()) for way in (self.up, self.down)]
        try:
            await within(asyncio.wait([*waiting, or_until], return_when=asyncio.FIRST_COMPLETED))
        finally:
            await _end(waiting)

    async def cut(self, how: str) -> None:
        """Nothing passes any more; both ends are told: "fin", that the stream has ended, or "rst"."""
        await _end(self._tasks)
        for end in filter(None, (self.client, self.server)):
            if how == "rst":
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_AT_CLOSE)
                end.close()
            else:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_WR)
                # Read on: a socket that is closed with bytes unread sends RST.
                self._tasks.append(asyncio.ensure_future(_drain(end)))

    async def aclose(self) -> None:
        await _end(self._tasks)
        for each in filter(None, (*self.sockets, self.client, self.server)):
            each.close()


async def _drain(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while await asyncio.get_running_loop().sock_recv(end, BUFFER_BYTES):
            pass


async def _end(tasks: list[asyncio.Future[Any]]) -> None:
    """An event loop must not look at a socket that is closed: so these are over, and not about to be."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()
    tasks.clear()


@contextlib.asynccontextmanager
async def faulty_wire(port: int, *, up: int | None = None, down: int | None = None) -> AsyncIterator[FaultyWire]:
    """To the server on `port`. `up`, `down`: bytes that may pass to it, and from it."""
    wire = FaultyWire(port, up, down)
    try:
        yield wire
    finally:
        await wire.aclose()
