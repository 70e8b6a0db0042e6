"""WebSocket URLs: their parts, what is refused, and that an error never shows a password."""

from __future__ import annotations

import dataclasses

import pytest

from ws_core import WSInvalidURL, WSParsedURL
from ws_core.url import parse_url

PARTS = {
    # url: scheme, is_secure, host, port, netloc, resource name
    "ws://example.com": ("ws", False, "example.com", 80, "example.com", "/"),
    "ws://example.com/": ("ws", False, "example.com", 80, "example.com", "/"),
    "wss://example.com/": ("wss", True, "example.com", 443, "example.com", "/"),
    "ws://example.com:80/": ("ws", False, "example.com", 80, "example.com", "/"),
    "ws://example.com:443/": ("ws", False, "example.com", 443, "example.com:443", "/"),
    "wss://example.com:80/": ("wss", True, "example.com", 80, "example.com:80", "/"),
    "wss://example.com:443/": ("wss", True, "example.com", 443, "example.com", "/"),
    "ws://example.com:/": ("ws", False, "example.com", 80, "example.com", "/"),
    "ws://example.com:65535/a": ("ws", False, "example.com", 65535, "example.com:65535", "/a"),
    "WS://EXAMPLE.com/Path": ("ws", False, "example.com", 80, "example.com", "/Path"),
    "ws://example.com?a=b": ("ws", False, "example.com", 80, "example.com", "/?a=b"),
    "ws://example.com/a/b?c=d&e=f?g": ("ws", False, "example.com", 80, "example.com", "/a/b?c=d&e=f?g"),
    "ws://example.com/a;b,c=d:@!$'()*+~": ("ws", False, "example.com", 80, "example.com", "/a;b,c=d:@!$'()*+~"),
    "ws://example.com/a%20b%2F?%23": ("ws", False, "example.com", 80, "example.com", "/a%20b%2F?%23"),
    "ws://example.com/ä?ü=€": ("ws", False, "example.com", 80, "example.com", "/%C3%A4?%C3%BC=%E2%82%AC"),
    'ws://example.com/"<>{}|^`\\': ("ws", False, "example.com", 80, "example.com", "/%22%3C%3E%7B%7D%7C%5E%60%5C"),
    "ws://127.0.0.1:9000/": ("ws", False, "127.0.0.1", 9000, "127.0.0.1:9000", "/"),
    # RFC 6874: only this machine knows what a zone is; its percent sign may be encoded.
    "ws://[fe80::1%Eth0]/": ("ws", False, "fe80::1%Eth0", 80, "[fe80::1]", "/"),
    "ws://[fe80::1%25Eth0]:81/": ("ws", False, "fe80::1%Eth0", 81, "[fe80::1]:81", "/"),
    "ws://[fe80::1%25]/": ("ws", False, "fe80::1%25", 80, "[fe80::1]", "/"),
    "ws://[::1]/": ("ws", False, "::1", 80, "[::1]", "/"),
    "wss://[2001:DB8::1]:8443/x": ("wss", True, "2001:db8::1", 8443, "[2001:db8::1]:8443", "/x"),
    "ws://bücher.example/": ("ws", False, "xn--bcher-kva.example", 80, "xn--bcher-kva.example", "/"),
    "ws://a_b.example./": ("ws", False, "a_b.example.", 80, "a_b.example.", "/"),
    "ws://user:pass@example.com:81/x": ("ws", False, "example.com", 81, "example.com:81", "/x"),
}


@pytest.mark.parametrize("url", PARTS)
def test_parts(url: str) -> None:
    parsed = parse_url(url)
    assert isinstance(parsed, WSParsedURL)
    assert parsed.url == url
    parts = (parsed.scheme, parsed.is_secure, parsed.host, parsed.port, parsed.netloc, parsed.resource_name)
    assert parts == PARTS[url]
    assert parsed.resource_name.isascii()


def test_path_and_query() -> None:
    parsed = parse_url("ws://h/a/b?c=d")
    assert (parsed.path, parsed.query) == ("/a/b", "c=d")
    assert (parse_url("ws://h").path, parse_url("ws://h").query) == ("", "")


@pytest.mark.parametrize(
    ("url", "user_info"),
    [
        ("ws://h/", None),
        ("ws://user@h/", ("user", "")),
        ("ws://user:@h/", ("user", "")),
        ("ws://:secret@h/", ("", "secret")),
        ("ws://user:secret@h/", ("user", "secret")),
        ("ws://us%40er:p%2Fw%3A%25@h/", ("us@er", "p/w:%")),
        ("ws://us%C3%A4r:pw@h/", ("usär", "pw")),
        ("ws://user:pa:ss@h/", ("user", "pa:ss")),
        ("ws://h/user:secret@x", None),
    ],
)
def test_user_info(url: str, user_info: tuple[str, str] | None) -> None:
    assert parse_url(url).user_info == user_info


