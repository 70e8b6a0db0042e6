"""Keepalive over real sockets. Time is not waited for: the clock is put forward (tests/lib/jumps.py)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness import Net, RawPeer, Recorder, client_frame, frame_bytes, until, within
from jumps import Jumps
from ws_core import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSDisconnectKind,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

PING = 0x89
PONG = 0x8A
CLOSE = 0x88

KEEPALIVE = {"enable_auto_ping": True, "auto_ping_idle_timeout": 100.0, "auto_ping_reply_timeout": 50.0}
IDLE_S = 101.0
REPLY_S = 51.0
# Two tests let real time pass: over all, this works without a clock of its own.
QUICK = {"enable_auto_ping": True, "auto_ping_idle_timeout": 0.03, "auto_ping_reply_timeout": 0.03}


async def raw_client(net: Net, factory: Any = None, **options: Any) -> tuple[RawPeer, Recorder]:
    """A server of ours with `options`, and a client in raw bytes; returns it and the server's listener."""
    made: list[Recorder] = []

    def make(request: Any) -> Any:
        made.append(Recorder() if factory is None else factory())
        return made[0]

    server = await net.serve(make, **options)
    peer = await net.raw(server)
    return peer, made[0]


async def test_a_peer_that_answers_is_kept(net: Net, clock: Jumps) -> None:
    server = await net.serve(lambda request: Recorder(), enable_auto_pong=True)
    transport, listener = await net.connect(server, **KEEPALIVE)
    for count in range(1, 4):
        clock.jump(IDLE_S)
        await until(lambda count=count: transport.stats.frames_in == count)
    assert not transport.is_disconnected
    assert listener.frames == []  # the pongs were for auto-ping


async def test_a_silent_peer_gets_close_and_the_end(net: Net, clock: Jumps) -> None:
    peer, listener = await raw_client(net, **KEEPALIVE)
    clock.jump(IDLE_S)
    first, payload = await peer.frame()
    assert first == PING
    assert len(payload) == 12
    clock.jump(REPLY_S)
    first, payload = await peer.frame()
    assert first == CLOSE
    assert payload[:2] == WSCloseCode.GOING_AWAY.to_bytes(2, "big")
    peer.close()
    await listener.event("disconnected")
    assert listener.transport.disconnect_reason.kind is WSDisconnectKind.TIMEOUT
    assert "50 seconds" in listener.transport.disconnect_reason.message
    assert listener.events == ["connected", "disconnected"]


async def test_in_real_time(net: Net) -> None:
    peer, listener = await raw_client(net, **QUICK)
    assert (await peer.frame())[0] == PING
    assert (await peer.frame())[0] == CLOSE
    peer.close()
    await listener.event("disconnected")


async def test_a_client_gives_up_on_a_silent_server(net: Net, clock: Jumps) -> None:
    seen: list[tuple[int, bytes]] = []

    async def handler(peer: RawPeer) -> None:
        await net.accept_upgrade(peer)
        seen.append(await peer.frame())
        seen.append(await peer.frame())
        peer.close()

    port = await net.raw_server(handler)
    transport, listener = await net.connect(port, **KEEPALIVE)
    clock.jump(IDLE_S)
    await until(lambda: seen)
    clock.jump(REPLY_S)
    await listener.event("disconnected")
    assert [first for first, _ in seen] == [PING, CLOSE]
    await within(transport.wait_disconnected())  # the peer's fault is not raised
    assert transport.disconnect_reason.kind is WSDisconnectKind.TIMEOUT


async def test_nothing_on_the_wire_unless_asked(plain_net: Net, clock: Jumps) -> None:
    peer, listener = await raw_client(plain_net, auto_ping_idle_timeout=10, auto_ping_reply_timeout=10)
    clock.jump(IDLE_S)
    listener.transport.send(WSMsgType.TEXT, b"first")
    assert await peer.frame() == (0x81, b"first")


