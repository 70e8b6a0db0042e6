"""The opening handshake (RFC 6455 section 4): bytes to messages, and the rules for both sides.

No I/O and no asyncio: client.py and server.py carry the bytes. HTTP itself is
parsed by httptools (llhttp), fed with each piece once, as it comes.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Sequence
from typing import Any

import httptools
from multidict import CIMultiDict

from ws_core.errors import (
    WSHandshakeError,
    WSInvalidHeaderError,
    WSInvalidMessageError,
    WSInvalidStatusError,
    WSInvalidUpgradeError,
)
from ws_core.upgrade import WSHeadersLike, WSUpgradeRequest, WSUpgradeResponse, accept_key, add_headers
from ws_core.url import WSParsedURL

#: Bytes of request or status line and headers together.
MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 128
#: Bytes of a refusal's body that are kept.
MAX_BODY_BYTES = 64 * 1024


class HTTPProblem(Exception):
    """A request that gets a plain HTTP answer of this status instead of an upgrade."""

    def __init__(self, status: int, message: str, headers: WSHeadersLike | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class _Stop(Exception):
    """Out of a parser's callback: what is wrong with the message."""


class _Head:
    """What request and response have in common: collects headers and finds the end of the head."""

    _parser: Any

    def __init__(self) -> None:
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.head_done = False
        self.done = False
        self._raw = bytearray()
        self._field_bytes = 0

    def feed(self, data: bytes) -> bool:
        """Whether the message is complete. Raises what _read() raises; not to be called again after either."""
        complete = True
        try:
            complete = self._read(data)
        finally:
            if complete:
                self.let_go()
        return complete

    def _read(self, data: bytes) -> bool:
        raise NotImplementedError

    def let_go(self) -> None:
        """Nothing more is to be read. The parser holds methods of this object: without this, both wait for the
        collector."""
        self._parser = None

    # httptools calls these, and goes on: trailers may follow, or another message in the same piece. Neither is ours.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_done:
            return
        self._field_bytes += len(name) + len(value) + 4
        if self._field_bytes > MAX_HEAD_BYTES:
            raise _Stop(f"more than {MAX_HEAD_BYTES} bytes of headers")
        if len(self.headers) >= MAX_HEADERS:
            raise _Stop(f"more than {MAX_HEADERS} headers")
        self.headers.add(name.decode("ascii"), value.decode("utf-8", "surrogateescape").strip(" \t"))

    def on_headers_complete(self) -> None:
        self.head_done = True

    def on_message_complete(self) -> None:
        self.done = True

    def _keep(self, data: bytes) -> None:
        if not self.head_done:
            self._raw += data

    def _head_too_large(self) -> bool:
        """Whether a head that has no end is larger than we read. One that has an end was counted by its fields: what
        stands behind it in the same piece does not matter."""
        return not self.head_done and len(self._raw) > MAX_HEAD_BYTES


def _feed(parser: httptools.HttpRequestParser | httptools.HttpResponseParser, data: bytes) -> tuple[bytes | None, str]:
    """Feed `data`; returns what stands behind an upgrade (None: there was none), and what was wrong ("" : nothing)."""
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade as exc:
        return data[exc.args[0] :], ""
    except httptools.HttpParserCallbackError as exc:
        cause = exc.__context__
        if isinstance(cause, _Stop):
            return None, str(cause)
        raise
    except httptools.HttpParserError as exc:
        return None, str(exc.args[0]) if exc.args else type(exc).__name__
    return None, ""


