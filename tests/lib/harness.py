"""What the tests of all packages share: listeners that record, peers that speak in raw bytes, certificates.

Everything goes through the public API and real sockets on loopback.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import ssl
import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import trustme

import ws_core
from ws_core import WSFrame, WSListener, WSMsgType, WSTransport

#: For slow machines and slow ways to run: by so much is every limit longer.
PATIENCE = float(os.environ.get("WIRELARK_PATIENCE", "1"))
TIMEOUT_S = 20.0 * PATIENCE  # a bound for what must happen; nothing waits for it to pass


async def within(awaitable: Any, timeout: float = TIMEOUT_S) -> Any:
    """The result of something that must happen soon."""
    return await asyncio.wait_for(awaitable, timeout)


async def until(condition: Callable[[], Any], timeout: float = TIMEOUT_S) -> Any:
    """Wait for a condition that no event announces."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    while not (value := condition()):
        if loop.time() > end:
            raise AssertionError("the condition did not come true in time")
        await asyncio.sleep(0.002)
    return value


class Recorder(WSListener):
    """Keeps what happens; `await recorder.frame()` gives the next frame, in order."""

    def __init__(self) -> None:
        self.transport: WSTransport | None = None
        self.events: list[str] = []
        self.frames: list[WSFrame] = []
        self._taken = 0
        self._changed = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._note("connected")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.frames.append(frame)
        self._note("frame")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._note("disconnected")

    def pause_writing(self) -> None:
        self._note("pause")

    def resume_writing(self) -> None:
        self._note("resume")

    def _note(self, event: str) -> None:
        self.events.append(event)
        self._changed.set()

    async def wait_for(self, condition: Callable[[], Any]) -> None:
        async def wait() -> None:
            while not condition():
                self._changed.clear()
                await self._changed.wait()

        await within(wait())

    async def frame(self) -> WSFrame:
        """The next frame that has not been taken yet."""
        await self.wait_for(lambda: len(self.frames) > self._taken)
        self._taken += 1
        return self.frames[self._taken - 1]

    async def event(self, name: str, count: int = 1) -> None:
        """Until `name` has happened `count` times."""
        await self.wait_for(lambda: self.events.count(name) >= count)


class Echo(WSListener):
    """Sends back what comes, answers a CLOSE."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview(), frame.fin)


@lru_cache(maxsize=1)
def certificate_authority() -> trustme.CA:
    return trustme.CA()


@lru_cache(maxsize=1)
def server_ssl_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority().issue_cert("localhost", "127.0.0.1", "::1").configure_cert(context)
    return context


@lru_cache(maxsize=1)
def client_ssl_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    certificate_authority().configure_trust(context)
    return context


def masked(payload: bytes, mask: bytes) -> bytes:
    """RFC 6455 section 5.3, and its own inverse."""
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")


def frame_bytes(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = None,
    length: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """A frame, right or wrong. `rsv`: 0 to 7; `length`: announce something else; `length_bytes`: 0, 2 or 8."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if size <= 125 else 2 if size <= 65535 else 8
    bit = 0x80 if mask is not None else 0
    if length_bytes == 0:
        head = struct.pack(">BB", first, bit | size)
    elif length_bytes == 2:
        head = struct.pack(">BBH", first, bit | 126, size)
    else:
        head = struct.pack(">BBQ", first, bit | 127, size)
    if mask is not None:
        head += mask
        payload = masked(payload, mask)
    return head + payload


def client_frame(opcode: int, payload: bytes = b"", **kwargs: Any) -> bytes:
    """As a client sends it: masked."""
    return frame_bytes(opcode, payload, mask=kwargs.pop("mask", b"\x12\x34\x56\x78"), **kwargs)


def accept_key(key: str) -> str:
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest).decode()


