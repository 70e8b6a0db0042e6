"""What reconnecting tries again, and after how long."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import time
from email.utils import formatdate
from typing import Any

import pytest

import ws_core._reconnecting
import ws_core._retry
from harness import Net, RawPeer, Recorder, accept_key, within
from retries import accepts, accepts_and_leaves, again, free_port, in_turn, is_mute, refuses, says
from ws_core import (
    Extension,
    WSCloseCode,
    WSError,
    WSInvalidHeaderError,
    WSInvalidStatusError,
    WSInvalidURL,
    WSListener,
    WSMissingExtension,
    WSProtocolError,
)

SHORT_S = 0.05  # a handshake timeout; what it ends would never end by itself


# ------------------------------------------------------------------ how long


async def test_the_ceiling_grows_up_to_the_cap(plain_net: Net, pauses: list[float]) -> None:
    with pytest.raises(ConnectionRefusedError):
        await anext(again(plain_net, free_port(), max_attempts=9))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_another_backoff(one_net: Net, pauses: list[float]) -> None:
    attempts = again(one_net, free_port(), max_attempts=6, backoff_min=0.5, backoff_max=20, backoff_factor=3)
    with pytest.raises(ConnectionRefusedError):
        await anext(attempts)
    assert pauses == [0.5, 1.5, 4.5, 13.5, 20]


async def test_a_constant_ceiling(one_net: Net, pauses: list[float]) -> None:
    with pytest.raises(ConnectionRefusedError):
        await anext(again(one_net, free_port(), max_attempts=4, backoff_min=3, backoff_factor=1))
    assert pauses == [3, 3, 3]


async def test_a_pause_is_a_random_part_of_the_ceiling(
    one_net: Net, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high / (1 + len(asked))

    monkeypatch.setattr(ws_core._retry, "_uniform", uniform)
    with pytest.raises(ConnectionRefusedError):
        await anext(again(one_net, free_port(), max_attempts=5))
    assert asked == [(0, 1), (0, 2), (0, 4), (0, 8)]  # what came out does not change the ceiling
    assert pauses == [1 / 2, 2 / 3, 4 / 4, 8 / 5]


async def test_a_seed_of_the_programs_does_not_make_pauses_alike(
    one_net: Net, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real randomness

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(ws_core._reconnecting, "_sleep", sleep)
    for _ in range(2):
        random.seed(42)
        with pytest.raises(ConnectionRefusedError):
            await anext(again(one_net, free_port(), max_attempts=5))
    first, second = pauses[:4], pauses[4:]
    assert first != second
    for pause, other, ceiling in zip(first, second, [1, 2, 4, 8], strict=True):
        assert 0 <= pause <= ceiling
        assert 0 <= other <= ceiling


async def test_the_pause_is_slept(one_net: Net) -> None:
    """Nothing is replaced here."""
    port = await one_net.raw_server(in_turn(refuses(503), refuses(503), accepts))
    async with again(one_net, port, backoff_min=0.001, backoff_max=0.002) as connections:
        transport = await within(anext(connections))
        assert not transport.is_disconnected


# ------------------------------------------------------------------ healthy connections, attempts in a row


async def test_a_healthy_connection_begins_again(
    plain_net: Net, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(ws_core._reconnecting, "_clock", lambda: now)
    lasts_s = iter([1, 9.9, 0, 10.0, 3, 3600, 0])
    async with again(plain_net, await plain_net.raw_server(accepts_and_leaves)) as connections:
        async for transport in connections:
            await transport.wait_disconnected()
            if (seconds := next(lasts_s, None)) is None:
                break
            now += seconds
    assert pauses == [1, 2, 4, 1, 2, 1, 2]


async def test_healthy_after_0_means_every_connection(one_net: Net, pauses: list[float]) -> None:
    port = await one_net.raw_server(
        in_turn(refuses(500), refuses(500), accepts_and_leaves, accepts_and_leaves, accepts)
    )
    async with again(one_net, port, healthy_after=0) as connections:
        for _ in range(3):
            await within(anext(connections))
    assert pauses == [1, 2, 1, 1]


async def test_attempts_in_a_row(plain_net: Net, pauses: list[float]) -> None:
    no = refuses(503)
    port = await plain_net.raw_server(in_turn(no, no, accepts_and_leaves, no, no, accepts_and_leaves, no, no, no))
    connections = again(plain_net, port, max_attempts=3)
    await within(anext(connections))
    await within(anext(connections))
    with pytest.raises(WSInvalidStatusError, match="503"):
        await within(anext(connections))
    assert len(pauses) == 8
    with pytest.raises(StopAsyncIteration):
        await anext(connections)


async def test_one_attempt(one_net: Net, pauses: list[float]) -> None:
    with pytest.raises(ConnectionRefusedError):
        await anext(again(one_net, free_port(), max_attempts=1))
    assert pauses == []


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 521, 599])
async def test_refusals_that_may_pass(plain_net: Net, pauses: list[float], status: int) -> None:
    port = await plain_net.raw_server(in_turn(refuses(status), refuses(status), accepts))
    async with again(plain_net, port) as connections:
        transport = await within(anext(connections))
        assert transport.response.status == 101
    assert pauses == [1, 2]


@pytest.mark.parametrize("status", [200, 204, 300, 304, 400, 401, 403, 404, 407, 410, 426, 451])
async def test_refusals_that_do_not_pass(plain_net: Net, pauses: list[float], status: int) -> None:
    port = await plain_net.raw_server(in_turn(refuses(503), refuses(status), accepts))
    with pytest.raises(WSInvalidStatusError, match=str(status)):
        await within(anext(again(plain_net, port)))
    assert pauses == [1]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 1),
        ("7", 8),
        ("58", 59),
        ("59.5", 1),  # neither a number of seconds nor a date
        ("60", 60),
        ("3600", 60),
        ("9" * 5000, 60),
        ("-5", 1),
        ("soon", 1),
        ("\u0667", 1),
        ("", 1),
        ("Sat, 01 Jan 2028 00:00:20 GMT", 21),
        ("Sat, 01 Jan 2028 00:00:20 -0000", 21),
        ("Fri, 31 Dec 2027 23:59:59 GMT", 1),
        ("Sat, 01 Jan 9999 00:00:00 GMT", 60),
        ("Sat, 99 Jan 2028 00:00:20 GMT", 1),
    ],
)
async def test_retry_after(one_net: Net, pauses: list[float], status: int, value: str, expected: float) -> None:
    """A date is compared with the server's own clock."""
    headers = f"Retry-After: {value}\r\nDate: Sat, 01 Jan 2028 00:00:00 GMT\r\n"
    port = await one_net.raw_server(in_turn(refuses(status, headers), accepts))
    async with again(one_net, port) as connections:
        await within(anext(connections))
    assert pauses == [expected]


