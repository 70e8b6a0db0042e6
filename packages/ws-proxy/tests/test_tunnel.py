"""Proxies that misbehave, in raw bytes; what goes over the wire; and what errors say and do not say."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import pickle
import socket
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from fake_proxy import SECRET, FakeProxy, assert_no_secret
from harness import Net, RawPeer, Recorder, client_ssl_context, server_ssl_context, within
from ws_core import WSMsgType
from ws_proxy import WSProxyError

TARGET = "ws://only-the-proxy-knows.test:8765/"
SCHEMES = ["http", "socks4a", "socks5"]


async def fails(net: Net, proxy: FakeProxy, scheme: str, **kwargs: Any) -> WSProxyError:
    """The error of an attempt through `proxy`, looked at from all sides."""
    with pytest.raises(WSProxyError) as caught:
        await net.connect(TARGET, proxy=proxy.url(scheme), proxy_ssl_context=client_ssl_context(), **kwargs)
    error = caught.value
    assert_no_secret(error)
    assert error.proxy == f"{scheme}://user:***@127.0.0.1:{proxy.port}"
    assert str(error).startswith(f"proxy {error.proxy}: {error.step}: ")
    await within(proxy.let_go.wait())  # the socket is closed, not left to the garbage collector
    return error


async def nothing(peer: RawPeer) -> None:
    pass


async def hang_up(peer: RawPeer) -> None:
    peer.close()


def answer(*parts: bytes, read: int | None = None) -> Callable[[RawPeer], Any]:
    """Read a request and answer it."""

    async def behave(peer: RawPeer) -> None:
        if read is None:
            await peer.head()
        else:
            await peer.reader.readexactly(read)
        for part in parts:
            await peer.send(part)
            await asyncio.sleep(0.005)

    return behave


# ------------------------------------------------------------------ silence, noise, the end


@pytest.mark.parametrize("scheme", [*SCHEMES, "socks4a", "https"])
async def test_a_mute_proxy(plain_net: Net, scheme: str) -> None:
    proxy = await FakeProxy(nothing).start(plain_net)
    with pytest.raises(asyncio.TimeoutError) as caught:
        await plain_net.connect(TARGET, proxy=proxy.url(scheme), websocket_handshake_timeout=0.05)
    await within(proxy.let_go.wait())
    assert_no_secret(caught.value)
    told = "".join(traceback.format_exception(caught.value))
    assert f"proxy {scheme}://user:***@127.0.0.1:{proxy.port}: while" in told


async def test_a_mute_proxy_behind_tls(plain_net: Net) -> None:
    """Whose close_notify is not waited for, either."""
    proxy = await FakeProxy(nothing).start(plain_net, tls=True)
    with pytest.raises(asyncio.TimeoutError):
        await plain_net.connect(
            TARGET,
            proxy=proxy.url("https"),
            proxy_ssl_context=client_ssl_context(),
            websocket_handshake_timeout=0.15,
        )
    await within(proxy.let_go.wait(), 2)


async def test_cancelled_in_the_tunnel(plain_net: Net) -> None:
    proxy = await FakeProxy(nothing).start(plain_net)
    connecting = asyncio.ensure_future(plain_net.connect(TARGET, proxy=proxy.url("http")))
    await asyncio.sleep(0.02)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    await within(proxy.let_go.wait())


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_proxy_that_hangs_up(plain_net: Net, scheme: str) -> None:
    proxy = await FakeProxy(hang_up).start(plain_net)
    with pytest.raises((WSProxyError, ConnectionError)) as caught:  # reset, or end of stream
        await plain_net.connect(TARGET, proxy=proxy.url(scheme))
    assert f"proxy {scheme}://user:***@127.0.0.1:{proxy.port}: asking it for" in str(caught.value)
    assert not isinstance(caught.value, WSProxyError) or caught.value.is_temporary
    assert_no_secret(caught.value)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("noise", [b"\x00" * 64, b"SSH-2.0-OpenSSH_9.2\r\n", b"200 OK\r\n\r\n", b"\xff" * 5000])
async def test_noise(plain_net: Net, scheme: str, noise: bytes) -> None:
    proxy = await FakeProxy(lambda peer: peer.send(noise)).start(plain_net)
    await fails(plain_net, proxy, scheme)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 \xff\xfe\r\n\r\n",
    ],
)
async def test_a_status_line_that_is_none(plain_net: Net, head: bytes) -> None:
    proxy = await FakeProxy(answer(head)).start(plain_net)
    error = await fails(plain_net, proxy, "http")
    assert error.code is None


async def test_an_endless_header(plain_net: Net) -> None:
    async def behave(peer: RawPeer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await peer.send(b"X-Again: " + b"and again, " * 100 + b"\r\n")

    proxy = await FakeProxy(behave).start(plain_net)
    error = await fails(plain_net, proxy, "http")
    assert "header of more than" in str(error) or "more than an answer" in str(error)


async def test_a_flood_over_socks(plain_net: Net) -> None:
    async def behave(peer: RawPeer) -> None:
        while True:
            await peer.send(b"\x05\x00" * 10_000)

    proxy = await FakeProxy(behave).start(plain_net)
    await fails(plain_net, proxy, "socks5")


async def test_an_answer_byte_by_byte(plain_net: Net) -> None:
    """The head may come in any number of pieces, and nothing of it may reach the upgrade."""
    server = await plain_net.serve()
    port = plain_net.port(server)

    async def behave(peer: RawPeer) -> None:
        await peer.head()
        for byte in b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n":
            await peer.send(bytes([byte]))
            await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(await peer.head())
        peer.writer.write(await reader.readuntil(b"\r\n\r\n"))
        await peer.rest()
        writer.close()

    proxy = await FakeProxy(behave).start(plain_net)
    transport, _ = await plain_net.connect(TARGET, proxy=proxy.url("http"))
    transport.disconnect(graceful=False)
    await within(proxy.let_go.wait())


async def test_more_than_an_answer(plain_net: Net) -> None:
    proxy = await FakeProxy(answer(b"HTTP/1.1 200 OK\r\n\r\nand now for something")).start(plain_net)
    assert "more than an answer" in str(await fails(plain_net, proxy, "http"))


async def test_yes_and_good_bye(net: Net) -> None:
    """The proxy agrees and closes: the upgrade, or the TLS handshake, fails at once."""

    async def behave(peer: RawPeer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        peer.close()

    plain = Net(tls=False, fast=net.fast)
    plain._servers, plain._peers = net._servers, net._peers  # so that net closes them
    proxy = await FakeProxy(behave).start(plain)
    # aiofastnet 1.2.0 tells the loop, too, of a TLS handshake that the peer ends.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of whatever kind, but not a time-out
        await net.connect(TARGET.replace("ws:", "wss:") if net.tls else TARGET, proxy=proxy.url("http"))
    assert not isinstance(caught.value, (asyncio.TimeoutError, AssertionError))
    assert_no_secret(caught.value)


# ------------------------------------------------------------------ refusals


async def test_an_http_proxy_says_why(plain_net: Net) -> None:
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\n"
    proxy = await FakeProxy(answer(head, b"only on\r\n", b"working days")).start(plain_net)
    error = await fails(plain_net, proxy, "http")
    assert error.code == 403
    assert not error.is_temporary
    assert "403 Forbidden (only on working days)" in str(error)
    assert error.step == "asking it for only-the-proxy-knows.test:8765"


async def test_an_error_crosses_to_another_process(plain_net: Net) -> None:
    proxy = await FakeProxy(answer(b"HTTP/1.1 503 Not Now\r\nContent-Length: 0\r\n\r\n")).start(plain_net)
    error = await fails(plain_net, proxy, "http")
    other = pickle.loads(pickle.dumps(error))
    assert (str(other), vars(other)) == (str(error), vars(error))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_refusal_that_may_pass(plain_net: Net, status: int) -> None:
    """Such as that of a proxy that cannot reach the server just now."""
    proxy = await FakeProxy(answer(b"HTTP/1.1 %d Not Now\r\nContent-Length: 0\r\n\r\n" % status)).start(plain_net)
    error = await fails(plain_net, proxy, "http")
    assert error.code == status
    assert error.is_temporary


async def test_a_proxy_that_echoes_the_credentials(plain_net: Net) -> None:
    async def behave(peer: RawPeer) -> None:
        request = await peer.head()
        await peer.send(b"HTTP/1.1 407 s3cret is wrong\r\n\r\nThis came: " + request)

    proxy = await FakeProxy(behave).start(plain_net)
    error = await fails(plain_net, proxy, "http")
    assert error.code == 407
    assert not error.is_temporary
    assert "This came: CONNECT" in str(error)


@pytest.mark.parametrize(
    ("code", "text"), [(2, "not allowed"), (4, "Host unreachable"), (5, "refused"), (0x77, "0X77")]
)
async def test_a_socks5_proxy_says_why(plain_net: Net, code: int, text: str) -> None:
    async def behave(peer: RawPeer) -> None:
        await peer.reader.readexactly(4)
        await peer.send(b"\x05\x00")
        await peer.reader.readexactly(5)
        await peer.send(bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0]))

    proxy = await FakeProxy(behave).start(plain_net)
    error = await fails(plain_net, proxy, "socks5")
    assert text.lower() in str(error).lower()
    assert error.is_temporary == (code in (4, 5))
    if code < 9:
        assert error.code == code


async def test_a_socks4_proxy_says_why(plain_net: Net) -> None:
    proxy = await FakeProxy(answer(b"\x00\x5b\x00\x00\x00\x00\x00\x00", read=9)).start(plain_net)
    error = await fails(plain_net, proxy, "socks4a")
    assert error.code == 0x5B
    assert error.is_temporary
    assert "rejected" in str(error)


async def test_a_socks5_proxy_that_wants_something_else(plain_net: Net) -> None:
    proxy = await FakeProxy(answer(b"\x05\xff", read=4)).start(plain_net)
    error = await fails(plain_net, proxy, "socks5")
    assert "authentication" in str(error)
    assert not error.is_temporary


async def test_a_socks5_proxy_with_an_address_that_is_none(plain_net: Net) -> None:
    proxy = await FakeProxy(answer(b"\x05\x00" + b"\x05\x00\x00\x03\x02\xff\xfe\x00\x00", read=4)).start(plain_net)
    await fails(plain_net, proxy, "socks5")


async def test_socks4_knows_no_ipv6(plain_net: Net) -> None:
    proxy = await FakeProxy(nothing).start(plain_net)
    with pytest.raises(WSProxyError, match="no IPv6"):
        await plain_net.connect("ws://[::1]:9/", proxy=proxy.url("socks4"))
    await within(proxy.let_go.wait())


# ------------------------------------------------------------------ what the system says


async def test_nobody_listens_there(plain_net: Net) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ConnectionRefusedError) as caught:
        await plain_net.connect(TARGET, proxy=f"socks5://user:{SECRET}@127.0.0.1:{port}")
    assert caught.value.errno == errno.ECONNREFUSED
    assert f"proxy socks5://user:***@127.0.0.1:{port}: connecting to it: " in str(caught.value)
    assert_no_secret(caught.value)


async def test_a_proxy_without_an_address(plain_net: Net) -> None:
    with pytest.raises(socket.gaierror, match="proxy http://nobody.invalid:80: connecting to it"):
        await plain_net.connect(TARGET, proxy="http://nobody.invalid")


async def test_a_plain_proxy_asked_for_tls(plain_net: Net) -> None:
    proxy = await FakeProxy(lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")).start(plain_net)
    # Whether TLS meets the answer, or it was there before TLS began, is a matter of luck.
    with pytest.raises((OSError, WSProxyError)) as caught:
        await plain_net.connect(TARGET, proxy=proxy.url("https"))
    assert f"proxy https://user:***@127.0.0.1:{proxy.port}: starting TLS with it: " in str(caught.value)
    assert_no_secret(caught.value)
    await within(proxy.let_go.wait())


async def test_a_socket_factory_that_raises(plain_net: Net) -> None:
    class Mine(Exception):
        pass

    def factory(url: object) -> None:
        raise Mine("as it is")

    with pytest.raises(Mine, match="^as it is$"):
        await plain_net.connect(TARGET, proxy="http://h:1", socket_factory=factory)


# ------------------------------------------------------------------ what goes over the wire


async def test_connect_as_it_is_sent(plain_net: Net) -> None:
    seen: list[bytes] = []

    async def behave(peer: RawPeer) -> None:
        seen.append(await peer.head())
        peer.close()

    proxy = await FakeProxy(behave).start(plain_net)
    url = f"http://us%20er:%C3%A9%25@127.0.0.1:{proxy.port}"
    with pytest.raises((WSProxyError, ConnectionError)):
        await plain_net.connect(TARGET, proxy=url)
    lines = seen[0].decode().split("\r\n")
    assert lines[0] == "CONNECT only-the-proxy-knows.test:8765 HTTP/1.1"
    assert f"Proxy-Authorization: Basic {base64.b64encode('us er:é%'.encode()).decode()}" in lines


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_names_are_the_proxys(plain_net: Net, scheme: str) -> None:
    seen: list[bytes] = []

    async def behave(peer: RawPeer) -> None:
        seen.append(await peer.reader.readexactly(4))
        await peer.send(b"\x05\x02")
        seen.append(await peer.reader.readexactly(3 + 4 + len(SECRET)))
        await peer.send(b"\x01\x00")
        seen.append(await peer.reader.readexactly(7 + len("only-the-proxy-knows.test")))
        peer.close()

    proxy = await FakeProxy(behave).start(plain_net)
    with pytest.raises((WSProxyError, ConnectionError)):
        await plain_net.connect(TARGET, proxy=proxy.url(scheme))
    assert seen == [
        b"\x05\x02\x00\x02",
        b"\x01\x04user\x06" + SECRET.encode(),
        b"\x05\x01\x00\x03\x19only-the-proxy-knows.test" + (8765).to_bytes(2, "big"),
    ]


@pytest.mark.parametrize(
    ("scheme", "host", "request_bytes"),
    [
        ("socks4", "localhost", b"\x04\x01\x22\x3d\x7f\x00\x00\x01user\x00"),
        ("socks4a", "localhost", b"\x04\x01\x22\x3d\x00\x00\x00\x01user\x00localhost\x00"),
    ],
)
async def test_socks4_resolves_here_and_socks4a_there(
    plain_net: Net, scheme: str, host: str, request_bytes: bytes
) -> None:
    seen: list[bytes] = []

    async def behave(peer: RawPeer) -> None:
        seen.append(await peer.reader.readexactly(len(request_bytes)))
        peer.close()

    proxy = await FakeProxy(behave).start(plain_net)
    with pytest.raises((WSProxyError, ConnectionError)):
        await plain_net.connect(f"ws://{host}:8765/", proxy=proxy.url(scheme))
    assert seen == [request_bytes]


async def test_an_echo_over_socks4a(net: Net) -> None:
    """None of the proxies from PyPI knows it: a relay of our own that sends the name where the test wants it."""
    server = await net.serve()
    port = net.port(server)

    async def behave(peer: RawPeer) -> None:
        head = await peer.reader.readexactly(8)
        assert (await peer.reader.readuntil(b"\0")) == b"user\0"
        assert (await peer.reader.readuntil(b"\0")) == b"localhost\0"
        assert head == b"\x04\x01" + port.to_bytes(2, "big") + b"\0\0\0\x01"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await peer.send(b"\0\x5a" + 6 * b"\0")
        back = asyncio.ensure_future(copy(reader, peer.writer))
        await copy(peer.reader, writer)
        await back

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    plain = Net(tls=False, fast=net.fast)
    plain._servers, plain._peers = net._servers, net._peers  # so that net closes them
    proxy = await FakeProxy(behave).start(plain)
    url = net.url(server).replace("127.0.0.1", "localhost")
    transport, listener = await net.connect(url, proxy=proxy.url("socks4a"))
    transport.send(WSMsgType.BINARY, bytes(300_000))
    assert (await listener.frame()).payload_size == 300_000
    await within(transport.close())
    await within(proxy.let_go.wait())


async def test_which_proxy_of_a_chain_it_was(plain_net: Net) -> None:
    async def first(peer: RawPeer) -> None:
        assert b"CONNECT second.test:1080 " in await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await peer.reader.readexactly(3)
        await peer.send(b"\x05\xff")

    proxy = await FakeProxy(first).start(plain_net)
    with pytest.raises(WSProxyError) as caught:
        await plain_net.connect(TARGET, proxy=[f"http://127.0.0.1:{proxy.port}", "socks5://second.test"])
    assert caught.value.proxy == "socks5://second.test:1080"
    await within(proxy.let_go.wait())


async def test_the_name_in_tls_is_the_proxys(plain_net: Net) -> None:
    """SNI and the certificate check of an https:// proxy are about the proxy."""
    names: list[str | None] = []

    async def behave(peer: RawPeer) -> None:
        peer.close()

    context = server_ssl_context()
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    try:
        proxy = await FakeProxy(behave).start(plain_net, tls=True)
        with pytest.raises((WSProxyError, ConnectionError)):
            await plain_net.connect(
                TARGET, Recorder, proxy=f"https://localhost:{proxy.port}", proxy_ssl_context=client_ssl_context()
            )
        await within(proxy.let_go.wait())
    finally:
        context.sni_callback = None
    assert names == ["localhost"]
