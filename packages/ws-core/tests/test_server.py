"""ws_create_server and those who ask for an upgrade: factories of every kind, subprotocols, origins, max_connections.

Plain HTTP is test_server_http.py; listening, timeouts and shutdown are test_server_lifecycle.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from harness import (
    Echo,
    Net,
    RawPeer,
    Recorder,
    accept_key,
    client_frame,
    request_bytes,
    until,
    within,
)
from ws_core import (
    WSInvalidStatusError,
    WSListener,
    WSMsgType,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # what request_bytes sends


async def ask(net: Net, server: Any, data: bytes | None = None) -> tuple[int, dict[str, str], RawPeer]:
    """Send a request; returns status and headers of the answer, and the connection."""
    peer = await net.raw(server, upgrade=False)
    await peer.send(request_bytes() if data is None else data)
    first, *lines = (await peer.head()).decode().removesuffix("\r\n\r\n").split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), peer


def asynchronously(factory: Callable[[WSUpgradeRequest], Any]) -> Any:
    async def async_factory(request: WSUpgradeRequest) -> Any:
        await asyncio.sleep(0)
        return factory(request)

    return async_factory


def as_it_is(factory: Any) -> Any:
    return factory


BOTH_KINDS = pytest.mark.parametrize("kind", [as_it_is, asynchronously], ids=["plain", "async"])


# ------------------------------------------------------------------ the answer


async def test_the_answer(net: Net) -> None:
    server = await net.serve()
    status, headers, _ = await ask(net, server)
    assert status == 101
    assert headers == {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept_key(KEY)}
    (transport,) = server.connections
    response = transport.response
    assert response is not None
    assert (response.status, response.version, response.body) == (101, b"HTTP/1.1", None)
    assert response.headers == headers
    assert transport.response is response  # once it has been asked for


@pytest.mark.parametrize("connection", ["keep-alive, Upgrade", "Upgrade, keep-alive", "upgrade", "Keep-Alive,UPGRADE"])
async def test_what_browsers_send(plain_net: Net, connection: str) -> None:
    """Firefox sends a list."""
    server = await plain_net.serve()
    status, _, peer = await ask(plain_net, server, request_bytes(headers={"Connection": connection}))
    assert status == 101
    await peer.send(client_frame(1, b"hello"))
    assert await peer.frame() == (0x81, b"hello")


async def test_a_request_byte_by_byte(net: Net) -> None:
    server = await net.serve()
    peer = await net.raw(server, upgrade=False)
    data = request_bytes() + client_frame(1, b"hello")
    for i in range(len(data)):
        await peer.send(data[i : i + 1])
        await asyncio.sleep(0)
    assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
    assert await peer.frame() == (0x81, b"hello")


FRAMES = client_frame(9, b"ping") + client_frame(1, b"first") + client_frame(2, b"x" * 3000) + client_frame(1, b"last")


@BOTH_KINDS
@pytest.mark.parametrize("cut", [0, 1, 7, 500])
async def test_frames_right_behind_the_request(net: Net, kind: Any, cut: int) -> None:
    """A client need not wait for the answer, in the same segment or while an async factory thinks."""
    made: list[Recorder] = []

    def factory(request: WSUpgradeRequest) -> Recorder:
        made.append(Recorder())
        return made[0]

    server = await net.serve(kind(factory))
    peer = await net.raw(server, upgrade=False)
    await peer.send(request_bytes() + FRAMES[: len(FRAMES) - cut])
    assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
    await peer.send(FRAMES[len(FRAMES) - cut :])
    payloads = [(await made[0].frame()).get_payload_as_bytes() for _ in range(3)]
    assert payloads == [b"first", b"x" * 3000, b"last"]
    assert made[0].events == ["connected", "frame", "frame", "frame"]
    assert await peer.frame() == (0x8A, b"ping")


async def test_frames_while_an_async_factory_thinks(net: Net) -> None:
    """More than a read takes: what comes meanwhile waits in the kernel, and is all there afterwards."""
    go = asyncio.Event()
    made = Recorder()

    async def factory(request: WSUpgradeRequest) -> Recorder:
        await go.wait()
        return made

    server = await net.serve(factory)
    peer = await net.raw(server, upgrade=False)
    await peer.send(request_bytes())
    payloads = [bytes([i]) * 20_000 for i in range(30)]
    for i, payload in enumerate(payloads):
        peer.writer.write(client_frame(2, payload))
        await asyncio.sleep(0)
        if i == 10:
            assert made.events == []
    go.set()
    assert [(await made.frame()).get_payload_as_bytes() for _ in payloads] == payloads


async def test_a_flood_while_an_async_factory_thinks(plain_net: Net) -> None:
    """It is not read: what a peer sends on top of its request costs the server no memory."""
    made = Recorder()
    go = asyncio.Event()

    async def factory(request: WSUpgradeRequest) -> Recorder:
        if request.path == b"/flood":
            await go.wait()
        return made

    server = await plain_net.serve(factory)
    peer = await plain_net.raw(server, upgrade=False)
    await peer.send(request_bytes("/flood"))
    flood = client_frame(2, bytes(1_000_000), mask=bytes(4)) * 40
    peer.writer.write(flood)
    for _ in range(20):
        await plain_net.raw(server)  # the server has had time for others
    assert peer.writer.transport.get_write_buffer_size() > 0
    go.set()
    await until(lambda: len(made.frames) == 40)


# ------------------------------------------------------------------ factories


@BOTH_KINDS
async def test_the_request_of_a_factory(net: Net, kind: Any) -> None:
    requests: list[WSUpgradeRequest] = []

    def factory(request: WSUpgradeRequest) -> Echo:
        requests.append(request)
        return Echo()

    server = await net.serve(kind(factory))
    transport, _ = await net.connect(net.url(server, "/a/b?c=d"), extra_headers={"X-A": "ü", "Cookie": "e=f"})
    (request,) = requests
    assert isinstance(request, WSUpgradeRequest)
    assert (request.method, request.path, request.version) == (b"GET", b"/a/b?c=d", b"HTTP/1.1")
    assert request.headers["x-a"] == "ü"
    assert request.headers["COOKIE"] == "e=f"
    assert request.to_bytes() == transport.request.to_bytes()
    assert next(iter(server.connections)).request is request


@BOTH_KINDS
@pytest.mark.parametrize("path", ["/echo", "/record", "/none"])
async def test_routing(plain_net: Net, kind: Any, path: str) -> None:
    routes: dict[str, Any] = {"/echo": Echo, "/record": Recorder, "/none": lambda: None}
    server = await plain_net.serve(kind(lambda request: routes[request.path.decode()]()))
    if path == "/none":
        with pytest.raises(WSInvalidStatusError, match="404"):
            await plain_net.connect(plain_net.url(server, path))
        return
    transport, listener = await plain_net.connect(plain_net.url(server, path))
    transport.send(WSMsgType.TEXT, "hello")
    if path == "/echo":
        assert (await listener.frame()).get_payload_as_ascii_text() == "hello"


@BOTH_KINDS
async def test_a_response_of_the_factorys_own(plain_net: Net, kind: Any) -> None:
    def factory(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        response = WSUpgradeResponse.create_101_response({"X-Session": "17", "Set-Cookie": "a=b"})
        return WSUpgradeResponseWithListener(response, Echo())

    server = await plain_net.serve(kind(factory), subprotocols=["chat"])
    transport, listener = await plain_net.connect(server, subprotocols=["chat"])
    assert transport.response.headers["X-Session"] == "17"
    assert transport.subprotocol == "chat"
    transport.send(WSMsgType.TEXT, "hello")
    assert (await listener.frame()).get_payload_as_ascii_text() == "hello"


async def test_a_bare_101_is_completed(one_net: Net) -> None:
    server = await one_net.serve(lambda request: WSUpgradeResponseWithListener(WSUpgradeResponse(101), Echo()))
    _, headers, _ = await ask(one_net, server)
    assert headers == {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept_key(KEY)}


async def test_one_response_object_for_all(one_net: Net) -> None:
    """What is put into it for one connection must not show on the next."""
    opens = WSUpgradeResponse.create_101_response({"X-A": "b"})
    refuses = WSUpgradeResponse.create_error_response(403, b"no")
    answers = {b"/": lambda: WSUpgradeResponseWithListener(opens, Echo())}

    def factory(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        return answers.get(request.path, lambda: WSUpgradeResponseWithListener(refuses, None))()

    server = await one_net.serve(factory, subprotocols=["chat"])
    with_one, _ = await one_net.connect(server, subprotocols=["chat"])
    without, _ = await one_net.connect(server)
    assert with_one.subprotocol == "chat"
    assert without.subprotocol is None
    assert (await ask(one_net, server, request_bytes("/other")))[0] == 403
    assert dict(opens.headers) == {"X-A": "b", "Upgrade": "websocket", "Connection": "Upgrade"}
    assert dict(refuses.headers) == {}


@BOTH_KINDS
@pytest.mark.parametrize("error", [ValueError, TypeError, KeyError, StopAsyncIteration, asyncio.CancelledError])
async def test_a_factory_that_raises(
    plain_net: Net, kind: Any, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """500, and one traceback for whoever runs the server; nothing of it for the client."""
    calls: list[int] = []

    def factory(request: WSUpgradeRequest) -> WSListener:
        calls.append(1)
        raise error("a secret of the server's")

    server = await plain_net.serve(kind(factory))
    status, headers, peer = await ask(plain_net, server)
    assert status == 500
    assert headers["Connection"] == "close"
    assert b"secret" not in await peer.rest()
    assert len(calls) == 1
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [(record.name, record.levelno) for record in records] == [("ws_core.server", logging.ERROR)]
    assert records[0].exc_info is not None
    assert records[0].exc_info[0] is error
    with pytest.raises(WSInvalidStatusError, match="500"):
        await plain_net.connect(server)


@BOTH_KINDS
@pytest.mark.parametrize(
    "result", [Echo, "listener", object(), 404, WSUpgradeResponse.create_error_response(404)], ids=repr
)
async def test_a_factory_that_returns_something_else(
    one_net: Net, kind: Any, result: object, caplog: pytest.LogCaptureFixture
) -> None:
    server = await one_net.serve(kind(lambda request: result))
    assert (await ask(one_net, server))[0] == 500
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "not a WSListener" in record.getMessage()


@BOTH_KINDS
@pytest.mark.parametrize("status", [101, 403])
async def test_headers_that_cannot_be_sent(
    one_net: Net, kind: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A factory copies what a client sent: no response is split, the client gets 500."""

    def factory(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        response = WSUpgradeResponse(status)
        response.headers["X-Copy"] = "a\r\nSet-Cookie: b=c"
        return WSUpgradeResponseWithListener(response, Echo() if status == 101 else None)

    server = await one_net.serve(kind(factory))
    got, headers, peer = await ask(one_net, server)
    assert got == 500
    assert "Set-Cookie" not in headers
    assert b"Set-Cookie" not in await peer.rest()
    assert [record.levelno for record in caplog.records if record.levelno >= logging.WARNING] == [logging.ERROR]
    assert server.connections == frozenset()


async def test_an_async_factory_may_think_about_several_at_once(net: Net) -> None:
    waiting: list[asyncio.Future[None]] = []

    async def factory(request: WSUpgradeRequest) -> Recorder:
        waiting.append(asyncio.get_running_loop().create_future())
        await waiting[-1]
        return Recorder()

    server = await net.serve(factory)
    attempts = [asyncio.ensure_future(net.connect(server)) for _ in range(3)]
    await until(lambda: len(waiting) == 3)
    assert server.connections == frozenset()
    waiting[2].set_result(None)
    await within(asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED))
    assert sum(attempt.done() for attempt in attempts) == 1
    for future in waiting[:2]:
        future.set_result(None)
    await within(asyncio.gather(*attempts))
    assert len(server.connections) == 3


