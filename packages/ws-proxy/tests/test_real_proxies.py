"""Echoes through proxies that we did not write."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from harness import Net, client_ssl_context, random_bytes, until, within
from ws_core import (
    WSListener,
    WSMsgType,
    WSParsedURL,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from ws_proxy import WSProxyError

PROXIES = [
    "pproxy http",
    "pproxy http auth",
    "pproxy https",
    "pproxy socks4",
    "pproxy socks5",
    "pproxy socks5 auth",
    "pproxy socks5h",
    "proxy.py http",
    "proxy.py http auth",
    "proxy.py https",
]

CHAINS = [
    "pproxy http, proxy.py http auth",
    "proxy.py http, pproxy socks5 auth, pproxy socks4",
    "pproxy socks5h, proxy.py https",
    "pproxy https, proxy.py https",
]


def open_sockets() -> int:
    """How many sockets this process has, where the platform tells."""
    count = 0
    for path in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):
            count += os.readlink(path).startswith("socket:")
    return count


async def echo(net: Net, server: Any, **kwargs: Any) -> None:
    """Small and large messages there and back. The server is asked for by name."""
    url = net.url(server).replace("127.0.0.1", "localhost")
    transport, listener = await net.connect(url, **kwargs)
    assert transport.is_secure == net.tls  # of the WebSocket, whatever the way to the proxy
    for message in (b"", b"x", random_bytes(100_000), b"y"):
        transport.send(WSMsgType.BINARY, message)
    for size in (0, 1, 100_000, 1):
        assert (await listener.frame()).payload_size == size
    await within(transport.close())
    assert transport.close_handshake.recv_then_sent is False
    await until(lambda: not server.connections)


def options(park: Any, which: str) -> dict[str, Any]:
    urls = [park.url(one) for one in which.split(", ")]
    return {"proxy": urls if len(urls) > 1 else urls[0], "proxy_ssl_context": client_ssl_context()}


@pytest.mark.parametrize("which", PROXIES)
async def test_echo(net: Net, park: Any, which: str) -> None:
    server = await net.serve()
    await echo(net, server, **options(park, which))


@pytest.mark.parametrize("which", CHAINS)
async def test_chains(net: Net, park: Any, which: str) -> None:
    server = await net.serve()
    await echo(net, server, **options(park, which))


@pytest.mark.parametrize("which", ["pproxy http", "pproxy socks5"])
async def test_ipv6_addresses(plain_net: Net, park: Any, which: str) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    server = await plain_net.serve(host="::1")
    transport, listener = await plain_net.connect(f"ws://[::1]:{plain_net.port(server)}/", proxy=park.url(which))
    transport.send(WSMsgType.TEXT, b"six")
    assert (await listener.frame()).get_payload_as_bytes() == b"six"


@pytest.mark.parametrize("which", ["pproxy http auth", "pproxy socks5 auth", "proxy.py http auth"])
async def test_a_wrong_password(plain_net: Net, park: Any, which: str) -> None:
    server = await plain_net.serve()
    url = park.url(which).replace(":s3%3A", ":wr0ng-")
    with pytest.raises(WSProxyError) as caught:
        await plain_net.connect(server, proxy=url)
    assert caught.value.proxy == url.replace("wr0ng-cr%2Fet", "***")
    assert caught.value.proxy in str(caught.value)
    assert "wr0ng" not in str(caught.value)
    if "proxy.py" in which:
        assert caught.value.code == 407


@pytest.mark.parametrize("which", ["pproxy http", "pproxy socks5", "proxy.py http"])
async def test_nobody_listens_behind_the_proxy(plain_net: Net, park: Any, which: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Some answer, some close; one says yes and then closes, which shows in the upgrade.
    with pytest.raises((WSProxyError, Exception)) as caught:
        await plain_net.connect(port, proxy=park.url(which))
    assert not isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("which", ["pproxy http", "pproxy socks5 auth", "pproxy https"])
async def test_socket_factory_connects_to_the_proxy(net: Net, park: Any, which: str) -> None:
    asked: list[WSParsedURL] = []
    made: list[socket.socket] = []

    async def factory(url: WSParsedURL) -> socket.socket:
        asked.append(url)
        made.append(socket.socket())
        return made[-1]

    server = await net.serve()
    await echo(net, server, socket_factory=factory, **options(park, which))
    proxy = urllib.parse.urlsplit(park.url(which))
    assert [(url.scheme, url.host, url.port) for url in asked] == [(proxy.scheme, "127.0.0.1", proxy.port)]
    assert asked[0].user_info is None
    assert "s3" not in asked[0].url
    assert asked[0].is_secure == (proxy.scheme == "https")


async def test_socket_factory_that_makes_nothing(plain_net: Net, park: Any) -> None:
    server = await plain_net.serve()
    await echo(plain_net, server, socket_factory=lambda url: None, proxy=park.url("pproxy http"))


@pytest.mark.parametrize("which", ["pproxy http", "pproxy socks5", "proxy.py https"])
async def test_redirects_go_through_the_proxy_again(net: Net, park: Any, which: str) -> None:
    asked = []

    def factory(url: WSParsedURL) -> None:
        asked.append(url.netloc)

    final = await net.serve()

    def redirect(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        response = WSUpgradeResponse.create_redirect_response(302, net.url(final))
        return WSUpgradeResponseWithListener(response, None)

    server = await net.serve(redirect)
    transport, _ = await net.connect(server, socket_factory=factory, **options(park, which))
    assert len(asked) == 2
    assert len(set(asked)) == 1
    await until(lambda: len(final.connections) == 1)
    transport.disconnect()


async def test_the_certificate_of_a_proxy_is_checked(plain_net: Net, park: Any) -> None:
    server = await plain_net.serve()
    url = park.url("pproxy https")
    with pytest.raises(ssl.SSLCertVerificationError, match=f"proxy {url}: starting TLS with it: .*certificate"):
        await plain_net.connect(server, proxy=url)


async def test_the_certificate_of_the_server_is_checked_behind_a_proxy(loop_name: str, fast: bool | None, park: Any) -> None:
    net = Net(tls=True, fast=fast)
    server = await net.serve()
    # The server tells the loop of clients that go away in the handshake, in asyncio's debug mode and with aiofastnet.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    before = open_sockets()
    with pytest.raises(ssl.SSLCertVerificationError):
        await net.connect(server, proxy=park.url("pproxy http"), ssl_context=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        await net.connect(server, **options(park, "pproxy https"), ssl_context=ssl.create_default_context())
    await until(lambda: open_sockets() <= before)
    await net.aclose()


async def test_other_arguments_reach_the_loop(plain_net: Net, park: Any) -> None:
    server = await plain_net.serve(lambda request: WSListener())
    transport, _ = await plain_net.connect(
        server, proxy=park.url("pproxy http"), local_addr=("127.0.0.1", 0), family=socket.AF_INET
    )
    assert transport.is_client_side
