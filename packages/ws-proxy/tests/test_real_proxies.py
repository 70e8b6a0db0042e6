"""Echoes through proxies that we did not write."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import traceback
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from harness import Net, Recorder, certificate_authority, client_ssl_context, open_sockets, random_bytes, until, within
from proxies import FORBIDDEN_HOST, Park, programs
from ws_core import (
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSParsedURL,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    reconnecting,
)
from ws_proxy import WSProxyError

PROGRAMS = programs()
PROXIES = [f"{name} {scheme}" for name, program in PROGRAMS.items() for scheme in program.schemes]
WITH_AUTH = [which for which in PROXIES if which.endswith(" auth")]
WITH_IPV6 = [
    which
    for which in PROXIES
    if " socks4" not in which and which.split()[1] not in PROGRAMS[which.split()[0]].ipv4_only
]
WITH_RULES = [which for which in PROXIES if PROGRAMS[which.split()[0]].forbidden != 0]

CHAINS = [
    "pproxy http, proxy.py http auth",
    "proxy.py http, pproxy socks5 auth, tiny-proxy socks4a",
    "pproxy socks5h, proxy.py https",
    "pproxy https, proxy.py https auth",
    "tiny-proxy socks5 auth, tiny-proxy http auth, pproxy socks4",
]
if "squid" in PROGRAMS:
    CHAINS += [
        "squid http auth, microsocks socks5 auth",
        "danted socks4, tinyproxy http",
        "microsocks socks5h, stunnel https auth, danted socks5",
        "haproxy https, stunnel https",
        "tinyproxy http auth, squid http, privoxy http, danted socks4, microsocks socks5, haproxy https auth",
    ]


async def echo(net: Net, server: Any, **kwargs: Any) -> None:
    """Small and large messages there and back. The server is asked for by name."""
    url = net.url(server).replace("127.0.0.1", "localhost")
    before = open_sockets()
    transport, listener = await net.connect(url, **kwargs)
    assert transport.is_secure == net.tls  # of the WebSocket, whatever the way to the proxy
    for message in (b"", b"x", random_bytes(100_000), b"y"):
        transport.send(WSMsgType.BINARY, message)
    for size in (0, 1, 100_000, 1):
        assert (await listener.frame()).payload_size == size
    await within(transport.close())
    assert transport.close_handshake.recv_then_sent is False
    await until(lambda: not server.connections)
    await until(lambda: open_sockets() <= before)


def options(park: Park, which: str) -> dict[str, Any]:
    urls = [park.url(one) for one in which.split(", ")]
    return {"proxy": urls if len(urls) > 1 else urls[0], "proxy_ssl_context": client_ssl_context()}


@pytest.mark.parametrize("which", PROXIES)
async def test_echo(net: Net, park: Park, which: str) -> None:
    server = await net.serve()
    await echo(net, server, **options(park, which))


@pytest.mark.parametrize("which", CHAINS)
async def test_chains(net: Net, park: Park, which: str) -> None:
    server = await net.serve()
    await echo(net, server, **options(park, which))


@pytest.mark.parametrize("which", PROXIES)
async def test_an_ipv4_address(plain_net: Net, park: Park, which: str) -> None:
    server = await plain_net.serve()
    transport, listener = await plain_net.connect(server, **options(park, which))
    transport.send(WSMsgType.TEXT, b"four")
    assert (await listener.frame()).get_payload_as_bytes() == b"four"


@pytest.mark.parametrize("which", WITH_IPV6)
async def test_an_ipv6_address(plain_net: Net, park: Park, which: str) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    server = await plain_net.serve(host="::1")
    url = f"ws://[::1]:{plain_net.port(server)}/"
    transport, listener = await plain_net.connect(url, **options(park, which))
    transport.send(WSMsgType.TEXT, b"six")
    assert (await listener.frame()).get_payload_as_bytes() == b"six"


async def refusal(net: Net, where: Any, park: Park, url: str) -> WSProxyError:
    """Of a real proxy: it names it, and leaves nothing open."""
    before = open_sockets()
    with pytest.raises(WSProxyError) as caught:
        await net.connect(where, proxy=url, proxy_ssl_context=client_ssl_context())
    error = caught.value
    assert re.sub(":[^:@]*@", ":***@", url) == error.proxy
    assert str(error).startswith(f"proxy {error.proxy}: {error.step}: ")
    await until(lambda: open_sockets() <= before)
    return error


@pytest.mark.parametrize("which", WITH_AUTH)
async def test_a_wrong_password(plain_net: Net, park: Park, which: str) -> None:
    server = await plain_net.serve()
    error = await refusal(plain_net, server, park, park.url(which, password="wr0ng/"))
    assert "wr0ng" not in "".join(traceback.format_exception(error))
    assert_not_let_in(error, which)


@pytest.mark.parametrize("which", WITH_AUTH)
async def test_no_password(plain_net: Net, park: Park, which: str) -> None:
    server = await plain_net.serve()
    assert_not_let_in(await refusal(plain_net, server, park, re.sub("//.*@", "//", park.url(which))), which)


def assert_not_let_in(error: WSProxyError, which: str) -> None:
    if "http" in which:
        assert error.code in (401, 407)
        assert f"it refused: {error.code} " in str(error)
    elif "pproxy" in which:
        assert str(error).endswith("it closed the connection")
        return
    else:
        assert "authentication" in str(error)
    assert not error.is_temporary


@pytest.mark.parametrize("which", PROXIES)
async def test_nobody_listens_behind_the_proxy(plain_net: Net, park: Park, which: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    expected = PROGRAMS[which.split()[0]].unreachable
    if expected is None:
        # Some close; one says yes and then closes, which shows in the upgrade.
        with pytest.raises((WSProxyError, WSHandshakeError, ConnectionError)) as caught:
            await plain_net.connect(port, **options(park, which))
        # tiny-proxy gives the code for a wrong user, whatever it is.
        assert not isinstance(caught.value, WSProxyError) or caught.value.is_temporary or caught.value.code == 0x5C
        return
    error = await refusal(plain_net, port, park, park.url(which))
    assert error.code == (expected if "socks4" not in which else 0x5B)
    assert error.is_temporary


@pytest.mark.parametrize("which", WITH_RULES)
async def test_a_target_that_the_rules_forbid(plain_net: Net, park: Park, which: str) -> None:
    expected = PROGRAMS[which.split()[0]].forbidden
    if expected is None:
        with pytest.raises((WSProxyError, WSHandshakeError, ConnectionError)):
            await plain_net.connect(f"ws://{FORBIDDEN_HOST}/", **options(park, which))
        return
    error = await refusal(plain_net, f"ws://{FORBIDDEN_HOST}/", park, park.url(which))
    assert error.step == f"asking it for {FORBIDDEN_HOST}:80"
    assert error.code == (expected if "socks4" not in which else 0x5B)
    assert error.is_temporary == ("socks4" in which)  # which has one code for everything


@pytest.mark.parametrize("which", ["pproxy http", "pproxy socks5 auth", "pproxy https"])
async def test_socket_factory_connects_to_the_proxy(net: Net, park: Park, which: str) -> None:
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


async def test_socket_factory_that_makes_nothing(plain_net: Net, park: Park) -> None:
    server = await plain_net.serve()
    await echo(plain_net, server, socket_factory=lambda url: None, proxy=park.url("pproxy http"))


@pytest.mark.parametrize("which", ["pproxy http", "pproxy socks5", "proxy.py https"])
async def test_redirects_go_through_the_proxy_again(net: Net, park: Park, which: str) -> None:
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


async def test_the_certificate_of_a_proxy_is_checked(plain_net: Net, park: Park) -> None:
    server = await plain_net.serve()
    url = park.url("pproxy https")
    with pytest.raises(ssl.SSLCertVerificationError, match=f"proxy {url}: starting TLS with it: .*certificate"):
        await plain_net.connect(server, proxy=url)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_context_for_the_proxy_that_has_callbacks(
    net: Net, park: Park, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiofastnet 1.2.0 crashes the interpreter on them, as on those for the server."""
    # Before Python 3.12.2 asyncio's TLS is not made to lie under other TLS: it tells the loop of its own end (CPython
    # gh-113214), and on 3.10 it warns that it was not closed. Its socket is.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    server = await net.serve()
    context = ssl.create_default_context()
    certificate_authority().configure_trust(context)
    context.keylog_filename = str(tmp_path / "keys")
    await echo(net, server, proxy=park.url("pproxy https"), proxy_ssl_context=context)
    assert "SECRET" in (tmp_path / "keys").read_text()

    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "other"))
    with pytest.raises(ssl.SSLCertVerificationError, match="starting TLS with it"):
        await net.connect(server, proxy=park.url("pproxy https"))
    assert (tmp_path / "other").exists()


