"""Proxy URLs, right and wrong."""

from __future__ import annotations

import pytest

from ws_proxy.url import parse_proxy_url

RIGHT = {
    "http://proxy": ("http", "proxy", 80, None, None),
    "HTTPS://Proxy.Example/": ("https", "proxy.example", 443, None, None),
    "socks5://10.0.0.1": ("socks5", "10.0.0.1", 1080, None, None),
    "socks4a://h:9/": ("socks4a", "h", 9, None, None),
    "socks5h://[::1]:1081": ("socks5h", "::1", 1081, None, None),
    "socks5h://[::1]": ("socks5h", "::1", 1080, None, None),
    "http://user@h": ("http", "h", 80, "user", None),
    "http://user:@h:1": ("http", "h", 1, "user", ""),
    "http://u%40x:p%3A%2F%40%23%25@h:1": ("http", "h", 1, "u@x", "p:/@#%"),
    "http://u:p:q@h:1": ("http", "h", 1, "u", "p:q"),
    "socks4://id@h:1": ("socks4", "h", 1, "id", None),
    "http://bücher.example:1": ("http", "xn--bcher-kva.example", 1, None, None),
}


@pytest.mark.parametrize("url", RIGHT)
def test_right(url: str) -> None:
    proxy = parse_proxy_url(url)
    assert (proxy.scheme, proxy.host, proxy.port, proxy.username, proxy.password) == RIGHT[url]


WRONG = [
    "",
    "proxy:8080",
    "ftp://h:1",
    "ws://h:1",
    "socks://h:1",
    "http:///",
    "http://:80",
    "http://h:0",
    "http://h:65536",
    "http://h:port",
    "http://h:1/path",
    "http://h:1?query",
    "http://h:1#fragment",
    "http://a b:1",
    "http://h:1\r\nX: y",
    "http://[::1",
    "http://::1:80",
    "http://u:s3cret@",
    "http://:s3cret@h",
    "http://@h",
    "http://u:s3/cret@h:1",
    "http://u:s3@cret@h:1",
    "http://u:s3#cret@h:1",
    "http://u:s3 cret@h:1",
    "http://u%3Av:s3cret@h:1",
    "http://u:s3cret@h:port",
    "http://u:s3cret@h:1/path",
    "htp://u:s3cret@h:1",
    "u:s3cret@h:1",
    "socks5://u@h:1",
    "socks5://u:@h:1",
    "socks5://u:s3cr%C3%A9t@h:1",
    "socks4://%C3%A9:s3cret@h:1",
    "socks4://a%00b:s3cret@h:1",
    "socks5://u:" + 256 * "s3" + "@h:1",
    "http://u:s3\udcff@h:1",
    "http://\udcff:s3cret@h:1",
    'http://u:s3cret@a"b:1',
    "http://u:s3cret@a%20b:1",
    "http://u:s3cret@a|b:1",
    "http://u:s3cret@b\u00fc\uff3d:1",
]


@pytest.mark.parametrize("url", WRONG)
def test_wrong_ones_are_not_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="proxy|HTTP|SOCKS") as caught:
        parse_proxy_url(url)
    assert "s3" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("url", [None, 1, b"http://h:1", True])
def test_wrong_types(url: object) -> None:
    with pytest.raises(TypeError, match="proxy"):
        parse_proxy_url(url)  # type: ignore[arg-type]


def test_how_it_is_shown() -> None:
    proxy = parse_proxy_url("http://us%20er:s3cret@[::1]:80")
    assert str(proxy) == "http://us%20er:***@[::1]:80"
    assert "s3cret" not in repr(proxy)
    assert str(parse_proxy_url("socks4://id@h")) == "socks4://id@h:1080"
    assert str(parse_proxy_url("socks5://h")) == "socks5://h:1080"


def test_what_a_socket_factory_gets() -> None:
    url = parse_proxy_url("https://u:s3cret@h").as_parsed_url()
    assert (url.scheme, url.host, url.port, url.is_secure) == ("https", "h", 443, True)
    assert "s3cret" not in url.url
    assert url.user_info is None
