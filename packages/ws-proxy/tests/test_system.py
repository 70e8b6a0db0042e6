"""proxy="system": the environment's rules as tables, the platform's settings, and connections that go by them."""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
import urllib.request
from typing import Any

import pytest

from harness import Net, RawPeer, Recorder, until, within
from proxies import Park
from ws_core import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_connect
from ws_core.url import parse_url
from ws_proxy.system import choose, is_exempt, system_proxy

# ------------------------------------------------------------------ NO_PROXY

EXEMPT = [
    ("*", "example.com:80"),
    ("a.test, * ", "example.com:80"),
    ("example.com", "example.com:80"),
    ("example.com", "www.example.com:80"),
    ("example.com", "a.b.example.com:80"),
    (".example.com", "www.example.com:80"),
    (".example.com", "example.com:80"),
    ("*.example.com", "www.example.com:80"),
    ("EXAMPLE.com", "example.com:80"),
    ("example.com.", "example.com:80"),
    ("example.com", "example.com.:80"),
    ("example.com:443", "example.com:443"),
    (".example.com:443", "www.example.com:443"),
    ("a.test,example.com", "example.com:80"),
    ("a.test example.com", "example.com:80"),
    ("a.test,\texample.com,,", "example.com:80"),
    ("bücher.example", "xn--bcher-kva.example:80"),
    (".bücher.example", "www.xn--bcher-kva.example:80"),
    ("localhost", "localhost:80"),
    ("com", "example.com:80"),
    ("10.1.2.3", "10.1.2.3:80"),
    ("10.1.2.3:80", "10.1.2.3:80"),
    ("10.0.0.0/8", "10.1.2.3:80"),
    ("10.1.2.3/8", "10.200.2.3:80"),
    ("10.0.0.0/8:80", "10.1.2.3:80"),
    ("0.0.0.0/0", "10.1.2.3:80"),
    ("10.0.0.0/255.0.0.0", "10.1.2.3:80"),
    ("::1", "::1 80"),
    ("[::1]", "::1 80"),
    ("[::1]:80", "::1 80"),
    ("0:0:0:0:0:0:0:1", "::1 80"),
    ("fd00::/8", "fd12:3456::1 80"),
    ("[fd00::/8]:80", "fd12:3456::1 80"),
    ("10.0.0.0/8", "::ffff:10.1.2.3 80"),
]

NOT_EXEMPT = [
    ("", "example.com:80"),
    (" , ,", "example.com:80"),
    ("example.com", "anotherexample.com:80"),
    ("example.com", "example.com.evil.test:80"),
    ("example.com", "example.org:80"),
    ("www.example.com", "example.com:80"),
    ("*.example.com", "example.com:80"),
    ("example.*", "example.com:80"),
    ("*example.com", "anotherexample.com:80"),
    ("example.com:443", "example.com:80"),
    ("example.com:", "example.com:80"),
    ("example.com:https", "example.com:443"),
    (".", "example.com:80"),
    ("*.", "example.com:80"),
    (":80", "example.com:80"),
    ("10.1.2.3", "10.1.2.30:80"),
    ("2.3", "10.1.2.3:80"),
    (".2.3", "10.1.2.3:80"),
    ("10.", "10.1.2.3:80"),
    ("10.1.2.3", "a.10.1.2.3.test:80"),
    ("10.1.2.3:443", "10.1.2.3:80"),
    ("10.0.0.0/8", "11.1.2.3:80"),
    ("10.0.0.0/8", "ten.test:80"),  # names are not looked up
    ("10.0.0.0/33", "10.1.2.3:80"),
    ("10.0.0.0/x", "10.1.2.3:80"),
    ("::1:80", "::1 80"),  # that is another address
    ("[::1]:81", "::1 80"),
    ("[::1", "::1 80"),
    ("[]", "example.com:80"),
    ("fd00::/8", "fe80::1 80"),
    ("fd00::/8", "10.1.2.3:80"),
    ("127.0.0.1", "localhost:80"),
    ("localhost", "127.0.0.1:80"),
    ("a" * 70 + ".ü", "example.com:80"),
    ("example.com:" + 5000 * "9", "example.com:80"),
]


@pytest.mark.parametrize(
    ("no_proxy", "endpoint", "exempt"),
    [(*row, True) for row in EXEMPT] + [(*row, False) for row in NOT_EXEMPT],
    ids=lambda value: str(value)[:60],
)
def test_no_proxy(no_proxy: str, endpoint: str, exempt: bool) -> None:
    host, _, port = endpoint.rpartition(" " if " " in endpoint else ":")
    assert is_exempt(host, int(port), no_proxy) is exempt


# ------------------------------------------------------------------ which setting

