"""Keeper, pings and stall watch together in virtual time: who lives is kept, who is gone is noticed, in time."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from virtual import VirtualTransport, World
from ws_autoping import _core
from ws_autoping.keeper import Keeper
from ws_autoping.pings import pings_of, rtt_stats
from ws_autoping.policy import make_policy
from ws_autoping.stall import StallWatch
from ws_core import WSAutoPingStrategy, WSCloseCode, WSDisconnectKind, WSListener, WSMsgType

HOUR_S = 3600.0
DATA = WSMsgType.BINARY
#: Wake-ups may be this part of the shorter timeout late, and the last look is a millisecond after.
LATE = 1 / 64


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(_core, "clock", lambda: world.now)
    return world


def keeper(world: World, idle_s: float, reply_s: float, strategy: int = 1, watch: Any = None) -> Keeper:
    policy = make_policy(WSAutoPingStrategy(strategy), idle_s, reply_s, world.now)
    return Keeper(world.scheduler, policy, watch)


@pytest.mark.parametrize("strategy", [1, 2])
def test_a_thousand_hours(world: World, strategy: int) -> None:
    transport = VirtualTransport(world, answer_s=0.3).open(keeper(world, 60, 20, strategy))
    world.run(1000 * HOUR_S)
    assert transport.ended_at is None
    assert len(transport.pings) == pytest.approx(1000 * HOUR_S / (60 if strategy == 2 else 60.3), rel=0.01)
    stats = rtt_stats(transport)
    assert len(transport.pings) - stats.count <= 1  # one may be on its way
    assert stats.mean == pytest.approx(0.3)
    assert stats.p50 == stats.p99 == pytest.approx(0.3)
    assert transport.shown == []
    transport.answer_s = None
    transport.pings.clear()
    stopped_at = world.now
    world.run(HOUR_S)
    assert transport.code is WSCloseCode.GOING_AWAY
    assert transport.reason is not None
    assert transport.reason.kind is WSDisconnectKind.TIMEOUT
    assert transport.ended_at is not None
    assert transport.ended_at <= stopped_at + (60 + 20) * (1 + LATE) + 1


@pytest.mark.parametrize("seed", range(10))
def test_lives(world: World, seed: int) -> None:
    """Ten connections at once: answers, data, halves of frames and silence by chance, on a loop that is sometimes
    busy with something else. Nobody dies who answers in time, everybody dies who does not."""
    chance = random.Random(seed)
    lives = []
    for _ in range(10):
        idle_s = chance.choice([0.5, 10, 60])
        reply_s = idle_s * chance.choice([0.1, 0.5, 1.0])
        transport = VirtualTransport(world, answer_s=chance.uniform(0, 0.98) * reply_s)
        transport.open(keeper(world, idle_s, reply_s, chance.choice([1, 2])))
        lives.append((transport, idle_s, reply_s))
        world.run(chance.uniform(0, 3))
    for _ in range(80):
        transport, idle_s, reply_s = chance.choice(lives)
        what = chance.random()
        if what < 0.4:
            transport.receive(DATA)
        elif what < 0.7:
            for _ in range(30):
                transport.receive_bytes()
                world.run(chance.uniform(0, 0.9) * reply_s)
            transport.receive(DATA)
        elif what < 0.8:
            world.block(chance.uniform(0, 100))
        world.run(chance.expovariate(1 / idle_s))
        assert [life[0].ended_at for life in lives] == [None] * len(lives)
    for number, (transport, _, _) in enumerate(lives):
        if number % 2:
            transport.answer_s = None
    stopped_at = world.now
    world.run(300)
    for number, (transport, idle_s, reply_s) in enumerate(lives):
        if number % 2 == 0:
            assert transport.ended_at is None
        else:
            assert transport.ended_at is not None
            # An answer was perhaps on its way; then comes a whole period, and one more for PING_PERIODICALLY.
            assert transport.ended_at <= stopped_at + (2 * idle_s + 2 * reply_s) * (1 + LATE) + 0.1


def test_a_peer_that_sends_data_but_no_pongs(world: World) -> None:
    """It lives. What waits for its pongs is a handful of ids, however long it goes on."""
    transport = VirtualTransport(world, answer_s=None).open(keeper(world, 1, 1, 2))
    for _ in range(1000):
        world.run(0.7)
        transport.receive(DATA)
    assert transport.ended_at is None
    assert len(transport.pings) > 600
    assert len(pings_of(transport)._open) <= 8


def test_half_of_a_slow_frame_is_life(world: World) -> None:
    """100 MB at 1 kB a second: a day without one whole frame."""
    transport = VirtualTransport(world, answer_s=None)
    watch = StallWatch(world.scheduler, 15)
    transport.open(watch, keeper(world, 10, 10, watch=watch))
    for _ in range(100_000):
        world.run(1)
        transport.receive_bytes()
    assert transport.ended_at is None
    assert transport.pings == []
    world.run(60)
    assert transport.ended_at is not None


def test_nobody_is_judged_while_reading_is_paused(world: World) -> None:
    transport = VirtualTransport(world, answer_s=None)
    transport.underlying_transport.reading = False
    watch = StallWatch(world.scheduler, 3)
    transport.open(watch, keeper(world, 1, 1, watch=watch))
    world.run(HOUR_S)
    assert transport.ended_at is None
    transport.underlying_transport.reading = True
    world.run(10)
    assert transport.ended_at is not None


def test_a_transport_that_does_not_tell_whether_it_reads(world: World) -> None:
    transport = VirtualTransport(world).open(keeper(world, 1, 1))
    transport.underlying_transport.is_reading = asyncio.Transport().is_reading
    world.run(HOUR_S)
    assert transport.ended_at is None
    assert len(transport.pings) > 3000
    transport.answer_s = None
    world.run(10)
    assert transport.ended_at is not None


def test_a_backlog_that_moves_is_life(world: World) -> None:
    transport = VirtualTransport(world, answer_s=None).open(keeper(world, 1, 1))
    transport.write_backlog_size = 10_000
    for _ in range(99):
        world.run(0.9)
        transport.write_backlog_size -= 100
    assert transport.ended_at is None
    world.run(10)
    assert transport.ended_at is not None


def test_what_was_removed_is_not_woken(world: World) -> None:
    for _ in range(100):
        watch = StallWatch(world.scheduler, 5)
        transport = VirtualTransport(world).open(watch, keeper(world, 1, 1, watch=watch))
        world.run(0.5)
        transport.lose()
        assert len(world.scheduler) == 0
    world.run(HOUR_S)
    assert transport.ended_at is None


class Watching(WSListener):
    def __init__(self, world: World) -> None:
        self.world = world
        self.stalls: list[float] = []
        self.slow: list[Any] = []

    def on_stall(self, transport: Any) -> None:
        self.stalls.append(self.world.now)

    def on_rtt(self, transport: Any, stats: Any) -> None:
        self.slow.append(stats)


@pytest.mark.parametrize("pings", [0, 1, 2], ids=["alone", "idle", "periodic"])
@pytest.mark.parametrize("seed", range(5))
def test_a_stall_is_noticed_and_no_other(world: World, seed: int, pings: int) -> None:
    """Never while data come in time; at the latest a quarter of the timeout late, whatever pings and pongs pass."""
    chance = random.Random(seed)
    stall_s = chance.uniform(1, 300)
    listener = Watching(world)
    watch = StallWatch(world.scheduler, stall_s)
    transport = VirtualTransport(world, listener)
    transport.open(watch, *([keeper(world, stall_s / 7, stall_s / 7, pings, watch)] if pings else []))
    data_at = world.now
    expected = 0
    for _ in range(300):
        what = chance.random()
        if what < 0.1:
            transport.receive(DATA)
            data_at = world.now
        elif what < 0.15:
            transport.receive_bytes()
            world.run(chance.uniform(0, 0.1) * stall_s)
            transport.receive(DATA)
            data_at = world.now
        elif what < 0.7:
            transport.receive(chance.choice([WSMsgType.PING, WSMsgType.PONG]))
        step = min(chance.expovariate(4 / stall_s), max(0.0, data_at + 0.99 * stall_s - world.now))
        world.run(step)
        if step == 0.0:  # it is time for a stall
            world.run(stall_s * 1.5, done=lambda seen=expected: len(listener.stalls) > seen)
            expected += 1
            assert data_at + stall_s <= listener.stalls[-1] <= data_at + stall_s * (1.25 + LATE) + 0.01
            data_at = listener.stalls[-1]
        assert len(listener.stalls) == expected
    assert expected > 3
    assert transport.ended_at is None


def test_a_stall_ends_the_connection_of_a_listener_that_does_not_care(world: World) -> None:
    watch = StallWatch(world.scheduler, 30)
    transport = VirtualTransport(world).open(watch, keeper(world, 5, 5, watch=watch))
    start = world.now
    world.run(HOUR_S)
    assert transport.ended_at == pytest.approx(start + 30, abs=1)
    assert transport.code is WSCloseCode.GOING_AWAY
    assert transport.reason is not None
    assert transport.reason.kind is WSDisconnectKind.TIMEOUT
    assert "stall_timeout=30" in transport.reason.message


class TextPings(Watching):
    by_notice = False

    def send_user_specific_ping(self, transport: Any) -> None:
        transport.pings.append(self.world.now)
        self.world.at(self.world.now + 0.1, lambda: self.answer(transport))

    def answer(self, transport: Any) -> None:
        transport.receive(WSMsgType.TEXT, b"pong")
        if self.by_notice:
            transport.notify_user_specific_pong_received()

    def is_user_specific_pong(self, frame: Any) -> bool:
        return not self.by_notice and frame.get_payload_as_bytes() == b"pong"


@pytest.mark.parametrize("by_notice", [False, True])
def test_pongs_of_the_users_making_are_no_data(world: World, by_notice: bool) -> None:
    listener = TextPings(world)
    listener.by_notice = by_notice
    watch = StallWatch(world.scheduler, 30)
    transport = VirtualTransport(world, listener).open(watch, keeper(world, 5, 5, watch=watch))
    start = world.now
    world.run(31)
    assert listener.stalls == [pytest.approx(start + 30, abs=0.6)]
    assert len(transport.pings) >= 5
    for _ in range(100):
        transport.receive(DATA)
        world.run(10)
    assert len(listener.stalls) == 1
    assert transport.ended_at is None
    assert rtt_stats(transport).mean == pytest.approx(0.1)


def test_data_that_a_busy_loop_has_not_read_yet(world: World) -> None:
    listener = Watching(world)
    transport = VirtualTransport(world, listener).open(StallWatch(world.scheduler, 10))
    for _ in range(50):
        world.at(world.now + 5, lambda: transport.receive(DATA))
        world.block(12)
        world.run(0.5)
    assert listener.stalls == []


def test_a_pong_that_is_a_pong_is_counted_once(world: World) -> None:
    """Only the ping is the user's. The one data frame between two pongs is seen, too."""

    class OwnPing(Watching):
        def send_user_specific_ping(self, transport: Any) -> None:
            transport.send_ping(b"mine")

        def is_user_specific_pong(self, frame: Any) -> bool:
            return bool(frame.msg_type is WSMsgType.PONG)

    listener = OwnPing(world)
    watch = StallWatch(world.scheduler, 30)
    transport = VirtualTransport(world, listener).open(watch, keeper(world, 5, 5, 2, watch))
    for _ in range(20):
        world.run(20)
        transport.receive(DATA)
        transport.receive(WSMsgType.PING)
    assert len(transport.pings) > 70
    assert listener.stalls == []
    world.run(40)
    assert len(listener.stalls) == 1  # pongs only