async def test_retry_after_a_date_of_a_server_without_a_clock(one_net: Net, pauses: list[float]) -> None:
    headers = f"Retry-After: {formatdate(time.time() + 30, usegmt=True)}\r\n"
    port = await one_net.raw_server(in_turn(refuses(503, headers), accepts))
    async with again(one_net, port, backoff_max=45) as connections:
        await within(anext(connections))
    assert 20 < pauses[0] <= 31


async def test_retry_after_is_for_the_next_pause_only(one_net: Net, pauses: list[float]) -> None:
    port = await one_net.raw_server(in_turn(refuses(503, "Retry-After: 20\r\n"), refuses(503), accepts))
    async with again(one_net, port) as connections:
        await within(anext(connections))
    assert pauses == [21, 2]


# ------------------------------------------------------------------ other failures


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 10", b"SSH-2.0-OpenSSH_9.2p1\r\n", b"\0\0\0\0"])
async def test_answers_that_are_cut_short_or_not_http(plain_net: Net, pauses: list[float], answer: bytes) -> None:
    port = await plain_net.raw_server(in_turn(says(answer), accepts))
    async with again(plain_net, port) as connections:
        await within(anext(connections))
    assert pauses == [1]


async def test_a_101_that_is_wrong(one_net: Net, pauses: list[float]) -> None:
    """Whoever answers so has understood the request and speaks something else."""

    async def serve(peer: RawPeer) -> None:
        await peer.head()
        await peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key("another").encode() + b"\r\n\r\n"
        )

    with pytest.raises(WSInvalidHeaderError, match="Sec-WebSocket-Accept"):
        await within(anext(again(one_net, await one_net.raw_server(serve))))
    assert pauses == []