CHOICES = [
    ("wss", {"https": "http://s:1", "http": "http://p:1", "all": "http://a:1"}, "http://s:1"),
    ("ws", {"https": "http://s:1", "http": "http://p:1", "all": "http://a:1"}, "http://p:1"),
    ("wss", {"http": "http://p:1", "all": "http://a:1"}, "http://a:1"),
    ("ws", {"https": "http://s:1", "all": "http://a:1"}, "http://a:1"),
    ("wss", {"http": "http://p:1"}, None),
    ("ws", {"https": "http://s:1"}, None),
    ("wss", {"wss": "http://w:1", "https": "http://s:1"}, "http://w:1"),
    ("ws", {"ws": "http://w:1", "wss": "http://x:1", "http": "http://s:1"}, "http://w:1"),
    ("ws", {"ftp": "http://f:1", "no": "nothing"}, None),
    ("ws", {}, None),
    ("ws", {"http": "  ", "all": " http://a:1 "}, "http://a:1"),
    # without a scheme
    ("ws", {"http": "proxy.test:3128"}, "http://proxy.test:3128"),
    ("ws", {"http": "proxy.test"}, "http://proxy.test:80"),
    ("ws", {"http": "[::1]:3128"}, "http://[::1]:3128"),
    ("wss", {"https": "us%40er:secret@proxy.test:3128/"}, "http://us%40er:***@proxy.test:3128"),
    # other protocols than the variable's name
    ("wss", {"https": "https://s:1"}, "https://s:1"),
    ("wss", {"all": "socks5h://s:1"}, "socks5h://s:1"),
    ("wss", {"all": "socks4a://s"}, "socks4a://s:1080"),
    ("wss", {"all": "socks://s:1/"}, "socks5h://s:1"),
    ("wss", {"socks": "http://s:1"}, "socks5h://s:1"),  # macOS
]


@pytest.mark.parametrize(("scheme", "settings", "expected"), CHOICES, ids=str)
def test_which_setting(scheme: str, settings: dict[str, str], expected: str | None) -> None:
    proxy = choose(scheme, settings)
    assert (None if proxy is None else str(proxy)) == expected


ENVIRONMENTS = [
    ({"HTTPS_PROXY": "http://u:1"}, "wss://e.test/", "http://u:1"),
    ({"https_proxy": "http://l:1"}, "wss://e.test/", "http://l:1"),
    ({"HTTPS_PROXY": "http://u:1", "https_proxy": "http://l:1"}, "wss://e.test/", "http://l:1"),
    ({"https_proxy": "http://l:1", "HTTPS_PROXY": "http://u:1"}, "wss://e.test/", "http://l:1"),
    ({"HTTPS_PROXY": "http://u:1", "https_proxy": ""}, "wss://e.test/", None),
    ({"HTTP_PROXY": "http://u:1"}, "ws://e.test/", "http://u:1"),
    ({"ALL_PROXY": "http://u:1"}, "ws://e.test/", "http://u:1"),
    ({"all_proxy": "socks5://l:1", "ALL_PROXY": "http://u:1"}, "wss://e.test/", "socks5://l:1"),
    ({"HTTPS_PROXY": ""}, "wss://e.test/", None),
    # In a CGI script HTTP_PROXY comes from the request's header Proxy.
    ({"HTTP_PROXY": "http://evil:1", "REQUEST_METHOD": "GET"}, "ws://e.test/", None),
    (
        {"HTTP_PROXY": "http://evil:1", "http_proxy": "http://l:1", "REQUEST_METHOD": "GET"},
        "ws://e.test/",
        "http://l:1",
    ),
    ({"HTTPS_PROXY": "http://u:1", "REQUEST_METHOD": "GET"}, "wss://e.test/", "http://u:1"),
    ({"ALL_PROXY": "http://u:1", "NO_PROXY": "e.test"}, "ws://e.test/", None),
    ({"ALL_PROXY": "http://u:1", "no_proxy": "e.test"}, "ws://e.test/", None),
    ({"ALL_PROXY": "http://u:1", "NO_PROXY": "e.test", "no_proxy": "other.test"}, "ws://e.test/", "http://u:1"),
    ({"ALL_PROXY": "http://u:1", "NO_PROXY": "e.test", "no_proxy": ""}, "ws://e.test/", "http://u:1"),
    ({"ALL_PROXY": "http://u:1", "NO_PROXY": "e.test:443"}, "wss://e.test/", None),
    ({"ALL_PROXY": "http://u:1", "NO_PROXY": "e.test:443"}, "wss://e.test:8443/", "http://u:1"),
    ({"ALL_PROXY": "http://u:1", "NO_PROXY": "10.0.0.0/8"}, "wss://10.2.3.4/", None),
    ({"ALL_PROXY": "http://u:1", "NO_PROXY": "[::1]:443"}, "wss://[::1]/", None),
    ({"NO_PROXY": "other.test"}, "wss://e.test/", None),
    ({}, "wss://e.test/", None),
]


