"""Echo against peers that we did not write: the websockets and aiohttp packages, as client and as server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import aiohttp.web
import pytest
import websockets

from harness import Echo, Net, client_ssl_context, random_bytes, server_ssl_context, until, within
from ws_core import WSCloseCode, WSFrame, WSMsgType, WSTransport

# asyncio's TLS transport of Python 3.10 calls itself unclosed when it was closed by its peer; here it is the peer's.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function _SSLProtocolTransport:pytest.PytestUnraisableExceptionWarning"
)

MESSAGES: list[str | bytes] = [
    "",
    "text",
    "ünï¢ode" * 10_000,
    b"",
    b"\x00\xff",
    *map(random_bytes, (125, 126, 65_536, 400_000)),
]


# ------------------------------------------------------------------ their servers


@asynccontextmanager
async def websockets_server(tls: bool) -> AsyncIterator[int]:
    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    context = server_ssl_context() if tls else None
    async with websockets.serve(echo, "127.0.0.1", 0, ssl=context, max_size=None) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def aiohttp_server(tls: bool) -> AsyncIterator[int]:
    async def echo(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        response = aiohttp.web.WebSocketResponse(max_msg_size=0)
        await response.prepare(request)
        async for message in response:
            if message.type is aiohttp.WSMsgType.TEXT:
                await response.send_str(message.data)
            else:
                await response.send_bytes(message.data)
        return response

    application = aiohttp.web.Application()
    application.router.add_get("/", echo)
    runner = aiohttp.web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    await aiohttp.web.SockSite(runner, sock, ssl_context=server_ssl_context() if tls else None).start()
    try:
        yield sock.getsockname()[1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("serve", [websockets_server, aiohttp_server])
async def test_our_client(net: Net, serve: Callable[[bool], Any]) -> None:
    async with serve(net.tls) as port:
        transport, listener = await net.connect(port)
        for message in MESSAGES:
            transport.send(WSMsgType.TEXT if isinstance(message, str) else WSMsgType.BINARY, message)
        for message in MESSAGES:
            parts = [await listener.frame()]
            while not parts[-1].fin:
                parts.append(await listener.frame())
            data = b"".join(bytes(part) for part in parts)
            assert (data.decode() if isinstance(message, str) else data) == message
        transport.send(WSMsgType.TEXT, "in ", fin=False)
        transport.send_ping(b"between")
        transport.send(WSMsgType.CONTINUATION, "pieces")
        got = [await listener.frame(), await listener.frame()]
        assert {(frame.msg_type, bytes(frame)) for frame in got} == {
            (WSMsgType.PONG, b"between"),
            (WSMsgType.TEXT, b"in pieces"),
        }
        await within(transport.close(WSCloseCode.GOING_AWAY, "enough"))
        # aiohttp's server answers any code with 1000.
        assert transport.close_handshake.recv.code in (WSCloseCode.GOING_AWAY, WSCloseCode.OK)


# ------------------------------------------------------------------ their clients

Exchange = Callable[[str | bytes], Awaitable[str | bytes]]


@asynccontextmanager
async def websockets_client(url: str) -> AsyncIterator[tuple[Exchange, Callable[[], Awaitable[int]]]]:
    context = client_ssl_context() if url.startswith("wss") else None
    async with websockets.connect(url, ssl=context, max_size=None, compression="deflate") as connection:

        async def exchange(message: str | bytes) -> str | bytes:
            await connection.send(message)
            return await connection.recv()

        async def close() -> int:
            await (await connection.ping(b"alive?"))
            await connection.close(1001, "enough")
            assert connection.close_code is not None
            return connection.close_code

        yield exchange, close


@asynccontextmanager
async def aiohttp_client(url: str) -> AsyncIterator[tuple[Exchange, Callable[[], Awaitable[int]]]]:
    context = client_ssl_context() if url.startswith("wss") else True
    async with aiohttp.ClientSession() as session, session.ws_connect(url, ssl=context, max_msg_size=0) as connection:

        async def exchange(message: str | bytes) -> str | bytes:
            await (connection.send_str(message) if isinstance(message, str) else connection.send_bytes(message))
            data: str | bytes = (await connection.receive()).data
            return data

        async def close() -> int:
            await connection.ping(b"alive?")
            await connection.close(code=1001, message=b"enough")
            assert connection.close_code is not None
            return connection.close_code

        yield exchange, close


@pytest.mark.parametrize("client", [websockets_client, aiohttp_client])
async def test_our_server(net: Net, client: Callable[[str], Any]) -> None:
    closes: list[Any] = []

    class Noting(Echo):
        def on_ws_disconnected(self, transport: WSTransport) -> None:
            closes.append(transport.close_handshake)

    server = await net.serve(lambda request: Noting())
    async with client(net.url(server)) as (exchange, close):
        for message in MESSAGES:
            assert await within(exchange(message)) == message
        assert await within(close()) == 1001
    await until(lambda: closes)
    assert closes[0].recv == (WSCloseCode.GOING_AWAY, "enough")
    assert closes[0].sent == (WSCloseCode.GOING_AWAY, "enough")
    assert closes[0].recv_then_sent


async def test_fragments_from_websockets(net: Net) -> None:
    """A message that the peer sends in pieces arrives in the same pieces."""
    server, _ = net, None
    got: list[tuple[WSMsgType, bytes, bool]] = []

    class Listener(Echo):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            got.append((frame.msg_type, bytes(frame), frame.fin))
            super().on_ws_frame(transport, frame)

    running = await server.serve(lambda request: Listener())
    context = client_ssl_context() if net.tls else None
    async with websockets.connect(net.url(running), ssl=context, compression=None) as connection:
        await connection.send(["a", "b", "c"])
        assert await within(connection.recv()) == "abc"
    pieces = b"".join(payload for _, payload, _ in got[:-1])
    assert pieces == b"abc"
    assert got[0][0] is WSMsgType.TEXT
    assert [fin for _, _, fin in got[:-1]] == [False] * (len(got) - 2) + [True]


async def test_many_clients_at_once(net: Net) -> None:
    server = await net.serve()

    async def one(number: int) -> None:
        async with websockets_client(net.url(server)) as (exchange, _):
            for index in range(10):
                message = f"{number} {index}"
                assert await exchange(message) == message

    await within(asyncio.gather(*(one(number) for number in range(30))))
    await until(lambda: not server.connections)
