"""Taking HTTP requests and answers apart, without sockets: what is read, what is refused, what is too much.

Every message is given whole, byte by byte and cut in two at every point, and must give the same each time. What the
messages must say for an upgrade is test_handshake_rules.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness import request_bytes
from ws_core import WSInvalidMessageError, WSInvalidStatusError
from ws_core._handshake import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    HTTPProblem,
    RequestReader,
    ResponseReader,
    accept_key,
    check_response,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept_key(KEY)}\r\n"


def cuts(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    if len(data) < 1000:
        yield [data[i : i + 1] for i in range(len(data))]
        for i in range(1, len(data)):
            yield [data[:i], data[i:]]
    else:
        for size in (100, 4096, len(data) - 1):
            yield [data[i : i + size] for i in range(0, len(data), size)]


def in_every_cut(data: bytes, read: Callable[[list[bytes]], Any]) -> Any:
    """What `read` makes of the pieces, which must not depend on how they are cut."""
    results = [read(pieces) for pieces in cuts(data)]
    assert all(result == results[0] for result in results), next(r for r in results if r != results[0])
    return results[0]


def read_request(data: bytes, behind: bytes = b"") -> Any:
    """(method, path, version, headers, tail), or the status of a refusal, or None: not complete."""

    def read(pieces: list[bytes]) -> Any:
        reader = RequestReader()
        rest = b""
        try:
            for piece in pieces:
                if reader.done:
                    rest += piece
                elif reader.feed(piece):
                    assert reader.done
        except HTTPProblem as problem:
            return problem.status
        if not reader.done:
            return None
        request = reader.request()
        headers = list(request.headers.items())
        return request.method, request.path, request.version, headers, reader.tail + rest if behind else b""

    return in_every_cut(data + behind, read)


def read_response(data: bytes) -> ResponseReader:
    """The reader, fed in every cut; None if it raised WSInvalidMessageError, as it must in every cut then."""

    def read(pieces: list[bytes]) -> Any:
        reader = ResponseReader()
        for piece in pieces:
            if not reader.done and reader.feed(piece):
                break
        if not reader.has_answer:
            return None
        response = reader.response()
        return response.status, list(response.headers.items()), response.body, reader.done, reader.raw_header

    in_every_cut(data, read)
    reader = ResponseReader()
    reader.feed(data)
    return reader


# ------------------------------------------------------------------ requests


def test_a_request() -> None:
    data = b"GET /a?b=%20c HTTP/1.1\r\nHost: h\r\nX-A:  1 \t\r\nx-a: 2\r\nX-Empty:\r\nX-Raw: \xe9\r\n\r\n"
    method, path, version, headers, _ = read_request(data)
    assert (method, path, version) == (b"GET", b"/a?b=%20c", b"HTTP/1.1")
    assert headers == [("Host", "h"), ("X-A", "1"), ("x-a", "2"), ("X-Empty", ""), ("X-Raw", "\udce9")]


def test_what_stands_behind_an_upgrade_is_kept() -> None:
    behind = bytes(range(256))
    assert read_request(request_bytes(), behind)[4] == behind


def test_a_second_request_does_not_leak_into_the_first() -> None:
    """Requests in one segment, as from a health checker that pipelines."""
    first = b"GET /a HTTP/1.1\r\nHost: one\r\n\r\n"
    second = b"HEAD /b HTTP/1.0\r\nHost: two\r\nX: y\r\nContent-Length: 3\r\n\r\nabc"
    for rest in (second, b"GARBAGE\r\n\r\n", b"\0\0\0\0"):
        assert read_request(first + rest) == (b"GET", b"/a", b"HTTP/1.1", [("Host", "one")], b"")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # the beginning of TLS
        (b"GET /\r\nHost: h\r\n\r\n", 505),  # HTTP/0.9
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET / HTTP/1.1\nHost: h\n\n", 400),  # bare line feeds
        (b"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n z\r\n\r\n", 400),  # obs-fold
        (b"GET / HTTP/1.1\r\nHost: h\r\n\tX: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX\0: b\r\n\r\n", 400),
        (b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: h\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505),
        (b"GET / HTTP/9.9\r\nHost: h\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", 400),  # before it has come
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 400),
        (request_bytes(headers={"Content-Length": "2"}) + b"ab", 400),
        (request_bytes(headers={"Transfer-Encoding": "chunked"}) + b"0\r\n\r\n", 400),
    ],
)
def test_requests_that_are_refused(data: bytes, status: int) -> None:
    assert read_request(data) == status


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 0\r\nContent-Length: 0",
        b"Content-Length: 0, 0",
        b"Content-Length: 0 0",
        b"Content-Length:",
        b"Content-Length: +0",
        b"Content-Length: 0x0",
        b"Content-Length: 18446744073709551616",
        b"Content-Length: 7",
        b"Content-Length : 0",
        b"Content-Length\t: 0",
        b"Content-Length\0: 0",
        b" Content-Length: 0",
        b"Transfer-Encoding:",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding:\x0bchunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"tRANSFER-eNCODING: Chunked",
        b"Transfer-Encoding : chunked",
        b"X: a\rContent-Length: 7",
        b"X: a\r\r",
        b"X: a\nContent-Length: 7",
        b"X: a\r\n\r",
        b"X: a\r\n\tContent-Length: 7",
        b"X: a\0",
        b"X: a\x0cb",
        b"X: a\x7f",
        b"X\x80: a",
        b"X(): a",
    ],
)
def test_what_a_proxy_might_read_otherwise(line: bytes) -> None:
    """Where does this request end, and what are its headers? As soon as two may answer differently, we don't."""
    smuggled = b"GET /admin HTTP/1.1\r\nHost: h\r\n\r\n"
    assert read_request(b"GET / HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n\r\n" + smuggled) == 400
    assert read_request(request_bytes()[:-2] + line + b"\r\n\r\n" + smuggled) == 400


