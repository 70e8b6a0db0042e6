"""What errors show of a proxy's words."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse

import pytest

from ws_proxy.quoting import quote
from ws_proxy.url import ProxyURL, parse_proxy_url

PROXY = parse_proxy_url("http://user:s3%20%20c%2Fr%26%C3%A9t%22@h")
PASSWORD = 's3  c/r&ét"'
BASIC = base64.b64encode(f"user:{PASSWORD}".encode()).decode()

FORMS = [
    PASSWORD,
    BASIC,
    BASIC.rstrip("="),
    base64.b64encode(PASSWORD.encode()).decode(),
    urllib.parse.quote(PASSWORD, safe=""),
    urllib.parse.quote(PASSWORD),
    urllib.parse.quote(PASSWORD, safe="").replace("%C3", "%c3").replace("%A9", "%a9").replace("%2F", "%2f"),
    urllib.parse.quote_plus(PASSWORD),
    html.escape(PASSWORD),
]


@pytest.mark.parametrize("form", FORMS)
def test_a_password_in_every_form(form: str) -> None:
    said = quote(f"denied: {form}, really".encode(), [PROXY])
    assert said.startswith("denied: ***")
    assert said.endswith(", really")
    for secret in (PASSWORD, "r&", "%C3", "%c3", form[:6]):
        assert secret not in said


@pytest.mark.parametrize("form", FORMS)
def test_a_password_that_is_cut_off(form: str) -> None:
    for length in range(1, len(form.encode())):
        said = quote(b"denied: " + form.encode()[:length], [PROXY])
        assert len(said.removeprefix("denied: ").removesuffix("***")) <= 2, said


def test_a_password_as_python_writes_it() -> None:
    assert quote(repr(PASSWORD.encode()).encode(), [PROXY]) == "b'***'"


def test_passwords_of_the_whole_chain() -> None:
    chain = [ProxyURL("http", "a", 1, "u", "first"), ProxyURL("socks5", "b", 1, "u", "second")]
    assert quote(b"first, second, third", chain) == "***, ***, third"


def test_nothing_to_hide() -> None:
    assert quote(b"it is all public", [ProxyURL("http", "h", 1), ProxyURL("http", "h", 1, "user", "")]) == (
        "it is all public"
    )


def test_on_one_line() -> None:
    assert quote(b"a\r\n\tb\x00c\x1b[31m \xff \xe2\x80\xae end", []) == "a b c [31m \ufffd end"


def test_short() -> None:
    assert quote(b"x" * 5000, []) == "x" * 200 + "..."


def test_html_without_its_tags() -> None:
    page = (
        b"<!DOCTYPE html PUBLIC '-//W3C//DTD' 'x'>\n<html><head><style>body {a: b}</style><title>403 Filtered</title>"
    )
    assert quote(page + b"</head><body><h1>No &amp; never</h1><a href='x", []) == "403 Filtered No & never"
    assert quote(json.dumps({"error": "a < b > c"}).encode(), []) == '{"error": "a < b > c"}'


def test_a_password_in_html() -> None:
    assert quote(f"<p>{html.escape(PASSWORD)}</p>".encode(), [PROXY]) == "***"
