"""reconnecting: one connection after the other. Its end: test_reconnecting_ends.py; what is retried: test_retry.py."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

import pytest

import ws_core
from harness import Net, RawPeer, Recorder, until, within
from retries import accepts, again, free_port, in_turn, refuses
from ws_core import (
    WSCloseCode,
    WSDisconnectKind,
    WSInvalidStatusError,
    WSInvalidURL,
    WSListener,
    WSMsgType,
    WSReconnecting,
    WSTransport,
)

# ------------------------------------------------------------------ again and again


async def test_again_and_again(net: Net, pauses: list[float]) -> None:
    server = await net.serve()
    seen: list[tuple[WSTransport, WSListener | None]] = []
    async with again(net, server) as connections:
        async for transport in connections:
            assert isinstance(transport, WSTransport)
            listener = transport.listener
            assert isinstance(listener, Recorder)
            transport.send(WSMsgType.TEXT, f"round {len(seen)}")
            assert (await listener.frame()).get_payload_as_utf8_text() == f"round {len(seen)}"
            seen.append((transport, listener))
            if len(seen) == 3:
                break
            server.abort_clients()
        assert not transport.is_disconnected
    assert len({id(transport) for transport, _ in seen}) == len({id(listener) for _, listener in seen}) == 3
    assert all(transport.is_disconnected for transport, _ in seen)
    assert pauses == [1, 2]
    await until(lambda: not server.connections)


async def test_the_server_is_started_anew(plain_net: Net, pauses: list[float]) -> None:
    server = await plain_net.serve()
    port = Net.port(server)
    async with again(plain_net, port) as connections:
        await within(anext(connections))
        server.close()
        server.abort_clients()
        following = asyncio.ensure_future(anext(connections))
        await until(lambda: len(pauses) > 2)  # there was nobody
        assert not following.done()
        server = await plain_net.serve(port=port)
        transport = await within(following)
        assert len(server.connections) == 1
        assert isinstance(transport.listener, Recorder)
        transport.send(WSMsgType.TEXT, "hello again")
        assert (await transport.listener.frame()).get_payload_as_bytes() == b"hello again"


async def test_it_waits_for_the_end_of_the_connection(plain_net: Net, pauses: list[float]) -> None:
    """So a body may fall through."""
    server = await plain_net.serve()
    async with again(plain_net, server) as connections:
        transport = await within(anext(connections))
        following = asyncio.ensure_future(anext(connections))
        assert isinstance(transport.listener, Recorder)
        transport.send(WSMsgType.TEXT, "still there")
        await transport.listener.frame()
        assert not following.done()
        assert pauses == []
        server.close_clients()
        assert await within(following) is not transport
        assert pauses == [1]


async def test_the_first_connection_may_have_to_wait(plain_net: Net, pauses: list[float]) -> None:
    port = free_port()
    async with again(plain_net, port) as connections:
        first = asyncio.ensure_future(anext(connections))
        await until(lambda: len(pauses) > 1)
        await plain_net.serve(port=port)
        assert not (await within(first)).is_disconnected


async def test_the_factory_may_take_request_and_response(one_net: Net, pauses: list[float]) -> None:
    server = await one_net.serve()
    given: list[Any] = []

    def factory(request: Any, response: Any) -> Recorder:
        given.append((request.path, response.status))
        return Recorder()

    async with again(one_net, server, factory, extra_headers={"X-A": "b"}, subprotocols=["chat"]) as connections:
        transport = await within(anext(connections))
        assert transport.request.headers["X-A"] == "b"
        assert transport.request.headers["Sec-WebSocket-Protocol"] == "chat"
        transport.disconnect()
        await within(anext(connections))
    assert given == [(b"/", 101)] * 2


async def test_a_body_that_closes(one_net: Net, pauses: list[float]) -> None:
    server = await one_net.serve()
    ends: list[Any] = []
    async with again(one_net, server) as connections:
        async for transport in connections:
            await transport.close(WSCloseCode.GOING_AWAY)
            assert transport.disconnect_reason is not None
            ends.append(transport.disconnect_reason.kind)
            if len(ends) == 3:
                break
    assert ends == [WSDisconnectKind.LOCAL] * 3
    assert pauses == [1, 2]


# ------------------------------------------------------------------ URLs


async def test_urls_in_turn(plain_net: Net, pauses: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ws_core")
    one, other = await plain_net.serve(), await plain_net.serve()
    urls = [plain_net.url(one), plain_net.url(free_port()), plain_net.url(other)]
    left = iter(urls)
    async with again(plain_net, lambda: next(left)) as connections:
        (await within(anext(connections))).disconnect()
        transport = await within(anext(connections))
        await until(lambda: other.connections)
        assert not transport.is_disconnected
    assert len(pauses) == 2
    for record, url in zip(caplog.records, urls, strict=False):
        assert f" to {url[:-1]} " in record.getMessage()  # up to the path


async def test_a_url_that_is_waited_for(plain_net: Net, pauses: list[float]) -> None:
    server = await plain_net.serve()
    calls = 0

    async def url() -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        if calls < 3:
            raise ConnectionError("the registry does not answer")
        return plain_net.url(server)

    async with again(plain_net, url) as connections:
        await within(anext(connections))
    assert calls == 3
    assert pauses == [1, 2]


async def nothing_more() -> str:
    raise StopAsyncIteration


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (lambda: None, TypeError),
        (lambda: "http://127.0.0.1/", WSInvalidURL),
        (lambda: next(iter(())), RuntimeError),  # PEP 479
        (nothing_more, RuntimeError),
        (lambda: {}["url"], KeyError),
    ],
)
async def test_a_url_function_that_fails(one_net: Net, pauses: list[float], url: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        await within(anext(again(one_net, url)))
    assert pauses == []


# ------------------------------------------------------------------ what it says


async def test_one_line_for_each_pause(one_net: Net, pauses: list[float], caplog: pytest.LogCaptureFixture) -> None:
    async def goes(peer: RawPeer) -> None:
        await Net.accept_upgrade(peer)
        await peer.send(b"\x88\x0d\x03\xe9line\nbreak!")
        peer.close()

    caplog.set_level(logging.INFO, "ws_core")
    port = await one_net.raw_server(in_turn(refuses(503), goes, accepts))
    url = f"ws://user:s3cret@127.0.0.1:{port}/path?token=s3cret"
    async with again(one_net, url) as connections:
        for _ in range(2):
            await within(anext(connections))
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "ws_core.reconnecting",
            "INFO",
            f"attempt 1 to connect to ws://127.0.0.1:{port} failed: WSInvalidStatusError: the server refused the "
            "upgrade with HTTP status 503; connecting again in 1.00 s",
        ),
        (
            "ws_core.reconnecting",
            "INFO",
            f"the connection to ws://127.0.0.1:{port} has ended: peer: the peer sent CLOSE 1001 line break!; "
            "connecting again in 2.00 s",
        ),
    ]


async def test_a_logger_of_the_callers(one_net: Net, pauses: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """It is that of the connections, too."""

    async def breaks_the_protocol(peer: RawPeer) -> None:
        await Net.accept_upgrade(peer)
        await peer.send(b"\x83\x00")
        await peer.rest()
        peer.close()

    caplog.set_level(logging.INFO)
    for name, logger in (("ws_core.feed", "feed"), ("app", logging.getLogger("app"))):
        caplog.clear()
        port = await one_net.raw_server(in_turn(breaks_the_protocol, refuses(404)))
        connections = again(one_net, port, logger_name=logger)
        await within(anext(connections))
        with pytest.raises(WSInvalidStatusError):
            await within(anext(connections))
        assert [(record.name, record.levelname) for record in caplog.records] == [(name, "WARNING"), (name, "INFO")]


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize("name", ["backoff_min", "backoff_max", "backoff_factor", "healthy_after"])
@pytest.mark.parametrize("value", [-1, -0.001, math.nan, math.inf, -math.inf, 10**400])
def test_numbers_that_are_none(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        ws_core.reconnecting(Recorder, "ws://127.0.0.1/", **{name: value})


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [
        ({"backoff_min": 0}, "backoff_min"),
        ({"backoff_max": 0}, "backoff_max"),
        ({"backoff_factor": 0.99}, "backoff_factor"),
        ({"backoff_min": 5, "backoff_max": 4.9}, "backoff_max must not be less than backoff_min"),
        ({"backoff_max": 0.5}, "backoff_max must not be less than backoff_min"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": -1}, "max_attempts"),
    ],
)
def test_values_that_make_no_sense(kwargs: Any, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        ws_core.reconnecting(Recorder, "ws://127.0.0.1/", **kwargs)


@pytest.mark.parametrize(
    "name", ["backoff_min", "backoff_max", "backoff_factor", "healthy_after", "max_attempts", "retry", "logger_name"]
)
@pytest.mark.parametrize("value", [True, "1", b"1", [1], object()])
def test_types_that_are_wrong(name: str, value: Any) -> None:
    if (name, type(value)) == ("logger_name", str):
        return
    with pytest.raises(TypeError, match=name):
        ws_core.reconnecting(Recorder, "ws://127.0.0.1/", **{name: value})


def test_the_other_arguments() -> None:
    with pytest.raises(TypeError, match="ws_listener_factory must be a function"):
        ws_core.reconnecting(Recorder(), "ws://127.0.0.1/")  # type: ignore[arg-type]
    with pytest.raises(WSInvalidURL, match="scheme"):
        ws_core.reconnecting(Recorder, "http://127.0.0.1/")
    with pytest.raises(TypeError, match="URL"):
        ws_core.reconnecting(Recorder, None)  # type: ignore[arg-type]
    # Smallest and equal ones are fine, and no loop runs here.
    assert isinstance(
        ws_core.reconnecting(
            Recorder, "ws://a/", backoff_min=1, backoff_max=1, backoff_factor=1, healthy_after=0, max_attempts=1
        ),
        WSReconnecting,
    )