@pytest.mark.parametrize("protocol", [b"RTSP/1.1", b"RTSP/1.0", b"ICE/1.1", b"http/1.1", b"HTTPS/1.1", b"XHTTP/1.1"])
def test_other_protocols(protocol: bytes) -> None:
    """The parser knows two that look like HTTP, versions included."""
    for method in (b"GET", b"DESCRIBE", b"SOURCE"):
        assert read_request(request_bytes().replace(b"GET / HTTP/1.1", method + b" / " + protocol)) in (400, 505)


def test_empty_lines_before_a_request() -> None:
    assert read_request(b"\r\n\r\n" + request_bytes())[1] == b"/"  # RFC 9112 section 2.2
    assert read_request(b"\r\n" * (MAX_HEAD_BYTES // 2 + 1)) == 431


@pytest.mark.parametrize("length", ["0", "00", " 0"])
def test_an_empty_body_is_none(length: str) -> None:
    assert read_request(request_bytes(headers={"Content-Length": length}))[1] == b"/"


@pytest.mark.parametrize("data", [b"", b"G", b"GET / HTTP/1.1\r\nHost: h\r\n", b"GET / HTTP/1.1\r\nHost: h\r\n\r"])
def test_requests_that_are_not_complete(data: bytes) -> None:
    assert read_request(data) is None


def large_head(size: int) -> bytes:
    start, end = b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


def test_large_heads() -> None:
    assert read_request(large_head(MAX_HEAD_BYTES))[2] == b"HTTP/1.1"
    assert read_request(large_head(MAX_HEAD_BYTES + 1000)) == 431
    assert read_request(b"GET /" + b"x" * MAX_HEAD_BYTES) == 431
    assert read_request(b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES) == 431
    assert read_request(b"GET /" + b"x" * (MAX_HEAD_BYTES + 1000) + b" HTTP/1.1\r\nHost: h\r\n\r\n") == 431
    half = b"x" * (MAX_HEAD_BYTES // 2)
    assert read_request(b"GET /" + half + b" HTTP/1.1\r\nX: " + half + b"\r\n\r\n") == 431
    many = b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(10_000))
    assert read_request(many) == 431


def test_many_headers() -> None:
    head = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * MAX_HEADERS
    assert len(read_request(head + b"\r\n")[3]) == MAX_HEADERS
    assert read_request(head + b"C: d\r\n\r\n") == 431


def test_what_stands_behind_a_small_head_does_not_count() -> None:
    behind = b"x" * (2 * MAX_HEAD_BYTES)
    assert read_request(request_bytes(), behind)[4] == behind


# ------------------------------------------------------------------ responses


@pytest.mark.parametrize("status", [200, 204, 301, 304, 400, 404, 426, 503, 521, 599, 600, 999])
def test_any_status_of_three_digits(status: int) -> None:
    body = b"" if status in (204, 304) else b"why"
    reader = read_response(b"HTTP/1.1 %d So What\r\nContent-Length: %d\r\nX: y\r\n\r\n" % (status, len(body)) + body)
    error = reader.refusal()
    assert isinstance(error, WSInvalidStatusError)
    assert error.response is not None
    assert error.response.status == status
    assert error.response.headers["X"] == "y"
    assert error.response.version == b"HTTP/1.1"
    assert error.raw_body == (body or None)
    assert str(status) in str(error)
    assert error.raw_header is not None
    assert error.raw_header.startswith(b"HTTP/1.1 %d So What\r\n" % status)
    assert error.raw_header.endswith(b"X: y\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 1000 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2x0 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 No\nUpgrade: websocket\n\n",
        b"HTTP/1.1 101 No\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 101 No\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nwhat?",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"HTTP/1.1 102 Processing\r\nA: bcdefghi\r\n\r\n" * 1000,
        b"\r\n" * (MAX_HEAD_BYTES // 2 + 1),
        b"HTTP/1.1 101 Go\rX: y\r\n\r\n",
        b"HTTP/1.1 101 Go\r\nX: a\rb\r\n\r\n",
        b"HTTP/1.1 101 Go\r\nX : a\r\n\r\n",
        b"HTTP/1.1 101 Go\r\n X: a\r\n\r\n",
        b"HTTP/1.1 101 Go\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 101 Go\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"RTSP/1.1 101 Go\r\n" + GOOD.encode() + b"\r\n",
        b"ICE/1.1 101 Go\r\n" + GOOD.encode() + b"\r\n",
        b"RTSP/1.0 404 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nRTSP/1.1 101 Go\r\n" + GOOD.encode() + b"\r\n",
    ],
)
def test_answers_that_are_not_read(data: bytes) -> None:
    for pieces in cuts(data):
        reader = ResponseReader()

        def feed(pieces: list[bytes] = pieces, reader: ResponseReader = reader) -> None:
            for piece in pieces:
                assert not reader.feed(piece)

        with pytest.raises(WSInvalidMessageError) as caught:
            feed()
        assert caught.value.raw_header is not None
        assert data.startswith(caught.value.raw_header)
        assert len(caught.value.raw_header) < 2 * MAX_HEAD_BYTES + 5000


def test_interim_answers_are_passed_over() -> None:
    final = b"HTTP/1.1 403 Forbidden\r\nX: final\r\nContent-Length: 2\r\n\r\nno"
    interim = b"HTTP/1.1 100 Continue\r\nX: interim\r\n\r\nHTTP/1.1 103 Early Hints\r\nY: hint\r\n\r\n"
    reader = read_response(interim + final)
    error = reader.refusal()
    assert error.response is not None
    assert list(error.response.headers.items()) == [("X", "final"), ("Content-Length", "2")]
    assert error.raw_body == b"no"
    assert error.raw_header == final[:-2]
    assert not read_response(interim).has_answer

    upgrade = f"HTTP/1.1 101 Go\r\n{GOOD}\r\n".encode()
    reader = read_response(interim + upgrade + b"\x81\x00")
    assert reader.raw_header == upgrade
    assert reader.tail == b"\x81\x00"
    check_response(reader, KEY, ())


@pytest.mark.parametrize("line", ["Content-Length: 7", "Transfer-Encoding: chunked"])
def test_a_101_has_no_body(line: str) -> None:
    """Whatever it says: what stands behind its head are frames (RFC 9112 section 6.3)."""
    frames = b"\x81\x05hello"
    reader = read_response(f"HTTP/1.1 101 Go\r\n{GOOD}{line}\r\n\r\n".encode() + frames)
    check_response(reader, KEY, ())
    assert reader.tail == frames


def test_a_second_answer_does_not_leak_into_the_first() -> None:
    first = b"HTTP/1.1 404 No\r\nX: one\r\nContent-Length: 2\r\n\r\nab"
    second = b"HTTP/1.0 200 OK\r\nX: two\r\nContent-Length: 3\r\n\r\ncde"
    for rest in (second, b"junk", b"\r\n\r\n"):
        error = read_response(first + rest).refusal()
        assert error.response is not None
        assert (error.response.status, error.response.version, error.raw_body) == (404, b"HTTP/1.1", b"ab")
        assert error.response.headers.getall("X") == ["one"]


def test_bodies() -> None:
    chunked = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
    reader = read_response(chunked)
    assert reader.done
    assert reader.refusal().raw_body == b"abcde"
    assert "Trailer" not in reader.response().headers

    until_end = ResponseReader()
    assert not until_end.feed(b"HTTP/1.1 403 No\r\n\r\nas long as")
    assert not until_end.feed(b" it takes")
    error = until_end.end()
    assert isinstance(error, WSInvalidStatusError)
    assert error.raw_body == b"as long as it takes"

    cut_short = ResponseReader()
    assert not cut_short.feed(b"HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nabc")
    error = cut_short.end()
    assert isinstance(error, WSInvalidStatusError)
    assert error.raw_body == b"abc"


def test_a_large_body_is_cut_at_the_limit() -> None:
    for length in (b"Content-Length: 10000000\r\n", b""):
        reader = ResponseReader()
        assert not reader.feed(b"HTTP/1.1 403 No\r\n" + length + b"\r\n")
        piece = b"x" * 10_000
        for _ in range(MAX_BODY_BYTES // len(piece)):
            assert not reader.feed(piece)
        assert reader.feed(piece)
        body = reader.refusal().raw_body
        assert body is not None
        assert len(body) == MAX_BODY_BYTES


def test_the_end_of_the_stream_before_an_answer() -> None:
    nothing = ResponseReader().end()
    assert isinstance(nothing, WSInvalidMessageError)
    assert "closed the connection without an answer" in str(nothing)
    for part in (b"HTTP/1.1 4", b"HTTP/1.1 404 No\r\nX: y\r\n", b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n"):
        reader = ResponseReader()
        assert not reader.feed(part)
        early = reader.end()
        assert isinstance(early, WSInvalidMessageError)
        assert early.raw_header == part