class RequestReader(_Head):
    """Takes a request apart. After `done`: `request()` and `tail`."""

    def __init__(self) -> None:
        super().__init__()
        self._method = b""
        self._url = b""
        self._version = b""
        self._parser = httptools.HttpRequestParser(self)
        #: What came behind the request.
        self.tail = b""

    def on_url(self, url: bytes) -> None:
        if not self.head_done:
            self._field_bytes += len(url)
            if self._field_bytes > MAX_HEAD_BYTES:
                raise _Stop(f"more than {MAX_HEAD_BYTES} bytes of headers")
            self._url += url

    def on_headers_complete(self) -> None:
        if not self.head_done:
            self._method = self._parser.get_method()
            self._version = b"HTTP/" + self._parser.get_http_version().encode()
            self.head_done = True

    def _read(self, data: bytes) -> bool:
        """Whether the request is complete. Raises HTTPProblem for what is not HTTP, or more than we read."""
        self._keep(data)
        tail, problem = _feed(self._parser, data)
        if tail is not None:
            self.tail = tail
        if self._head_too_large():
            raise HTTPProblem(431, f"the request has more than {MAX_HEAD_BYTES} bytes of headers")
        if self.head_done and not self._is_http():
            raise HTTPProblem(505, "this server speaks HTTP/1.1")
        if self.done:
            self._check_body()
            return True
        if problem:
            if problem.startswith("more than"):
                raise HTTPProblem(431, f"the request has {problem}")
            if self._parser.get_http_version() not in ("0.0", "1.0", "1.1"):
                raise HTTPProblem(505, f"this server speaks HTTP/1.1, not {self._parser.get_http_version()}")
            raise HTTPProblem(400, f"not a valid HTTP request: {problem}")
        if self.head_done:
            self._check_body()  # before it has come: nobody here reads it
        return False

    def _is_http(self) -> bool:
        # By the bytes: to the parser RTSP/1.1 is version 1.1, too.
        request_line = self._raw.lstrip(b"\r\n").partition(b"\r\n")[0]
        return request_line.endswith((b" HTTP/1.1", b" HTTP/1.0"))

    def _check_body(self) -> None:
        # A body, or two opinions about where it ends, is how requests are
        # smuggled past a proxy (RFC 9112 section 11.2). No upgrade has one.
        if "Transfer-Encoding" in self.headers:
            raise HTTPProblem(400, "a request with Transfer-Encoding is not accepted here")
        lengths = self.headers.getall("Content-Length", [])
        if len(lengths) > 1 or (lengths and lengths[0].strip("0 \t") != ""):
            raise HTTPProblem(400, "a request with a body is not accepted here")

    def request(self) -> WSUpgradeRequest:
        return WSUpgradeRequest(self._method, self._url, self._version, self.headers)