async def test_an_async_factory_is_cancelled_with_its_connection(plain_net: Net) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def factory(request: WSUpgradeRequest) -> Recorder:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    server = await plain_net.serve(factory)
    peer = await plain_net.raw(server, upgrade=False)
    await peer.send(request_bytes())
    await within(started.wait())
    server.abort_clients()
    await within(cancelled.wait())
    assert await peer.rest() == b""


# ------------------------------------------------------------------ subprotocols


@pytest.mark.parametrize(
    ("supported", "offered", "chosen"),
    [
        (["a", "b"], ["b", "a"], "a"),
        (["a", "b"], ["b"], "b"),
        (["a", "b"], ["c"], None),
        (["a", "b"], [], None),
        ([], ["a"], None),
        (["A"], ["a"], None),
    ],
)
async def test_the_servers_order_chooses(
    plain_net: Net, supported: list[str], offered: list[str], chosen: str | None
) -> None:
    server = await plain_net.serve(subprotocols=supported)
    transport, _ = await plain_net.connect(server, subprotocols=offered)
    assert transport.subprotocol == chosen
    assert next(iter(server.connections)).subprotocol == chosen
    assert ("Sec-WebSocket-Protocol" in transport.response.headers) is (chosen is not None)


async def test_subprotocols_over_several_lines(one_net: Net) -> None:
    server = await one_net.serve(subprotocols=["a", "b"])
    lines = b"Sec-WebSocket-Protocol: c\r\nSec-WebSocket-Protocol: d ,b\r\n\r\n"
    _, headers, _ = await ask(one_net, server, request_bytes()[:-2] + lines)
    assert headers["Sec-WebSocket-Protocol"] == "b"


