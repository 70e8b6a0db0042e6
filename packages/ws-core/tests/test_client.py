"""ws_connect when all goes well: the factory, what the request says, and what may come with the answer.

Refusals and broken handshakes are test_client_failures.py, redirects test_client_redirects.py, sockets
test_client_sockets.py.
"""

from __future__ import annotations

import base64
import functools
from typing import Any

import pytest

from harness import Net, RawPeer, Recorder, accept_key, frame_bytes, until, within
from ws_core import WSMsgType, WSUpgradeRequest, WSUpgradeResponse

# ------------------------------------------------------------------ the factory


class TwoArguments(Recorder):
    def __init__(self, request: WSUpgradeRequest, response: WSUpgradeResponse) -> None:
        super().__init__()
        self.given = (request, response)


def two_arguments(request: WSUpgradeRequest, response: WSUpgradeResponse) -> TwoArguments:
    return TwoArguments(request, response)


class Maker:
    def nothing(self) -> Recorder:
        return Recorder()

    def both(self, request: WSUpgradeRequest, response: WSUpgradeResponse) -> TwoArguments:
        return TwoArguments(request, response)

    def __call__(self, request: WSUpgradeRequest, response: WSUpgradeResponse) -> TwoArguments:
        return TwoArguments(request, response)


def three(prefix: str, request: WSUpgradeRequest, response: WSUpgradeResponse) -> TwoArguments:
    assert prefix == "given"
    return TwoArguments(request, response)


@pytest.mark.parametrize(
    "factory",
    [Recorder, lambda: Recorder(), Maker().nothing, functools.partial(Recorder), lambda made=None: made or Recorder()],
    ids=["class", "lambda", "method", "partial", "optional"],
)
async def test_a_factory_that_takes_nothing(plain_net: Net, factory: Any) -> None:
    server = await plain_net.serve()
    transport, listener = await plain_net.connect(server, factory)
    assert type(listener) is Recorder
    assert listener.transport is transport
    assert listener.events == ["connected"]


@pytest.mark.parametrize(
    "factory",
    [
        TwoArguments,
        two_arguments,
        lambda request, response: TwoArguments(request, response),
        Maker().both,
        Maker(),
        functools.partial(three, "given"),
        lambda *arguments: TwoArguments(*arguments),
    ],
    ids=["class", "function", "lambda", "method", "callable", "partial", "any number"],
)
async def test_a_factory_that_takes_request_and_response(plain_net: Net, factory: Any) -> None:
    server = await plain_net.serve()
    transport, listener = await plain_net.connect(server, factory, extra_headers={"X-A": "b"})
    request, response = listener.given
    assert isinstance(request, WSUpgradeRequest)
    assert isinstance(response, WSUpgradeResponse)
    assert request is transport.request
    assert response is transport.response
    assert (request.method, request.path, request.version) == (b"GET", b"/", b"HTTP/1.1")
    assert request.headers["x-a"] == "b"
    assert response.status == 101
    assert response.headers["upgrade"] == "websocket"


async def test_the_factory_is_called_once_after_the_upgrade(net: Net) -> None:
    calls: list[int] = []
    server = await net.serve()

    def factory() -> Recorder:
        calls.append(len(server.connections))
        return Recorder()

    await net.connect(server, factory)
    assert calls == [1]


@pytest.mark.parametrize("error", [TypeError, RuntimeError, StopIteration, KeyError])
@pytest.mark.parametrize("takes", [0, 2])
async def test_a_factory_that_raises_is_called_once(plain_net: Net, error: type[Exception], takes: int) -> None:
    calls: list[Any] = []
    made: list[Recorder] = []

    def serving(request: WSUpgradeRequest) -> Recorder:
        made.append(Recorder())
        return made[-1]

    def nothing() -> Recorder:
        calls.append(())
        raise error("missing 1 required positional argument: 'response'")

    def both(request: WSUpgradeRequest, response: WSUpgradeResponse) -> Recorder:
        calls.append((request, response))
        raise error("takes 0 positional arguments but 2 were given")

    server = await plain_net.serve(serving)
    # A coroutine cannot raise StopIteration.
    with pytest.raises(RuntimeError if error is StopIteration else error):
        await plain_net.connect(server, both if takes else nothing)
    assert len(calls) == 1
    await made[0].event("disconnected")


@pytest.mark.parametrize("result", [None, "listener", Recorder, object()])
async def test_a_factory_that_makes_no_listener(plain_net: Net, result: object) -> None:
    server_side: list[Recorder] = []

    def serving(request: WSUpgradeRequest) -> Recorder:
        server_side.append(Recorder())
        return server_side[-1]

    server = await plain_net.serve(serving)
    with pytest.raises(TypeError, match="WSListener"):
        await plain_net.connect(server, lambda: result)
    await server_side[0].event("disconnected")


