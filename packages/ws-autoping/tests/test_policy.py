"""The decisions of keepalive in virtual time: nothing here waits."""

from __future__ import annotations

import random

import pytest

from ws_autoping.policy import Action, Periodically, Policy, WhenIdle, make_policy
from ws_core import WSAutoPingStrategy

HOUR_S = 3600.0


class World:
    """A peer and a clock. `heard` are the times at which bytes come; the policy is asked exactly when it wants."""

    def __init__(self, policy: Policy, answers_after_s: float | None = None) -> None:
        self.policy = policy
        self.answers_after_s = answers_after_s
        self.arrivals: list[float] = []
        self.heard_at = 0.0
        self.now = 0.0
        self.pings: list[float] = []
        self.gave_up_at: float | None = None

    def run(self, until: float) -> World:
        next_look = self.now
        while next_look <= until and self.gave_up_at is None:
            self.now = max(self.now, next_look)
            due = [at for at in self.arrivals if at <= self.now]
            if due:
                self.heard_at = max(self.heard_at, *due)
                self.arrivals = [at for at in self.arrivals if at > self.now]
            action, next_look = self.policy.decide(self.now, self.heard_at)
            assert next_look >= self.now
            if action is Action.PING:
                self.pings.append(self.now)
                if self.answers_after_s is not None:
                    self.arrivals.append(self.now + self.answers_after_s)
            elif action is Action.GIVE_UP:
                self.gave_up_at = self.now
        self.now = max(self.now, until) if self.gave_up_at is None else self.now
        return self


def test_a_quiet_peer_that_answers_lives_for_months() -> None:
    world = World(WhenIdle(10, 10), answers_after_s=0.5).run(2000 * HOUR_S)
    assert world.gave_up_at is None
    assert world.pings[:3] == [10.0, 20.5, 31.0]
    assert len(world.pings) == pytest.approx(2000 * HOUR_S / 10.5, abs=2)


def test_periodic_pings_do_not_drift() -> None:
    world = World(Periodically(0.1, 0.1, 0.0), answers_after_s=0.05).run(5 * HOUR_S)
    assert world.gave_up_at is None
    assert world.pings[:2] == [pytest.approx(0.1), pytest.approx(0.2)]
    assert world.pings[-1] == pytest.approx(len(world.pings) * 0.1, abs=1e-6)
    assert len(world.pings) == pytest.approx(5 * HOUR_S / 0.1, abs=2)


@pytest.mark.parametrize("idle_s", [1.0, 7.5, 20.0])
@pytest.mark.parametrize("reply_s", [0.5, 1.0])
@pytest.mark.parametrize("strategy", WSAutoPingStrategy)
def test_a_dead_peer_is_given_up_in_time(strategy: WSAutoPingStrategy, idle_s: float, reply_s: float) -> None:
    world = World(make_policy(strategy, idle_s, reply_s, 0.0)).run(HOUR_S)
    assert world.pings[0] == idle_s
    assert world.gave_up_at == idle_s + reply_s


def test_a_peer_that_dies_later_is_given_up_in_time() -> None:
    world = World(WhenIdle(10, 4), answers_after_s=1).run(HOUR_S)
    world.answers_after_s = None
    last_heard = world.heard_at
    world.run(2 * HOUR_S)
    assert world.gave_up_at is not None
    assert world.gave_up_at <= last_heard + 11 + 10 + 4


@pytest.mark.parametrize("every_s", [0.2, 0.9, 0.999])
def test_no_ping_while_data_comes(every_s: float) -> None:
    world = World(WhenIdle(1, 1))
    for n in range(5000):
        world.arrivals.append((n + 1) * every_s)
        world.run((n + 1) * every_s)
    assert world.pings == []


def test_periodic_pings_whatever_comes() -> None:
    policy = Periodically(1, 1, 0.0)
    pings = [now / 8 for now in range(801) if policy.decide(now / 8, now / 8)[0] is Action.PING]
    assert pings == [float(n) for n in range(1, 101)]


@pytest.mark.parametrize("policy", [WhenIdle(1, 1), Periodically(1, 1, 0.0)], ids=["idle", "periodic"])
def test_any_byte_after_the_ping_is_life(policy: Policy) -> None:
    assert policy.decide(1.0, 0.0)[0] is Action.PING
    assert policy.decide(1.5, 0.0)[0] is Action.WAIT
    assert policy.decide(1.9, 1.8)[0] is not Action.GIVE_UP
    assert policy.decide(2.0, 1.8)[0] is not Action.GIVE_UP
    assert policy.decide(2.5, 2.4)[0] is not Action.GIVE_UP


@pytest.mark.parametrize("policy", [WhenIdle(1, 1), Periodically(1, 1, 0.0)], ids=["idle", "periodic"])
def test_a_loop_that_was_busy_looks_once_more(policy: Policy) -> None:
    """The answer lies in the socket while the loop is blocked: it is read before the verdict."""
    assert policy.decide(1.0, 0.0)[0] is Action.PING
    assert policy.decide(60.0, 0.0) == (Action.WAIT, 60.0)
    action, _ = policy.decide(60.001, 60.0005)
    assert action is not Action.GIVE_UP
    # And with nothing in the socket it is the end.
    action, _ = policy.decide(100.0, 60.0005)
    if action is Action.PING:
        assert policy.decide(102.0, 60.0005)[0] is Action.WAIT
    else:
        assert action is Action.WAIT
    assert policy.decide(102.001, 60.0005)[0] in (Action.GIVE_UP, Action.WAIT)
    assert policy.decide(104.0, 60.0005)[0] is Action.GIVE_UP


def test_a_busy_loop_makes_up_for_no_missed_pings() -> None:
    policy = Periodically(1, 1, 0.0)
    action, when = policy.decide(10.25, 10.25)
    assert (action, when) == (Action.PING, 11.0)
    assert policy.decide(10.3, 10.3) == (Action.WAIT, 11.0)


@pytest.mark.parametrize("strategy", WSAutoPingStrategy)
def test_random_lives(strategy: WSAutoPingStrategy) -> None:
    """Peers that answer a little before the deadline, at random, never die; those that stop always do, in time."""
    chance = random.Random(strategy.value)
    for _ in range(300):
        idle_s = chance.uniform(0.01, 50)
        reply_s = chance.uniform(0.01, 1.0) * idle_s
        world = World(make_policy(strategy, idle_s, reply_s, 0.0))
        for _ in range(20):
            world.answers_after_s = chance.uniform(0, 0.999) * reply_s
            world.run(world.now + chance.uniform(0, 4) * idle_s)
            assert world.gave_up_at is None
        world.answers_after_s = None
        stopped_at = world.now
        world.run(stopped_at + 10 * (idle_s + reply_s))
        assert world.gave_up_at is not None
        # Up to one more answer was under way, then comes a whole period.
        assert world.gave_up_at <= stopped_at + 2 * reply_s + 2 * idle_s + 1e-6
