"""The HTTP messages of the upgrade as users make them: bytes on the wire, and what is refused."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
from multidict import CIMultiDict

from harness import Recorder
from ws_core import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener


def split(data: bytes) -> tuple[str, dict[str, str], bytes]:
    """First line, headers and body of a message."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


def test_request_to_bytes() -> None:
    headers = CIMultiDict([("Host", "example.com"), ("X-A", "1"), ("X-A", "2"), ("X-Empty", "")])
    request = WSUpgradeRequest(b"GET", b"/a?b=c", b"HTTP/1.1", headers)
    expected = b"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nX-A: 1\r\nX-A: 2\r\nX-Empty: \r\n\r\n"
    assert request.to_bytes() == expected
    assert (request.method, request.path, request.version) == (b"GET", b"/a?b=c", b"HTTP/1.1")
    assert request.headers["x-a"] == "1"
    assert "/a?b=c" in repr(request)


def test_headers_of_bytes_that_are_not_utf8_go_back_as_they_came() -> None:
    raw = b"a\xe9b"
    headers = CIMultiDict([("X", raw.decode("utf-8", "surrogateescape"))])
    assert WSUpgradeRequest(b"GET", b"/", b"HTTP/1.1", headers).to_bytes().endswith(b"X: a\xe9b\r\n\r\n")


def test_101() -> None:
    response = WSUpgradeResponse.create_101_response({"X-A": "b"})
    assert response.status is HTTPStatus.SWITCHING_PROTOCOLS
    assert response.version == b"HTTP/1.1"
    assert response.body is None
    first, headers, body = split(response.to_bytes())
    assert first == "HTTP/1.1 101 Switching Protocols"
    assert headers == {"X-A": "b", "Upgrade": "websocket", "Connection": "Upgrade"}
    assert body == b""


def test_ok() -> None:
    first, headers, body = split(WSUpgradeResponse.create_ok_response("grün".encode()).to_bytes())
    assert first == "HTTP/1.1 200 OK"
    assert headers == {"Content-Type": "text/plain; charset=utf-8", "Content-Length": "5"}
    assert body == "grün".encode()
    page = WSUpgradeResponse.create_ok_response(b"<p>", {"content-type": "text/html"})
    assert split(page.to_bytes())[1] == {"content-type": "text/html", "Content-Length": "3"}
    empty = WSUpgradeResponse.create_ok_response()
    assert empty.body is None
    assert split(empty.to_bytes())[1]["Content-Length"] == "0"


@pytest.mark.parametrize("body", [5, "text", [65]])
def test_a_body_is_bytes(body: Any) -> None:
    """bytes() would make five zeros of a 5."""
    with pytest.raises(TypeError, match="bytes-like"):
        WSUpgradeResponse.create_ok_response(body)


def test_the_length_is_ours() -> None:
    response = WSUpgradeResponse(200, [("Content-Length", "1000"), ("Content-Length", "2")], b"three")
    assert response.to_bytes().count(b"Content-Length") == 1
    assert split(response.to_bytes())[1]["Content-Length"] == "5"


def test_head_only() -> None:
    response = WSUpgradeResponse.create_ok_response(b"body")
    assert response.to_bytes(head_only=True) + b"body" == response.to_bytes()


@pytest.mark.parametrize("status", [101, 103, 204, 304])
def test_answers_that_have_no_body(status: int) -> None:
    """RFC 9110 section 6.4.1: whatever stood behind the head would be taken for something else."""
    data = WSUpgradeResponse(status, None, b"a body").to_bytes()
    assert data.endswith(b"\r\n\r\n")
    assert b"a body" not in data
    assert (b"Content-Length" in data) is (status == 304)


def test_error() -> None:
    response = WSUpgradeResponse.create_error_response(404, b"nothing here", {"X-A": "b"})
    assert response.status is HTTPStatus.NOT_FOUND
    first, headers, body = split(response.to_bytes())
    assert first == "HTTP/1.1 404 Not Found"
    assert headers["X-A"] == "b"
    assert body == b"nothing here"
    for status in (100, 101, 200, 302, 399):
        with pytest.raises(ValueError, match="400 or more"):
            WSUpgradeResponse.create_error_response(status)


