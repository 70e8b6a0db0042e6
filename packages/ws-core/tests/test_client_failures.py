"""ws_connect when it does not go well: what is raised, what it says, and that nothing stays open."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import ws_core.client
from harness import Net, RawPeer, accept_key, request_bytes, until, within
from ws_core import (
    WS_DEBUG_LL,
    WSHandshakeError,
    WSInvalidHeaderError,
    WSInvalidMessageError,
    WSInvalidStatusError,
    WSInvalidUpgradeError,
    WSListener,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)

SHORT_S = 0.05  # a handshake timeout; what it ends would never end by itself


def no_listener() -> WSListener:
    raise AssertionError("the factory was called")


async def failure(net: Net, handler: Callable[[RawPeer], Awaitable[None]], **kwargs: Any) -> BaseException:
    """What ws_connect raises when a server does this, after it has been seen that the connection is closed."""
    closed = asyncio.Event()
    closed.set()  # on a slow machine a short timeout ends it before the server has done its part of TLS

    async def serve(peer: RawPeer) -> None:
        closed.clear()
        try:
            await handler(peer)
            with contextlib.suppress(ConnectionError):
                await peer.rest()
        finally:
            closed.set()

    port = await net.raw_server(serve)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - it is what the caller looks at
        await net.connect(port, no_listener, **kwargs)
    await within(closed.wait())
    return caught.value


def says(*pieces: bytes, close: bool = False) -> Callable[[RawPeer], Awaitable[None]]:
    """A server that reads the request and answers with these pieces."""

    async def serve(peer: RawPeer) -> None:
        await peer.head()
        for piece in pieces:
            await peer.send(piece)
            await asyncio.sleep(0)
        if close:
            peer.close()

    return serve


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize("status", [200, 204, 304, 400, 401, 403, 404, 426, 500, 503, 521, 599, 999])
async def test_a_refusal(plain_net: Net, status: int) -> None:
    head = f"HTTP/1.1 {status} Some Words\r\nX-A: b\r\nContent-Length: 0\r\n\r\n".encode()
    error = await failure(plain_net, says(head))
    assert isinstance(error, WSInvalidStatusError)
    assert str(status) in str(error)
    assert error.raw_header == head
    assert error.raw_body is None
    assert error.response is not None
    assert error.response.status == status
    assert error.response.headers["x-a"] == "b"


async def test_the_body_comes_in_later_segments(net: Net) -> None:
    """Cloudflare's 521, as it was seen: the page behind the head is what tells a person."""
    head = b"HTTP/1.1 521 \r\nServer: cloudflare\r\nContent-Length: 16\r\n\r\n"
    error = await failure(net, says(head, b"web serv", b"er", b" is do", b"wn"))
    assert isinstance(error, WSInvalidStatusError)
    assert error.raw_body is not None
    assert error.raw_body == b"web server is do"
    assert "web server is do" in str(error)
    assert error.response is not None
    assert error.response.status == 521
    assert error.response.body == error.raw_body
    assert error.raw_header == head


async def test_a_body_up_to_the_end_of_the_stream(net: Net) -> None:
    error = await failure(net, says(b"HTTP/1.1 403 Forbidden\r\n\r\n", b"go", b" away", close=True))
    assert isinstance(error, WSInvalidStatusError)
    assert error.raw_body == b"go away"


async def test_a_chunked_body(plain_net: Net) -> None:
    head = b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n"
    error = await failure(plain_net, says(head, b"3\r\ngo \r\n", b"4\r\naway\r\n0\r\n\r\n"))
    assert isinstance(error, WSInvalidStatusError)
    assert error.raw_body == b"go away"


