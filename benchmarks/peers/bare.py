"""No WebSocket library at all: a transport, and a protocol that answers the upgrade and echoes.

What a connection costs before any WebSocket library has added anything: for `idle`, and for `many` by the path /raw,
where bytes go back as they came.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

from benchmarks.peers import tls


class _Least(asyncio.BufferedProtocol):
    """All connections read into one buffer, as ws_core's do."""

    __slots__ = ("transport",)
    room = bytearray(65536)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.room

    def buffer_updated(self, nbytes: int) -> None:
        request = bytes(self.room[:nbytes])
        if not request.startswith(b"GET"):
            # A frame: echo it. Masked with its own key, below 64 KiB, in one piece: enough for this.
            head, key_at = (2, 2) if request[1] & 0x7F < 126 else (4, 4)
            key, payload = request[key_at : key_at + 4], request[key_at + 4 :]
            clear = bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))
            self.transport.write(bytes([request[0], request[1] & 0x7F]) + request[2:head] + clear)
            return
        key = next(line for line in request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key")).split()[1]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        if request.startswith(b"GET /raw"):
            self.transport.set_protocol(_Raw(self.transport))


class _Raw(_Least):
    __slots__ = ()

    def __init__(self, transport: Any):
        self.transport = transport

    def buffer_updated(self, nbytes: int) -> None:
        self.transport.write(memoryview(self.room)[:nbytes])


class Peer:
    def __init__(self, library: str):
        self._library = library

    async def serve(self) -> int:
        loop = asyncio.get_running_loop()
        if self._library == "bare aiofastnet":
            import aiofastnet

            self._server = await aiofastnet.create_server(loop, _Least, "127.0.0.1", 0, ssl=tls.server_context())
        else:
            self._server = await loop.create_server(_Least, "127.0.0.1", 0, ssl=tls.server_context())
        port: int = self._server.sockets[0].getsockname()[1]
        return port


def make(library: str, settings: dict[str, Any]) -> Peer:
    return Peer(library)
