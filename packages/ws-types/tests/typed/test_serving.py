"""ws_create_server: what its factory may be and return, and what WSServer has."""

from __future__ import annotations

import asyncio
import functools
import socket

from typing_extensions import assert_type

from checks import check
from ws_core import (
    WSAutoPingStrategy,
    WSListener,
    WSServer,
    WSServerListenerFactory,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_connect,
    ws_create_server,
)


class Session(WSListener):
    def __init__(self, request: WSUpgradeRequest) -> None:
        self.path = request.path


class Room(WSListener):
    def __init__(self, name: str, request: WSUpgradeRequest) -> None:
        self.name = name


class Application:
    def route(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
        if request.path == b"/health":
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(b"fine"), None)
        return Session(request) if request.path == b"/" else None

    async def slow_route(self, request: WSUpgradeRequest) -> WSListener | None:
        await asyncio.sleep(0)
        return Room("slow", request)


async def own_answer(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
    response = WSUpgradeResponse.create_101_response({"X-Room": "1"})
    return WSUpgradeResponseWithListener(response, Session(request))


async def path_of(factory: WSServerListenerFactory) -> WSListener:
    """The listener that a server makes by `factory`."""
    async with await ws_create_server(factory, "127.0.0.1") as server:
        await ws_connect(WSListener, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        (transport,) = server.connections
        listener = check(assert_type(transport.listener, WSListener | None), WSListener)
        assert listener is not None
        server.abort_clients()  # it answers no CLOSE
        return listener


async def test_factories() -> None:
    check(await path_of(Session), Session)
    check(await path_of(lambda request: Session(request)), Session)
    check(await path_of(functools.partial(Room, "red")), Room)
    check(await path_of(Application().route), Session)
    check(await path_of(Application().slow_route), Room)
    check(await path_of(own_answer), Session)


async def test_options() -> None:
    server = await ws_create_server(
        Session,
        ["127.0.0.1"],
        0,
        disconnect_on_exception=False,
        websocket_handshake_timeout=2.5,
        logger_name="there",
        enable_auto_pong=False,
        max_frame_size=100,
        subprotocols=("chat",),
        origins=["https://example.org", None],
        max_connections=3,
        read_buffer_init_size=100,
        strict=False,
        use_aiofastnet=False,
        cork=False,
        busy_poll_us=1,
        max_write_backlog=1000,
        extensions=[],
        enable_auto_ping=True,
        auto_ping_idle_timeout=5.5,
        auto_ping_reply_timeout=1,
        auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
        backlog=10,
        start_serving=False,
    )
    check(assert_type(server, WSServer), WSServer)
    check(assert_type(server.is_serving(), bool), bool)
    await server.start_serving()
    # As typeshed has it for asyncio.Server: what the loops really give has the methods of a socket.
    (listening,) = assert_type(server.sockets, tuple[socket.socket, ...])
    check(listening.fileno(), int)
    check(assert_type(server.connections, frozenset[WSTransport]), frozenset[WSTransport])
    check(assert_type(server.get_loop(), asyncio.AbstractEventLoop), asyncio.AbstractEventLoop)
    server.close_clients()
    server.abort_clients()
    await server.shutdown(1001, b"bye", timeout=1)
    server.close()
    await server.wait_closed()