def test_whose_pong_it_is_cannot_be_told(world: World) -> None:
    """Two pings of the user's making before the first pong: no round trip is measured (RFC 6298 section 3)."""

    class Late(Watching):
        def send_user_specific_ping(self, transport: Any) -> None:
            transport.pings.append(self.world.now)

        def is_user_specific_pong(self, frame: Any) -> bool:
            return frame.get_payload_as_bytes() == b"pong"

    transport = VirtualTransport(world, Late(world)).open(keeper(world, 1, 1, 2))
    for _ in range(25):
        world.run(0.1)
        transport.receive(DATA)
    assert len(transport.pings) == 2
    transport.receive(WSMsgType.TEXT, b"pong")
    assert rtt_stats(transport).count == 0
    world.run(0.6)
    assert len(transport.pings) == 3
    transport.receive(WSMsgType.TEXT, b"pong")
    assert rtt_stats(transport).count == 1


def test_a_slow_peer_is_told_of_once(world: World) -> None:
    listener = Watching(world)
    transport = VirtualTransport(world, listener, answer_s=0.01)
    transport.open(keeper(world, 1, 1, 2))
    pings_of(transport).threshold_s = 0.1
    world.run(60)
    assert listener.slow == []
    transport.answer_s = 0.3
    world.run(60)
    assert len(listener.slow) == 1
    assert listener.slow[0].smoothed > 0.1
    assert listener.slow[0].last == pytest.approx(0.3)
    transport.answer_s = 0.01
    world.run(60)
    transport.answer_s = 0.3
    world.run(60)
    assert len(listener.slow) == 2
    assert transport.ended_at is None


def test_a_slow_peer_is_left_by_a_listener_that_does_not_care(world: World) -> None:
    transport = VirtualTransport(world, answer_s=0.3)
    transport.open(keeper(world, 1, 1))
    pings_of(transport).threshold_s = 0.1
    world.run(60)
    assert transport.code is WSCloseCode.GOING_AWAY
    assert transport.reason is not None
    assert "rtt_threshold=0.1" in transport.reason.message
    assert len(transport.pings) == 1
