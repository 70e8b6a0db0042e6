"""The HTTP messages of the upgrade, as users see and make them (RFC 6455 section 4, RFC 9110)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from multidict import CIMultiDict

if TYPE_CHECKING:
    from ws_core._listener import WSListener

__all__ = ["WSHeadersLike", "WSUpgradeRequest", "WSUpgradeResponse", "WSUpgradeResponseWithListener"]

WSHeadersLike = Mapping[str, str] | Iterable[tuple[str, str]]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
# Also half a surrogate pair, which has no bytes; those that stand for bytes which were no UTF-8 go out as they came in.
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udc7f\udd00-\udfff]")


def add_headers(headers: CIMultiDict[str], extra: WSHeadersLike | None) -> None:
    """Add a user's headers; `Host` replaces. Names and values that would break the message apart are refused."""
    if not extra:
        return
    if isinstance(extra, str) or not isinstance(extra, Iterable):
        raise TypeError(f"headers must be a mapping, or pairs of a name and a value, not {extra!r}")
    pairs = cast("Iterable[tuple[str, str]]", extra.items() if isinstance(extra, Mapping) else extra)
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"a header must be a pair of a name and a value, not {pair!r}")
        name, value = pair
        _check_header(name, value)
        if name.lower() == "host":
            headers[name] = value
        else:
            headers.add(name, value)


def _check_header(name: str, value: str) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"header names and values must be str, got {name!r}: {value!r}")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid header name")
    if _BAD_VALUE.search(value):
        raise ValueError(
            f"the value of header {name!r} has a line break, another control character or half a surrogate pair in it"
        )


def encode_head(first_line: str, headers: CIMultiDict[str]) -> bytes:
    """Start line and headers as they go over the wire. Checked again: users may have put headers in by themselves."""
    lines = [first_line]
    for name, value in headers.items():
        _check_header(name, value)
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


class WSUpgradeRequest:
    """A request for an upgrade, or, on a server, whatever request came."""

    __slots__ = ("headers", "method", "path", "version")

    #: b"GET"
    method: bytes
    #: The request target: path and query, percent-encoded.
    path: bytes
    #: b"HTTP/1.1"
    version: bytes
    headers: CIMultiDict[str]

    def __init__(self, method: bytes, path: bytes, version: bytes, headers: CIMultiDict[str]) -> None:
        self.method = method
        self.path = path
        self.version = version
        self.headers = headers

    def to_bytes(self) -> bytes:
        """As it goes over the wire."""
        return encode_head(f"{self.method.decode()} {self.path.decode()} {self.version.decode()}", self.headers)

    def __repr__(self) -> str:
        return f"<WSUpgradeRequest {self.method.decode()} {self.path.decode()} {self.version.decode()}>"


def status_of(code: int) -> HTTPStatus | int:
    """The HTTPStatus of a code; the code itself where none has a name (521)."""
    try:
        return HTTPStatus(code)
    except ValueError:
        return code


