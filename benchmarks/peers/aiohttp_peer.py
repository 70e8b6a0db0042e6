"""aiohttp: no compression, no access log, no limit of size."""

from __future__ import annotations

from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from benchmarks.peers import tls

_members: set[web.WebSocketResponse] = set()


class Peer:
    _session: ClientSession | None = None

    async def connect(self, port: int, mode: str) -> Connection | None:
        if mode == "feed-none":
            return None  # receive() always makes an object of the payload
        if self._session is None:
            self._session = ClientSession()
        path = "feed" if mode.startswith("feed") else "echo"
        ssl = tls.client_context() or True
        return Connection(await self._session.ws_connect(tls.address(port, path), ssl=ssl, max_msg_size=0), mode)

    async def serve(self) -> int:
        app = web.Application()
        app.router.add_get("/room", _room)
        app.router.add_get("/{path}", _echo)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls.server_context()).start()
        port: int = self._runner.addresses[0][1]
        return port


async def _room(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    _members.add(socket)
    async for order in socket:
        messages, size, _ = order.data.split()
        message = bytes(int(size))
        for _ in range(int(messages)):
            for member in _members:
                await member.send_bytes(message)
    return socket


async def _echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False, max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


class Connection:
    def __init__(self, socket: ClientWebSocketResponse[bool], mode: str):
        self._socket = socket
        self._mode = mode

    async def run(self, count: int, size: int, length: int) -> None:
        if self._mode.startswith("feed"):
            receive = self._socket.receive_str if self._mode == "feed-str" else self._socket.receive_bytes
            await self._socket.send_str(f"{count} {size} {1 if self._mode == 'feed-str' else 2}")
            for _ in range(count):
                await receive()
            return
        send, receive_bytes = self._socket.send_bytes, self._socket.receive_bytes
        message = bytes(size)
        for _ in range(count):
            for _ in range(length):
                await send(message)
            for _ in range(length):
                await receive_bytes()


def make(library: str, settings: dict[str, Any]) -> Peer:
    return Peer()