async def test_an_endless_body(plain_net: Net) -> None:
    async def serve(peer: RawPeer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        while True:
            await peer.send(b"x" * 10_000)

    error = await failure(plain_net, serve)
    assert isinstance(error, WSInvalidStatusError)
    assert error.raw_body == b"x" * 65536


@pytest.mark.parametrize("length", ["Content-Length: 100\r\n", ""], ids=["length", "no length"])
async def test_a_body_that_does_not_end(plain_net: Net, length: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for long, also without any timeout: the status is known."""
    monkeypatch.setattr(ws_core.client, "_BODY_PATIENCE_S", SHORT_S)
    head = f"HTTP/1.1 403 Forbidden\r\n{length}\r\n".encode()
    error = await failure(plain_net, says(head, b"because"), websocket_handshake_timeout=None)
    assert isinstance(error, WSInvalidStatusError)
    assert error.raw_body == b"because"


async def test_a_body_that_takes_its_time(one_net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece buys time for the next one: the whole body is in the exception."""
    loop = asyncio.get_running_loop()
    delays: list[float] = []
    call_later = loop.call_later
    monkeypatch.setattr(ws_core.client, "_BODY_PATIENCE_S", 987.0)
    monkeypatch.setattr(loop, "call_later", lambda delay, *rest: delays.append(delay) or call_later(delay, *rest))

    async def serve(peer: RawPeer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\n")
        for piece in (b"1", b"2", b"3"):
            await until(lambda piece=piece: delays.count(987.0) == int(piece))
            await peer.send(piece)

    error = await failure(one_net, serve)
    assert isinstance(error, WSInvalidStatusError)
    assert error.raw_body == b"123"


async def test_a_body_that_is_cut_short(plain_net: Net) -> None:
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n"
    error = await failure(plain_net, says(head + b"bec", close=True))
    assert isinstance(error, WSInvalidStatusError)
    assert error.raw_body == b"bec"


# ------------------------------------------------------------------ answers that are wrong

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\0\0\0\0",
        b"HTTP/1.1 1000 What\r\n\r\n",
        b"HTTP/1.1 099 What\r\n\r\n",
        SWITCHING + b"Upgrade: websocket\nConnection: Upgrade\r\n\r\n",
        SWITCHING + b"Upgrade: web\0socket\r\n\r\n",
        SWITCHING + b"X: " + b"x" * 40_000,
        SWITCHING + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,
    ],
)
async def test_what_is_not_http(one_net: Net, answer: bytes) -> None:
    error = await failure(one_net, says(answer))
    assert isinstance(error, WSInvalidMessageError)
    assert error.raw_header is not None
    assert answer.startswith(error.raw_header[:60])


async def test_an_endless_head(net: Net) -> None:
    sent = 0

    async def serve(peer: RawPeer) -> None:
        nonlocal sent
        await peer.head()
        await peer.send(SWITCHING)
        while True:
            await peer.send(b"X-A: bcdefghi\r\n" * 10)
            sent += 150

    error = await failure(net, serve)
    assert isinstance(error, WSInvalidMessageError)
    assert "headers" in str(error)


@pytest.mark.parametrize(
    ("lines", "kind", "name"),
    [
        ("Connection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n", WSInvalidUpgradeError, "Upgrade"),
        ("Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n", WSInvalidUpgradeError, "Upgrade"),
        ("Upgrade: websocket\r\nSec-WebSocket-Accept: KEY\r\n", WSInvalidUpgradeError, "Connection"),
        (
            "Upgrade: websocket\r\nConnection: close\r\nSec-WebSocket-Accept: KEY\r\n",
            WSInvalidUpgradeError,
            "Connection",
        ),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\n", WSInvalidHeaderError, "Sec-WebSocket-Accept"),
        (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: xKEY\r\n",
            WSInvalidHeaderError,
            "Sec-WebSocket-Accept",
        ),
        (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\nSec-WebSocket-Protocol: c\r\n",
            WSInvalidHeaderError,
            "Sec-WebSocket-Protocol",
        ),
        (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\nSec-WebSocket-Extensions: x\r\n",
            WSInvalidHeaderError,
            "Sec-WebSocket-Extensions",
        ),
    ],
)
async def test_a_101_that_is_wrong(one_net: Net, lines: str, kind: type[WSInvalidHeaderError], name: str) -> None:
    async def serve(peer: RawPeer) -> None:
        head = await peer.head()
        key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
        await peer.send(SWITCHING + lines.replace("KEY", accept_key(key)).encode() + b"\r\n\x81\x02hi")

    error = await failure(one_net, serve, subprotocols=["a", "b"])
    assert type(error) is kind
    assert isinstance(error, WSInvalidHeaderError)
    assert error.name == name


async def test_a_101_of_http_1_0(one_net: Net) -> None:
    answer = b"HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    error = await failure(one_net, says(answer))
    assert isinstance(error, WSInvalidMessageError)
    assert "HTTP/1.0" in str(error)


# ------------------------------------------------------------------ the peer goes away


@pytest.mark.parametrize(
    "before",
    [None, b"", b"HTTP/1.1 10", SWITCHING + b"Upgrade: websocket\r\n"],
    ids=["at once", "request", "line", "head"],
)
async def test_the_peer_closes_during_the_handshake(net: Net, before: bytes | None) -> None:
    """Never a dead transport without a listener."""

    async def serve(peer: RawPeer) -> None:
        if before is not None:
            await peer.head()
            await peer.send(before)
        peer.close()

    error = await failure(net, serve)
    assert isinstance(error, (WSInvalidMessageError, ConnectionError))
    if before is not None:
        assert isinstance(error, WSInvalidMessageError)
        assert ("ended early" if before else "without an answer") in str(error)
        assert error.raw_header == (before or None)


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 101 Sw"])
async def test_the_peer_resets_during_the_handshake(plain_net: Net, before: bytes) -> None:
    """A system error is raised as it is."""

    async def serve(peer: RawPeer) -> None:
        await peer.head()
        await peer.send(before)
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()

    error = await failure(plain_net, serve)
    assert isinstance(error, ConnectionResetError)


async def test_nobody_listens(plain_net: Net) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await plain_net.connect(port, no_listener)


# ------------------------------------------------------------------ TLS


async def test_a_certificate_that_is_not_trusted(plain_net: Net) -> None:
    async def serve(peer: RawPeer) -> None:
        raise AssertionError("the client went on")

    async with contextlib.aclosing(Net(tls=True, fast=plain_net.fast)) as secure:
        url = f"wss://127.0.0.1:{await secure.raw_server(serve)}/"
        with pytest.raises(ssl.SSLCertVerificationError):
            await plain_net.connect(url, no_listener, ssl_context=None)
        with pytest.raises(ssl.SSLCertVerificationError, match="(?i)hostname mismatch"):
            await plain_net.connect(url, no_listener, server_hostname="other.example")


async def test_wss_to_a_server_without_tls(plain_net: Net) -> None:
    server = await plain_net.serve()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await plain_net.connect(f"wss://127.0.0.1:{Net.port(server)}/", no_listener)


# ------------------------------------------------------------------ timeouts and cancelling


async def silent(peer: RawPeer) -> None:
    await peer.head()


@pytest.mark.parametrize(
    "handler",
    [silent, says(b"HTTP/1.1 10"), says(SWITCHING + b"Upgrade: webso"), says(b"HTTP/1.1 102 Processing\r\n\r\n")],
    ids=["no answer", "half a line", "half a head", "interim only"],
)
async def test_timeout_of_the_upgrade(net: Net, handler: Any) -> None:
    error = await failure(net, handler, websocket_handshake_timeout=SHORT_S)
    assert isinstance(error, asyncio.TimeoutError)


async def test_timeout_of_tls(plain_net: Net) -> None:
    seen: list[bytes] = []

    async def serve(peer: RawPeer) -> None:
        seen.append(await peer.rest())  # the client's half of a TLS handshake, and its end

    port = await plain_net.raw_server(serve)
    with pytest.raises(asyncio.TimeoutError):
        await plain_net.connect(f"wss://127.0.0.1:{port}/", no_listener, websocket_handshake_timeout=SHORT_S)
    assert (await until(lambda: seen))[0].startswith(b"\x16\x03")


async def test_timeout_of_a_connection(plain_net: Net) -> None:
    """A listening socket whose queue is full does not answer."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        with pytest.raises(asyncio.TimeoutError):
            await plain_net.connect(address[1], no_listener, websocket_handshake_timeout=SHORT_S)


async def test_timeout_of_a_socket_factory(plain_net: Net) -> None:
    cancelled: list[bool] = []

    async def factory(url: object) -> socket.socket:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        raise AssertionError

    with pytest.raises(asyncio.TimeoutError):
        await plain_net.connect(1, no_listener, socket_factory=factory, websocket_handshake_timeout=SHORT_S)
    assert cancelled == [True]


async def test_the_timeout_is_for_all_redirects_together(plain_net: Net) -> None:
    again = WSUpgradeResponse.create_redirect_response(307, "/again")
    server = await plain_net.serve(lambda request: WSUpgradeResponseWithListener(again, None))
    with pytest.raises(asyncio.TimeoutError):
        await plain_net.connect(server, no_listener, websocket_handshake_timeout=0.2, max_redirects=10**9)
    # The server has seen the last of these connections, too, when it has answered a later one.
    last = await plain_net.raw(server, upgrade=False)
    await last.send(request_bytes())
    assert b" 307 " in await last.rest()


async def test_cancelling(net: Net) -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def serve(peer: RawPeer) -> None:
        await peer.head()
        asked.set()
        with contextlib.suppress(ConnectionError):
            await peer.rest()
        closed.set()

    port = await net.raw_server(serve)
    task = asyncio.ensure_future(net.connect(port, no_listener, websocket_handshake_timeout=None))
    await within(asked.wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await within(closed.wait())


async def test_a_handshake_error_is_a_ws_error(one_net: Net) -> None:
    error = await failure(one_net, says(b"", close=True))
    assert isinstance(error, WSHandshakeError)
    assert isinstance(error, ws_core.WSError)
    assert error.response is None
    assert error.raw_body is None


async def test_cancelling_between_the_socket_and_the_upgrade(net: Net) -> None:
    """The protocol has its transport, ws_connect does not know yet. Nobody waits for the answer any more."""

    closed = asyncio.Event()

    class Cancelling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "upgrade request" in record.getMessage():
                task.cancel()

    async def serve(peer: RawPeer) -> None:
        with contextlib.suppress(ConnectionError):
            await peer.rest()
        closed.set()

    logger = logging.Logger("test", WS_DEBUG_LL)
    logger.addHandler(Cancelling())
    port = await net.raw_server(serve)
    task = asyncio.ensure_future(net.connect(port, no_listener, logger_name=logger))
    with pytest.raises(asyncio.CancelledError):
        await within(task)
    await within(closed.wait())
    gc.collect()  # an error that nobody takes would be the event loop's to complain of
