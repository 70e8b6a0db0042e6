"""Plain HTTP on the port of a WebSocket server: pages, probes of load balancers, scanners, and what is no HTTP.

Each of them gets a clean answer, then the end of the connection, and at most one quiet line in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import pytest

from harness import Echo, Net, RawPeer, Recorder, client_frame, request_bytes
from ws_core import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, _upgrading


class Answer:
    """Status, headers and body, from the first byte to the end of the stream."""

    def __init__(self, data: bytes) -> None:
        head, separator, self.body = data.partition(b"\r\n\r\n")
        assert separator, data
        first, *lines = head.decode().split("\r\n")
        self.first = first
        self.status = int(first.split(" ")[1])
        self.headers = dict(line.split(": ", 1) for line in lines)
        assert len(self.headers) == len(lines)


async def exchange(net: Net, server: Any, data: bytes) -> Answer:
    peer = await net.raw(server, upgrade=False)
    await peer.send(data)
    return Answer(await peer.rest())


def refuse(status: int, body: bytes | None = None) -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, body), None)


def site(request: WSUpgradeRequest) -> Any:
    """A small site: one page, and WebSockets at /ws."""
    if request.path == b"/ws":
        return Echo()
    if request.path == b"/health":
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(b"all well"), None)
    if request.path == b"/gone":
        return refuse(410, b"it was here")
    if request.path == b"/521":
        return refuse(521, b"down")
    if request.path == b"/moved":
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_redirect_response(301, "/ws"), None)
    return None


def get(path: str, method: str = "GET", version: str = "HTTP/1.1", headers: str = "Host: h\r\n") -> bytes:
    return f"{method} {path} {version}\r\n{headers}\r\n".encode()


# ------------------------------------------------------------------ pages


async def test_a_page(net: Net) -> None:
    server = await net.serve(site)
    answer = await exchange(net, server, get("/health"))
    assert answer.first == "HTTP/1.1 200 OK"
    assert answer.body == b"all well"
    assert answer.headers == {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": "8",
        "Connection": "close",
    }


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/gone", 410, b"it was here"), ("/521", 521, b"down"), ("/moved", 301, b""), ("/else", 404, b"Not Found")],
)
async def test_other_pages(one_net: Net, path: str, status: int, body: bytes) -> None:
    server = await one_net.serve(site)
    for version in ("HTTP/1.1", "HTTP/1.0"):
        answer = await exchange(one_net, server, get(path, version=version))
        assert answer.status == status
        assert answer.body == body
        assert answer.headers["Content-Length"] == str(len(body))
        assert answer.headers["Connection"] == "close"


async def test_an_async_factory_makes_pages_too(plain_net: Net) -> None:
    async def factory(request: WSUpgradeRequest) -> Any:
        await asyncio.sleep(0)
        return site(request)

    server = await plain_net.serve(factory)
    assert (await exchange(plain_net, server, get("/health"))).body == b"all well"
    assert (await exchange(plain_net, server, get("/else"))).status == 404


async def test_a_large_page(net: Net) -> None:
    """It leaves in full, however slowly it is read."""
    body = bytes(range(256)) * 8192
    page = WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(body), None)
    server = await net.serve(lambda request: page)
    assert (await exchange(net, server, get("/"))).body == body


@pytest.mark.parametrize("path", ["/health", "/gone", "/moved", "/else", "/ws"])
async def test_head_has_no_body(plain_net: Net, path: str) -> None:
    server = await plain_net.serve(site)
    with_body = await exchange(plain_net, server, get(path))
    answer = await exchange(plain_net, server, get(path, "HEAD"))
    assert answer.body == b""
    if path != "/ws":
        assert (answer.first, answer.headers) == (with_body.first, with_body.headers)


async def test_head_of_a_websocket(plain_net: Net) -> None:
    server = await plain_net.serve(site)
    for data in (get("/ws", "HEAD"), request_bytes("/ws", method="HEAD")):
        answer = await exchange(plain_net, server, data)
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET"
        assert answer.body == b""


async def test_head_when_the_factory_raises(one_net: Net) -> None:
    def factory(request: WSUpgradeRequest) -> None:
        raise ValueError

    server = await one_net.serve(factory)
    answer = await exchange(one_net, server, get("/", "HEAD"))
    assert (answer.status, answer.body) == (500, b"")


async def test_get_of_a_websocket(plain_net: Net) -> None:
    """A browser that is pointed at it: the page says what it is."""
    server = await plain_net.serve(site)
    answer = await exchange(plain_net, server, get("/ws"))
    assert answer.status == 426
    assert answer.headers["Upgrade"] == "websocket"
    assert b"WebSocket" in answer.body


async def test_http_1_0(plain_net: Net) -> None:
    server = await plain_net.serve(site)
    assert (await exchange(plain_net, server, get("/health", version="HTTP/1.0", headers=""))).body == b"all well"
    assert (await exchange(plain_net, server, get("/ws", version="HTTP/1.0", headers=""))).status in (426, 505)
    assert (await exchange(plain_net, server, request_bytes("/ws", version="HTTP/1.0"))).status == 505


async def test_the_factory_sees_plain_requests(one_net: Net) -> None:
    seen: list[tuple[bytes, bytes, bytes, str | None]] = []

    def factory(request: WSUpgradeRequest) -> None:
        seen.append((request.method, request.path, request.version, request.headers.get("X-A")))

    server = await one_net.serve(factory)
    await exchange(one_net, server, get("/a?b", headers="Host: h\r\nX-A: 1\r\n"))
    await exchange(one_net, server, get("/c", "HEAD", "HTTP/1.0", ""))
    assert seen == [(b"GET", b"/a?b", b"HTTP/1.1", "1"), (b"HEAD", b"/c", b"HTTP/1.0", None)]


async def test_pipelined_requests(plain_net: Net) -> None:
    """The first is answered, and has nothing of the second in it."""
    seen: list[bytes] = []

    def factory(request: WSUpgradeRequest) -> Any:
        seen.append(request.path)
        return site(request)

    server = await plain_net.serve(factory)
    peer = await plain_net.raw(server, upgrade=False)
    await peer.send(get("/health") + get("/gone", "HEAD") + request_bytes("/ws"))
    answer = Answer(await peer.rest())
    assert (answer.status, answer.body) == (200, b"all well")
    assert seen == [b"/health"]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(get("/ws", "POST", headers="Host: h\r\nContent-Length: 0\r\n"), 405, id="POST"),
        pytest.param(get("/ws", "PUT"), 405, id="PUT"),
        pytest.param(get("/ws", "DELETE"), 405, id="DELETE"),
        pytest.param(get("*", "OPTIONS"), 405, id="OPTIONS"),
        pytest.param(get("h:80", "CONNECT"), 405, id="CONNECT"),
        pytest.param(request_bytes("/ws", method="POST"), 405, id="POST for an upgrade"),
        pytest.param(
            get("/ws", "POST", headers="Host: h\r\nContent-Length: 3\r\n") + b"abc", 400, id="POST with a body"
        ),
        pytest.param(get("/ws", "BREW"), 400, id="no such method"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, id="HTTP/2 preface"),
        pytest.param(get("/ws", version="HTTP/2.0"), 505, id="HTTP/2 in words"),
        pytest.param(get("/ws", version="HTTP/1.2"), 505, id="HTTP/1.2"),
        pytest.param(b"GET /ws\r\n\r\n", 505, id="HTTP/0.9"),
        pytest.param(b"hello there\r\n\r\n", 400, id="no HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 400, id="TLS"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", 400, id="SSH"),
        pytest.param(bytes(100), 400, id="zeros"),
        pytest.param(request_bytes("/ws").replace(b"\r\n", b"\n"), 400, id="bare line feeds"),
        pytest.param(request_bytes("/ws", {"X-A": "b\r\n c"}), 400, id="folded header"),
        pytest.param(request_bytes("/ws", {"X-A": "b\0c"}), 400, id="NUL in a header"),
        pytest.param(request_bytes("/w\0s"), 400, id="NUL in the path"),
        pytest.param(request_bytes("/ws", {"X A": "b"}), 400, id="header name"),
        pytest.param(request_bytes("/ws", {"Content-Length": "5"}) + b"abcde", 400, id="body"),
        pytest.param(request_bytes("/ws", {"Content-Length": "5"}), 400, id="body to come"),
        pytest.param(request_bytes("/ws", {"Transfer-Encoding": "chunked"}) + b"0\r\n\r\n", 400, id="chunked body"),
        pytest.param(request_bytes("/ws", {"Host": None}), 400, id="no Host"),
        pytest.param(request_bytes("/ws", {"host": "two"}), 400, id="two Hosts"),
        pytest.param(request_bytes("/ws", {"Upgrade": "h2c"}), 426, id="another upgrade"),
        pytest.param(request_bytes("/ws", {"Connection": "keep-alive"}), 426, id="no upgrade of the connection"),
        pytest.param(request_bytes("/ws", {"Sec-WebSocket-Version": "8"}), 426, id="an old version"),
        pytest.param(request_bytes("/ws", {"Sec-WebSocket-Version": None}), 426, id="no version"),
        pytest.param(request_bytes("/ws", {"Sec-WebSocket-Key": None}), 400, id="no key"),
        pytest.param(request_bytes("/ws", {"Sec-WebSocket-Key": "c2hvcnQ="}), 400, id="short key"),
        pytest.param(request_bytes("/ws", {"X-A": "x" * 40_000}), 431, id="a large header"),
        pytest.param(request_bytes("/ws?" + "x" * 40_000), 431, id="a large path"),
        pytest.param(request_bytes("/ws", {f"X-{i}": "y" for i in range(200)}), 431, id="many headers"),
    ],
)
async def test_refusals(one_net: Net, data: bytes, status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = await one_net.serve(site)
    answer = await exchange(one_net, server, data)
    assert answer.status == status
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    if status == 405:
        assert "GET" in answer.headers["Allow"]
    if status == 426:
        assert answer.headers["Upgrade"] == "websocket"
    ours = [record for record in caplog.records if record.name.startswith("ws_core")]
    assert [record.levelno for record in ours] == [logging.INFO]
    assert str(status) in ours[0].getMessage()
    assert server.connections == frozenset()
    await one_net.connect(one_net.url(server, "/ws"))


async def test_the_version_that_we_speak_is_said(one_net: Net) -> None:
    server = await one_net.serve(site)
    answer = await exchange(one_net, server, request_bytes("/ws", {"Sec-WebSocket-Version": "8"}))
    assert answer.headers["Sec-WebSocket-Version"] == "13"


@pytest.mark.parametrize("size", [1, 100, 5000])
async def test_a_large_request_in_pieces(net: Net, size: int) -> None:
    """However it is cut: the answer is the same, and it arrives though we have stopped reading."""
    data = request_bytes("/ws", {"X-A": "x" * 40_000})
    server = await net.serve(site)
    peer = await net.raw(server, upgrade=False)
    with contextlib.suppress(ConnectionError):
        if size == 1:
            await peer.send(data[:33_000])
        else:
            for at in range(0, len(data), size):
                await peer.send(data[at : at + size])
                await asyncio.sleep(0)
    assert Answer(await peer.rest()).status == 431


async def test_endless_headers(net: Net) -> None:
    server = await net.serve(site)
    peer = await net.raw(server, upgrade=False)
    await peer.send(b"GET /ws HTTP/1.1\r\n")

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await peer.send(b"X-A: bcdefghi\r\n" * 20)
                await asyncio.sleep(0)

    sending = asyncio.ensure_future(send())
    assert Answer(await peer.rest()).status == 431
    sending.cancel()


async def test_nothing_behind_a_refusal_is_read(one_net: Net) -> None:
    made: list[Recorder] = []

    def factory(request: WSUpgradeRequest) -> Any:
        if request.path != b"/ws":
            return None
        made.append(Recorder())
        return made[-1]

    server = await one_net.serve(factory)
    data = request_bytes("/else") + request_bytes("/ws") + client_frame(1, b"hello")
    assert (await exchange(one_net, server, data)).status == 404
    assert made == []


async def test_unread_input_does_not_destroy_the_answer(net: Net) -> None:
    """A close() with bytes unread is a reset, and what the peer has not read yet is lost with it."""
    server = await net.serve(site)
    for _ in range(5):
        peer = await net.raw(server, upgrade=False)
        peer.writer.write(get("/gone"))
        for _ in range(4):
            peer.writer.write(b"x" * 50_000)
        assert Answer(await peer.rest()).body == b"it was here"


async def test_who_does_not_close_is_cut(plain_net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is sent, and the peer keeps its side open: that must not hold the socket."""
    monkeypatch.setattr(_upgrading, "_REFUSAL_PATIENCE_S", 0.05)
    server = await plain_net.serve(site, websocket_handshake_timeout=None)
    peer = await plain_net.raw(server, upgrade=False)
    await peer.send(get("/else"))
    assert (await peer.head()).startswith(b"HTTP/1.1 404 ")

    async def send() -> None:
        while True:
            await peer.send(b"still here")
            await asyncio.sleep(0.005)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send(), 10)


