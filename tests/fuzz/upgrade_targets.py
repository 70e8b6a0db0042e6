"""Fuzz targets for the opening handshake: bytes that a peer may send, and what must hold whatever they are.

A target takes bytes and raises if a property does not hold: another exception than the documented ones, an upgrade that
RFC 6455 forbids, or an outcome that depends on how TCP cut the stream. What is accepted is judged by regular
expressions over the bytes, which share nothing with the parser. Who makes the bytes: by_atheris.py, or test_inputs.py.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from typing import Any

from multidict import CIMultiDict

from ws_core import WSHandshakeError, WSInvalidMessageError, WSUpgradeResponse
from ws_core._handshake import HTTPProblem, RequestReader, ResponseReader, check_request, check_response
from ws_core.client import _redirect_target
from ws_core.negotiation import format_extension, parse_extensions
from ws_core.upgrade import usual_answer_bytes
from ws_core.url import parse_url

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SUBPROTOCOLS = ("a", "b")

# RFC 9112 sections 3 (which lets a server take more than one space) and 5; \x80-\xff is obs-text.
REQUEST_LINE = re.compile(rb"GET +([\x21-\x7e\x80-\xff]+) +HTTP/1\.1")
STATUS_LINE = re.compile(rb"HTTP/(?:1\.[01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")


def pieces_of(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and cut at a few places that follow from the data."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for salt in (b"1", b"2", b"3"):
        cut = zlib.crc32(salt + data) % (len(data) + 1)
        yield [data[:cut], data[cut:]]


def same_in_all_pieces(read: Any, data: bytes) -> Any:
    outcome, *others = (read(pieces) for pieces in pieces_of(data))
    for other in others:
        assert other == outcome, (outcome, other)
    return outcome


def fields_of(head: bytes) -> tuple[bytes, CIMultiDict[str]]:
    """First line and headers of a head, by the grammar alone."""
    first, *lines = head.removesuffix(b"\r\n\r\n").lstrip(b"\r\n").split(b"\r\n")
    fields: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        match = FIELD.fullmatch(line)
        assert match is not None, line
        fields.add(match[1].decode(), match[2].decode("latin-1").strip(" \t"))
    return first, fields


def list_of(fields: CIMultiDict[str], name: str) -> list[str]:
    return [item.strip(" \t").lower() for value in fields.getall(name, []) for item in value.split(",")]


def fed(reader: RequestReader | ResponseReader, pieces: list[bytes]) -> bytes:
    """Feed it until it is complete; returns what is left."""
    complete, rest = False, b""
    for piece in pieces:
        if complete:
            rest += piece
        else:
            complete = reader.feed(piece)
    return rest


# ------------------------------------------------------------------ what a client may send to a server


def request(data: bytes) -> None:
    def read(pieces: list[bytes]) -> Any:
        """A refusal, or None: incomplete, or the accept key and what stood behind the head."""
        reader = RequestReader()
        try:
            rest = fed(reader, pieces)
            if not reader.done:
                return None
            asked = reader.request()
            return check_request(asked), reader.tail + rest, list(asked.headers.items()), asked.path
        except HTTPProblem as problem:
            return problem

    outcomes = [read(pieces) for pieces in pieces_of(data)]
    for other in outcomes:
        assert getattr(other, "status", other) == getattr(outcomes[0], "status", outcomes[0]), outcomes
    if isinstance(outcomes[0], HTTPProblem):
        check_refusal(outcomes[0])
    elif outcomes[0] is not None:
        accept, tail, headers, path = outcomes[0]
        assert data.endswith(tail)
        check_upgrade(data[: len(data) - len(tail)], headers, path)
        check_extensions(CIMultiDict(headers))
        # And a client takes the answer.
        key = CIMultiDict(headers)["Sec-WebSocket-Key"]
        reader = ResponseReader()
        assert reader.feed(usual_answer_bytes(accept))
        check_response(reader, key, ())


def check_upgrade(head: bytes, headers: list[tuple[str, str]], path: bytes) -> None:
    """RFC 6455 section 4.2.1."""
    assert head.endswith(b"\r\n\r\n")
    line, fields = fields_of(head)
    match = REQUEST_LINE.fullmatch(line)
    assert match is not None, line
    assert match[1] == path
    as_bytes = [(name, value.encode("utf-8", "surrogateescape").decode("latin-1")) for name, value in headers]
    assert as_bytes == list(fields.items())
    assert "websocket" in list_of(fields, "Upgrade")
    assert "upgrade" in list_of(fields, "Connection")
    assert len(fields.getall("Host")) == 1
    assert fields.getall("Sec-WebSocket-Version") == ["13"]
    (key,) = fields.getall("Sec-WebSocket-Key")
    assert re.fullmatch(r"[A-Za-z0-9+/]{22}==", key), key
    assert "Transfer-Encoding" not in fields
    assert all(re.fullmatch("0*", length) for length in fields.getall("Content-Length", []))


def check_refusal(problem: HTTPProblem) -> None:
    """The answer is one HTTP message, of this status, that a client understands."""
    answer = WSUpgradeResponse.create_error_response(problem.status, str(problem).encode(), problem.headers).to_bytes()
    head, _, body = answer.partition(b"\r\n\r\n")
    line, fields = fields_of(head + b"\r\n\r\n")
    match = STATUS_LINE.fullmatch(line)
    assert match is not None
    assert int(match[1]) == problem.status >= 400
    assert fields.getall("Content-Length") == [str(len(body))]
    reader = ResponseReader()
    assert reader.feed(answer)
    assert reader.response().body == body


# ------------------------------------------------------------------ what a server may answer to a client


def response(data: bytes) -> None:
    def read(pieces: list[bytes]) -> Any:
        """The reader at its end, as what it says; None: no HTTP."""
        reader = ResponseReader()
        try:
            rest = fed(reader, pieces)
        except WSInvalidMessageError as exc:
            assert str(exc)
            return None
        if not reader.has_answer:
            check_error(reader.end())
            return "incomplete"
        answer = reader.response()
        said = [int(answer.status), answer.version, list(answer.headers.items()), answer.body]
        return *said, reader.done, reader.raw_header, judge(reader, data, rest)

    same_in_all_pieces(read, data)


def judge(reader: ResponseReader, data: bytes, rest: bytes) -> Any:
    """What the client makes of it: an error, or the subprotocol and what stood behind."""
    if not reader.done:
        check_error(reader.end())
        return "ends early"
    try:
        answer, subprotocol = check_response(reader, KEY, SUBPROTOCOLS)
    except WSHandshakeError as exc:
        check_error(exc)
        if answer_is_redirect(reader):
            check_redirect(reader)
        return type(exc)
    tail = reader.tail + rest
    assert data.endswith(reader.raw_header + tail)
    line, fields = fields_of(reader.raw_header)
    assert re.match(rb"HTTP/1\.1 101(?: |$)", line), line  # whatever the reason phrase is (RFC 9112 section 4)
    assert list_of(fields, "Upgrade").count("websocket") == 1
    assert "upgrade" in list_of(fields, "Connection")
    assert fields.getall("Sec-WebSocket-Accept") == [ACCEPT.decode()]
    assert fields.getall("Sec-WebSocket-Protocol", []) == ([] if subprotocol is None else [subprotocol])
    assert subprotocol is None or subprotocol in SUBPROTOCOLS
    check_extensions(answer.headers)
    return subprotocol, tail


def check_error(exc: WSHandshakeError) -> None:
    assert isinstance(exc, WSHandshakeError)
    assert str(exc)
    assert exc.is_temporary in (True, False)
    str(exc).encode("utf-8", "surrogateescape")


def answer_is_redirect(reader: ResponseReader) -> bool:
    return 300 <= reader.response().status < 400


def check_redirect(reader: ResponseReader) -> None:
    """Wherever it leads: a WebSocket URL, never a less secure one."""
    for base in ("ws://here:81/x/y?z", "wss://here/"):
        current = parse_url(base)
        try:
            following = _redirect_target(reader.refusal(), current)
        except WSHandshakeError as exc:
            check_error(exc)
            continue
        assert following.scheme in ("ws", "wss")
        assert following.is_secure or not current.is_secure


# ------------------------------------------------------------------ extensions, on both sides


def extensions(data: bytes) -> None:
    """One Sec-WebSocket-Extensions header for each line."""
    headers: CIMultiDict[str] = CIMultiDict()
    for line in data.split(b"\n"):
        headers.add("Sec-WebSocket-Extensions", line.decode("utf-8", "surrogateescape"))
    check_extensions(headers)


def check_extensions(headers: CIMultiDict[str]) -> None:
    try:
        found = parse_extensions(headers)
    except ValueError:
        return
    for name, parameters in found:
        assert re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name), name
        try:
            text = format_extension(name, parameters)
        except ValueError:
            continue  # a quoted value that is no token
        again: CIMultiDict[str] = CIMultiDict({"Sec-WebSocket-Extensions": text})
        assert parse_extensions(again) == [(name, parameters)]


def basic_credentials(authorization: str) -> tuple[str, str]:
    """As a server reads them (RFC 7617 section 2)."""
    scheme, _, encoded = authorization.partition(" ")
    assert scheme == "Basic"
    name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    return name, password