class WSUpgradeResponse:
    """The answer to a request for an upgrade: 101, or another plain HTTP answer."""

    __slots__ = ("body", "headers", "status", "version")

    #: b"HTTP/1.1"
    version: bytes
    #: HTTPStatus, or an int where the code has no name.
    status: HTTPStatus | int
    headers: CIMultiDict[str]
    body: bytes | None

    def __init__(
        self,
        status: int,
        headers: WSHeadersLike | None = None,
        body: bytes | None = None,
        version: bytes = b"HTTP/1.1",
    ) -> None:
        if not 100 <= status <= 999:
            raise ValueError(f"an HTTP status has three digits, not {status!r}")
        self.version = version
        self.status = status_of(status)
        self.headers = CIMultiDict()
        add_headers(self.headers, headers)
        self.body = None if body is None else memoryview(body).tobytes()  # bytes() makes zeros of a number

    @staticmethod
    def create_101_response(extra_headers: WSHeadersLike | None = None) -> WSUpgradeResponse:
        """101 Switching Protocols: the upgrade is accepted."""
        response = WSUpgradeResponse(101, extra_headers)
        response.headers["Upgrade"] = "websocket"
        response.headers["Connection"] = "Upgrade"
        return response

    @staticmethod
    def create_ok_response(body: bytes | None = None, extra_headers: WSHeadersLike | None = None) -> WSUpgradeResponse:
        """200 OK, for a health check or a small page. The type is plain text in UTF-8 unless `extra_headers` say so."""
        response = WSUpgradeResponse(200, extra_headers, body)
        response.headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        return response

    @staticmethod
    def create_error_response(
        status: int, body: bytes | None = None, extra_headers: WSHeadersLike | None = None
    ) -> WSUpgradeResponse:
        """A refusal. ValueError if `status` is below 400."""
        if status < 400:
            raise ValueError(f"the status of an error response is 400 or more, not {status}")
        return WSUpgradeResponse(status, extra_headers, body)

    @staticmethod
    def create_redirect_response(
        status: int, location: str, extra_headers: WSHeadersLike | None = None
    ) -> WSUpgradeResponse:
        """Send the client to `location`. ValueError if `status` is not 3xx, or `location` has control characters."""
        if not 300 <= status <= 399:
            raise ValueError(f"the status of a redirect is 3xx, not {status}")
        response = WSUpgradeResponse(status, extra_headers)
        add_headers(response.headers, [("Location", location)])
        return response

    def to_bytes(self, *, head_only: bool = False) -> bytes:
        """
        As it goes over the wire; the length is added. `head_only`: the answer to a HEAD request.

        A status that has no body (1xx, 204, 304) is sent without it.
        """
        body = self.body or b""
        headers = self.headers
        if self.status < 200 or self.status == 204:
            head_only = True
        else:
            headers = CIMultiDict(headers)
            head_only = head_only or self.status == 304
            headers["Content-Length"] = str(len(body))
            if body:
                headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        phrase = self.status.phrase if isinstance(self.status, HTTPStatus) else ""
        head = encode_head(f"{self.version.decode()} {int(self.status)} {phrase}", headers)
        return head if head_only else head + body

    def __repr__(self) -> str:
        return f"<WSUpgradeResponse {int(self.status)}>"


def copy_response(response: WSUpgradeResponse) -> WSUpgradeResponse:
    """Another object that says the same: the user's own may be in use for other connections, too."""
    copy = WSUpgradeResponse(response.status, None, response.body, response.version)
    copy.headers = CIMultiDict(response.headers)
    return copy


def accept_key(key: str) -> str:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2)."""
    import hashlib  # with the first upgrade, not with the package

    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()).decode()


# What a server answers nearly always. It is written without an object, which is made if somebody asks for it.
_USUAL_HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


def usual_answer_bytes(accept: str) -> bytes:
    """The bytes of :func:`usual_answer`."""
    return b"%bSec-WebSocket-Accept: %b\r\n\r\n" % (_USUAL_HEAD, accept.encode("ascii"))


def usual_answer(request: WSUpgradeRequest) -> WSUpgradeResponse:
    """The answer to `request`, a valid one, where neither the factory nor an extension nor a subprotocol adds to it."""
    response = WSUpgradeResponse.create_101_response()
    response.headers["Sec-WebSocket-Accept"] = accept_key(request.headers["Sec-WebSocket-Key"])
    return response


class WSUpgradeResponseWithListener:
    """What a server's factory returns to give its own answer: the response, and the listener if it is a 101."""

    __slots__ = ("listener", "response")

    def __init__(self, response: WSUpgradeResponse, listener: WSListener | None) -> None:
        if response.status == 101 and listener is None:
            raise ValueError("a 101 response needs a listener")
        if response.status != 101 and listener is not None:
            raise ValueError(
                f"a response with status {int(response.status)} opens no connection: listener must be None"
            )
        self.response: WSUpgradeResponse = response
        self.listener: WSListener | None = listener