async def test_a_handshake_that_takes_too_long(plain_net: Net, pauses: list[float]) -> None:
    port = await plain_net.raw_server(in_turn(is_mute, accepts))
    connections = again(plain_net, port, websocket_handshake_timeout=SHORT_S)
    # The second attempt has as little time: on a busy machine there may be more of them.
    transport = await within(anext(connections))
    assert not transport.is_disconnected
    assert pauses
    await connections.aclose()
    with pytest.raises(asyncio.TimeoutError):
        await within(anext(again(plain_net, port, websocket_handshake_timeout=1e-9, max_attempts=2)))


async def test_a_certificate_that_is_not_trusted(plain_net: Net, pauses: list[float]) -> None:
    secure = Net(tls=True, fast=plain_net.fast)
    port = await secure.raw_server(is_mute)
    with pytest.raises(ssl.SSLCertVerificationError):
        await within(anext(again(secure, port, ssl_context=None)))
    assert pauses == []


async def test_tls_that_fails_otherwise(plain_net: Net, pauses: list[float]) -> None:
    """A balancer that is being started may do so."""
    server = await plain_net.serve()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await within(anext(again(plain_net, f"wss://127.0.0.1:{Net.port(server)}/", max_attempts=2)))
    assert pauses == [1]


async def test_a_name_that_does_not_resolve(one_net: Net, pauses: list[float]) -> None:
    def no_address(url: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with pytest.raises(socket.gaierror):
        await within(anext(again(one_net, 1, socket_factory=no_address, max_attempts=3)))
    assert pauses == [1, 2]


# ------------------------------------------------------------------ errors of the caller's


def raises() -> WSListener:
    raise RuntimeError("no listener today")


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"factory": raises}, RuntimeError, "no listener today"),
        ({"factory": object}, TypeError, "must return a WSListener"),
        ({"backof_max": 3}, TypeError, "backof_max"),
        ({"max_frame_size": "1 MB"}, TypeError, "max_frame_size"),
        ({"websocket_handshake_timeout": -1}, ValueError, "websocket_handshake_timeout"),
        ({"extra_headers": {"a b": "c"}}, ValueError, "header name"),
        ({"ssl": True}, TypeError, "use ssl_context"),
    ],
)
async def test_what_the_caller_did_wrong_is_not_repeated(
    plain_net: Net, pauses: list[float], kwargs: dict[str, Any], error: type[Exception], text: str
) -> None:
    server = await plain_net.serve()
    with pytest.raises(error, match=text):
        await within(anext(again(plain_net, server, **kwargs)))
    assert pauses == []
    assert not server.connections


class Refusing(Extension):
    """Cannot open a connection, for a reason of its own."""

    name = "refusing"

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def open_connection(self, endpoint: Any, options: dict[str, Any]) -> Any:
        raise self.error


class Passing(WSError):
    """An extension's error that says what it is."""

    @property
    def is_temporary(self) -> bool:
        return True


async def test_an_extension_says_whether_its_error_may_pass(one_net: Net, pauses: list[float]) -> None:
    with pytest.raises(Passing):
        await anext(again(one_net, 1, extensions=[Refusing(Passing("soon"))], max_attempts=3))
    assert pauses == [1, 2]
    for error in (WSError("no"), WSMissingExtension("it", "a-package", "extra")):
        with pytest.raises(type(error)):
            await anext(again(one_net, 1, extensions=[Refusing(error)], max_attempts=3))
    assert pauses == [1, 2]


def test_is_temporary() -> None:
    assert not WSError("?").is_temporary
    assert not WSInvalidURL("x", "wrong").is_temporary
    assert not WSInvalidStatusError("no answer is known").is_temporary
    assert WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "text").is_temporary


# ------------------------------------------------------------------ the caller decides