def test_origin_is_what_credentials_are_bound_to() -> None:
    origin = parse_url("ws://h/a?b").origin
    assert origin == parse_url("ws://user:pw@H:80/other").origin
    for other in ("ws://h:81/a", "wss://h/a", "wss://h:80/a", "ws://h2/a", "ws://sub.h/a"):
        assert parse_url(other).origin != origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "http://example.com/",
        "https://example.com/",
        "wsx://example.com/",
        "ftp://example.com/",
        "ws:",
        "ws:/example.com",
        "ws://",
        "ws:///path",
        "ws://:80/",
        "ws://user:pw@/",
        "ws://h:0/",
        "ws://h:65536/",
        "ws://h:-1/",
        "ws://h:port/",
        "ws://h/#fragment",
        "ws://h/#",
        "ws://h#f",
        "ws://[::1/",
        "ws://[:::1]/",
        "ws://h/a b",
        " ws://h/",
        "ws://h/\r\nHost: x",
        "ws://h\n/",
        "ws://h/\ta",
        "ws://h/\x00",
        "ws://h/\x7f",
        "ws://h /",
        "ws://" + "ü" * 70 + "/",
        "ws://" + "a" * 64 + ".example/",
        "ws://a..b/",
        "ws://h/\udce4",
        "ws://h/?\udce4",
        "ws://\udce4/",
        "ws://\udce4:pw@h/",
        "ws://user%3Aname:pw@h/",
        "ws://lo]/",
        "ws://[::%1:pw@lo]/",
        "ws://a\uff3db/",
        'ws://a"b/',
        "ws://a|b/",
        "ws://a%20b/",
        "ws://ex%61mple.com/",
        "ws://[::1%2\u3002]/",
        "ws://[::1%a@b]/",
    ],
)
def test_refused(url: str) -> None:
    with pytest.raises(WSInvalidURL):
        parse_url(url)


def test_the_error_says_which_url_and_why() -> None:
    with pytest.raises(WSInvalidURL, match=r"ftp://example\.com/ .*scheme") as caught:
        parse_url("ftp://example.com/")
    assert caught.value.url == "ftp://example.com/"


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@example.com/",
        "ws://user:secret@example.com/#x",
        "ws://:secret@example.com/ ",
        "ws://user:secret@/",
        "ws://user:secret@h:0/",
        "ws://user:a@secret@h:0/",
        "ws://user:a/secret@h/",
        "ws://user:a?secret@h/ ",
        "ws://user:secret/b@h/",
        "ws://user:secret#b@h/",
        "user:secret@example.com",
        "//user:secret@example.com/",
        "ws:user:secret@example.com/",
        "ws:/user:secret@example.com/",
        "ws://user:secret\n@example.com/",
        "ws://user:secret@ex\u2100mple.com/",
        "ws://user:secret@[::1/",
    ],
)
def test_a_password_is_not_shown(url: str) -> None:
    with pytest.raises(WSInvalidURL) as caught:
        parse_url(url)
    shown = [str(caught.value), repr(caught.value), caught.value.url, str(caught.value.__cause__)]
    assert not any("secret" in text for text in shown), shown
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_parsed_url_does_not_show_its_password() -> None:
    assert "secret" not in repr(parse_url("ws://user:secret@example.com/"))


def test_a_parsed_url_cannot_be_changed() -> None:
    parsed = parse_url("ws://example.com/")
    with pytest.raises(dataclasses.FrozenInstanceError):
        parsed.host = "other"  # type: ignore[misc]


@pytest.mark.parametrize("url", [None, b"ws://example.com/", 1])
def test_only_str(url: object) -> None:
    with pytest.raises(TypeError, match="must be str"):
        parse_url(url)  # type: ignore[arg-type]


def test_other_schemes_on_request() -> None:
    proxy = parse_url("socks5://user:pw@h:1080", ("socks5", "http"))
    assert (proxy.scheme, proxy.host, proxy.port, proxy.user_info) == ("socks5", "h", 1080, ("user", "pw"))
    assert parse_url("http://h", ("http",)).port == 80
    with pytest.raises(WSInvalidURL, match="port"):
        parse_url("socks5://h", ("socks5",))
    with pytest.raises(WSInvalidURL, match="socks5 or http"):
        parse_url("ws://h", ("socks5", "http"))