@pytest.mark.parametrize(("environment", "url", "expected"), ENVIRONMENTS, ids=str)
async def test_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, expected: str | None
) -> None:
    monkeypatch.setattr(os, "environ", environment)
    proxy = await system_proxy(parse_url(url))
    assert (None if proxy is None else str(proxy)) == expected


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("http://us er:s3cret@proxy.test", "space"),
        ("http://user:s3cret@proxy.test:port", "port"),
        ("ftp://user:s3cret@proxy.test", "begin with"),
        ("user:s3/cret@proxy.test", "percent-encoded"),
        ("user:s3cret@", "host"),
    ],
)
async def test_a_setting_that_makes_no_sense(monkeypatch: pytest.MonkeyPatch, value: str, why: str) -> None:
    monkeypatch.setattr(os, "environ", {"HTTPS_PROXY": value})
    with pytest.raises(ValueError, match=f"HTTPS_PROXY.*{why}") as caught:
        await ws_connect(Recorder, "wss://e.test/", proxy="system")
    assert "s3" not in "".join(traceback.format_exception(caught.value))


# ------------------------------------------------------------------ the platform

PLATFORM = {"http": "http://p:1", "https": "http://s:1", "no": "ignored here"}


def settings_of_a_platform(monkeypatch: pytest.MonkeyPatch, exempt: str) -> list[int]:
    """As on macOS and Windows. Returns the threads on which it was asked."""
    threads = []

    def bypass(host: str) -> bool:
        threads.append(threading.get_ident())
        return host == exempt

    monkeypatch.setattr(urllib.request, "getproxies", lambda: dict(PLATFORM))
    monkeypatch.setattr(urllib.request, "proxy_bypass", bypass)
    return threads


async def test_the_platforms_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    threads = settings_of_a_platform(monkeypatch, "exempt.test")
    assert str(await system_proxy(parse_url("wss://e.test/"))) == "http://s:1"
    assert str(await system_proxy(parse_url("ws://e.test/"))) == "http://p:1"
    assert await system_proxy(parse_url("ws://exempt.test/")) is None
    # It may look up names, which takes its time.
    assert threads
    assert threading.get_ident() not in threads


async def test_any_variable_replaces_the_platforms_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"HTTPS_PROXY": "http://variable:1"})
    threads = settings_of_a_platform(monkeypatch, "e.test")
    assert str(await system_proxy(parse_url("wss://e.test/"))) == "http://variable:1"
    assert await system_proxy(parse_url("ws://e.test/")) is None
    assert not threads


# ------------------------------------------------------------------ connections

VARIABLES = [f"{name}_proxy" for name in ("ws", "wss", "http", "https", "all", "no", "socks")]


@pytest.fixture
def setenv(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch.setenv


@pytest.mark.parametrize("which", ["pproxy http auth", "pproxy socks5", "proxy.py http"])
async def test_an_echo(net: Net, park: Park, setenv: Any, which: str) -> None:
    url = park.url(which)
    setenv("HTTPS_PROXY" if net.tls else "HTTP_PROXY", url.removeprefix("http://"))
    server = await net.serve()
    asked = []
    transport, listener = await net.connect(
        server, proxy="system", socket_factory=lambda url: asked.append((url.scheme, url.port))
    )
    transport.send(2, b"through")
    assert (await listener.frame()).get_payload_as_bytes() == b"through"
    assert asked == [(url.partition(":")[0], int(url.rpartition(":")[2]))]


@pytest.mark.parametrize("variable", [None, "no_proxy"])
async def test_connected_directly(net: Net, setenv: Any, variable: str | None) -> None:
    if variable is not None:
        setenv("ALL_PROXY", "http://127.0.0.1:1")
        setenv(variable, "127.0.0.0/8")
    server = await net.serve()
    transport, listener = await net.connect(server, proxy="system")
    transport.send(2, b"direct")
    assert (await listener.frame()).get_payload_as_bytes() == b"direct"


async def test_asked_again_for_each_redirect(net: Net, park: Park, setenv: Any) -> None:
    """127.0.0.1 is asked for through the proxy, localhost is not."""
    setenv("ALL_PROXY", park.url("pproxy http"))
    setenv("NO_PROXY", "localhost")
    final = await net.serve()

    def redirect(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        response = WSUpgradeResponse.create_redirect_response(302, net.url(final).replace("127.0.0.1", "localhost"))
        return WSUpgradeResponseWithListener(response, None)

    server = await net.serve(redirect)
    asked: list[tuple[str, int]] = []
    transport, _ = await net.connect(
        server, proxy="system", socket_factory=lambda url: asked.append((url.scheme, url.port))
    )
    proxy_port = int(park.url("pproxy http").rpartition(":")[2])
    assert asked == [("http", proxy_port), ("wss" if net.tls else "ws", net.port(final))]
    await until(lambda: len(final.connections) == 1)
    transport.disconnect()


async def test_the_time_limit_covers_it(plain_net: Net, setenv: Any) -> None:
    async def mute(peer: RawPeer) -> None:
        await peer.rest()

    setenv("ALL_PROXY", f"http://user:s3cret@127.0.0.1:{await plain_net.raw_server(mute)}")
    with pytest.raises(asyncio.TimeoutError) as caught:
        await within(plain_net.connect("ws://e.test/", proxy="system", websocket_handshake_timeout=0.05))
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