class ResponseReader(_Head):
    """Takes an answer apart. Interim answers (1xx but 101) are passed over (RFC 9110 section 15.2)."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._status = 0
        self._version = b"HTTP/1.1"
        self._interim = 0
        self.tail = b""

    def on_headers_complete(self) -> None:
        if self.head_done:
            return
        status = self._parser.get_status_code()
        if status < 100:
            raise _Stop("Invalid response status")
        if status < 200 and status != 101:
            self._interim += 1
            self.headers = CIMultiDict()
            return
        self._status = status
        self._version = b"HTTP/" + self._parser.get_http_version().encode()
        self.head_done = True

    def on_body(self, data: bytes) -> None:
        if not self.done:
            self._body += data[: MAX_BODY_BYTES - len(self._body)]

    def on_message_complete(self) -> None:
        self.done = self.head_done

    def _read(self, data: bytes) -> bool:
        """Whether the answer is complete. Raises WSInvalidMessageError for what is not HTTP, or more than we read."""
        self._keep(data)
        tail, problem = _feed(self._parser, data)
        if tail is not None:
            self.tail = tail
        if self._head_too_large():
            raise self._error(f"the server's answer has more than {MAX_HEAD_BYTES} bytes of headers")
        if self.head_done and not self.raw_header.lstrip(b"\r\n").startswith(b"HTTP/"):
            raise self._error("the server's answer is not HTTP")  # the parser takes RTSP/1.1 and ICE/1.1 for it, too
        if self.done or (self.head_done and (problem or len(self._body) >= MAX_BODY_BYTES)):
            return True
        if problem:
            raise self._error(f"the server's answer is not HTTP: {problem}")
        return False

    def _error(self, message: str) -> WSInvalidMessageError:
        return WSInvalidMessageError(f"{message} (it begins with {bytes(self._raw[:80])!r})", bytes(self._raw))

    def end(self) -> WSHandshakeError:
        """The stream ended, or time ran out, before the answer was complete: what to say."""
        if self.head_done and self._status != 101:
            return self.refusal()
        if not self._raw:
            return WSInvalidMessageError("the server closed the connection without an answer to the upgrade request")
        return self._error("the server's answer to the upgrade request ended early")

    @property
    def raw_header(self) -> bytes:
        start = 0
        for _ in range(self._interim):
            start = self._raw.index(b"\r\n\r\n", start) + 4
        end = self._raw.find(b"\r\n\r\n", start)
        return bytes(self._raw[start : end + 4] if end >= 0 else self._raw[start:])

    @property
    def has_answer(self) -> bool:
        """Whether at least the head of a final answer is here."""
        return self.head_done

    def response(self) -> WSUpgradeResponse:
        response = WSUpgradeResponse(self._status, None, bytes(self._body) or None, self._version)
        response.headers = self.headers
        return response

    def refusal(self) -> WSInvalidStatusError:
        response = self.response()
        says = f": {response.body[:200]!r}" if response.body else ""
        return WSInvalidStatusError(
            f"the server refused the upgrade with HTTP status {int(response.status)}{says}",
            self.raw_header,
            response.body,
            response,
        )


def tokens(headers: CIMultiDict[str], name: str) -> list[str]:
    """A header as the list of comma-separated tokens that it is, over all its lines (RFC 9110 section 5.6.1)."""
    return [token.strip() for value in headers.getall(name, []) for token in value.split(",") if token.strip()]


def has_token(headers: CIMultiDict[str], name: str, token: str) -> bool:
    """Whether the list in header `name` has `token`, which is given in lower case."""
    value = headers.get(name)
    if value is None:
        return False
    if value.lower() == token:
        return True  # what nearly everybody sends
    return any(found.lower() == token for found in tokens(headers, name))


def new_key() -> str:
    """A fresh Sec-WebSocket-Key (section 4.1)."""
    return base64.b64encode(os.urandom(16)).decode()


# ------------------------------------------------------------------ client


def build_request(
    url: WSParsedURL,
    key: str,
    extra_headers: WSHeadersLike | None,
    subprotocols: Sequence[str],
    user_info: tuple[str, str] | None,
) -> WSUpgradeRequest:
    """The request of section 4.1."""
    headers: CIMultiDict[str] = CIMultiDict()
    headers["Host"] = url.netloc
    headers["Upgrade"] = "websocket"
    headers["Connection"] = "Upgrade"
    headers["Sec-WebSocket-Version"] = "13"
    headers["Sec-WebSocket-Key"] = key
    if subprotocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
    add_headers(headers, extra_headers)
    if user_info is not None and "Authorization" not in headers:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(user_info).encode()).decode()
    return WSUpgradeRequest(b"GET", url.resource_name.encode("ascii"), b"HTTP/1.1", headers)


def check_response(
    reader: ResponseReader, key: str, subprotocols: Sequence[str]
) -> tuple[WSUpgradeResponse, str | None]:
    """The client's checks of section 4.1; returns the answer and the chosen subprotocol."""
    response = reader.response()
    headers = response.headers
    raw = reader.raw_header
    if response.status != 101:
        raise reader.refusal()
    if response.version != b"HTTP/1.1":
        raise WSInvalidMessageError(f"the server answered the upgrade with {response.version!r}", raw, None, response)
    if [token.lower() for token in tokens(headers, "Upgrade")] != ["websocket"]:
        raise _header_error(WSInvalidUpgradeError, "Upgrade", "must be websocket", raw, response)
    if not has_token(headers, "Connection", "upgrade"):
        raise _header_error(WSInvalidUpgradeError, "Connection", "must contain upgrade", raw, response)
    if headers.getall("Sec-WebSocket-Accept", []) != [accept_key(key)]:
        raise _header_error(
            WSInvalidHeaderError, "Sec-WebSocket-Accept", "does not match the key that we sent", raw, response
        )
    chosen = headers.getall("Sec-WebSocket-Protocol", [])
    if len(chosen) > 1 or (chosen and chosen[0] not in subprotocols):
        raise _header_error(
            WSInvalidHeaderError, "Sec-WebSocket-Protocol", "chooses what we did not offer", raw, response
        )
    return response, chosen[0] if chosen else None


