"""What type checkers must refuse, and by which of their rules: mypy's | basedpyright's | pyrefly's. Never run.

tests/static compares: a line that one of them accepts, or refuses for another reason, is a failing test, and so is a
complaint about a line without such a comment.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from ws_autoping import measure_roundtrip_time
from ws_core import (
    Extension,
    TransportHook,
    WSAutoPingStrategy,
    WSFrame,
    WSListener,
    WSMessage,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    broadcast,
    reconnecting,
    register_extension,
    ws_connect,
    ws_create_server,
)


class Client(WSListener):
    pass


class Named(WSListener):
    def __init__(self, name: str) -> None:
        self.name = name


async def make_later() -> Client:
    return Client()


def take_one(request: WSUpgradeRequest) -> Client:
    return Client()


def take_three(one: object, two: object, three: object) -> Client:
    return Client()


def take_nothing() -> Client:
    return Client()


async def factories(url: str) -> None:
    #: arg-type | reportArgumentType | no-matching-overload
    await ws_connect(Named, url)
    #: type-var | reportArgumentType | no-matching-overload
    await ws_connect(make_later, url)
    #: arg-type | reportArgumentType | no-matching-overload
    await ws_connect(take_one, url)
    #: arg-type | reportArgumentType | no-matching-overload
    await ws_connect(take_three, url)
    #: type-var | reportArgumentType | no-matching-overload
    await ws_connect(dict, url)
    #: call-overload | reportArgumentType | no-matching-overload
    await ws_connect(Client(), url)
    #: arg-type | reportArgumentType | bad-argument-type
    reconnecting(make_later, url)
    #: arg-type | reportArgumentType | bad-argument-type
    reconnecting(Named, url)
    #: arg-type | reportArgumentType | bad-argument-type
    await ws_create_server(take_nothing)
    #: arg-type | reportArgumentType | bad-argument-type
    await ws_create_server(take_three)
    #: arg-type | reportArgumentType | bad-argument-type
    await ws_create_server(Named)
    #: arg-type | reportArgumentType | bad-argument-type
    await ws_create_server(Client)
    #: arg-type | reportArgumentType | bad-argument-type
    await ws_create_server(lambda request: "no")


async def results(url: str) -> None:
    transport, client = await ws_connect(Client, url)
    #: attr-defined | reportAttributeAccessIssue | missing-attribute
    print(client.name)
    #: assignment | reportAssignmentType | bad-assignment
    named: Named = client
    #: index | reportIndexIssue | bad-index
    print(named, transport[0])
    #: assignment | reportAssignmentType | bad-assignment
    later: WSTransport = ws_connect(Client, url)
    print(later)
    #: attr-defined | reportGeneralTypeIssues | bad-context-manager
    async with ws_create_server(take_one) as server:
        print(server)


async def options(url: str) -> None:
    #: call-overload | reportArgumentType | no-matching-overload
    await ws_connect(Client, url, max_frame_size="1")
    #: list-item | reportArgumentType | no-matching-overload
    await ws_connect(Client, url, subprotocols=[1])
    #: call-overload | reportArgumentType | no-matching-overload
    await ws_connect(Client, url, logger_name=1)
    #: call-overload | reportArgumentType | no-matching-overload
    await ws_connect(Client, 80)
    #: call-overload | reportCallIssue | no-matching-overload
    await ws_connect(Client, url, None)
    #: call-overload | reportArgumentType | no-matching-overload
    await ws_connect(Client, url, proxy=1)
    #: list-item | reportArgumentType | no-matching-overload
    await ws_connect(Client, url, proxy=[1])
    #: call-overload | reportArgumentType | no-matching-overload
    await ws_connect(Client, url, enable_auto_ping=3)
    #: call-overload | reportArgumentType | no-matching-overload
    await ws_connect(Client, url, auto_ping_strategy="idle")
    #: arg-type | reportArgumentType | bad-argument-type
    reconnecting(Client, url, backoff_min="1")
    #: arg-type | reportArgumentType | bad-argument-type
    reconnecting(Client, url, max_frame_size="1")
    #: arg-type | reportArgumentType | bad-argument-type
    reconnecting(Client, url, auto_ping_idle_timeout="1")
    #: arg-type | reportArgumentType | bad-argument-type
    await ws_create_server(take_one, port="1")
    #: list-item | reportArgumentType | bad-argument-type
    await ws_create_server(take_one, origins=[1])
    #: arg-type | reportArgumentType | bad-argument-type
    await ws_create_server(take_one, max_connections=1.5)
    #: arg-type | reportArgumentType | bad-argument-type
    await ws_create_server(take_one, enable_auto_ping="yes")
    #: arg-type | reportArgumentType | bad-argument-type
    await ws_create_server(take_one, proxy="http://x")


class WrongCallbacks(WSListener):
    @override
    #: override | reportIncompatibleMethodOverride | bad-override
    def on_ws_connected(self) -> None:
        pass

    @override
    #: override | reportIncompatibleMethodOverride | bad-override
    def on_ws_frame(self, transport: WSTransport, frame: bytes) -> None:
        pass

    @override
    #: override | reportIncompatibleMethodOverride | bad-override
    def on_ws_frames(self, transport: WSTransport, frames: WSFrame) -> None:
        pass

    @override
    #: override | reportIncompatibleMethodOverride | bad-override
    async def on_ws_disconnected(self, transport: WSTransport) -> None:
        pass

    @override
    #: override | reportIncompatibleMethodOverride | bad-override
    def is_user_specific_pong(self, frame: WSFrame) -> str:
        return ""

    @override
    #: override | reportIncompatibleMethodOverride | bad-override
    def pause_writing(self, transport: WSTransport) -> None:
        pass

    @override
    #: misc | reportGeneralTypeIssues | bad-override
    def on_ws_message(self, transport: WSTransport) -> None:
        pass


async def transports(transport: WSTransport) -> None:
    #: arg-type | reportArgumentType | bad-argument-type
    transport.send("text", b"")
    #: arg-type | reportArgumentType | bad-argument-type
    transport.send(WSMsgType.TEXT, 3)
    #: call-arg | reportCallIssue | missing-argument
    transport.send(WSMsgType.TEXT)
    #: arg-type | reportArgumentType | bad-argument-type
    transport.send(WSMsgType.TEXT, ["a"])
    #: arg-type | reportArgumentType | bad-argument-type
    transport.send_reuse_external_bytearray(2, b"x" * 20, 14)
    #: arg-type | reportArgumentType | bad-argument-type
    transport.send_ping(3)
    #: arg-type | reportArgumentType | bad-argument-type
    transport.send_close("bye")
    #: arg-type | reportArgumentType | bad-argument-type
    await transport.close(message=3)
    #: func-returns-value | reportGeneralTypeIssues | not-async
    await transport.disconnect()
    #: attr-defined | reportGeneralTypeIssues | bad-context-manager
    with transport as corked:
        print(corked)
    #: attr-defined | reportAttributeAccessIssue | missing-attribute
    transport.nonsense()
    #: misc | reportAttributeAccessIssue | read-only
    transport.is_secure = True
    #: arg-type | reportArgumentType | bad-argument-type
    transport.add_hook(Client())
    #: arg-type | reportArgumentType | bad-argument-type
    transport.add_hook(TransportHook)
    #: arg-type | reportArgumentType | bad-argument-type
    await measure_roundtrip_time(transport, "1")
    #: union-attr | reportOptionalMemberAccess | missing-attribute
    transport.close_handshake.recv
    #: call-arg | reportCallIssue | bad-argument-count
    WSTransport()
    #: attr-defined | reportGeneralTypeIssues | not-iterable
    for each in broadcast([transport], WSMsgType.TEXT, "x"):
        print(each)
    #: call-overload | reportArgumentType | no-matching-overload
    broadcast(transport, WSMsgType.TEXT, "x")
    #: type-var | reportArgumentType | no-matching-overload
    broadcast([transport], WSMsgType.TEXT, [1, 2])


def frames(frame: WSFrame) -> None:
    #: misc | reportAttributeAccessIssue | read-only
    frame.fin = False
    #: attr-defined | reportAttributeAccessIssue | missing-attribute
    frame.payload = b""
    #: call-arg | reportCallIssue | bad-argument-count
    frame.replace(b"x")
    #: arg-type | reportArgumentType | bad-argument-type
    frame.replace(payload="x")
    #: index | reportIndexIssue | bad-index
    print(frame[0])
    #: assignment | reportAssignmentType | bad-assignment
    text: str = frame.get_payload_as_bytes()
    #: assignment | reportAssignmentType | bad-assignment
    reason: str = frame.get_close_reason()
    print(text, reason)
    #: call-arg | reportCallIssue | bad-argument-count
    WSFrame()


#: misc | reportGeneralTypeIssues | invalid-inheritance
class SpecialFrame(WSFrame):
    pass


#: misc | reportGeneralTypeIssues | invalid-inheritance
class SpecialTransport(WSTransport):
    pass


class WrongHook(TransportHook):
    @override
    #: override | reportIncompatibleMethodOverride | bad-override
    def on_open(self) -> None:
        pass

    @override
    #: override | reportIncompatibleMethodOverride | bad-override
    def on_frame(self, transport: WSTransport, frame: WSFrame) -> bytes:
        return b""

    @override
    #: override | reportIncompatibleMethodOverride | bad-override
    def on_send(self, transport: WSTransport, message: WSMessage) -> str:
        return ""


class WrongExtension(Extension):
    @override
    #: override | reportIncompatibleMethodOverride | bad-override
    def attach(self, transport: WSTransport, options: dict[str, Any]) -> WSListener:
        return WSListener()

    @override
    #: override | reportIncompatibleMethodOverride | bad-override
    def open_connection(self, endpoint: str, options: dict[str, Any]) -> None:
        pass


async def the_rest(response: WSUpgradeResponse) -> None:
    #: arg-type | reportArgumentType | bad-argument-type
    register_extension(WrongExtension)
    #: attr-defined | reportAttributeAccessIssue | missing-attribute
    WSMsgType.MESSAGE
    #: misc | reportAttributeAccessIssue | bad-assignment
    WSAutoPingStrategy.PING_WHEN_IDLE = 3
    #: assignment | reportArgumentType | unsupported-operation
    response.headers["X-Number"] = 3
    #: arg-type | reportArgumentType | bad-argument-type
    WSUpgradeResponse(404, body="no")
    #: arg-type | reportArgumentType | bad-argument-type
    WSUpgradeResponse.create_ok_response("no")
    #: call-arg | reportCallIssue | missing-argument
    WSUpgradeResponseWithListener(response)
