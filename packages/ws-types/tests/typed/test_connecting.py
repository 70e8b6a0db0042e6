"""ws_connect and reconnecting: the listener has the type that the factory gives it, however the factory is written."""

from __future__ import annotations

import functools
import logging
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from typing_extensions import assert_type

from checks import check
from ws_core import (
    WSAutoPingStrategy,
    WSFrame,
    WSListener,
    WSListenerFactory,
    WSReconnecting,
    WSServer,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    reconnecting,
    ws_connect,
    ws_create_server,
)
from ws_core.testing import Recorder


class Client(WSListener):
    def __init__(self, name: str = "") -> None:
        self.name = name
        self.frames: list[WSFrame] = []


class Special(Client):
    """A listener of a listener, with an attribute of its own."""

    level = 3


class Named(WSListener):
    def __init__(self, request: WSUpgradeRequest, response: WSUpgradeResponse) -> None:
        self.path = request.path
        self.status = response.status


class Anything(WSListener):
    def __init__(self, *args: object, **kwargs: object) -> None:
        self.args = args


class Maker:
    """A factory that is an object."""

    def __call__(self) -> Client:
        return Client("made")

    def for_answer(self, request: WSUpgradeRequest, response: WSUpgradeResponse) -> Named:
        return Named(request, response)


_L = TypeVar("_L", bound=WSListener)


async def wrapper(factory: WSListenerFactory[_L], url: str) -> tuple[WSTransport, _L]:
    """Somebody's own ws_connect, which keeps the type."""
    return await ws_connect(factory, url, max_frame_size=1000)


async def plain_wrapper(factory: WSListenerFactory, url: str, **options: Any) -> WSListener:
    transport, listener = await ws_connect(factory, url, **options)
    check(assert_type(transport, WSTransport), WSTransport)
    return check(assert_type(listener, WSListener), WSListener)


@asynccontextmanager
async def serving() -> AsyncGenerator[str, None]:
    async with await ws_create_server(lambda request: Recorder(), "127.0.0.1") as server:
        check(assert_type(server, WSServer), WSServer)
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        server.abort_clients()  # the clients here answer no CLOSE


async def test_a_class() -> None:
    async with serving() as url:
        transport, client = check(assert_type(await ws_connect(Client, url), tuple[WSTransport, Client]), tuple)
        check(assert_type(transport, WSTransport), WSTransport)
        check(assert_type(client.name, str), str)
        check(assert_type(client.frames, list[WSFrame]), list[WSFrame])
        _, special = await ws_connect(Special, url)
        check(assert_type(special, Special), Special)
        check(assert_type(special.level, int), int)
        _, base = await ws_connect(WSListener, url)
        check(assert_type(base, WSListener), WSListener)


async def test_functions() -> None:
    def make() -> Special:
        return Special("made")

    async with serving() as url:
        check(assert_type(await ws_connect(make, url), tuple[WSTransport, Special]), tuple[WSTransport, Special])
        _, client = await ws_connect(lambda: Client("a"), url)
        check(assert_type(client, Client), Client)
        _, client = await ws_connect(functools.partial(Client, "b"), url)
        check(assert_type(client, Client), Client)
        _, made = await ws_connect(Maker(), url)
        check(assert_type(made, Client), Client)


async def test_two_arguments() -> None:
    def make(request: WSUpgradeRequest, response: WSUpgradeResponse) -> Named:
        return Named(request, response)

    async with serving() as url:
        check(assert_type(await ws_connect(Named, url), tuple[WSTransport, Named]), tuple[WSTransport, Named])
        _, named = await ws_connect(make, url)
        check(assert_type(named, Named), Named)
        # The arguments of a lambda are typed, too: else strict checkers would complain of them here.
        _, named = await ws_connect(lambda request, response: Named(request, response), url)
        check(assert_type(named, Named), Named)
        check(assert_type(named.path, bytes), bytes)
        _, named = await ws_connect(Maker().for_answer, url)
        check(assert_type(named, Named), Named)
        _, anything = await ws_connect(Anything, url)
        check(assert_type(anything, Anything), Anything)
        assert len(anything.args) == 2


async def test_wrappers() -> None:
    async with serving() as url:
        check(assert_type(await wrapper(Special, url), tuple[WSTransport, Special]), tuple[WSTransport, Special])
        check(assert_type(await wrapper(Named, url), tuple[WSTransport, Named]), tuple[WSTransport, Named])
        check(assert_type(await plain_wrapper(Client, url, strict=False), WSListener), Client)


async def test_options() -> None:
    """All of them, those of extensions, and what goes to the event loop."""
    async with serving() as url:
        _, client = await ws_connect(
            Client,
            url,
            ssl_context=ssl.create_default_context(),
            disconnect_on_exception=False,
            websocket_handshake_timeout=None,
            logger_name=logging.LoggerAdapter(logging.getLogger("here"), {}),
            enable_auto_pong=False,
            max_frame_size=100,
            extra_headers=[("X-One", "1"), ("X-One", "2")],
            subprotocols=["chat"],
            max_redirects=0,
            socket_factory=lambda parsed: None,
            read_buffer_init_size=100,
            strict=False,
            use_aiofastnet=False,
            cork=False,
            busy_poll_us=1,
            max_write_backlog=1000,
            extensions=[],
            proxy=None,
            proxy_ssl_context=None,
            enable_auto_ping=True,
            auto_ping_idle_timeout=5.5,
            auto_ping_reply_timeout=1,
            auto_ping_strategy=WSAutoPingStrategy.PING_PERIODICALLY,
            local_addr=("127.0.0.1", 0),
        )
        check(assert_type(client, Client), Client)
        _, client = await ws_connect(Client, url, extra_headers={"X-One": "1"}, logger_name="there")
        check(assert_type(client, Client), Client)


async def test_reconnecting() -> None:
    async with serving() as url:

        async def next_url() -> str:
            return url

        connections = reconnecting(Client, next_url, backoff_min=0.1, retry=lambda exc: None, enable_auto_ping=True)
        async with check(assert_type(connections, WSReconnecting), WSReconnecting) as same:
            check(assert_type(same, WSReconnecting), WSReconnecting)
            async for transport in connections:
                check(assert_type(transport, WSTransport), WSTransport)
                check(assert_type(transport.listener, WSListener | None), Client)
                break
        async with reconnecting(Named, lambda: url, max_attempts=1, proxy=None) as connections:
            check(assert_type(await connections.__anext__(), WSTransport), WSTransport)