async def test_a_factory_may_choose_the_subprotocol(one_net: Net) -> None:
    def factory(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": "b"})
        return WSUpgradeResponseWithListener(response, Echo())

    server = await one_net.serve(factory, subprotocols=["a", "b"])
    transport, _ = await one_net.connect(server, subprotocols=["a", "b"])
    assert transport.subprotocol == "b"
    assert next(iter(server.connections)).subprotocol == "b"


# ------------------------------------------------------------------ origins


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        (None, "https://evil.example", 101),
        (None, None, 101),
        (["https://a.example"], "https://a.example", 101),
        (["https://b.example", "https://a.example"], "https://a.example", 101),
        (["https://a.example"], "https://evil.example", 403),
        (["https://a.example"], "http://a.example", 403),
        (["https://a.example"], "https://a.example.evil.example", 403),
        (["https://a.example"], "https://a.example:444", 403),
        (["https://a.example"], "null", 403),
        (["https://a.example"], "", 403),
        (["https://a.example"], None, 403),
        (["https://a.example", None], None, 101),
        ([None], "https://a.example", 403),
        ([], "https://a.example", 403),
        ([], None, 403),
    ],
)
async def test_origins(one_net: Net, origins: Any, origin: str | None, status: int) -> None:
    calls: list[WSUpgradeRequest] = []

    def factory(request: WSUpgradeRequest) -> Echo:
        calls.append(request)
        return Echo()

    server = await one_net.serve(factory, origins=origins)
    assert (await ask(one_net, server, request_bytes(headers={"Origin": origin})))[0] == status
    assert len(calls) == (status == 101)


