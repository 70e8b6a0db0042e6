"""The websockets package, its asyncio implementation, and picows.websockets, which has the same interface.

No compression, no keepalive pings, no limit of size.
"""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.peers import tls

_OPTIONS: dict[str, Any] = {"compression": None, "ping_interval": None, "max_size": None}


class Peer:
    def __init__(self, library: str):
        self._connect = importlib.import_module(f"{library}.asyncio.client").connect
        self._lib = importlib.import_module(f"{library}.asyncio.server")
        self._members: set[Any] = set()

    async def connect(self, port: int, mode: str) -> Connection | None:
        if mode == "feed-none":
            return None  # recv() always makes an object of the payload
        path = "feed" if mode.startswith("feed") else "echo"
        connection = await self._connect(tls.address(port, path), proxy=None, ssl=tls.client_context(), **_OPTIONS)
        return Connection(connection, mode)

    async def serve(self) -> int:
        self._server = await self._lib.serve(self._handle, "127.0.0.1", 0, ssl=tls.server_context(), **_OPTIONS)
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def _handle(self, connection: Any) -> None:
        await (self._room if connection.request.path == "/room" else _echo)(connection)

    async def _room(self, connection: Any) -> None:
        self._members.add(connection)
        async for order in connection:
            messages, size, _ = order.split()
            message = bytes(int(size))
            for _ in range(int(messages)):
                self._lib.broadcast(self._members, message)


async def _echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message)


class Connection:
    def __init__(self, connection: Any, mode: str):
        self._connection = connection
        self._mode = mode

    async def run(self, count: int, size: int, length: int) -> None:
        send, recv = self._connection.send, self._connection.recv
        if self._mode.startswith("feed"):
            await send(f"{count} {size} {1 if self._mode == 'feed-str' else 2}")
            for _ in range(count):
                await recv()
            return
        message = bytes(size)
        for _ in range(count):
            for _ in range(length):
                await send(message)
            for _ in range(length):
                await recv()


def make(library: str, settings: dict[str, Any]) -> Peer:
    return Peer(library)
