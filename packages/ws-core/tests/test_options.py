"""Arguments that ws_connect and ws_create_server share: what is refused before anything is opened, and loggers."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest

import ws_core
from harness import Net, Recorder, until
from ws_core import WS_DEBUG_LL

NOWHERE = "ws://127.0.0.1:1/"  # an attempt to connect would raise ConnectionRefusedError


async def connect(**kwargs: Any) -> None:
    await ws_core.ws_connect(kwargs.pop("ws_listener_factory", Recorder), NOWHERE, **kwargs)


async def create(**kwargs: Any) -> None:
    factory = kwargs.pop("ws_listener_factory", lambda request: None)
    server = await ws_core.ws_create_server(factory, "127.0.0.1", 0, **kwargs)
    server.close()


BOTH = [pytest.param(connect, id="client"), pytest.param(create, id="server")]


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("websocket_handshake_timeout", 0, ValueError),
        ("websocket_handshake_timeout", -1, ValueError),
        ("websocket_handshake_timeout", math.nan, ValueError),
        ("websocket_handshake_timeout", "5", TypeError),
        ("websocket_handshake_timeout", True, TypeError),
        ("max_frame_size", -1, ValueError),
        ("max_frame_size", 2**63, ValueError),
        ("max_frame_size", 1.0, TypeError),
        ("max_frame_size", True, TypeError),
        ("max_frame_size", None, TypeError),
        ("read_buffer_init_size", 0, ValueError),
        ("read_buffer_init_size", "1", TypeError),
        ("max_write_backlog", -1, ValueError),
        ("max_write_backlog", 1.5, TypeError),
        ("logger_name", 1, TypeError),
        ("logger_name", b"name", TypeError),
        ("subprotocols", "chat", TypeError),
        ("subprotocols", ["a b"], ValueError),
        ("subprotocols", ["a", "a"], ValueError),
        ("subprotocols", 5, TypeError),
        ("extensions", ["chat"], TypeError),
        ("extensions", 5, TypeError),
    ],
)
async def test_refused_with_the_name_of_the_argument(
    side: Any, name: str, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match=name.rstrip("s").removesuffix("_name")):
        await side(**{name: value})


@pytest.mark.parametrize(
    ("side", "name", "value", "error"),
    [
        (connect, "max_redirects", -1, ValueError),
        (connect, "max_redirects", None, TypeError),
        (connect, "ssl_context", True, TypeError),
        (connect, "socket_factory", 5, TypeError),
        (connect, "extra_headers", 5, TypeError),
        (connect, "extra_headers", "X-A: a", TypeError),
        (connect, "extra_headers", [("X-A", "a", "b")], TypeError),
        (connect, "extra_headers", {"X-A": "a\r\nX-B: c"}, ValueError),
        (connect, "extra_headers", {"X A": "a"}, ValueError),
        (connect, "extra_headers", [("X-A", 1)], TypeError),
        (connect, "extra_headers", {"X-A": "\ud800"}, ValueError),
        (connect, "max_redirects", 1.5, TypeError),
        (connect, "ws_listener_factory", None, TypeError),
        (create, "ws_listener_factory", 5, TypeError),
        (create, "max_connections", -1, ValueError),
        (create, "max_connections", float("nan"), TypeError),
        (create, "max_connections", "10", TypeError),
        (create, "max_connections", 1.5, TypeError),
        (create, "origins", "https://a.example", TypeError),
        (create, "origins", 5, TypeError),
        (create, "origins", [b"https://a.example"], TypeError),
    ],
)
async def test_refused_on_one_side(side: Any, name: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="header" if name == "extra_headers" else name):
        await side(**{name: value})


@pytest.mark.parametrize("factory", [None, Recorder(), NOWHERE])
async def test_a_factory_that_is_none(factory: Any) -> None:
    with pytest.raises(TypeError, match="ws_listener_factory"):
        await ws_core.ws_connect(factory, NOWHERE)
    with pytest.raises(TypeError, match="ws_listener_factory"):
        await ws_core.ws_create_server(factory, "127.0.0.1")


@pytest.mark.parametrize(
    ("side", "name", "advice"),
    [
        (connect, "ssl", "ssl_context"),
        (connect, "sock", "socket_factory"),
        (connect, "all_errors", "first error"),
        (connect, "protocol_factory", "protocol"),
        (connect, "host", "URL"),
        (connect, "port", "URL"),
        (create, "protocol_factory", "protocol"),
    ],
)
async def test_arguments_of_the_loop_that_are_ours(side: Any, name: str, advice: str) -> None:
    with pytest.raises(TypeError, match=f"{name}=.*{advice}"):
        await side(**{name: None})


async def test_the_largest_frame(one_net: Net) -> None:
    """An error that says how large it may be, and that is true."""
    server = await one_net.serve(max_frame_size=2**62)
    for size in (2**62 + 1, 2**63):
        with pytest.raises(ValueError, match=r"from 0 to 2\*\*62, it is"):
            await one_net.connect(server, max_frame_size=size)
    await one_net.connect(server, max_frame_size=2**62)


async def test_an_unknown_argument(plain_net: Net) -> None:
    """It goes to the event loop, which says that it does not know it."""
    server = await plain_net.serve()
    with pytest.raises(TypeError, match="no_such_option"):
        await plain_net.connect(server, no_such_option=1)
    with pytest.raises(TypeError, match="no_such_option"):
        await plain_net.serve(no_such_option=1)


@pytest.mark.parametrize("seconds", [None, math.inf, 30, 2.5])
async def test_a_timeout_or_none(one_net: Net, seconds: float | None) -> None:
    server = await one_net.serve(websocket_handshake_timeout=seconds)
    await one_net.connect(server, websocket_handshake_timeout=seconds)


async def test_a_unix_socket_excludes_host_and_port() -> None:
    for kwargs in ({"host": "127.0.0.1"}, {"port": 0}):
        with pytest.raises(ValueError, match="path="):
            await ws_core.ws_create_server(lambda request: None, path="/nowhere/at/all", **kwargs)  # type: ignore[arg-type]


def refused_names(records: list[logging.LogRecord]) -> list[str]:
    return [record.name for record in records if "404" in record.getMessage()]


ADAPTER = logging.LoggerAdapter(logging.getLogger("somewhere.else"), {})


@pytest.mark.parametrize(
    ("logger_name", "name"),
    [
        (None, "ws_core.server"),
        ("chat", "ws_core.chat"),
        ("chat.room", "ws_core.chat.room"),
        (logging.getLogger("my.own"), "my.own"),
        (ADAPTER, "somewhere.else"),
    ],
)
async def test_loggers_of_a_server(one_net: Net, logger_name: Any, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = await one_net.serve(lambda request: None, logger_name=logger_name)
    peer = await one_net.raw(server, upgrade=False)
    await peer.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await peer.rest()
    assert refused_names(caplog.records) == [name]


@pytest.mark.parametrize(
    ("logger_name", "name"),
    [
        (None, "ws_core.client"),
        ("feed", "ws_core.feed"),
        (logging.getLogger("my.own"), "my.own"),
        (ADAPTER, "somewhere.else"),
    ],
)
async def test_loggers_of_a_client(one_net: Net, logger_name: Any, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(WS_DEBUG_LL)
    server = await one_net.serve()
    await one_net.connect(server, logger_name=logger_name)
    names = [record.name for record in caplog.records if "upgrade request" in record.getMessage()]
    assert names == [name]


async def test_an_adapter_is_used_itself(one_net: Net, caplog: pytest.LogCaptureFixture) -> None:
    class Marks(logging.LoggerAdapter):  # type: ignore[type-arg]
        def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
            return f"[marked] {msg}", kwargs

    caplog.set_level(WS_DEBUG_LL)
    server = await one_net.serve()
    await one_net.connect(server, logger_name=Marks(logging.getLogger("adapted"), {}))
    messages = [record.getMessage() for record in caplog.records if record.name == "adapted"]
    assert messages
    assert all(message.startswith("[marked] ") for message in messages)


async def test_no_logger_for_each_connection(one_net: Net) -> None:
    """A logger that is made for a connection stays in the logging module for ever."""
    server = await one_net.serve()
    await one_net.connect(server)
    before = set(logging.Logger.manager.loggerDict)
    for _ in range(3):
        await one_net.connect(server)
    await until(lambda: len(server.connections) == 4)
    assert set(logging.Logger.manager.loggerDict) == before


async def test_the_debug_level(one_net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """Below DEBUG: whoever debugs an application does not get every frame."""
    assert WS_DEBUG_LL == 9
    caplog.set_level(logging.DEBUG)
    server = await one_net.serve()
    await one_net.connect(server)
    assert [record for record in caplog.records if record.name.startswith("ws_core")] == []
    caplog.set_level(WS_DEBUG_LL)
    await one_net.connect(server)
    ours = [record for record in caplog.records if record.name.startswith("ws_core")]
    assert ours
    assert {record.levelno for record in ours} == {WS_DEBUG_LL}
