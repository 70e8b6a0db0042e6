"""Enums, errors, and the HTTP messages of the upgrade."""

from __future__ import annotations

from enum import IntEnum
from http import HTTPStatus
from typing import Literal

from multidict import CIMultiDict
from typing_extensions import assert_type

from checks import check
from ws_core import (
    WS_DEBUG_LL,
    WSAutoPingStrategy,
    WSCloseCode,
    WSError,
    WSHandshakeError,
    WSInvalidHeaderError,
    WSInvalidStatusError,
    WSInvalidUpgradeError,
    WSInvalidURL,
    WSListener,
    WSMissingExtension,
    WSMsgType,
    WSParsedURL,
    WSProtocolError,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    __version__,
    abi_version,
    get_include,
)
from ws_core.url import parse_url


def test_enums_are_ints() -> None:
    number: int = check(assert_type(WSMsgType.TEXT, Literal[WSMsgType.TEXT]), WSMsgType)
    assert number == 1
    members: list[IntEnum] = [WSMsgType.TEXT, WSCloseCode.OK, WSAutoPingStrategy.PING_WHEN_IDLE]
    check(members, list[IntEnum])
    check(assert_type(WSMsgType(2), WSMsgType), WSMsgType)
    check(assert_type(list(WSCloseCode), list[WSCloseCode]), list[WSCloseCode])
    check(assert_type(WSCloseCode.OK.name, Literal["OK"]), str)


def test_constants() -> None:
    check(assert_type(WS_DEBUG_LL, int), int)
    check(assert_type(abi_version, int), int)
    check(assert_type(get_include(), str), str)
    text: str = check(__version__, str)
    assert text


def test_errors() -> None:
    error = WSInvalidStatusError("no", b"HTTP/1.1 503\r\n\r\n", b"busy", WSUpgradeResponse(503))
    handshake: WSHandshakeError = error
    check(assert_type(handshake.raw_header, bytes | None), bytes)
    check(assert_type(handshake.raw_body, bytes | None), bytes)
    check(assert_type(handshake.response, WSUpgradeResponse | None), WSUpgradeResponse)
    check(assert_type(error.is_temporary, bool), bool)
    header: WSInvalidHeaderError = WSInvalidUpgradeError("no", "Upgrade")
    check(assert_type(header.name, str), str)
    check(assert_type(header.value, str | None), None)
    protocol = WSProtocolError(WSCloseCode.POLICY_VIOLATION, "no")
    check(assert_type(protocol.code, int), WSCloseCode)
    check(assert_type(protocol.message, str), str)
    errors: list[WSError] = [error, header, protocol]
    check(assert_type([each.is_temporary for each in errors], list[bool]), list[bool])
    check(assert_type(WSInvalidURL("x", "no").url, str), str)
    check(assert_type(WSMissingExtension("proxy=", "wirelark-ws-proxy", "proxy").distribution, str), str)


def test_the_upgrade() -> None:
    request = WSUpgradeRequest(b"GET", b"/", b"HTTP/1.1", CIMultiDict({"Host": "example.org"}))
    for part in (request.method, request.path, request.version, request.to_bytes()):
        check(assert_type(part, bytes), bytes)
    check(assert_type(request.headers, CIMultiDict[str]), CIMultiDict)
    check(assert_type(request.headers["host"], str), str)
    response = WSUpgradeResponse.create_error_response(404, b"no", [("X-One", "1")])
    check(assert_type(response, WSUpgradeResponse), WSUpgradeResponse)
    check(assert_type(response.status, HTTPStatus | int), HTTPStatus)
    check(assert_type(response.body, bytes | None), bytes)
    check(assert_type(response.version, bytes), bytes)
    check(assert_type(WSUpgradeResponse.create_ok_response(), WSUpgradeResponse), WSUpgradeResponse)
    check(assert_type(WSUpgradeResponse.create_redirect_response(301, "/"), WSUpgradeResponse), WSUpgradeResponse)
    both = WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response({"X-One": "1"}), WSListener())
    check(assert_type(both.response, WSUpgradeResponse), WSUpgradeResponse)
    check(assert_type(both.listener, WSListener | None), WSListener)


def test_urls() -> None:
    url = check(assert_type(parse_url("wss://a:b@example.org/x?y"), WSParsedURL), WSParsedURL)
    for text in (url.url, url.scheme, url.netloc, url.host, url.path, url.query, url.resource_name):
        check(assert_type(text, str), str)
    check(assert_type(url.port, int), int)
    check(assert_type(url.is_secure, bool), bool)
    check(assert_type(url.username, str | None), str)
    check(assert_type(url.user_info, tuple[str, str] | None), tuple[str, str])
    check(assert_type(url.origin, tuple[str, str, int]), tuple[str, str, int])