async def test_half_a_frame_is_life(net: Net, clock: Jumps) -> None:
    """Not one whole frame comes, for many times the idle and the reply timeout together."""
    peer, listener = await raw_client(net, **KEEPALIVE)
    frame = client_frame(WSMsgType.BINARY, b"x" * 100)
    for at in range(len(frame) - 1):
        before = listener.transport.stats.last_data_time
        await peer.send(frame[at : at + 1])
        await until(lambda before=before: listener.transport.stats.last_data_time > before)
        clock.jump(60)
    await peer.send(frame[-1:])
    assert (await listener.frame()).payload_size == 100
    assert listener.transport.stats.frames_out == 0  # no ping was needed


async def test_periodic_pings_beside_data(plain_net: Net, clock: Jumps) -> None:
    server = await plain_net.serve()
    transport, _ = await plain_net.connect(server, **KEEPALIVE, auto_ping_strategy=WSAutoPingStrategy.PING_PERIODICALLY)
    for count in range(1, 4):
        transport.send(WSMsgType.TEXT, b"busy")
        await until(lambda count=count: transport.stats.frames_in == 2 * count - 1)
        clock.jump(IDLE_S)
        await until(lambda count=count: transport.stats.frames_in == 2 * count)
    assert not transport.is_disconnected


async def test_paused_reading_is_no_death(plain_net: Net, clock: Jumps) -> None:
    server = await plain_net.serve()
    transport, _ = await plain_net.connect(server, **KEEPALIVE)
    transport.underlying_transport.pause_reading()
    for _ in range(10):
        clock.jump(IDLE_S)
        await asyncio.sleep(0.002)  # for the last look before a verdict
    transport.underlying_transport.resume_reading()
    assert not transport.is_disconnected
    transport.send(WSMsgType.TEXT, b"still here")
    await until(lambda: transport.stats.frames_in)


async def test_a_blocked_loop_does_not_kill_the_living(plain_net: Net, clock: Jumps) -> None:
    """The answer comes while the program is busy with something else for far longer than the reply timeout."""
    answered = asyncio.Event()

    async def handler(peer: RawPeer) -> None:
        await plain_net.accept_upgrade(peer)
        while True:
            first, payload = await peer.frame()
            if first == PING and not peer.writer.is_closing():
                await peer.send(frame_bytes(WSMsgType.PONG, payload))
                answered.set()

    port = await plain_net.raw_server(handler)
    transport, _ = await plain_net.connect(port, **KEEPALIVE)
    for _ in range(5):
        answered.clear()
        clock.jump(IDLE_S)
        await within(answered.wait())  # the answer is written, and not yet read by us
        clock.jump(1000)
        await until(lambda: transport.stats.frames_in == transport.stats.frames_out)
    assert not transport.is_disconnected


async def test_a_peer_that_takes_a_backlog_is_alive(plain_net: Net, clock: Jumps) -> None:
    """The ping waits behind a large message that the peer reads slowly, and says nothing meanwhile."""
    peer, listener = await raw_client(plain_net, **KEEPALIVE)
    size = 24 * 1024 * 1024
    transport = listener.transport
    transport.send(WSMsgType.BINARY, bytes(size))
    clock.jump(1)  # the keeper has not looked yet: the backlog of now is what it will compare with
    left = size + 10
    pinged = 0
    while left:
        before = transport.write_backlog_size
        left -= len(await within(peer.reader.readexactly(min(left, 4 * 1024 * 1024))))
        await until(lambda before=before: not before or transport.write_backlog_size < before)
        clock.jump(40)
        pinged = max(pinged, transport.stats.frames_out - 1)
    assert pinged  # behind the message
    first, payload = await peer.frame()
    assert first == PING
    await peer.send(client_frame(WSMsgType.PONG, payload))
    await until(lambda: transport.stats.frames_in)
    assert not transport.is_disconnected


