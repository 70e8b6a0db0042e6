"""The websockets package, its asyncio implementation: no compression, no keepalive pings, no limit of size."""

from __future__ import annotations

from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.peers import tls

_members: set[ServerConnection] = set()
_OPTIONS: dict[str, Any] = {"compression": None, "ping_interval": None, "max_size": None}


class Peer:
    async def connect(self, port: int, mode: str) -> Connection | None:
        if mode == "feed-none":
            return None  # recv() always makes an object of the payload
        path = "feed" if mode.startswith("feed") else "echo"
        connection = await connect(tls.address(port, path), proxy=None, ssl=tls.client_context(), **_OPTIONS)
        return Connection(connection, mode)

    async def serve(self) -> int:
        self._server = await serve(_handle, "127.0.0.1", 0, ssl=tls.server_context(), **_OPTIONS)
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port


async def _handle(connection: ServerConnection) -> None:
    assert connection.request is not None
    await (_room if connection.request.path == "/room" else _echo)(connection)


async def _room(connection: ServerConnection) -> None:
    _members.add(connection)
    async for order in connection:
        assert isinstance(order, str)
        messages, size, _ = order.split()
        message = bytes(int(size))
        for _ in range(int(messages)):
            broadcast(_members, message)


async def _echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


class Connection:
    def __init__(self, connection: ClientConnection, mode: str):
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
    return Peer()