async def test_two_origins_are_none(one_net: Net) -> None:
    server = await one_net.serve(origins=["https://a.example"])
    data = request_bytes(headers={"Origin": "https://a.example", "origin": "https://evil.example"})
    assert (await ask(one_net, server, data))[0] == 403


async def test_origins_are_for_upgrades(one_net: Net) -> None:
    """A health check has none."""
    page = WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(b"ok"), None)
    server = await one_net.serve(lambda request: page, origins=["https://a.example"])
    assert (await ask(one_net, server, b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n"))[0] == 200


# ------------------------------------------------------------------ max_connections


@BOTH_KINDS
async def test_max_connections(net: Net, kind: Any) -> None:
    server = await net.serve(kind(lambda request: Echo()), max_connections=2)
    first, _ = await net.connect(server)
    await net.connect(server)
    status, headers, _ = await ask(net, server)
    assert status == 503
    assert headers["Retry-After"] == "1"
    first.disconnect()
    await until(lambda: len(server.connections) == 1)
    await net.connect(server)
    assert len(server.connections) == 2


async def test_no_connections_at_all(one_net: Net) -> None:
    server = await one_net.serve(max_connections=0)
    assert (await ask(one_net, server))[0] == 503


async def test_async_factories_do_not_pass_the_limit_together(one_net: Net) -> None:
    go = asyncio.Event()

    async def factory(request: WSUpgradeRequest) -> Recorder:
        await go.wait()
        return Recorder()

    server = await one_net.serve(factory, max_connections=2)
    attempts = [asyncio.ensure_future(one_net.connect(server)) for _ in range(5)]
    await until(lambda: len(server._settings.pending) == 5)
    await asyncio.sleep(0)
    go.set()
    results = await within(asyncio.gather(*attempts, return_exceptions=True))
    refused = [result for result in results if isinstance(result, WSInvalidStatusError)]
    assert len(refused) == 3
    assert all("503" in str(error) for error in refused)
    assert len(server.connections) == 2


async def test_plain_http_is_not_limited(one_net: Net) -> None:
    page = WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(b"ok"), None)
    server = await one_net.serve(lambda request: page, max_connections=0)
    assert (await ask(one_net, server, b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n"))[0] == 200