async def test_who_closes_its_half_gets_the_answer(plain_net: Net) -> None:
    """As `printf … | nc` does."""
    server = await plain_net.serve(site)
    peer: RawPeer = await plain_net.raw(server, upgrade=False)
    await peer.send(get("/health"))
    peer.writer.write_eof()
    assert Answer(await peer.rest()).body == b"all well"


def broken(answers: int, **attributes: Any) -> WSUpgradeResponseWithListener:
    """An answer that somebody has changed after it was checked."""
    answer = WSUpgradeResponseWithListener(WSUpgradeResponse(answers), Echo() if answers == 101 else None)
    for name, value in attributes.items():
        setattr(answer if name in ("listener", "response") else answer.response, name, value)
    return answer


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize(
    "result",
    [
        WSUpgradeResponseWithListener(WSUpgradeResponse(101), Echo),  # type: ignore[arg-type]
        broken(101, listener=None),
        broken(101, response="HTTP/1.1 200 OK"),
        broken(101, headers=7),
        broken(101, version=None),
        broken(200, headers=7),
        broken(200, body="text"),
        broken(200, status="200 OK"),
    ],
    ids=["a class", "no listener", "no response", "101 headers", "version", "200 headers", "body", "status"],
)
async def test_an_answer_that_cannot_be_sent(
    one_net: Net, kind: str, result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """500, and not a 101 with nobody behind it, or an error in the event loop's own log."""

    async def later(request: WSUpgradeRequest) -> Any:
        await asyncio.sleep(0)
        return result

    server = await one_net.serve(later if kind == "async" else lambda request: result)
    assert (await exchange(one_net, server, request_bytes())).status == 500
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == ["ws_core.server"]
    assert not server.connections


async def test_who_was_refused_is_not_too_slow(
    one_net: Net, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The time for the upgrade is over for a request that was refused: its answer has a time of its own to leave."""
    monkeypatch.setattr(_upgrading, "_REFUSAL_PATIENCE_S", 3600.0)
    caplog.set_level(logging.INFO)
    server = await one_net.serve(websocket_handshake_timeout=0.1)
    refused = await one_net.raw(server, upgrade=False)
    await refused.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert b" 426 " in await refused.head()
    silent = await one_net.raw(server, upgrade=False)  # is dropped later than the other one would be
    assert await silent.rest() == b""
    assert sum("no complete upgrade request" in record.getMessage() for record in caplog.records) == 1
