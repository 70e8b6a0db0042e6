"""Names, numbers and defaults that users type: what API.md fixes, compared with what is there."""

from __future__ import annotations

import asyncio
import inspect
import typing
from importlib.metadata import version
from typing import Any

import pytest

import ws_core
from harness import Net, frame_bytes, within
from ws_core import WSAutoPingStrategy, WSCloseCode, WSError, WSHandshakeError, WSMsgType, WSServer

MSG_TYPES = {"CONTINUATION": 0, "TEXT": 1, "BINARY": 2, "CLOSE": 8, "PING": 9, "PONG": 10}
CLOSE_CODES = {
    "NO_INFO": 0,
    "OK": 1000,
    "GOING_AWAY": 1001,
    "PROTOCOL_ERROR": 1002,
    "UNSUPPORTED_DATA": 1003,
    "ABNORMAL_CLOSURE": 1006,
    "INVALID_TEXT": 1007,
    "POLICY_VIOLATION": 1008,
    "MESSAGE_TOO_BIG": 1009,
    "MANDATORY_EXTENSION": 1010,
    "INTERNAL_ERROR": 1011,
    "SERVICE_RESTART": 1012,
    "TRY_AGAIN_LATER": 1013,
    "BAD_GATEWAY": 1014,
}
# Of ws_connect and ws_create_server alike.
SHARED_DEFAULTS: dict[str, object] = {
    "disconnect_on_exception": True,
    "websocket_handshake_timeout": 5,
    "logger_name": None,
    "enable_auto_pong": True,
    "max_frame_size": 10 * 1024 * 1024,
    "subprotocols": (),
    "read_buffer_init_size": 16 * 1024,
    "strict": True,
    "use_aiofastnet": None,
    "cork": True,
    "busy_poll_us": 0,
    "max_write_backlog": None,
    "extensions": (),
}


@pytest.mark.parametrize(
    ("enum", "members"),
    [
        (WSMsgType, MSG_TYPES),
        (WSCloseCode, CLOSE_CODES),
        (WSAutoPingStrategy, {"PING_WHEN_IDLE": 1, "PING_PERIODICALLY": 2}),
    ],
)
def test_numbers(enum: Any, members: dict[str, int]) -> None:
    """Of the RFC, and ints: they compare with what stands in a header."""
    assert {member.name: int(member) for member in enum} == members
    for name, number in members.items():
        assert getattr(enum, name) == number
        assert enum(number).name == name


def defaults(function: Any, kind: Any) -> dict[str, object]:
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is kind}


def test_arguments_of_ws_connect() -> None:
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert list(defaults(ws_core.ws_connect, positional)) == ["ws_listener_factory", "url"]
    assert defaults(ws_core.ws_connect, inspect.Parameter.KEYWORD_ONLY) == {
        **SHARED_DEFAULTS,
        "ssl_context": None,
        "extra_headers": None,
        "max_redirects": 5,
        "socket_factory": None,
    }


