"""At each step of each protocol a proxy hangs, closes, resets, sends noise or a flood: an error in time, and no socket
and no password is left anywhere."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import pytest

from fake_proxy import SECRET, FakeProxy, assert_no_secret
from harness import Net, RawPeer, client_ssl_context, open_sockets, until, within
from ws_core import WSHandshakeError
from ws_proxy import WSProxyError

HOST = "server.test"
URL = f"ws://{HOST}:8765/"


class Talk(NamedTuple):
    """The way in which a proxy says yes: what it is sent (bytes, or None for an HTTP head), what it answers."""

    scheme: str
    exchanges: tuple[tuple[int | None, bytes], ...]
    tls: bool = False


TALKS = [
    Talk("http", ((None, b"HTTP/1.1 200 OK\r\nVia: me\r\n\r\n"),)),
    Talk("https", ((None, b"HTTP/1.1 200 OK\r\n\r\n"),), tls=True),
    Talk("socks4a", ((8 + len(f"user\0{HOST}\0"), b"\x00\x5a\x00\x00\x00\x00\x00\x00"),)),
    Talk(
        "socks5",
        (
            (4, b"\x05\x02"),
            (3 + len(f"user{SECRET}"), b"\x01\x00"),
            (7 + len(HOST), b"\x05\x00\x00\x03\x04home\x00\x50"),
        ),
    ),
]
#: Each talk, and at which of its exchanges it goes wrong: before the answer, and in the middle of it. The last one is
#: after the yes: then it is the server that seems to do so.
STEPS = [
    (talk, step, part)
    for talk in TALKS
    for step, (_, answer) in enumerate(talk.exchanges)
    for part in (0, len(answer) // 2)
] + [(talk, len(talk.exchanges), 0) for talk in TALKS]


Ending = Callable[[RawPeer], Awaitable[None]]


async def hangs(peer: RawPeer) -> None:
    await peer.rest()


async def closes(peer: RawPeer) -> None:
    peer.close()


async def resets(peer: RawPeer) -> None:
    sock: socket.socket = peer.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()


async def makes_noise(peer: RawPeer) -> None:
    await peer.send(bytes(range(256)))
    peer.close()


async def floods(peer: RawPeer) -> None:
    while True:
        await peer.send(b"X-Header: " + SECRET.encode() + 100 * b" and more" + b"\r\n")


def until_then(
    talk: Talk, step: int, part: int, then: Callable[[RawPeer], Awaitable[None]]
) -> Callable[[RawPeer], Any]:
    async def behave(peer: RawPeer) -> None:
        for number, (count, answer) in enumerate(talk.exchanges):
            if count is None:
                await peer.head()
            else:
                await peer.reader.readexactly(count)
            if number == step:
                if part:
                    await peer.send(answer[:part])
                break
            await peer.send(answer)
        await then(peer)

    return behave


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that anybody logs, down to the lowest level."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(1)
    with caplog.at_level(1):
        yield caplog
    root.setLevel(before)


def names(step: tuple[Talk, int, int]) -> str:
    return f"{step[0].scheme}-{step[1]}-{step[2]}"


@pytest.mark.parametrize("step", STEPS, ids=names)
@pytest.mark.parametrize("then", [closes, resets, makes_noise, floods, hangs])
async def test_step(plain_net: Net, log: Any, step: tuple[Talk, int, int], then: Any) -> None:
    talk, number, part = step
    loop = asyncio.get_running_loop()
    loop.set_debug(True)  # which logs more
    # aiofastnet 1.2.0 tells the loop, too, of TLS that is cut.
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda loop, context: told.append(context))
    proxy = await FakeProxy(until_then(talk, number, part, then)).start(plain_net, tls=talk.tls)
    limit_s = 20.0 if then is not hangs else 0.3 if talk.tls else 0.05
    url = proxy.url(talk.scheme)
    with pytest.raises((WSProxyError, WSHandshakeError, OSError, asyncio.TimeoutError)) as caught:
        await within(
            plain_net.connect(
                URL, proxy=url, proxy_ssl_context=client_ssl_context(), websocket_handshake_timeout=limit_s
            )
        )
    error = caught.value
    assert_no_secret(error)
    assert SECRET not in repr(told)
    assert SECRET not in log.text
    text = "".join(traceback.format_exception(error))
    if number < len(talk.exchanges):
        # Whatever it was, the proxy and the step are named.
        assert f"proxy {talk.scheme}://user:***@127.0.0.1:{proxy.port}: " in text
        # On a loaded machine the time may be over before that.
        assert f"asking it for {HOST}:8765" in text or then is hangs
    assert isinstance(error, asyncio.TimeoutError) == (then is hangs)
    await within(proxy.let_go.wait())


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.scheme)
@pytest.mark.parametrize("then", [closes, resets, makes_noise, hangs])
async def test_no_socket_is_left(plain_net: Net, talk: Talk, then: Any) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    proxy = await FakeProxy(until_then(talk, 0, 1, then)).start(plain_net, tls=talk.tls)
    before = open_sockets()
    for _ in range(3):
        with pytest.raises((WSProxyError, OSError, asyncio.TimeoutError)):
            await plain_net.connect(
                URL,
                proxy=proxy.url(talk.scheme),
                proxy_ssl_context=client_ssl_context(),
                websocket_handshake_timeout=20.0 if then is not hangs else 0.2 if talk.tls else 0.05,
            )
    await until(lambda: open_sockets() <= before)