async def test_retry_decides(plain_net: Net, pauses: list[float]) -> None:
    asked: list[Exception] = []

    def retry(exc: Exception) -> bool | None:
        asked.append(exc)
        if isinstance(exc, WSInvalidStatusError) and exc.response is not None:
            return {403: True, 500: False}.get(exc.response.status)
        return None

    port = await plain_net.raw_server(in_turn(refuses(403), refuses(502), accepts_and_leaves, refuses(500)))
    connections = again(plain_net, port, retry=retry)
    await within(anext(connections))
    with pytest.raises(WSInvalidStatusError, match="500"):
        await within(anext(connections))
    assert [str(exc).split("status ")[1] for exc in asked] == ["403", "502", "500"]
    assert pauses == [1, 2, 4]


async def test_retry_does_not_outvote_max_attempts(one_net: Net, pauses: list[float]) -> None:
    with pytest.raises(ConnectionRefusedError):
        await anext(again(one_net, free_port(), retry=lambda exc: True, max_attempts=2))
    assert pauses == [1]


async def test_retry_may_raise(one_net: Net, pauses: list[float]) -> None:
    def retry(exc: Exception) -> bool:
        raise LookupError("the hook itself") from exc

    with pytest.raises(LookupError, match="the hook itself"):
        await anext(again(one_net, free_port(), retry=retry))
    assert pauses == []


# ------------------------------------------------------------------ callbacks that raise


class Raising(Recorder):
    """Its on_ws_frame raises what it was made with."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        raise self.error


async def sends_a_frame(peer: RawPeer) -> None:
    await Net.accept_upgrade(peer)
    await peer.send(b"\x81\x02hi")
    await peer.rest()
    peer.close()


async def breaks_the_protocol(peer: RawPeer) -> None:
    await Net.accept_upgrade(peer)
    await peer.send(b"\x83\x00")
    await peer.rest()
    peer.close()


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), FileNotFoundError("a file"), WSError("no"), StopAsyncIteration()]
)
async def test_what_a_callback_raises_ends_the_iteration(plain_net: Net, pauses: list[float], error: Exception) -> None:
    connections = again(plain_net, await plain_net.raw_server(sends_a_frame), lambda: Raising(error))
    transport = await within(anext(connections))
    expected = RuntimeError if isinstance(error, StopAsyncIteration) else type(error)
    with pytest.raises(expected) as caught:
        await within(anext(connections))
    assert error in (caught.value, caught.value.__cause__)
    assert transport.is_disconnected
    assert pauses == []
    with pytest.raises(StopAsyncIteration):
        await anext(connections)


async def test_a_body_that_survives_it_does_not_make_it_go_on(one_net: Net, pauses: list[float]) -> None:
    connections = again(one_net, await one_net.raw_server(sends_a_frame), lambda: Raising(ValueError("a bug")))
    transport = await within(anext(connections))
    with pytest.raises(ValueError, match="a bug"):
        await within(transport.wait_disconnected())
    with pytest.raises(ValueError, match="a bug"):
        await within(anext(connections))
    assert pauses == []


async def test_what_a_callback_raises_can_be_retried(one_net: Net, pauses: list[float]) -> None:
    errors = iter([KeyError("one"), KeyError("two"), IndexError("three")])
    connections = again(
        one_net,
        await one_net.raw_server(sends_a_frame),
        lambda: Raising(next(errors)),
        retry=lambda exc: isinstance(exc, KeyError),
    )
    for _ in range(3):
        await within(anext(connections))
    with pytest.raises(IndexError):
        await within(anext(connections))
    assert pauses == [1, 2]


async def test_a_peer_that_breaks_the_protocol(plain_net: Net, pauses: list[float]) -> None:
    port = await plain_net.raw_server(in_turn(breaks_the_protocol, breaks_the_protocol, accepts))
    async with again(plain_net, port) as connections:
        for _ in range(3):
            transport = await within(anext(connections))
        assert not transport.is_disconnected
    assert pauses == [1, 2]


async def test_a_listener_that_calls_it_a_protocol_error(one_net: Net, pauses: list[float]) -> None:
    port = await one_net.raw_server(sends_a_frame)
    error = WSProtocolError(WSCloseCode.UNSUPPORTED_DATA, "no text here")
    async with again(one_net, port, lambda: Raising(error)) as connections:
        for _ in range(2):
            await within(anext(connections))
    assert pauses == [1]