async def test_a_peer_that_takes_nothing_is_gone(net: Net, clock: Jumps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pulled cable: neither CLOSE nor backlog leave, and still the end comes."""
    monkeypatch.setattr("ws_core._linger.PATIENCE_S", 0.05)  # two seconds; tests/faults has them
    peer, listener = await raw_client(net, **KEEPALIVE)
    peer.writer.transport.pause_reading()
    listener.transport.send(WSMsgType.BINARY, bytes(24 * 1024 * 1024))
    clock.jump(IDLE_S)
    clock.jump(REPLY_S)
    clock.jump(IDLE_S)  # what the kernels took at first was a backlog that moved
    await asyncio.sleep(0)
    clock.jump(REPLY_S)
    await listener.event("disconnected")
    assert listener.transport.disconnect_reason.kind is WSDisconnectKind.TIMEOUT


async def test_a_pong_without_our_payload_is_life_and_reaches_the_listener(plain_net: Net, clock: Jumps) -> None:
    peer, listener = await raw_client(plain_net, **KEEPALIVE)
    clock.jump(IDLE_S)
    assert (await peer.frame())[0] == PING
    await peer.send(client_frame(WSMsgType.PONG, b""))
    frame = await listener.frame()
    assert frame.msg_type is WSMsgType.PONG
    clock.jump(REPLY_S)
    clock.jump(IDLE_S)
    assert (await peer.frame())[0] == PING
    assert not listener.transport.is_disconnected


class TextPings(Recorder):
    """Pings and pongs as some exchanges have them."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def send_user_specific_ping(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, b"ping")

    def is_user_specific_pong(self, frame: WSFrame) -> bool:
        self.asked += 1
        return bool(frame.get_payload_as_memoryview() == b"pong")


async def test_pings_of_the_users_making(plain_net: Net, clock: Jumps) -> None:
    peer, listener = await raw_client(plain_net, TextPings, **KEEPALIVE)
    await peer.send(client_frame(WSMsgType.TEXT, b"hello"))
    await listener.frame()
    assert listener.asked == 0  # no pong was expected
    for count in range(1, 4):
        clock.jump(IDLE_S)
        assert await peer.frame() == (0x81, b"ping")
        await peer.send(client_frame(WSMsgType.TEXT, b"pong") + client_frame(WSMsgType.TEXT, b"data"))
        await until(lambda count=count: len(listener.frames) == count + 1)
        assert listener.asked == count  # the data came after the pong: nobody asked
    assert [frame.get_payload_as_bytes() for frame in listener.frames] == [b"hello"] + 3 * [b"data"]


async def test_an_unanswered_ping_of_the_users_making(net: Net, clock: Jumps) -> None:
    peer, _ = await raw_client(net, TextPings, **KEEPALIVE)
    clock.jump(IDLE_S)
    assert await peer.frame() == (0x81, b"ping")
    clock.jump(REPLY_S)
    first, payload = await peer.frame()
    assert (first, payload[:2]) == (CLOSE, WSCloseCode.GOING_AWAY.to_bytes(2, "big"))


async def test_a_pong_is_recognised_in_on_ws_frame(plain_net: Net, clock: Jumps) -> None:
    class Notifies(TextPings):
        def is_user_specific_pong(self, frame: WSFrame) -> bool:
            super().is_user_specific_pong(frame)
            return False

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.get_payload_as_memoryview() == b"pong":
                transport.notify_user_specific_pong_received()
                transport.notify_user_specific_pong_received()  # once too often does no harm
            super().on_ws_frame(transport, frame)

    peer, listener = await raw_client(plain_net, Notifies, **KEEPALIVE)
    for count in range(1, 4):
        clock.jump(IDLE_S)
        assert await peer.frame() == (0x81, b"ping")
        await peer.send(client_frame(WSMsgType.TEXT, b"pong"))
        await until(lambda count=count: len(listener.frames) == count)
    await peer.send(client_frame(WSMsgType.TEXT, b"data"))
    await until(lambda: len(listener.frames) == 4)
    assert listener.asked == 3


async def test_only_the_ping_is_the_users(plain_net: Net, clock: Jumps) -> None:
    """Then any PONG answers it, and other frames are not shown to is_user_specific_pong."""

    class OwnPing(Recorder):
        def send_user_specific_ping(self, transport: WSTransport) -> None:
            transport.send_ping(b"mine")

    peer, listener = await raw_client(plain_net, OwnPing, **KEEPALIVE)
    clock.jump(IDLE_S)
    assert await peer.frame() == (PING, b"mine")
    await peer.send(client_frame(WSMsgType.TEXT, b"data") + client_frame(WSMsgType.PONG, b"other"))
    await listener.frame()
    await until(lambda: listener.transport.stats.frames_in == 2)
    clock.jump(IDLE_S)
    assert await peer.frame() == (PING, b"mine")
    assert len(listener.frames) == 1


async def test_a_method_of_the_instance_counts(plain_net: Net) -> None:
    def factory() -> Recorder:
        listener = Recorder()
        listener.send_user_specific_ping = lambda transport: transport.send(WSMsgType.TEXT, b"instance")
        return listener

    peer, _ = await raw_client(plain_net, factory, **QUICK)
    assert await peer.frame() == (0x81, b"instance")


class Raises(Recorder):
    def send_user_specific_ping(self, transport: WSTransport) -> None:
        raise ZeroDivisionError("the ping")


async def test_a_ping_that_raises_ends_a_server_connection(plain_net: Net, caplog: pytest.LogCaptureFixture) -> None:
    peer, listener = await raw_client(plain_net, Raises, **QUICK)
    assert await peer.frame() == (CLOSE, WSCloseCode.INTERNAL_ERROR.to_bytes(2, "big"))
    peer.close()
    await listener.event("disconnected")
    assert listener.transport.disconnect_reason.kind is WSDisconnectKind.CALLBACK_ERROR
    assert "the ping" in caplog.text


async def test_a_ping_that_raises_is_raised_again_on_a_client(plain_net: Net) -> None:
    server = await plain_net.serve()
    transport, _ = await plain_net.connect(server, Raises, **QUICK)
    with pytest.raises(ZeroDivisionError, match="the ping"):
        await within(transport.wait_disconnected())


async def test_is_user_specific_pong_that_raises(plain_net: Net, clock: Jumps) -> None:
    class RaisesOnPong(WSListener):
        def is_user_specific_pong(self, frame: WSFrame) -> bool:
            raise ZeroDivisionError("the pong")

    server = await plain_net.serve()
    transport, _ = await plain_net.connect(server, RaisesOnPong, **KEEPALIVE)
    clock.jump(IDLE_S)
    with pytest.raises(ZeroDivisionError, match="the pong"):
        await within(transport.wait_disconnected())


@pytest.mark.parametrize("graceful", [True, False])
async def test_a_ping_that_disconnects(plain_net: Net, graceful: bool) -> None:
    class Leaves(Recorder):
        def send_user_specific_ping(self, transport: WSTransport) -> None:
            transport.send_ping()
            transport.disconnect(graceful)

    server = await plain_net.serve()
    transport, listener = await plain_net.connect(server, Leaves, **QUICK)
    await listener.event("disconnected")
    assert transport.disconnect_reason.kind is WSDisconnectKind.LOCAL


async def test_nothing_is_left_of_a_dead_connection(plain_net: Net) -> None:
    """State of one does not leak into the next, and the loop's timer goes with the last."""
    server = await plain_net.serve()
    for _ in range(3):
        transport, listener = await plain_net.connect(server, **KEEPALIVE)
        other, _ = await plain_net.connect(server, **KEEPALIVE)
        transport.disconnect()
        await listener.event("disconnected")
        other.disconnect(graceful=False)
        await within(other.wait_disconnected())
    timers = [timer for timer in getattr(asyncio.get_running_loop(), "_scheduled", []) if not timer.cancelled()]
    assert not [timer for timer in timers if "Scheduler" in repr(timer)]


async def test_many_connections_one_timer() -> None:
    loop = asyncio.get_running_loop()
    net = Net(tls=False, fast=True)
    server = await net.serve(**KEEPALIVE)
    tasks = len(asyncio.all_tasks())
    transports = [(await net.connect(server, **KEEPALIVE))[0] for _ in range(50)]
    timers = [timer for timer in loop._scheduled if not timer.cancelled() and "Scheduler" in repr(timer)]
    assert len(timers) == 1
    assert len(asyncio.all_tasks()) <= tasks
    assert not any(transport.is_disconnected for transport in transports)
    await net.aclose()


async def test_without_the_harness(plain_net: Net, clock: Jumps) -> None:
    """The guide's example, as a user types it."""
    server = await plain_net.serve(enable_auto_ping=True)
    transport, _ = await ws_connect(
        Recorder,
        plain_net.url(server),
        enable_auto_ping=True,
        auto_ping_idle_timeout=2,
        auto_ping_reply_timeout=1,
    )
    clock.jump(2.1)
    await until(lambda: transport.stats.frames_in)
    transport.disconnect()
    await within(transport.wait_disconnected())
