"""Connections without sockets, for more of them than a process may have descriptors.

The library under test opens a server as ever; the event loop's create_server keeps its protocol factory instead, and
open_connections() gives it transports that know nothing but the other end's part: an upgrade request, and a PONG for
each PING. All PONGs of a turn of the loop come together, as epoll would bring them.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

_REQUEST = (
    b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_PING = 0x89
_PONG = 0x8A
_BATCH = 500

_factories: list[Any] = []
_opened: list[_Stub] = []
_asked: list[tuple[_Stub, bytes]] = []
_pongs = 0


class _NoSocket:
    """What libraries ask a socket for. send(2) on its descriptor fails, and they turn to the transport."""

    family = socket.AF_INET

    def setsockopt(self, *_: Any) -> None: ...

    def getsockopt(self, *_: Any) -> int:
        return 0

    def fileno(self) -> int:
        return -1


_EXTRA = {"socket": _NoSocket(), "peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}


class _Stub(asyncio.Transport):
    __slots__ = ("protocol",)

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return _EXTRA.get(name, default)

    def receive(self, data: bytes) -> None:
        room = memoryview(self.protocol.get_buffer(len(data)))
        room[: len(data)] = data
        self.protocol.buffer_updated(len(data))

    def write(self, data: Any) -> None:
        data = bytes(data)
        if data[0] == _PING:
            if not _asked:
                asyncio.get_running_loop().call_soon(_answer)
            _asked.append((self, data[2:]))

    def is_reading(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 16384, 65536

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


def _answer() -> None:
    global _pongs
    asked = _asked[:]
    _asked.clear()
    _pongs += len(asked)
    for stub, payload in asked:
        # Masked with a key of zeros.
        stub.receive(bytes((_PONG, 0x80 | len(payload), 0, 0, 0, 0)) + payload)


def pongs() -> int:
    """How many PINGs were answered."""
    return _pongs


class _Server:
    """As much of an asyncio.Server as libraries look at."""

    def __init__(self) -> None:
        self.sockets = (self,)

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 0


def catch_servers(loop: Any) -> None:
    """From now on, servers of `loop` do not listen: their protocol factories are kept for open_connections."""

    async def create_server(factory: Any, *_: Any, **__: Any) -> Any:
        _factories.append(factory)
        return _Server()

    loop.create_server = create_server


async def open_connections(count: int) -> None:
    """`count` upgraded connections of the first server."""
    for number in range(count):
        stub = _Stub(_factories[0]())
        stub.protocol.connection_made(stub)
        stub.receive(_REQUEST)
        _opened.append(stub)
        if number % _BATCH == 0:
            await asyncio.sleep(0)
