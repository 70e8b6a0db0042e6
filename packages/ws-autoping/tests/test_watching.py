"""rtt_threshold and stall_timeout on connections of the real core; when exactly, is test_virtual.py."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from harness import Net, RawPeer, Recorder, frame_bytes, until, within
from jumps import Jumps
from ws_autoping import RTTStats, rtt_stats
from ws_core import WSCloseCode, WSDisconnectKind, WSFrame, WSListener, WSMsgType, WSTransport, reconnecting
from ws_core.testing import connected_pair

LONG_S = 100.0
KEEPALIVE = {"enable_auto_ping": True, "auto_ping_idle_timeout": 100.0, "auto_ping_reply_timeout": 50.0}


class Asked(Recorder):
    def __init__(self) -> None:
        super().__init__()
        self.slow: list[RTTStats] = []

    def on_rtt(self, transport: WSTransport, stats: RTTStats) -> None:
        self.slow.append(stats)
        self._note("slow")

    def on_stall(self, transport: WSTransport) -> None:
        self._note("stall")


async def test_on_rtt(net: Net) -> None:
    """Also of times that measure_roundtrip_time has measured; auto-ping need not be on."""
    server = await net.serve()
    transport, listener = await net.connect(server, Asked, rtt_threshold=1e-9)
    times = await within(transport.measure_roundtrip_time(3))
    assert [stats.last for stats in listener.slow] == times[:1]
    assert not transport.is_disconnected
    transport, listener = await net.connect(server, Asked, rtt_threshold=LONG_S)
    await within(transport.measure_roundtrip_time(3))
    assert listener.slow == []


async def test_a_slow_connection_ends_unless_the_listener_decides(net: Net, clock: Jumps) -> None:
    server = await net.serve()
    transport, _ = await net.connect(server, rtt_threshold=1e-9, **KEEPALIVE)
    clock.jump(101)
    await within(transport.wait_disconnected())
    assert transport.close_handshake.sent.code is WSCloseCode.GOING_AWAY
    assert transport.disconnect_reason.kind is WSDisconnectKind.TIMEOUT
    assert "rtt_threshold" in transport.disconnect_reason.message


async def test_the_caller_gets_the_time_that_ended_the_connection() -> None:
    async with connected_pair(client_options={"rtt_threshold": 1e-9}) as pair:
        assert len(await within(pair.client.measure_roundtrip_time(1))) == 1
        with pytest.raises(ConnectionResetError):
            await within(pair.client.measure_roundtrip_time(1))


async def test_on_stall_again_and_again(net: Net) -> None:
    server = await net.serve()
    transport, listener = await net.connect(server, Asked, stall_timeout=0.01)
    await listener.event("stall", 3)
    assert not transport.is_disconnected
    transport.send(WSMsgType.TEXT, b"still here")
    await listener.frame()


async def test_a_stalled_connection_ends_unless_the_listener_decides(net: Net, clock: Jumps) -> None:
    """On a server: its client answers every PING, and sends nothing else."""
    made: list[Recorder] = []
    server = await net.serve(lambda request: made.append(Recorder()) or made[0], stall_timeout=250, **KEEPALIVE)
    transport, listener = await net.connect(server)
    await until(lambda: made and made[0].transport)
    for count in (1, 2):
        clock.jump(101)
        await until(lambda count=count: made[0].transport.stats.frames_in == count)
    assert not listener.frames
    clock.jump(101)
    frame = await listener.frame()
    assert (frame.msg_type, frame.get_close_code()) == (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY)
    assert "stall_timeout=250" in frame.get_close_reason()
    assert made[0].transport.disconnect_reason.kind is WSDisconnectKind.TIMEOUT
    transport.disconnect()
    await made[0].event("disconnected")


async def test_frames_behind_the_upgrade_are_data(plain_net: Net) -> None:
    """They are there before anything else is."""

    async def handler(peer: RawPeer) -> None:
        await plain_net.accept_upgrade(peer)
        await peer.send(frame_bytes(WSMsgType.TEXT, b"first") + frame_bytes(WSMsgType.PONG, b""))
        await peer.rest()

    port = await plain_net.raw_server(handler)
    _, listener = await plain_net.connect(port, Asked, stall_timeout=LONG_S)
    await listener.frame()
    await listener.frame()
    assert "stall" not in listener.events


async def test_nothing_is_left_of_it() -> None:
    for _ in range(3):
        async with connected_pair(Asked, client_options={"stall_timeout": LONG_S, "rtt_threshold": 1.0}):
            pass
    timers = [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]
    assert not [timer for timer in timers if "Scheduler" in repr(timer)]


@pytest.mark.parametrize("graceful", [True, False])
@pytest.mark.parametrize("method", ["on_rtt", "on_stall"])
async def test_callbacks_that_disconnect(method: str, graceful: bool) -> None:
    def leave(transport: WSTransport, *_: Any) -> None:
        transport.disconnect(graceful)

    options = {"stall_timeout": 0.005} if method == "on_stall" else {"rtt_threshold": 1e-9}
    async with connected_pair(
        type("Leaves", (WSListener,), {method: staticmethod(leave)}), client_options=options
    ) as p:
        if method == "on_rtt":
            assert len(await within(p.client.measure_roundtrip_time(1))) == 1
        await within(p.client.wait_disconnected())
        assert p.client.disconnect_reason.kind is WSDisconnectKind.LOCAL


@pytest.mark.parametrize("method", ["on_rtt", "on_stall"])
async def test_callbacks_that_raise(method: str) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError(method)

    options = {"stall_timeout": 0.005} if method == "on_stall" else {"rtt_threshold": 1e-9}
    async with connected_pair(type("Fails", (WSListener,), {method: fail}), client_options=options) as pair:
        if method == "on_rtt":
            assert len(await within(pair.client.measure_roundtrip_time(1))) == 1
        with pytest.raises(ZeroDivisionError, match=method):
            await within(pair.client.wait_disconnected())
        assert pair.client.close_handshake.sent.code is WSCloseCode.INTERNAL_ERROR
        assert method in pair.client.disconnect_reason.message
        if method == "on_rtt":
            assert rtt_stats(pair.client).count == 1


async def coroutine(*_: Any) -> None: ...


@pytest.mark.parametrize("wrong", [coroutine, 5])
@pytest.mark.parametrize("option", ["rtt_threshold", "stall_timeout"])
async def test_callbacks_that_cannot_be_called(one_net: Net, option: str, wrong: Any) -> None:
    method = {"rtt_threshold": "on_rtt", "stall_timeout": "on_stall"}[option]
    server = await one_net.serve()
    transport, _ = await one_net.connect(server, type("Wrong", (WSListener,), {method: wrong}), **{option: 1.0})
    with pytest.raises(TypeError, match=f"Wrong.{method}"):
        await within(transport.wait_disconnected())
    transport, _ = await one_net.connect(server, type("Unused", (WSListener,), {method: wrong}))
    assert len(await within(transport.measure_roundtrip_time(1))) == 1  # nobody would have called it


async def test_a_ping_that_is_a_coroutine(clock: Jumps) -> None:
    class Wrong(WSListener):
        async def send_user_specific_ping(self, transport: WSTransport) -> None: ...

    async with connected_pair(Wrong, client_options=KEEPALIVE) as pair:
        clock.jump(101)
        with pytest.raises(TypeError, match="send_user_specific_ping returned a coroutine"):
            await within(pair.client.wait_disconnected())


async def test_a_pong_test_that_is_a_coroutine(clock: Jumps) -> None:
    """It would be true for every frame."""

    class Wrong(Recorder):
        async def is_user_specific_pong(self, frame: WSFrame) -> bool:
            return False

    async with connected_pair(Wrong, client_options=KEEPALIVE) as pair:
        clock.jump(101)
        pair.server.send(WSMsgType.TEXT, b"data")
        with pytest.raises(TypeError, match="is_user_specific_pong returned a coroutine"):
            await within(pair.client.wait_disconnected())


@pytest.mark.parametrize("answer", [None, 0, ""])
async def test_a_pong_test_that_returns_something_false(clock: Jumps, answer: Any) -> None:
    class Odd(Recorder):
        def send_user_specific_ping(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, b"ping")

        def is_user_specific_pong(self, frame: WSFrame) -> Any:
            return answer

    async with connected_pair(Odd, Recorder, client_options=KEEPALIVE) as pair:
        clock.jump(101)
        await until(lambda: pair.server_listener.frames)
        pair.server.send(WSMsgType.TEXT, b"data")
        await pair.client_listener.wait_for(lambda: pair.client_listener.frames)
        assert pair.client_listener.frames[0].get_payload_as_bytes() == b"data"


async def test_reconnecting_leaves_what_is_slow(one_net: Net, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    server = await one_net.serve()
    options = {"rtt_threshold": 1e-9, "backoff_min": 0.001, "backoff_max": 0.001}
    seen = []
    async with reconnecting(WSListener, one_net.url(server), **options) as connections:
        async for transport in connections:
            seen.append(transport)
            await transport.measure_roundtrip_time(1)
            if len(seen) == 3:
                break
    assert all("rtt_threshold" in transport.disconnect_reason.message for transport in seen[:2])
