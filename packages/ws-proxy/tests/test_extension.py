"""The options: what is refused before anything is opened."""

from __future__ import annotations

from typing import Any

import pytest

import ws_core
from harness import Net, Recorder
from ws_core import ws_connect, ws_create_server
from ws_proxy._extension import extension, parse_option

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"proxy": ["http://h:1", "system"]}, "begin with"),
    ({"proxy": []}, "no proxies"),
    ({"proxy": "proxy:8080"}, "begin with"),
    ({"proxy": ["http://h:1", "gopher://h"]}, "begin with"),
    ({"proxy": 8080}, "must be a URL"),
    ({"proxy": True}, "must be a URL"),
    ({"proxy": b"http://h:1"}, "must be a URL"),
    ({"proxy": "https://h:1", "proxy_ssl_context": True}, "proxy_ssl_context"),
    ({"proxy_ssl_context": "h.pem"}, "proxy_ssl_context"),
]


@pytest.mark.parametrize(("options", "text"), WRONG, ids=str)
async def test_wrong_values(options: dict[str, Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        await ws_connect(Recorder, "ws://127.0.0.1:9/", **options)


@pytest.mark.parametrize("proxy", ["http://h:1", "system"])
async def test_a_server_has_no_proxy(proxy: str) -> None:
    with pytest.raises(TypeError, match="ws_connect"):
        await ws_create_server(lambda request: Recorder(), "127.0.0.1", 0, proxy=proxy)


async def test_none_is_no_proxy() -> None:
    net = Net(tls=False, fast=True)
    server = await net.serve(proxy=None)
    await net.connect(server, proxy=None, proxy_ssl_context=None)
    await net.aclose()


def test_a_chain() -> None:
    assert [str(proxy) for proxy in parse_option(("http://a:1", "socks5://b"))] == ["http://a:1", "socks5://b:1080"]


def test_found_by_its_entry_point() -> None:
    assert extension in ws_core.registered_extensions()
