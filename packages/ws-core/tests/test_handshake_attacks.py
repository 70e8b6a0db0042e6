"""Those who come to a server for no WebSocket: crowds that never ask, floods, what they want to see in an answer.

Which requests are refused is test_handshake_reading.py, test_handshake_rules.py and test_server_http.py; that a silent
or a slow peer is dropped is test_server_lifecycle.py.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from silent import fall_silent, its_end

from harness import Echo, Net, client_frame, open_sockets, request_bytes, until, within
from loops import STRESS
from ws_core import (
    WSInvalidStatusError,
    WSListener,
    WSMsgType,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)

#: Connections that never finish their request; ten thousand with WIRELARK_STRESS=10. Each is two descriptors here.
CROWD = 1000 * STRESS


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many as the test needs, if the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * CROWD + 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(needed, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("descriptors")
async def test_a_crowd_that_never_asks(plain_net: Net) -> None:
    """Each is dropped when its time is over. Meanwhile others get in, whatever max_connections is; nothing is left."""
    gc.collect()
    before = open_sockets()
    # Long enough for the one that does ask, on a machine that stands still for a moment.
    server = await plain_net.serve(websocket_handshake_timeout=3, max_connections=2)
    crowd = [await fall_silent(plain_net.port(server), number) for number in range(CROWD)]
    transport, listener = await plain_net.connect(server)
    transport.send(WSMsgType.TEXT, "let me through")
    assert (await listener.frame()).get_payload_as_ascii_text() == "let me through"
    for sock in crowd:
        assert await within(its_end(sock)) == b""
    assert not server._settings.pending
    assert len(server.connections) == 1
    transport.send(WSMsgType.TEXT, "still here")
    assert (await listener.frame()).get_payload_as_ascii_text() == "still here"
    transport.disconnect()
    server.close()
    await until(lambda: not server.connections)
    await until(lambda: open_sockets() <= before)


async def test_a_flood_while_the_factory_thinks(net: Net) -> None:
    """What comes behind a request waits in the kernel, and not in memory; then it is read."""
    may_go_on = asyncio.get_running_loop().create_future()

    class Counting(Echo):
        count = 0

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            self.count += 1

    made = Counting()

    async def factory(request: WSUpgradeRequest) -> WSListener:
        await may_go_on
        return made

    server = await net.serve(factory)
    peer = await net.raw(server, upgrade=False)
    peer.writer.write(request_bytes() + client_frame(2, bytes(30_000)) * 1000)
    await until(lambda: server._settings.pending)
    (handshake,) = server._settings.pending
    await until(lambda: handshake._task)
    for _ in range(50):  # turns of the loop that both sides run on: were it read, megabytes would have come
        await asyncio.sleep(0)
    assert len(handshake._reader.tail) < 1_000_000
    may_go_on.set_result(None)
    await until(lambda: made.count == 1000)


@pytest.mark.parametrize("kind", ["redirect", "header", "body"])
async def test_no_answer_is_split(one_net: Net, kind: str) -> None:
    """A factory that puts what a client sent into its answer, decoded: the client gets 500, or it is a body."""

    def factory(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        said = urllib.parse.unquote(request.path.decode())
        if kind == "redirect":
            response = WSUpgradeResponse.create_redirect_response(302, said)
        elif kind == "header":
            response = WSUpgradeResponse.create_ok_response(b"", {"X-Path": said})
        else:
            response = WSUpgradeResponse.create_ok_response(said.encode())
        return WSUpgradeResponseWithListener(response, None)

    server = await one_net.serve(factory)
    peer = await one_net.raw(server, upgrade=False)
    await peer.send(request_bytes("/%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0aHTTP/1.1%20200%20OK%0d%0a%0d%0a"))
    head, _, body = (await peer.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 " if kind == "body" else b"HTTP/1.1 500 ")
    assert b"Set-Cookie" not in head
    assert f"Content-Length: {len(body)}".encode() in head


async def test_a_loop_of_two_servers(plain_net: Net) -> None:
    """Redirects are counted over all servers, and each connection of the way is closed."""
    asked: list[str] = []

    def to(name: str) -> Any:
        def factory(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
            asked.append(name)
            location = plain_net.url(servers[name == "first"])
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_redirect_response(307, location), None)

        return factory

    gc.collect()
    servers = [await plain_net.serve(to("first")), await plain_net.serve(to("second"))]
    before = open_sockets()
    with pytest.raises(WSInvalidStatusError, match="max_redirects=5"):
        await plain_net.connect(servers[0])
    assert asked == ["first", "second"] * 3
    await until(lambda: open_sockets() <= before)