UPGRADE_HEADERS = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def request_bytes(
    path: str = "/", headers: dict[str, str | None] | None = None, method: str = "GET", version: str = "HTTP/1.1"
) -> bytes:
    """An upgrade request. `headers` replaces ours; None leaves one out."""
    merged: dict[str, str | None] = {**UPGRADE_HEADERS, **(headers or {})}
    lines = [f"{method} {path} {version}"] + [f"{name}: {value}" for name, value in merged.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def make_extension(name: str, **options: Any) -> ws_core.Extension:
    """An extension that owns these options, given with their defaults, and does nothing."""
    made = ws_core.Extension()
    made.name = name
    made.options = options
    return made


class RawPeer:
    """One end of a connection, in bytes: what it reads and writes is up to the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        """Up to the end of an HTTP head."""
        return bytes(await within(self.reader.readuntil(b"\r\n\r\n")))

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: first byte, payload unmasked."""

        async def read() -> tuple[int, bytes]:
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack(">H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
            mask = await self.reader.readexactly(4) if second & 0x80 else None
            payload = await self.reader.readexactly(size)
            return first, payload if mask is None else masked(payload, mask)

        result: tuple[int, bytes] = await within(read())
        return result

    async def rest(self) -> bytes:
        """Everything up to the end of the stream."""
        return bytes(await within(self.reader.read()))

    def close(self) -> None:
        self.writer.close()


class Net:
    """Opens servers and connections the way the test's parameters say, and closes them at its end."""

    #: Those of the running test, also the ones it made itself; conftest.py closes them.
    live: ClassVar[list[Net]] = []

    def __init__(self, *, tls: bool, fast: bool | None) -> None:
        self.tls = tls
        self.fast = fast
        self.use_aiofastnet = fast
        self.live.append(self)
        self._servers: list[Any] = []
        self._transports: list[WSTransport] = []
        self._peers: list[RawPeer] = []

    async def serve(self, factory: Any = None, **kwargs: Any) -> ws_core.WSServer:
        """A server on loopback; by default an echo server."""
        if self.tls:
            kwargs.setdefault("ssl", server_ssl_context())
        kwargs.setdefault("use_aiofastnet", self.use_aiofastnet)
        if "path" not in kwargs and "sock" not in kwargs:
            kwargs.setdefault("host", "127.0.0.1")
        server = await ws_core.ws_create_server(factory or (lambda request: Echo()), **kwargs)
        self._servers.append(server)
        return server

    @staticmethod
    def port(server: Any) -> int:
        return int(server.sockets[0].getsockname()[1])

    def url(self, where: Any, path: str = "/") -> str:
        """The URL of a server, or of a port."""
        port = where if isinstance(where, int) else self.port(where)
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{port}{path}"

    async def connect(self, where: Any, factory: Any = Recorder, **kwargs: Any) -> tuple[WSTransport, Any]:
        """A client of a server, a port or a URL."""
        url = where if isinstance(where, str) else self.url(where)
        if url.startswith("wss"):
            kwargs.setdefault("ssl_context", client_ssl_context())
        kwargs.setdefault("use_aiofastnet", self.use_aiofastnet)
        kwargs.setdefault("websocket_handshake_timeout", TIMEOUT_S)
        transport, listener = await ws_core.ws_connect(factory, url, **kwargs)
        self._transports.append(transport)
        return transport, listener

    async def pair(self, server_kwargs: Any = None, client_kwargs: Any = None) -> tuple[Recorder, Recorder]:
        """A connected pair: the server's recorder and the client's."""
        made: list[Recorder] = []

        def factory(request: Any) -> Recorder:
            made.append(Recorder())
            return made[0]

        server = await self.serve(factory, **(server_kwargs or {}))
        _, client = await self.connect(server, **(client_kwargs or {}))
        await until(lambda: made and made[0].transport)
        return made[0], client

    async def raw(self, server: Any, *, upgrade: bool = True) -> RawPeer:
        """A raw client of one of our servers, upgraded already unless told not to."""
        context = client_ssl_context() if self.tls else None
        reader, writer = await within(asyncio.open_connection("127.0.0.1", self.port(server), ssl=context))
        peer = RawPeer(reader, writer)
        self._peers.append(peer)
        if upgrade:
            await peer.send(request_bytes())
            head = await peer.head()
            assert head.startswith(b"HTTP/1.1 101 "), head
        return peer

    async def server_and_peer(self, factory: Any = Recorder, **kwargs: Any) -> tuple[Any, RawPeer]:
        """The listener of a server's one connection, made by `factory()`, and the raw client that sees its bytes."""
        made: list[Any] = []
        server = await self.serve(lambda request: made.append(factory()) or made[-1], **kwargs)
        peer = await self.raw(server)
        await until(lambda: made and made[0].transport)
        return made[0], peer

    async def raw_server(self, handler: Callable[[RawPeer], Any]) -> int:
        """A raw server for our client; returns its port."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = RawPeer(reader, writer)
            self._peers.append(peer)
            try:
                await handler(peer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the client went away: what the test looks at is the client
            except asyncio.CancelledError:
                pass  # the test is over; asyncio's streams would tell the loop of it (Python 3.12.1)

        context = server_ssl_context() if self.tls else None
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    @staticmethod
    async def accept_upgrade(peer: RawPeer, extra: str = "") -> bytes:
        """Answer the upgrade of our client; returns its request."""
        head = await peer.head()
        key = next(
            line.split(":", 1)[1].strip()
            for line in head.decode().split("\r\n")
            if line.lower().startswith("sec-websocket-key:")
        )
        await peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept_key(key)}\r\n{extra}\r\n".encode()
        )
        return head

    async def aclose(self) -> None:
        for transport in self._transports:
            transport.disconnect(graceful=False)
        for server in self._servers:
            if isinstance(server, ws_core.WSServer):
                server.abort_clients()
            server.close()
        for peer in self._peers:
            peer.writer.transport.abort()
        for transport in self._transports:
            try:
                await within(transport.wait_disconnected())
            except Exception:
                pass
        for server in self._servers:
            if isinstance(server, ws_core.WSServer):
                await until(lambda server=server: not server.connections)


def random_bytes(size: int) -> bytes:
    return os.urandom(size)


def open_sockets() -> int:
    """How many sockets this process has, where the platform tells."""
    count = 0
    for path in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):
            count += os.readlink(path).startswith("socket:")
    return count
