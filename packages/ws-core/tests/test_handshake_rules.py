"""What each side of the opening handshake demands of the other, without sockets (RFC 6455 section 4).

How the messages are taken apart is test_handshake_reading.py.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
from multidict import CIMultiDict

from harness import request_bytes
from ws_core import (
    WSHandshakeError,
    WSInvalidHeaderError,
    WSInvalidMessageError,
    WSInvalidUpgradeError,
    WSUpgradeRequest,
    WSUpgradeResponse,
)
from ws_core._handshake import (
    HTTPProblem,
    RequestReader,
    ResponseReader,
    accept_key,
    build_request,
    check_request,
    check_response,
    check_subprotocols,
    choose_subprotocol,
    has_token,
    new_key,
    tokens,
)
from ws_core.url import parse_url

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GOOD = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n"


# ------------------------------------------------------------------ what the client demands


def judge(head: str, subprotocols: tuple[str, ...] = (), key: str = KEY) -> tuple[WSUpgradeResponse, str | None]:
    reader = ResponseReader()
    assert reader.feed(head.encode() + b"\r\n")
    return check_response(reader, key, subprotocols)


def test_the_accept_key_of_the_rfc() -> None:
    assert accept_key(KEY) == ACCEPT
    response, subprotocol = judge("HTTP/1.1 101 Switching Protocols\r\n" + GOOD)
    assert response.status == 101
    assert subprotocol is None


def test_keys_are_random() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(base64.b64decode(key)) for key in keys} == {16}


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "WEBSOCKET", "websocket \t"])
@pytest.mark.parametrize(
    "connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "Upgrade,keep-alive", ", upgrade ,"]
)
def test_headers_are_lists_of_tokens(upgrade: str, connection: str) -> None:
    judge(f"HTTP/1.1 101 Go\r\nUPGRADE: {upgrade}\r\nconnection: {connection}\r\nSec-Websocket-accept: {ACCEPT}\r\n")
    judge(f"HTTP/1.1 101\r\nConnection: close\r\nConnection: {connection}\r\n{GOOD.replace('Connection', 'X')}")


@pytest.mark.parametrize(
    ("head", "kind", "name", "value"),
    [
        (GOOD.replace("Upgrade: websocket\r\n", ""), WSInvalidUpgradeError, "Upgrade", None),
        (GOOD.replace("websocket", "h2c"), WSInvalidUpgradeError, "Upgrade", "h2c"),
        (GOOD.replace("websocket", "websockets"), WSInvalidUpgradeError, "Upgrade", "websockets"),
        (GOOD.replace("websocket", "websocket, h2c"), WSInvalidUpgradeError, "Upgrade", "websocket, h2c"),
        (GOOD + "Upgrade: websocket\r\n", WSInvalidUpgradeError, "Upgrade", "websocket, websocket"),
        (GOOD.replace("Connection: Upgrade\r\n", ""), WSInvalidUpgradeError, "Connection", None),
        (GOOD.replace("Connection: Upgrade", "Connection: close"), WSInvalidUpgradeError, "Connection", "close"),
        (GOOD.replace("Connection: Upgrade", "Connection: upgrades"), WSInvalidUpgradeError, "Connection", "upgrades"),
        (GOOD.replace(f"{ACCEPT}", "x"), WSInvalidHeaderError, "Sec-WebSocket-Accept", "x"),
        (GOOD.replace(ACCEPT, ACCEPT.swapcase()), WSInvalidHeaderError, "Sec-WebSocket-Accept", ACCEPT.swapcase()),
        (GOOD.split("Sec-")[0], WSInvalidHeaderError, "Sec-WebSocket-Accept", None),
        (
            f"{GOOD}Sec-WebSocket-Accept: {ACCEPT}\r\n",
            WSInvalidHeaderError,
            "Sec-WebSocket-Accept",
            f"{ACCEPT}, {ACCEPT}",
        ),
        (GOOD + "Sec-WebSocket-Protocol: c\r\n", WSInvalidHeaderError, "Sec-WebSocket-Protocol", "c"),
        (GOOD + "Sec-WebSocket-Protocol: A\r\n", WSInvalidHeaderError, "Sec-WebSocket-Protocol", "A"),
        (GOOD + "Sec-WebSocket-Protocol: a, b\r\n", WSInvalidHeaderError, "Sec-WebSocket-Protocol", "a, b"),
        (GOOD + "Sec-WebSocket-Protocol: a\r\n" * 2, WSInvalidHeaderError, "Sec-WebSocket-Protocol", "a, a"),
    ],
)
def test_a_101_that_is_wrong(head: str, kind: type[WSInvalidHeaderError], name: str, value: str | None) -> None:
    with pytest.raises(WSHandshakeError) as caught:
        judge("HTTP/1.1 101 Switching Protocols\r\n" + head, ("a", "b"))
    error = caught.value
    assert type(error) is kind
    assert isinstance(error, WSInvalidHeaderError)
    assert (error.name, error.value) == (name, value)
    assert name in str(error)
    assert error.raw_header == f"HTTP/1.1 101 Switching Protocols\r\n{head}\r\n".encode()
    assert error.response is not None
    assert error.response.status == 101


def test_a_101_of_http_1_0() -> None:
    with pytest.raises(WSInvalidMessageError, match=r"HTTP/1\.0"):
        judge("HTTP/1.0 101 Switching Protocols\r\n" + GOOD)


def test_the_chosen_subprotocol() -> None:
    head = "HTTP/1.1 101 Go\r\n" + GOOD
    assert judge(head + "Sec-WebSocket-Protocol: b\r\n", ("a", "b"))[1] == "b"
    assert judge(head, ("a", "b"))[1] is None


def test_the_request_that_we_send() -> None:
    url = parse_url("ws://h:81/a?b")
    request = build_request(url, KEY, {"X-A": "b"}, ("one", "two"), ("usär", "p:w"))
    assert request.to_bytes().startswith(b"GET /a?b HTTP/1.1\r\nHost: h:81\r\n")
    assert dict(request.headers) == {
        "Host": "h:81",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Protocol": "one, two",
        "Authorization": "Basic " + base64.b64encode("usär:p:w".encode()).decode(),
        "X-A": "b",
    }
    plain = build_request(url, KEY, None, (), None)
    assert "Authorization" not in plain.headers
    assert "Sec-WebSocket-Protocol" not in plain.headers


def test_a_header_that_the_user_gives_is_sent_once() -> None:
    url = parse_url("ws://h/")
    request = build_request(url, KEY, [("host", "other"), ("authorization", "Bearer x")], (), ("user", "pw"))
    assert request.headers.getall("Host") == ["other"]
    assert request.headers.getall("Authorization") == ["Bearer x"]


# ------------------------------------------------------------------ what the server demands


def judged(changes: dict[str, str | None] | None = None, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> Any:
    """The value of Sec-WebSocket-Accept, or the problem."""
    reader = RequestReader()
    assert reader.feed(request_bytes(headers=changes))
    request = reader.request()
    request.method, request.version = method, version
    try:
        return check_request(request)
    except HTTPProblem as problem:
        return problem


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Connection": "keep-alive, Upgrade"},  # Firefox
        {"Connection": "Upgrade, keep-alive"},
        {"Connection": "upgrade\t"},
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Sec-WebSocket-Version": " 13 \t"},
        {"Host": ""},
    ],
)
def test_requests_for_an_upgrade(changes: dict[str, str | None]) -> None:
    assert judged(changes) == ACCEPT


@pytest.mark.parametrize(
    ("changes", "status", "headers"),
    [
        ({"Upgrade": None}, 426, {"Upgrade": "websocket"}),
        ({"Upgrade": "h2c"}, 426, {"Upgrade": "websocket"}),
        ({"Connection": None}, 426, {"Upgrade": "websocket"}),
        ({"Connection": "keep-alive"}, 426, {"Upgrade": "websocket"}),
        ({"Connection": "keep-alive Upgrade"}, 426, {"Upgrade": "websocket"}),
        ({"Host": None}, 400, {}),
        ({"host": "two"}, 400, {}),
        ({"Sec-WebSocket-Version": None}, 426, {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}),
        ({"Sec-WebSocket-Version": "8"}, 426, {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}),
        ({"Sec-WebSocket-Version": "13, 8"}, 426, {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}),
        ({"Sec-WebSocket-Key": None}, 400, {}),
        ({"Sec-WebSocket-Key": ""}, 400, {}),
        ({"Sec-WebSocket-Key": "abc"}, 400, {}),
        ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ"}, 400, {}),
        ({"Sec-WebSocket-Key": KEY[:-4]}, 400, {}),
        ({"Sec-WebSocket-Key": base64.b64encode(bytes(17)).decode()}, 400, {}),
        ({"Sec-WebSocket-Key": KEY[:8] + "!" + KEY[8:]}, 400, {}),
        ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQé="}, 400, {}),
        ({"sec-websocket-key": KEY}, 400, {}),
    ],
)
def test_requests_that_get_no_upgrade(changes: dict[str, str | None], status: int, headers: dict[str, str]) -> None:
    problem = judged(changes)
    assert isinstance(problem, HTTPProblem)
    assert problem.status == status
    assert dict(problem.headers or {}) == headers


def test_methods_and_versions() -> None:
    head = judged(method=b"HEAD")
    assert (head.status, dict(head.headers)) == (405, {"Allow": "GET"})
    assert judged(version=b"HTTP/1.0").status == 505
    assert judged(version=b"HTTP/2.0").status == 505


# ------------------------------------------------------------------ small parts


def test_tokens() -> None:
    headers = CIMultiDict([("X", "a, B ,,c"), ("x", "\td\t"), ("X", ""), ("Y", "e")])
    assert tokens(headers, "X") == ["a", "B", "c", "d"]
    assert has_token(headers, "X", "b")
    assert not has_token(headers, "X", "e")
    assert tokens(headers, "Z") == []


def test_the_servers_order_chooses() -> None:
    def choose(supported: tuple[str, ...], *offered: str) -> str | None:
        headers = CIMultiDict([("Sec-WebSocket-Protocol", value) for value in offered])
        return choose_subprotocol(WSUpgradeRequest(b"GET", b"/", b"HTTP/1.1", headers), supported)

    assert choose(("a", "b"), "b, a") == "a"
    assert choose(("a", "b"), "c,b") == "b"
    assert choose(("a", "b"), "c", "b") == "b"
    assert choose(("a", "b"), "A, B") is None
    assert choose(("a", "b")) is None
    assert choose((), "a") is None


def test_subprotocol_names() -> None:
    assert check_subprotocols(["a", "b.c"]) == ("a", "b.c")
    for bad in (["a b"], ["a,b"], [""], ["ä"], ["a\r\nX: y"], ["a", "a"]):
        with pytest.raises(ValueError, match="subprotocol"):
            check_subprotocols(bad)
    for worse in ("abc", [b"a"], [None]):
        with pytest.raises(TypeError, match="subprotocol"):
            check_subprotocols(worse)  # type: ignore[arg-type]