# ------------------------------------------------------------------ the request


async def request_of(
    net: Net, path: str = "/", user_info: str = "", **kwargs: Any
) -> tuple[str, list[tuple[str, str]]]:
    """Request line and headers of a connection as a server sees them."""
    heads: list[bytes] = []

    async def serve(peer: RawPeer) -> None:
        heads.append(await net.accept_upgrade(peer))

    port = await net.raw_server(serve)
    scheme = "wss" if net.tls else "ws"
    await net.connect(f"{scheme}://{user_info}127.0.0.1:{port}{path}", **kwargs)
    first, *lines = heads[0].decode().removesuffix("\r\n\r\n").split("\r\n")
    headers = [tuple(line.split(": ", 1)) for line in lines]
    return first.replace(str(port), "PORT"), [(name, value.replace(str(port), "PORT")) for name, value in headers]


async def test_the_request(net: Net) -> None:
    first, headers = await request_of(net, "/a/ä?b=c d".replace(" ", "%20"))
    assert first == "GET /a/%C3%A4?b=c%20d HTTP/1.1"
    names = [name.lower() for name, _ in headers]
    assert sorted(names) == ["connection", "host", "sec-websocket-key", "sec-websocket-version", "upgrade"]
    values = dict(headers)
    assert values["Host"] == "127.0.0.1:PORT"
    assert values["Connection"] == "Upgrade"
    assert values["Upgrade"] == "websocket"
    assert values["Sec-WebSocket-Version"] == "13"
    assert len(base64.b64decode(values["Sec-WebSocket-Key"])) == 16


async def test_no_path_asks_for_the_root(one_net: Net) -> None:
    assert (await request_of(one_net, ""))[0] == "GET / HTTP/1.1"
    assert (await request_of(one_net, "?a"))[0] == "GET /?a HTTP/1.1"


async def test_each_connection_has_a_key_of_its_own(one_net: Net) -> None:
    keys = {dict((await request_of(one_net))[1])["Sec-WebSocket-Key"] for _ in range(5)}
    assert len(keys) == 5


@pytest.mark.parametrize(
    "extra",
    [{"X-A": "1", "X-B": "2 ü"}, [("X-A", "1"), ("X-B", "2 ü")], zip(["X-A", "X-B"], ["1", "2 ü"], strict=True)],
    ids=["mapping", "pairs", "iterator"],
)
async def test_extra_headers(one_net: Net, extra: Any) -> None:
    headers = (await request_of(one_net, extra_headers=extra))[1]
    assert [(name, value) for name, value in headers if name.startswith("X-")] == [("X-A", "1"), ("X-B", "2 ü")]


