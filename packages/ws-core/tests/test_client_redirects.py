"""Redirects: where they lead, how many are followed, and which secrets do not go along."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest

from harness import Net, RawPeer, Recorder, client_ssl_context, until
from ws_core import (
    WSInvalidStatusError,
    WSListener,
    WSParsedURL,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)


def redirect(location: str, status: int = 302) -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_redirect_response(status, location), None)


class Site:
    """A server that redirects by path, and remembers the requests that it got."""

    def __init__(self, where_to: dict[str, str], status: int = 302) -> None:
        self.where_to = where_to
        self.status = status
        self.requests: list[WSUpgradeRequest] = []
        self.port = 0

    def __call__(self, request: WSUpgradeRequest) -> Any:
        self.requests.append(request)
        location = self.where_to.get(request.path.decode())
        return Recorder() if location is None else redirect(location, self.status)

    @property
    def paths(self) -> list[str]:
        return [request.path.decode() for request in self.requests]

    def secrets(self, which: int = -1) -> dict[str, str]:
        names = ("Authorization", "Cookie", "Proxy-Authorization")
        return {name: self.requests[which].headers[name] for name in names if name in self.requests[which].headers}


async def site(net: Net, where_to: dict[str, str] | None = None, status: int = 302) -> Site:
    made = Site(where_to or {}, status)
    made.port = net.port(await net.serve(made))
    return made


def no_listener() -> WSListener:
    raise AssertionError("the factory was called")


SECRETS = {"Authorization": "Bearer t", "cookie": "a=b", "PROXY-Authorization": "Basic x", "X-A": "not secret"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_statuses_that_are_followed(plain_net: Net, status: int) -> None:
    server = await site(plain_net, {"/old": "/new"}, status)
    transport, _ = await plain_net.connect(plain_net.url(server.port, "/old"))
    assert server.paths == ["/old", "/new"]
    assert [request.method for request in server.requests] == [b"GET", b"GET"]
    assert transport.request.path == b"/new"


@pytest.mark.parametrize("status", [300, 304, 305, 399])
async def test_statuses_that_are_not(one_net: Net, status: int) -> None:
    server = await site(one_net, {"/old": "/new"}, status)
    with pytest.raises(WSInvalidStatusError, match=str(status)):
        await one_net.connect(one_net.url(server.port, "/old"), no_listener)
    assert server.paths == ["/old"]


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/new?a=b", "/new?a=b"),
        ("new", "/dir/new"),
        ("../new", "/new"),
        ("?a=b", "/dir/old?a=b"),
        ("//127.0.0.1:PORT/new", "/new"),
        ("ws://127.0.0.1:PORT/new", "/new"),
        ("http://127.0.0.1:PORT/new", "/new"),
        ("HTTP://127.0.0.1:PORT/new", "/new"),
        ("ws://127.0.0.1:PORT", "/"),
        ("/n%20w", "/n%20w"),
        ("/n%0d%0aX:%20y", "/n%0d%0aX:%20y"),
        ("/nü", "/n%C3%BC"),
    ],
)
async def test_locations(one_net: Net, location: str, path: str) -> None:
    server = await site(one_net)
    server.where_to["/dir/old"] = location.replace("PORT", str(server.port))
    await one_net.connect(one_net.url(server.port, "/dir/old"))
    assert server.paths == ["/dir/old", path]


@pytest.mark.parametrize(
    ("location", "says"),
    [
        (b"", "without a Location"),
        (b"Location: ftp://127.0.0.1/\r\n", "no WebSocket"),
        (b"Location: ws://127.0.0.1:0/\r\n", "no WebSocket"),
        (b"Location: ws://[::1/\r\n", "no WebSocket"),
        (b"Location: http:///x\r\n", "no WebSocket"),
        (b"Location: /a b\r\n", "no WebSocket"),
        (b"Location: /a#b\r\n", "no WebSocket"),
        (b"Location: /\xe9\r\n", "no WebSocket"),
    ],
)
async def test_locations_that_lead_nowhere(one_net: Net, location: bytes, says: str) -> None:
    async def serve(peer: RawPeer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 302 Found\r\n" + location + b"Content-Length: 0\r\n\r\n")

    port = await one_net.raw_server(serve)
    with pytest.raises(WSInvalidStatusError, match=says) as caught:
        await one_net.connect(port, no_listener)
    assert caught.value.response is not None
    assert caught.value.response.status == 302


@pytest.mark.parametrize("limit", [0, 1, 5])
async def test_how_many_are_followed(one_net: Net, limit: int) -> None:
    server = await site(one_net, {f"/{i}": f"/{i + 1}" for i in range(limit)})
    await one_net.connect(one_net.url(server.port, "/0"), max_redirects=limit)
    assert server.paths == [f"/{i}" for i in range(limit + 1)]

    endless = await site(one_net, {f"/{i}": f"/{i + 1}" for i in range(100)})
    with pytest.raises(WSInvalidStatusError) as caught:
        await one_net.connect(one_net.url(endless.port, "/0"), no_listener, max_redirects=limit)
    assert caught.value.response is not None
    assert caught.value.response.headers["Location"] == f"/{limit + 1}"
    assert f"max_redirects={limit}" in str(caught.value)
    assert endless.paths == [f"/{i}" for i in range(limit + 1)]


async def test_five_by_default(one_net: Net) -> None:
    endless = await site(one_net, {"/": "/"})
    with pytest.raises(WSInvalidStatusError):
        await one_net.connect(endless.port, no_listener)
    assert len(endless.requests) == 6


async def test_the_old_connection_is_closed(net: Net) -> None:
    closed: list[bool] = []

    async def serve(peer: RawPeer) -> None:
        if closed:
            await net.accept_upgrade(peer)
            return
        closed.append(False)
        await peer.head()
        await peer.send(b"HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await peer.rest()
        closed[0] = True

    await net.connect(await net.raw_server(serve))
    await until(lambda: closed[0])


async def test_the_body_of_a_redirect_does_not_matter(plain_net: Net) -> None:
    target = await site(plain_net)

    async def serve(peer: RawPeer) -> None:
        await peer.head()
        location = f"Location: {plain_net.url(target.port)}\r\n".encode()
        await peer.send(b"HTTP/1.1 302 Found\r\n" + location + b"Content-Length: 5\r\n\r\n")
        await peer.send(b"moved")
        await peer.rest()

    await plain_net.connect(await plain_net.raw_server(serve))
    assert target.paths == ["/"]


# ------------------------------------------------------------------ secrets


async def test_to_the_same_origin_everything_goes_along(one_net: Net) -> None:
    server = await site(one_net, {"/old": "/new"})
    await one_net.connect(
        one_net.url(server.port, "/old"), extra_headers={**SECRETS, "Host": "v.example"}, subprotocols=["a"]
    )
    old, new = server.requests
    for name in ("Authorization", "Cookie", "Proxy-Authorization", "X-A", "Host", "Sec-WebSocket-Protocol"):
        assert new.headers[name] == old.headers[name]
    assert new.headers["Sec-WebSocket-Key"] != old.headers["Sec-WebSocket-Key"]


async def test_to_another_origin_no_secret_goes_along(plain_net: Net) -> None:
    other = await site(plain_net)
    first = await site(plain_net, {"/": plain_net.url(other.port)})
    await plain_net.connect(first.port, extra_headers={**SECRETS, "Host": "v.example"}, subprotocols=["a"])
    assert len(first.secrets()) == 3
    assert other.secrets() == {}
    assert other.requests[0].headers["X-A"] == "not secret"
    assert other.requests[0].headers["Host"] == f"127.0.0.1:{other.port}"
    assert other.requests[0].headers["Sec-WebSocket-Protocol"] == "a"


async def test_another_name_is_another_origin(one_net: Net) -> None:
    server = await site(one_net)
    server.where_to["/old"] = f"ws://localhost:{server.port}/new"
    await one_net.connect(one_net.url(server.port, "/old"), extra_headers=SECRETS)
    assert server.paths == ["/old", "/new"]
    assert server.secrets() == {}


async def test_secrets_do_not_come_back_with_the_first_origin(one_net: Net) -> None:
    other = await site(one_net)
    first = await site(one_net, {"/": one_net.url(other.port)})
    other.where_to["/"] = one_net.url(first.port, "/back")
    await one_net.connect(f"ws://user:pw@127.0.0.1:{first.port}/", extra_headers={"Cookie": "a=b"})
    assert first.paths == ["/", "/back"]
    assert set(first.secrets(0)) == {"Authorization", "Cookie"}
    assert other.secrets() == {}
    assert first.secrets(1) == {}


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize("location", ["/new", "new", "?x", "ws://127.0.0.1:PORT/new", "//127.0.0.1:PORT/new"])
async def test_user_and_password_of_the_url_stay_with_its_origin(one_net: Net, location: str) -> None:
    server = await site(one_net)
    server.where_to["/"] = location.replace("PORT", str(server.port))
    await one_net.connect(f"ws://user:pw@127.0.0.1:{server.port}/")
    assert len(server.requests) == 2
    assert server.secrets(0) == server.secrets(1) == basic("user:pw")


async def test_user_and_password_do_not_go_to_another_origin(one_net: Net) -> None:
    other = await site(one_net)
    first = await site(one_net, {"/": one_net.url(other.port)})
    await one_net.connect(f"ws://user:pw@127.0.0.1:{first.port}/")
    assert first.secrets() == basic("user:pw")
    assert other.secrets() == {}


async def test_user_and_password_of_a_location_are_for_it(one_net: Net) -> None:
    other = await site(one_net)
    first = await site(one_net, {"/": f"ws://new:pass@127.0.0.1:{other.port}/"})
    await one_net.connect(f"ws://user:pw@127.0.0.1:{first.port}/", extra_headers={"Cookie": "a=b"})
    assert other.secrets() == basic("new:pass")


async def test_user_and_password_of_a_location_on_the_same_origin(one_net: Net) -> None:
    server = await site(one_net)
    server.where_to["/"] = f"ws://new:pass@127.0.0.1:{server.port}/new"
    await one_net.connect(f"ws://user:pw@127.0.0.1:{server.port}/")
    assert [server.secrets(0), server.secrets(1)] == [basic("user:pw"), basic("new:pass")]


async def test_an_error_does_not_show_the_password_of_a_location(one_net: Net) -> None:
    server = await site(one_net, {"/": "ws://user:secret@127.0.0.1:0/"})
    with pytest.raises(WSInvalidStatusError) as caught:
        await one_net.connect(server.port, no_listener)
    assert "secret" not in str(caught.value)


# ------------------------------------------------------------------ TLS


async def test_from_ws_to_wss(plain_net: Net) -> None:
    """The other scheme is another origin, on the same host, too."""
    async with contextlib.aclosing(Net(tls=True, fast=plain_net.fast)) as secure_net:
        secure = await site(secure_net)
        plain = await site(plain_net, {"/": f"https://127.0.0.1:{secure.port}/new"})
        transport, _ = await secure_net.connect(
            plain_net.url(plain.port), ssl_context=client_ssl_context(), extra_headers=SECRETS
        )
        assert transport.is_secure
        assert secure.paths == ["/new"]
        assert secure.secrets() == {}


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_never_from_wss_to_ws(plain_net: Net, scheme: str) -> None:
    async with contextlib.aclosing(Net(tls=True, fast=plain_net.fast)) as secure_net:
        plain = await site(plain_net)
        secure = await site(secure_net, {"/": f"{scheme}://127.0.0.1:{plain.port}/"})
        with pytest.raises(WSInvalidStatusError, match="from wss to ws"):
            await secure_net.connect(secure.port, no_listener)
        assert plain.requests == []


async def test_within_wss(plain_net: Net) -> None:
    async with contextlib.aclosing(Net(tls=True, fast=plain_net.fast)) as secure_net:
        server = await site(secure_net, {"/": "/new"})
        transport, _ = await secure_net.connect(server.port)
        assert transport.is_secure
        assert server.paths == ["/", "/new"]


# ------------------------------------------------------------------ the rest of the way


async def test_a_socket_factory_is_asked_for_each_hop(plain_net: Net) -> None:
    asked: list[tuple[int, str]] = []

    def factory(url: WSParsedURL) -> None:
        asked.append((url.port, url.resource_name))

    other = await site(plain_net)
    first = await site(plain_net, {"/": plain_net.url(other.port, "/new")})
    await plain_net.connect(first.port, socket_factory=factory)
    assert asked == [(first.port, "/"), (other.port, "/new")]


async def test_the_listener_is_made_once_at_the_end(plain_net: Net) -> None:
    seen: list[bytes] = []

    def factory(request: WSUpgradeRequest, response: WSUpgradeResponse) -> Recorder:
        seen.append(request.path)
        return Recorder()

    server = await site(plain_net, {"/": "/new"})
    await plain_net.connect(server.port, factory)
    assert seen == [b"/new"]
