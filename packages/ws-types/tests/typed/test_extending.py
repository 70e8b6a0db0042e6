"""What authors of extensions write: Extension, TransportHook, and the protocols of what core gives them."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from typing_extensions import assert_type, override

from checks import check
from ws_core import (
    Extension,
    TransportHook,
    WSFrame,
    WSMessage,
    WSMsgType,
    WSParsedURL,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    register_extension,
    registered_extensions,
)
from ws_core.extension import Connector
from ws_core.negotiation import format_extension, parse_extensions
from ws_core.testing import connected_pair
from ws_core.url import parse_url


class Upper(TransportHook):
    """Sees texts both ways and turns them into capitals."""

    opcodes = {WSMsgType.TEXT}

    def __init__(self) -> None:
        self.calls: list[str] = []

    @override
    def on_open(self, transport: WSTransport) -> None:
        check(transport, WSTransport)
        self.calls.append("open")

    @override
    def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
        self.calls.append("frame")
        return frame.replace(payload=frame.get_payload_as_bytes().upper())

    @override
    def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage | None:
        check(assert_type(message.payload, bytes), bytes)
        check(assert_type(message.msg_type, int), WSMsgType)
        check(assert_type(message.rsv1, bool), bool)
        self.calls.append("send")
        return message._replace(payload=message.payload.upper())

    @override
    def on_user_pong(self, transport: WSTransport) -> None:
        self.calls.append("user pong")

    @override
    def on_close(self, transport: WSTransport) -> None:
        self.calls.append("close")


class Capitals(Extension):
    """Overrides the hook points of those who change messages; `hooked` is the option that it owns."""

    name = "capitals"
    options: Mapping[str, Any] = {"hooked": None}

    @override
    def check(self, options: dict[str, Any], is_client_side: bool) -> None:
        check(is_client_side, bool)

    @override
    def offer(self, request: WSUpgradeRequest, options: dict[str, Any]) -> None:
        request.headers.add("Sec-WebSocket-Extensions", format_extension("x-capitals", {"size": 1, "all": None}))

    @override
    def accept(self, request: WSUpgradeRequest, response: WSUpgradeResponse, options: dict[str, Any]) -> Iterable[int]:
        check(
            assert_type(parse_extensions(request.headers), list[tuple[str, dict[str, str | None]]]),
            list[tuple[str, dict[str, str | None]]],
        )
        return {1}

    @override
    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook | None:
        hook: Upper | None = options["hooked"]
        return hook


class Elsewhere(Extension):
    """The hook points of those who make the byte stream; here they leave it to others."""

    name = "elsewhere"

    @override
    async def open_connection(
        self, endpoint: WSParsedURL, options: dict[str, Any]
    ) -> socket.socket | asyncio.Transport | None:
        return None

    @override
    async def open_server(
        self, protocol_factory: Callable[[], asyncio.BufferedProtocol], options: dict[str, Any]
    ) -> asyncio.Server | None:
        return None


async def tunnel(connector: Connector, url: WSParsedURL) -> asyncio.Transport:
    """What open_connection may do with options["connector"]."""
    transport = assert_type(await connector.open_transport(asyncio.Protocol(), url), asyncio.Transport)
    context = ssl.create_default_context()
    return assert_type(
        await connector.start_tls(transport, asyncio.Protocol(), context, "example.org"), asyncio.Transport
    )


async def test_an_extension() -> None:
    hook = Upper()
    client_options = {"extensions": [Capitals()], "hooked": hook}
    async with connected_pair(client_options=client_options, server_options={"extensions": [Capitals()]}) as pair:
        pair.client.add_hook(extra := Upper())
        pair.server.send(WSMsgType.TEXT, "a")
        pair.client.send(WSMsgType.TEXT, "b")
        pair.client.notify_user_specific_pong_received()
        await pair.deliver()
        assert pair.server_listener.frames[0].get_payload_as_bytes() == b"B"
        pair.client.remove_hook(extra)
    assert hook.calls == ["open", "send", "user pong", "frame", "close"]


async def test_byte_streams_of_ones_own() -> None:
    elsewhere = Elsewhere()
    stream = await elsewhere.open_connection(parse_url("ws://127.0.0.1/"), {})
    check(assert_type(stream, socket.socket | asyncio.Transport | None), None)
    check(assert_type(await elsewhere.open_server(asyncio.BufferedProtocol, {}), asyncio.Server | None), None)


def test_the_registry() -> None:
    check(assert_type(registered_extensions(), tuple[Extension, ...]), tuple[Extension, ...])
    for extension in registered_extensions():
        assert_type(register_extension(extension), None)
        check(assert_type(extension.name, str), str)


def test_what_proxies_use() -> None:
    connector = Connector  # the one that core gives: has it what the protocol says?
    given = importlib.import_module("ws_core._connect").Connector
    for name in ("open_transport", "start_tls"):
        assert inspect.signature(getattr(given, name)) == inspect.signature(getattr(connector, name))
    assert callable(tunnel)
