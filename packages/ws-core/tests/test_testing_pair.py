"""connected_pair: real listeners on both sides, through the real handshake, on a connection in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness import Echo, within
from ws_core import (
    Extension,
    TransportHook,
    WSInvalidMessageError,
    WSInvalidStatusError,
    WSListener,
    WSMissingExtension,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from ws_core.testing import MemoryTransport, Pair, Recorder, Wire, connected_pair

pytestmark = pytest.mark.usefixtures("loop_name")


class Boom(Exception):
    pass


async def test_both_sides_are_real() -> None:
    async with connected_pair(Recorder, Echo) as pair:
        assert isinstance(pair, Pair)
        assert type(pair.client) is type(pair.server) is WSTransport
        assert pair.client.is_client_side
        assert not pair.server.is_client_side
        assert not pair.client.is_secure
        assert isinstance(pair.client_listener, Recorder)
        assert isinstance(pair.server_listener, Echo)
        assert pair.client.listener is pair.client_listener
        assert isinstance(pair.client.underlying_transport, MemoryTransport)
        assert pair.client_listener.transport is pair.client
        pair.client.send(WSMsgType.TEXT, "hello")
        assert pair.client_listener.frames == []
        await pair.deliver()
        assert [frame.get_payload_as_utf8_text() for frame in pair.client_listener.frames] == ["hello"]


async def test_recorders_are_the_default_and_the_end_is_waited_for() -> None:
    async with connected_pair() as pair:
        pair.server.send(WSMsgType.BINARY, b"1")
        await pair.deliver()
    assert pair.client_listener.events == ["connected", "frame", "disconnected"]
    assert pair.server_listener.events == ["connected", "disconnected"]
    for transport in pair.client, pair.server:
        assert transport.is_disconnected
        await transport.wait_disconnected()


async def test_the_handshake_is_the_real_one() -> None:
    requests: list[WSUpgradeRequest] = []

    def serve(request: WSUpgradeRequest) -> Recorder:
        requests.append(request)
        return Recorder()

    def two_arguments(request: WSUpgradeRequest, response: WSUpgradeResponse) -> Recorder:
        assert response.headers["Sec-WebSocket-Protocol"] == "b"
        requests.append(request)
        return Recorder()

    async with connected_pair(
        two_arguments,
        serve,
        "ws://user:secret@example.com:8080/chat?room=1",
        client_options={"subprotocols": ["a", "b"], "extra_headers": {"X-Token": "42"}},
        server_options={"subprotocols": ["b"], "origins": [None]},
    ) as pair:
        assert pair.client.subprotocol == pair.server.subprotocol == "b"
        seen = requests[0]
        assert seen is pair.server.request
        assert requests[1] is pair.client.request
        assert seen.path == b"/chat?room=1"
        assert seen.headers["Host"] == "example.com:8080"
        assert seen.headers["X-Token"] == "42"
        assert seen.headers["Authorization"].startswith("Basic ")
        assert pair.client.response.status == 101


async def test_addresses() -> None:
    async with connected_pair(wire=Wire(client_address=("192.0.2.7", 4711))) as pair:
        assert pair.server.underlying_transport.get_extra_info("peername") == ("192.0.2.7", 4711)


class NoInit(WSListener):
    pass


class OptionalArgument(WSListener):
    def __init__(self, request: WSUpgradeRequest | None = None) -> None:
        self.request = request


async def slow(request: WSUpgradeRequest) -> NoInit:
    await asyncio.sleep(0.001)
    return NoInit()


async def slow_without_argument() -> NoInit:
    return NoInit()


@pytest.mark.parametrize(
    "factory",
    [
        NoInit,
        OptionalArgument,
        lambda: NoInit(),
        lambda request: NoInit(),
        slow,
        slow_without_argument,
        lambda request: WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response({"X-Own": "1"}), NoInit()),
    ],
)
async def test_factories_of_the_server(factory: Any) -> None:
    async with connected_pair(Recorder, factory) as pair:
        assert isinstance(pair.server_listener, NoInit | OptionalArgument)
        if isinstance(pair.server_listener, OptionalArgument):
            assert pair.server_listener.request is pair.server.request
        assert pair.client.response.headers.get("X-Own") == pair.server.response.headers.get("X-Own")


def refuse(status: int) -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, b"because"), None)


def raising() -> WSListener:
    raise Boom


@pytest.mark.parametrize(
    ("factory", "options", "status"),
    [
        (lambda: None, {}, 404),
        (lambda request: refuse(521), {}, 521),
        (raising, {}, 500),
        (Recorder, {"origins": ["https://example.com"]}, 403),
        (Recorder, {"max_connections": 0}, 503),
        (
            lambda: WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_redirect_response(307, "ws://elsewhere/"), None
            ),
            {},
            307,
        ),
    ],
)
async def test_refusals(factory: Any, options: dict[str, Any], status: int) -> None:
    with pytest.raises(WSInvalidStatusError) as caught:
        async with connected_pair(Recorder, factory, server_options=options):
            raise AssertionError("the block must not run")
    assert caught.value.response is not None
    assert caught.value.response.status == status
    if status == 521:
        assert caught.value.raw_body == b"because"


async def test_a_client_factory_that_raises() -> None:
    made: list[Recorder] = []

    def serve() -> Recorder:
        made.append(Recorder())
        return made[0]

    with pytest.raises(Boom):
        async with connected_pair(raising, serve):
            raise AssertionError("the block must not run")
    assert made[0].events == ["connected", "disconnected"]


async def test_a_server_that_fails_behind_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(TransportHook):
        def on_open(self, transport: WSTransport) -> None:
            raise Boom

    class Failed(Extension):
        name = "failed"

        def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook:
            return Failing()

    with pytest.raises(RuntimeError, match="one side failed behind the answer"):
        async with connected_pair(Recorder, Recorder, server_options={"extensions": [Failed()]}):
            raise AssertionError("the block must not run")
    assert "a hook's on_open raised" in caplog.text


async def test_a_listener_that_cannot_be_asked(caplog: pytest.LogCaptureFixture) -> None:
    class Unfit(Recorder):
        @property
        def on_ws_frames(self) -> Any:
            raise Boom

    async with connected_pair(Recorder, Unfit) as pair:
        await pair.deliver()
        reason = pair.server.disconnect_reason
        assert reason is not None
        assert type(reason.exception) is Boom
        assert pair.client_listener.events == ["connected", "frame", "disconnected"]


@pytest.mark.parametrize(
    ("side", "option", "value"),
    [
        ("client", "ssl_context", None),
        ("client", "socket_factory", None),
        ("client", "use_aiofastnet", False),
        ("client", "max_redirects", 1),
        ("client", "local_addr", ("127.0.0.1", 0)),
        ("client", "ssl", None),
        ("client", "max_frame_sise", 1),
        ("client", "url", "ws://elsewhere/"),
        ("server", "path", "/tmp/socket"),
        ("server", "host", "127.0.0.1"),
        ("server", "port", 80),
        ("server", "sock", None),
        ("server", "ssl", None),
        ("server", "backlog", 5),
        ("server", "max_redirects", 5),
    ],
)
async def test_options_about_sockets_are_refused(side: str, option: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"{side}_options: .*\b{option}\b"):
        async with connected_pair(**{f"{side}_options": {option: value}}):  # type: ignore[arg-type]
            pass


@pytest.mark.parametrize("side", ["client", "server"])
async def test_options_are_checked_by_those_who_own_them(side: str) -> None:
    for options, error in (
        ({"max_frame_size": -1}, ValueError),
        ({"extensions": [object()]}, TypeError),
        ({"subprotocols": "abc"}, TypeError),
    ):
        with pytest.raises(error):
            async with connected_pair(**{f"{side}_options": options}):  # type: ignore[arg-type]
                pass


class Tagged(Extension):
    """Owns an option, and notes its value where it takes part."""

    name = "tagged"
    options = {"tag": None}

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> None:
        transport.user_data["tag"] = options["tag"]


async def test_options_of_extensions() -> None:
    options = {"extensions": [Tagged()], "tag": "x"}
    async with connected_pair(client_options=options, server_options=options) as pair:
        assert pair.client.user_data == pair.server.user_data == {"tag": "x"}
    with pytest.raises(TypeError, match="client_options: .*tag"):
        async with connected_pair(client_options={"tag": "x"}):
            pass


class Tunnel(Extension):
    name = "tunnel"

    async def open_connection(self, endpoint: Any, options: dict[str, Any]) -> None:
        raise AssertionError("never called")


class Port(Extension):
    name = "port"

    async def open_server(self, protocol_factory: Any, options: dict[str, Any]) -> None:
        raise AssertionError("never called")


@pytest.mark.parametrize(("side", "extension"), [("client", Tunnel()), ("server", Port())], ids=["client", "server"])
async def test_extensions_that_open_connections_are_refused(side: str, extension: Extension) -> None:
    with pytest.raises(TypeError, match=f"{side}_options: the extension '{extension.name}' opens connections"):
        async with connected_pair(**{f"{side}_options": {"extensions": [extension]}}):  # type: ignore[arg-type]
            pass


async def test_missing_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ws_core.extension._registered", [])
    with pytest.raises(WSMissingExtension, match="autoping"):
        async with connected_pair(client_options={"enable_auto_ping": True}):
            pass


async def test_no_tls() -> None:
    with pytest.raises(ValueError, match="ws:// URL"):
        async with connected_pair(url="wss://memory/"):
            pass


async def test_a_wire_serves_once() -> None:
    wire = Wire()
    async with connected_pair(wire=wire) as pair:
        assert pair.wire is wire
    with pytest.raises(RuntimeError, match="a Wire carries one connection"):
        async with connected_pair(wire=wire):
            pass


def test_outside_of_a_running_loop() -> None:
    entering = connected_pair().__aenter__()
    with pytest.raises(RuntimeError, match="needs a running asyncio event loop"):
        entering.send(None)  # type: ignore[attr-defined]


async def test_the_handshake_in_pieces() -> None:
    async with connected_pair(wire=Wire(cut_into=1)) as pair:
        pair.client.send(WSMsgType.TEXT, "hello")
        assert await pair.server_listener.next_message() == "hello"


@pytest.mark.parametrize("direction", ["to_client", "to_server"])
@pytest.mark.parametrize("after", [0, 20])
async def test_a_handshake_that_stalls(direction: str, after: int) -> None:
    wire = Wire()
    getattr(wire, direction).hold(after)
    with pytest.raises(asyncio.TimeoutError):
        async with connected_pair(wire=wire, client_options={"websocket_handshake_timeout": 0.01}):
            pass


async def test_a_connection_that_is_lost_in_the_handshake() -> None:
    wire = Wire()
    wire.hold()

    async def connect() -> None:
        async with connected_pair(wire=wire):
            pass

    task = asyncio.create_task(connect())
    await wire.deliver()
    wire.lose()
    with pytest.raises(ConnectionResetError):
        await within(task)


async def test_a_stream_that_ends_in_the_handshake() -> None:
    wire = Wire()
    wire.to_client.end()
    with pytest.raises(WSInvalidMessageError, match="closed the connection without an answer"):
        async with connected_pair(wire=wire):
            pass


async def test_an_answer_that_is_nonsense() -> None:
    wire = Wire()
    wire.to_client.inject(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    with pytest.raises(WSInvalidMessageError, match="SSH"):
        async with connected_pair(wire=wire):
            pass


async def test_cancelled_in_the_handshake() -> None:
    wire = Wire()
    wire.hold()

    async def connect() -> None:
        async with connected_pair(wire=wire):
            pass

    task = asyncio.create_task(connect())
    await wire.deliver()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await within(task)
