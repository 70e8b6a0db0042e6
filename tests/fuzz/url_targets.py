"""Fuzz targets for URLs, of endpoints and of proxies: what must hold whatever a URL is.

What is accepted can be asked for in a request that the server reads as it was meant; an error is the documented one and
never shows a password. A target takes bytes: the URL in UTF-8, other bytes as lone surrogates.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse

from upgrade_targets import KEY, basic_credentials, fields_of
from ws_core import WSInvalidURL, WSParsedURL
from ws_core._handshake import RequestReader, build_request, check_request
from ws_core.url import parse_url
from ws_proxy.system import is_exempt
from ws_proxy.url import ProxyURL, parse_proxy_url

SECRET = "S3cr3t"


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


# ------------------------------------------------------------------ endpoints


def url(data: bytes) -> None:
    text = text_of(data)
    try:
        parsed = parse_url(text)
    except WSInvalidURL as exc:
        assert exc.url in str(exc)
    else:
        check_parsed(parsed)
    check_secret(text)


def check_parsed(parsed: WSParsedURL) -> None:
    assert parsed.is_secure == (parsed.scheme == "wss")
    assert 0 < parsed.port < 65536
    if ":" in parsed.host:
        assert ipaddress.IPv6Address(parsed.host)  # a zone behind it may have capital letters
    else:
        assert re.fullmatch(r"[0-9a-z\-._~!$&'()*+,;=]+", parsed.host), parsed.host  # RFC 3986 section 3.2.2
    assert re.fullmatch(r"/[\x21-\x7e]*", parsed.resource_name), parsed.resource_name
    assert "#" not in parsed.resource_name
    # Taken apart again it is the same, but for the zone of an address, which nobody is told.
    again = parse_url(f"{parsed.scheme}://{parsed.netloc}{parsed.resource_name}")
    scheme, host, port = parsed.origin
    assert (again.origin, again.netloc) == ((scheme, host.partition("%")[0], port), parsed.netloc)
    assert again.resource_name == parsed.resource_name
    check_asked(parsed)


def check_asked(parsed: WSParsedURL) -> None:
    """What goes out, as a server reads it."""
    sent = build_request(parsed, KEY, None, (), parsed.user_info).to_bytes()
    line, fields = fields_of(sent)
    assert line == b"GET " + parsed.resource_name.encode() + b" HTTP/1.1"
    assert fields["Host"] == parsed.netloc
    reader = RequestReader()
    assert reader.feed(sent)
    asked = reader.request()
    check_request(asked)
    assert asked.path.decode() == parsed.resource_name
    if parsed.user_info is not None:
        assert basic_credentials(asked.headers["Authorization"]) == parsed.user_info


def check_secret(text: str) -> None:
    """With a password put in, wherever something stands between scheme and @."""
    scheme, separator, rest = text.partition("://")
    if not separator or "@" in rest:
        return
    try:
        parsed = parse_url(f"{scheme}://user:{SECRET}@{rest}")
    except WSInvalidURL as exc:
        assert SECRET not in str(exc)
        assert SECRET not in exc.url
        assert exc.__cause__ is None
    else:
        assert parsed.password == SECRET
        assert SECRET not in repr(parsed)


# ------------------------------------------------------------------ proxies


def proxy_url(data: bytes) -> None:
    text = text_of(data)
    proxy = parse_or_none(text)
    if proxy is not None:
        check_proxy(proxy)
    scheme, separator, rest = text.partition("://")
    if separator and "@" not in rest:
        parse_or_none(f"{scheme}://user:{SECRET}@{rest}")


def parse_or_none(text: str) -> ProxyURL | None:
    try:
        proxy = parse_proxy_url(text)
    except ValueError as exc:
        assert type(exc) is ValueError
        assert SECRET not in str(exc)
        return None
    assert SECRET not in f"{proxy} {proxy!r}" or proxy.password != SECRET
    return proxy


def check_proxy(proxy: ProxyURL) -> None:
    assert 0 < proxy.port < 65536
    assert re.fullmatch(r"[0-9a-z\-._~!$&'()*+,;=:]+", proxy.host), proxy.host
    shown = str(proxy)
    assert re.fullmatch(r"[\x21-\x7e]+", shown)
    if proxy.password is not None:
        quoted = urllib.parse.quote(proxy.password.encode("latin-1"), safe="")
        shown = shown.replace(":***@", f":{quoted}@")
    assert parse_proxy_url(shown) == proxy
    assert proxy.as_parsed_url().origin == (proxy.scheme, proxy.host, proxy.port)


def no_proxy(data: bytes) -> None:
    """The first word is a host, the rest is NO_PROXY."""
    host, _, entries = text_of(data).partition(" ")
    for port in (80, 65535):
        assert is_exempt(host, port, entries) in (True, False)
        assert is_exempt(host, port, "*")
        assert not is_exempt(host, port, "")