def test_a_status_without_a_name() -> None:
    response = WSUpgradeResponse.create_error_response(521)
    assert response.status == 521
    assert not isinstance(response.status, HTTPStatus)
    assert split(response.to_bytes())[0] == "HTTP/1.1 521 "


@pytest.mark.parametrize("status", [-1, 0, 99, 1000])
def test_a_status_has_three_digits(status: int) -> None:
    with pytest.raises(ValueError, match="three digits"):
        WSUpgradeResponse(status)


def test_redirect() -> None:
    response = WSUpgradeResponse.create_redirect_response(307, "wss://other.example/a", {"X-A": "b"})
    first, headers, _ = split(response.to_bytes())
    assert first == "HTTP/1.1 307 Temporary Redirect"
    assert headers["Location"] == "wss://other.example/a"
    assert headers["X-A"] == "b"
    for status in (200, 299, 400):
        with pytest.raises(ValueError, match="3xx"):
            WSUpgradeResponse.create_redirect_response(status, "/")
    with pytest.raises(ValueError, match="Location"):
        WSUpgradeResponse.create_redirect_response(302, "/\r\nSet-Cookie: a=b")


BAD_HEADERS = [
    ("X-A", "a\r\nX-B: c"),
    ("X-A", "a\nb"),
    ("X-A", "a\rb"),
    ("X-A", "a\0b"),
    ("X-A", "a\x1bb"),
    ("X-A", "a\x7fb"),
    ("X A", "b"),
    ("X-A:", "b"),
    ("X-A\r\nX-B", "c"),
    ("X-Ä", "b"),
    ("", "b"),
]


@pytest.mark.parametrize("header", BAD_HEADERS)
def test_headers_that_break_a_message_apart(header: tuple[str, str]) -> None:
    for extra in ([header], dict([header])):
        with pytest.raises(ValueError, match="header"):
            WSUpgradeResponse.create_101_response(extra)
        with pytest.raises(ValueError, match="header"):
            WSUpgradeResponse.create_ok_response(b"", extra)
        with pytest.raises(ValueError, match="header"):
            WSUpgradeResponse.create_error_response(404, b"", extra)
        with pytest.raises(ValueError, match="header"):
            WSUpgradeResponse.create_redirect_response(302, "/", extra)


@pytest.mark.parametrize("header", BAD_HEADERS)
def test_nor_when_they_are_put_there_later(header: tuple[str, str]) -> None:
    """A factory that copies what a client sent into `response.headers` must not be a hole either."""
    response = WSUpgradeResponse.create_101_response()
    response.headers.add(*header)
    with pytest.raises(ValueError, match="header"):
        response.to_bytes()


def test_header_values_may_have_tabs_and_other_scripts() -> None:
    response = WSUpgradeResponse.create_101_response({"X-A": "a\tb ü"})
    assert "X-A: a\tb ü\r\n".encode() in response.to_bytes()


@pytest.mark.parametrize("header", [("X-A", 1), ("X-A", b"b"), (b"X-A", "b"), ("X-A", None)])
def test_headers_are_str(header: tuple[object, object]) -> None:
    with pytest.raises(TypeError, match="must be str"):
        WSUpgradeResponse.create_101_response([header])  # type: ignore[list-item]


def test_the_body_is_bytes() -> None:
    body = bytearray(b"abc")
    response = WSUpgradeResponse(200, None, body)
    body[:] = b"xyz"
    assert response.body == b"abc"
    with pytest.raises(TypeError):
        WSUpgradeResponse(200, None, "text")  # type: ignore[arg-type]


def test_response_with_listener() -> None:
    listener = Recorder()
    opens = WSUpgradeResponse.create_101_response()
    answer = WSUpgradeResponseWithListener(opens, listener)
    assert answer.response is opens
    assert answer.listener is listener
    refuses = WSUpgradeResponse.create_error_response(403)
    assert WSUpgradeResponseWithListener(refuses, None).listener is None
    with pytest.raises(ValueError, match="needs a listener"):
        WSUpgradeResponseWithListener(opens, None)
    with pytest.raises(ValueError, match="must be None"):
        WSUpgradeResponseWithListener(refuses, listener)