async def test_extra_headers_may_repeat_a_name(one_net: Net) -> None:
    headers = (await request_of(one_net, extra_headers=[("Cookie", "a=1"), ("Cookie", "b=2")]))[1]
    assert [value for name, value in headers if name == "Cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize("name", ["Host", "host", "HOST"])
async def test_host_replaces_ours(one_net: Net, name: str) -> None:
    headers = (await request_of(one_net, extra_headers={name: "virtual.example"}))[1]
    assert [value for key, value in headers if key.lower() == "host"] == ["virtual.example"]


async def test_the_users_headers_are_not_changed(one_net: Net) -> None:
    extra = {"Host": "virtual.example", "X-A": "1"}
    await request_of(one_net, extra_headers=extra)
    assert extra == {"Host": "virtual.example", "X-A": "1"}


@pytest.mark.parametrize(
    ("user_info", "decoded"),
    [
        ("user:pass@", "user:pass"),
        ("user@", "user:"),
        (":pass@", ":pass"),
        ("us%40er:p%3Aa%2Fss@", "us@er:p:a/ss"),
        ("us%C3%A4r:p%C3%A4ss@", "usär:päss"),
    ],
)
async def test_basic_authorization_from_the_url(one_net: Net, user_info: str, decoded: str) -> None:
    first, headers = await request_of(one_net, user_info=user_info)
    scheme, _, value = dict(headers)["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(value).decode() == decoded
    assert "@" not in first
    assert dict(headers)["Host"] == "127.0.0.1:PORT"


async def test_an_authorization_of_the_users_own_wins(one_net: Net) -> None:
    extra = {"authorization": "Bearer token"}
    headers = (await request_of(one_net, user_info="user:pass@", extra_headers=extra))[1]
    assert [value for name, value in headers if name.lower() == "authorization"] == ["Bearer token"]


# ------------------------------------------------------------------ the answer


async def test_subprotocols_are_offered_in_order(one_net: Net) -> None:
    headers = dict((await request_of(one_net, subprotocols=["b", "a", "c.d"]))[1])
    assert headers["Sec-WebSocket-Protocol"] == "b, a, c.d"


@pytest.mark.parametrize("chosen", ["a", "b", None])
async def test_the_chosen_subprotocol(plain_net: Net, chosen: str | None) -> None:
    async def serve(peer: RawPeer) -> None:
        await plain_net.accept_upgrade(peer, f"Sec-WebSocket-Protocol: {chosen}\r\n" if chosen else "")

    port = await plain_net.raw_server(serve)
    transport, _ = await plain_net.connect(port, subprotocols=("a", "b"))
    assert transport.subprotocol == chosen


async def test_what_a_transport_says_of_itself(net: Net) -> None:
    server = await net.serve(subprotocols=["chat"])
    transport, _ = await net.connect(server, subprotocols=["chat"])
    assert transport.is_client_side
    assert transport.is_secure is net.tls
    assert transport.subprotocol == "chat"
    assert not transport.is_disconnected
    other = next(iter(server.connections))
    assert not other.is_client_side
    assert other.is_secure is net.tls
    assert other.subprotocol == "chat"
    assert other.request.to_bytes() == transport.request.to_bytes()
    assert other.response.headers == transport.response.headers


@pytest.mark.parametrize(
    "lines",
    [
        ["Upgrade: websocket", "Connection: Upgrade"],
        ["Upgrade: WebSocket", "Connection: keep-alive, Upgrade"],
        ["UPGRADE: websocket", "connection: upgrade", "Connection: keep-alive", "X-A: b"],
        ["Upgrade: websocket", "Connection: Upgrade", "Content-Length: 0"],
    ],
)
async def test_answers_that_are_right(plain_net: Net, lines: list[str]) -> None:
    async def serve(peer: RawPeer) -> None:
        request = await answer(peer, lines)
        assert b"Sec-WebSocket-Key" in request

    port = await plain_net.raw_server(serve)
    transport, _ = await plain_net.connect(port)
    transport.send(WSMsgType.TEXT, "works")


async def answer(peer: RawPeer, lines: list[str], behind: bytes = b"", piece: int = 0, before: bytes = b"") -> bytes:
    """Answer an upgrade with these headers, in pieces of so many bytes."""
    head = await peer.head()
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
    text = "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, f"Sec-WebSocket-Accept: {accept_key(key)}", "", ""])
    data = before + text.encode() + behind
    for at in range(0, len(data), piece or len(data)):
        await peer.send(data[at : at + (piece or len(data))])
    return head


FRAMES = frame_bytes(9, b"ping") + frame_bytes(1, b"first") + frame_bytes(2, b"x" * 3000) + frame_bytes(1, b"last")
UPGRADE = ["Upgrade: websocket", "Connection: Upgrade"]


@pytest.mark.parametrize("cut", [0, 1, 7, 500])
async def test_frames_right_behind_the_answer(net: Net, cut: int) -> None:
    """A server may speak first, in the same segment, and the last frame of it may be cut."""
    pongs: list[tuple[int, bytes]] = []

    async def serve(peer: RawPeer) -> None:
        await answer(peer, UPGRADE, FRAMES[: len(FRAMES) - cut])
        pongs.append(await peer.frame())
        await peer.send(FRAMES[len(FRAMES) - cut :])

    port = await net.raw_server(serve)
    _, listener = await net.connect(port)
    payloads = [(await listener.frame()).get_payload_as_bytes() for _ in range(3)]
    assert payloads == [b"first", b"x" * 3000, b"last"]
    assert listener.events == ["connected", "frame", "frame", "frame"]
    assert await until(lambda: pongs) == [(0x8A, b"ping")]


async def test_a_close_right_behind_the_answer(net: Net) -> None:
    async def serve(peer: RawPeer) -> None:
        await answer(peer, UPGRADE, frame_bytes(8, b"\x03\xe9going"))
        peer.close()

    port = await net.raw_server(serve)
    transport, listener = await net.connect(port)
    await within(transport.wait_disconnected())
    assert listener.events == ["connected", "frame", "disconnected"]
    assert listener.frames[0].get_close_reason() == "going"


@pytest.mark.parametrize("piece", [1, 13])
async def test_an_answer_in_pieces(net: Net, piece: int) -> None:
    async def serve(peer: RawPeer) -> None:
        await answer(peer, UPGRADE, frame_bytes(1, b"hello"), piece)

    port = await net.raw_server(serve)
    _, listener = await net.connect(port)
    assert (await listener.frame()).get_payload_as_bytes() == b"hello"


async def test_interim_answers(plain_net: Net) -> None:
    async def serve(peer: RawPeer) -> None:
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        await answer(peer, UPGRADE, frame_bytes(1, b"hello"), before=interim)

    port = await plain_net.raw_server(serve)
    transport, listener = await plain_net.connect(port)
    assert (await listener.frame()).get_payload_as_bytes() == b"hello"
    assert "Link" not in transport.response.headers
