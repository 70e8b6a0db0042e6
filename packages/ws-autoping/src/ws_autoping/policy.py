"""When to ping and when to give up: decisions over a clock that is passed in.

Nothing here knows loops, transports or the time of day. A policy is told what
time it is and when the peer was last heard, and says what to do now and when
it wants to be asked again. Any byte from the peer is life.
"""

from __future__ import annotations

import math
from enum import Enum

from ws_core import WSAutoPingStrategy

__all__ = ["Action", "Periodically", "Policy", "WhenIdle", "make_policy"]


class Action(Enum):
    """What is to be done now."""

    WAIT = "wait"
    PING = "ping"
    GIVE_UP = "give up"


class Policy:
    """One connection's keepalive. All times are seconds on one clock, whichever it is."""

    __slots__ = ("_last_call", "_pinged_at", "idle_s", "reply_s")

    def __init__(self, idle_s: float, reply_s: float) -> None:
        self.idle_s = idle_s
        self.reply_s = reply_s
        # The first ping after which nothing at all has come.
        self._pinged_at: float | None = None
        self._last_call = False

    def decide(self, now: float, heard_at: float) -> tuple[Action, float]:
        """
        What to do at `now`, and when to ask again.

        :param now: never before the `now` of an earlier call
        :param heard_at: when the last byte came from the peer
        """
        raise NotImplementedError

    def _verdict(self, now: float, heard_at: float) -> tuple[Action, float] | None:
        """What the last ping has led to; None if nothing is open."""
        if self._pinged_at is None:
            return None
        if heard_at >= self._pinged_at:
            self._pinged_at = None
            self._last_call = False
            return None
        deadline = self._pinged_at + self.reply_s
        if now < deadline:
            return Action.WAIT, deadline
        if not self._last_call:
            # The loop may have been busy with something else and the answer
            # lie in the socket. Asked again at once, which is after the loop
            # has read what there is: a peer that lives has been heard by then.
            self._last_call = True
            return Action.WAIT, now
        return Action.GIVE_UP, math.inf


class WhenIdle(Policy):
    """A ping after `idle_s` without a byte from the peer; the end `reply_s` later if there still is none."""

    __slots__ = ()

    def decide(self, now: float, heard_at: float) -> tuple[Action, float]:
        verdict = self._verdict(now, heard_at)
        if verdict is not None:
            return verdict
        due = heard_at + self.idle_s
        if now < due:
            return Action.WAIT, due
        self._pinged_at = now
        return Action.PING, now + self.reply_s


class Periodically(Policy):
    """A ping every `idle_s`, whatever comes; the end if nothing has come for `reply_s` after one."""

    __slots__ = ("_count", "_start")

    def __init__(self, idle_s: float, reply_s: float, start: float) -> None:
        super().__init__(idle_s, reply_s)
        self._start = start
        # Pings are due at start + n * idle, so the period does not drift.
        self._count = 1

    def decide(self, now: float, heard_at: float) -> tuple[Action, float]:
        verdict = self._verdict(now, heard_at)
        if verdict is not None and (verdict[0] is Action.GIVE_UP or self._last_call):
            return verdict
        due = self._start + self._count * self.idle_s
        if now < due:
            return Action.WAIT, due if verdict is None else min(due, verdict[1])
        # Those that a busy loop has missed are not made up for.
        self._count = max(self._count, math.floor((now - self._start) / self.idle_s)) + 1
        due = self._start + self._count * self.idle_s
        if self._pinged_at is None:
            self._pinged_at = now
        return Action.PING, min(due, self._pinged_at + self.reply_s)


def make_policy(strategy: WSAutoPingStrategy, idle_s: float, reply_s: float, now: float) -> Policy:
    """The policy behind the options of a connection that opens at `now`."""
    if strategy is WSAutoPingStrategy.PING_PERIODICALLY:
        return Periodically(idle_s, reply_s, now)
    return WhenIdle(idle_s, reply_s)