async def test_the_certificate_of_the_server_is_checked_behind_a_proxy(
    loop_name: str, fast: bool | None, park: Park
) -> None:
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


@pytest.mark.parametrize("which", ["pproxy http", "tiny-proxy socks5 auth", "proxy.py https"])
async def test_reconnecting(net: Net, park: Park, which: str) -> None:
    server = await net.serve()
    kwargs: dict[str, Any] = {"ssl_context": client_ssl_context()} if net.tls else {}
    count = 0
    async with reconnecting(
        Recorder,
        net.url(server),
        backoff_min=0.001,
        backoff_max=0.002,
        use_aiofastnet=net.use_aiofastnet,
        **options(park, which),
        **kwargs,
    ) as connections:
        async for transport in connections:
            transport.send(WSMsgType.TEXT, b"again")
            assert (await transport.listener.frame()).get_payload_as_bytes() == b"again"
            transport.disconnect()
            count += 1
            if count == 3:
                break


async def test_other_arguments_reach_the_loop(plain_net: Net, park: Park) -> None:
    """Those about a socket are about the one to the proxy."""
    server = await plain_net.serve(lambda request: WSListener())
    transport, _ = await plain_net.connect(
        server, proxy=park.url("pproxy http"), local_addr=("127.0.0.3", 0), family=socket.AF_INET
    )
    assert transport.underlying_transport.get_extra_info("sockname")[0] == "127.0.0.3"