def test_arguments_of_ws_create_server() -> None:
    positional = defaults(ws_core.ws_create_server, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert list(positional) == ["ws_listener_factory", "host", "port"]
    assert positional["host"] is positional["port"] is None
    assert defaults(ws_core.ws_create_server, inspect.Parameter.KEYWORD_ONLY) == {
        **SHARED_DEFAULTS,
        "origins": None,
        "max_connections": None,
        "path": None,
    }


async def test_arguments_of_methods_by_name(one_net: Net) -> None:
    server, peer = await one_net.server_and_peer()
    transport = server.transport
    transport.send(msg_type=WSMsgType.BINARY, message=b"a", fin=True, rsv1=False, rsv2=False, rsv3=False)
    transport.send_reuse_external_bytearray(msg_type=WSMsgType.BINARY, buffer=bytearray(14) + b"b", msg_offset=14)
    transport.send_ping(message=b"c")
    transport.send_pong(message=b"d")
    assert [(await peer.frame())[1] for _ in range(4)] == [b"a", b"b", b"c", b"d"]
    assert ws_core.broadcast(transports=[transport], msg_type=WSMsgType.TEXT, message="e") == 1
    transport.send_close(close_code=WSCloseCode.OK, close_message="f")
    transport.disconnect(graceful=True)
    assert await peer.rest() == frame_bytes(1, b"e") + frame_bytes(8, b"\x03\xe8f")


async def test_arguments_of_close_by_name(one_net: Net) -> None:
    transport, listener = await one_net.connect(await one_net.serve())
    await within(transport.close(code=WSCloseCode.GOING_AWAY, message="bye", timeout=5.0))
    assert listener.transport.close_handshake.sent == (WSCloseCode.GOING_AWAY, "bye")


async def test_arguments_of_shutdown_by_name(one_net: Net) -> None:
    server = await one_net.serve()
    _, listener = await one_net.connect(server)
    shutdown = asyncio.ensure_future(server.shutdown(code=WSCloseCode.SERVICE_RESTART, message="soon", timeout=5.0))
    close = await listener.frame()
    assert (close.get_close_code(), close.get_close_reason()) == (WSCloseCode.SERVICE_RESTART, "soon")
    listener.transport.disconnect()
    await within(shutdown)


def test_the_tree_of_errors() -> None:
    """What an `except` of each one catches."""
    tree = {
        "WSError": "Exception",
        "WSHandshakeError": "WSError",
        "WSInvalidMessageError": "WSHandshakeError",
        "WSInvalidStatusError": "WSHandshakeError",
        "WSInvalidHeaderError": "WSHandshakeError",
        "WSInvalidUpgradeError": "WSInvalidHeaderError",
        "WSProtocolError": "WSError",
        "WSInvalidURL": "WSError",
        "WSMissingExtension": "WSError",
    }
    exported = [getattr(ws_core, name) for name in ws_core.__all__]
    errors = [each for each in exported if isinstance(each, type) and issubclass(each, BaseException)]
    assert {error.__name__: error.__base__.__name__ for error in errors} == tree
    assert not issubclass(WSError, OSError)


def test_what_errors_carry() -> None:
    handshake = WSHandshakeError("no", b"HTTP/1.1 403 No\r\n\r\n", b"body")
    assert (handshake.raw_header, handshake.raw_body, handshake.response) == (b"HTTP/1.1 403 No\r\n\r\n", b"body", None)
    header = ws_core.WSInvalidHeaderError("no", "Upgrade", "h2c")
    assert (header.name, header.value, header.raw_header) == ("Upgrade", "h2c", None)
    protocol = ws_core.WSProtocolError(WSCloseCode.POLICY_VIOLATION, "no such symbol")
    assert (protocol.code, protocol.message, str(protocol)) == (1008, "no such symbol", "no such symbol")


def test_what_is_exported() -> None:
    assert sorted(ws_core.__all__) == sorted(set(ws_core.__all__))
    for name in ws_core.__all__:
        assert getattr(ws_core, name) is not None
    assert ws_core.__version__ == version("wirelark-ws-core")


@pytest.mark.parametrize(
    ("function", "argument", "alias"),
    [
        ("ws_connect", "ws_listener_factory", "WSListenerFactory"),
        ("ws_create_server", "ws_listener_factory", "WSServerListenerFactory"),
        ("ws_connect", "extra_headers", "WSHeadersLike"),
        ("ws_create_server", "logger_name", "WSLoggerLike"),
    ],
)
def test_types_of_arguments_have_public_names(function: str, argument: str, alias: str) -> None:
    """A wrapper of ws_connect annotates its arguments with them."""
    annotation = inspect.signature(getattr(ws_core, function)).parameters[argument].annotation
    assert alias in [part.partition("[")[0] for part in annotation.split(" | ")]
    assert typing.get_args(getattr(ws_core, alias)), "it is a union or a Callable"


def test_a_server_has_what_asyncios_has() -> None:
    theirs = {name for name in dir(asyncio.Server) if not name.startswith("_")} | {"__aenter__", "__aexit__"}
    assert {name for name in theirs if not hasattr(WSServer, name)} == set()
    for name in theirs:
        ours = getattr(WSServer, name)
        assert inspect.iscoroutinefunction(ours) is inspect.iscoroutinefunction(getattr(asyncio.Server, name)), name


async def test_attributes_cannot_be_set(one_net: Net) -> None:
    """Those of frames and of transports are read-only, all of them."""
    transport, listener = await one_net.connect(await one_net.serve())
    transport.send(WSMsgType.BINARY, b"x")
    for thing in (transport, await listener.frame()):
        names = [name for name in dir(type(thing)) if not name.startswith("_")]
        assert "underlying_transport" in names or "payload_size" in names
        for name in names:
            with pytest.raises(AttributeError):
                setattr(thing, name, getattr(thing, name))