def _header_error(
    kind: type[WSInvalidHeaderError], name: str, problem: str, raw: bytes, response: WSUpgradeResponse
) -> WSInvalidHeaderError:
    value = ", ".join(response.headers.getall(name, [])) if name in response.headers else None
    shown = "is missing" if value is None else f"is {value!r}"
    return kind(f"header {name} of the server's answer {shown}: it {problem}", name, value, raw, None, response)


# ------------------------------------------------------------------ server


def check_request(request: WSUpgradeRequest) -> str:
    """The server's checks of section 4.2.1; returns Sec-WebSocket-Accept. HTTPProblem says what is wrong."""
    headers = request.headers
    if request.method != b"GET":
        raise HTTPProblem(405, "a WebSocket is opened by GET", [("Allow", "GET")])
    if not has_token(headers, "Upgrade", "websocket") or not has_token(headers, "Connection", "upgrade"):
        raise HTTPProblem(
            426,
            "this is a WebSocket endpoint: the request must have 'Upgrade: websocket' and 'Connection: Upgrade'",
            [("Upgrade", "websocket")],
        )
    if request.version != b"HTTP/1.1":
        raise HTTPProblem(505, "a WebSocket is opened by HTTP/1.1")
    if len(headers.getall("Host", [])) != 1:
        raise HTTPProblem(400, "the request must have one Host header")
    if headers.getall("Sec-WebSocket-Version", []) != ["13"]:
        raise HTTPProblem(
            426, "Sec-WebSocket-Version must be 13", [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
        )
    keys = headers.getall("Sec-WebSocket-Key", [])
    try:
        valid = len(keys) == 1 and len(base64.b64decode(keys[0].encode("ascii"), validate=True)) == 16
    except (UnicodeEncodeError, binascii.Error):
        valid = False
    if not valid:
        raise HTTPProblem(400, "Sec-WebSocket-Key must be 16 bytes in base64, once")
    return accept_key(keys[0])


def is_upgrade(request: WSUpgradeRequest) -> bool:
    """Whether the request wants a WebSocket at all."""
    return has_token(request.headers, "Upgrade", "websocket")


def choose_subprotocol(request: WSUpgradeRequest, supported: Sequence[str]) -> str | None:
    """The first of ours that the client offers too."""
    offered = tokens(request.headers, "Sec-WebSocket-Protocol")
    return next((name for name in supported if name in offered), None)


def check_subprotocols(subprotocols: Sequence[str]) -> tuple[str, ...]:
    """Names are tokens (section 4.1), each once."""
    if isinstance(subprotocols, str) or not isinstance(subprotocols, Iterable):
        raise TypeError(f"subprotocols must be a sequence of names, not {subprotocols!r}")
    names = tuple(subprotocols)
    probe: CIMultiDict[str] = CIMultiDict()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a subprotocol must be a str, not {name!r}")
        try:
            add_headers(probe, [(name, "")])
        except ValueError:
            raise ValueError(f"{name!r} is not a valid subprotocol name (RFC 6455 4.1)") from None
    if len(set(names)) != len(names):
        raise ValueError("a subprotocol is listed twice")
    return names
