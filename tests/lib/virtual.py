"""Connections that are only models, on a clock that jumps: months of keepalive in a second.

What ws_autoping does with a connection, it does here with a VirtualTransport; the scheduler is the real one, without a
timer of a loop. Nothing in here waits.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any

from ws_autoping.pings import Pings, be_pings_of
from ws_autoping.scheduler import Scheduler
from ws_core import TransportHook, WSCloseCode, WSDisconnectReason, WSListener, WSMsgType, WSStats


class VirtualScheduler(Scheduler):
    """Is fired by a World."""

    def _arm(self) -> None:
        pass

    def _disarm(self) -> None:
        pass

    def next_due(self) -> float:
        while self._heap and not self._buckets.get(self._heap[0]):
            self._buckets.pop(heapq.heappop(self._heap), None)
        return self._heap[0] if self._heap else math.inf


class World:
    """The clock, the loop, and what is on its way."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.scheduler = VirtualScheduler(lambda: self.now)
        self._coming: list[tuple[float, int, Callable[[], Any]]] = []
        self._order = itertools.count()

    def at(self, when: float, happen: Callable[[], Any]) -> None:
        heapq.heappush(self._coming, (when, next(self._order), happen))

    def run(self, seconds: float, *, done: Callable[[], Any] = lambda: False) -> None:
        """Let time pass, or until `done()`. What comes in is read before timers, as loops do."""
        end = self.now + seconds
        while not done():
            arrival = self._coming[0][0] if self._coming else math.inf
            when = max(min(arrival, self.scheduler.next_due()), self.now)
            if when > end:
                break
            self.now = when
            self._turn()
        else:
            return
        self.now = end

    def block(self, seconds: float) -> None:
        """The loop is busy with something else; then timers fire that were due before what has come is read: the worst
        case, which a loop reaches when its turn began before."""
        self.now += seconds
        self.scheduler.fire()

    def _turn(self) -> None:
        while self._coming and self._coming[0][0] <= self.now:
            heapq.heappop(self._coming)[2]()
        self.scheduler.fire()


class VirtualFrame:
    def __init__(self, msg_type: WSMsgType, payload: bytes) -> None:
        self.msg_type = msg_type
        self.payload = payload

    def get_payload_as_bytes(self) -> bytes:
        return self.payload


class _Below:
    reading = True
    closing = False

    def is_reading(self) -> bool:
        return self.reading

    def is_closing(self) -> bool:
        return self.closing


class VirtualTransport:
    """As much of a WSTransport as ws_autoping uses. `answer_s`: seconds to the peer's PONG; None: it never comes."""

    is_client_side = True
    write_backlog_size = 0

    def __init__(self, world: World, listener: Any = None, answer_s: float | None = 0.05) -> None:
        self.world = world
        self.listener = listener or WSListener()
        self.answer_s = answer_s
        self.underlying_transport = _Below()
        self.user_data: dict[str, Any] = {}
        self.hooks: list[Any] = []
        self.heard_at = world.now
        self._in_a_frame = False
        self._behind: list[tuple[WSMsgType, bytes]] = []
        self.frames_in = 0
        self.pings: list[float] = []
        self.shown: list[VirtualFrame] = []
        self.ended_at: float | None = None
        self.code: WSCloseCode | None = None
        self.reason: WSDisconnectReason | None = None

    @property
    def stats(self) -> WSStats:
        return WSStats(self.frames_in, 0, len(self.pings), 0, self.heard_at)

    def open(self, *hooks: Any) -> VirtualTransport:
        self.hooks = [*self.hooks, *hooks]
        for hook in self.hooks:
            if isinstance(hook, Pings):
                be_pings_of(self, hook)
            hook.on_open(self)
        return self

    def add_hook(self, hook: Any) -> None:
        self.hooks = [*self.hooks, hook]

    def remove_hook(self, hook: Any) -> None:
        self.hooks = [other for other in self.hooks if other is not hook]

    def send_ping(self, payload: bytes = b"") -> None:
        self.pings.append(self.world.now)
        if self.answer_s is not None:
            self.world.at(self.world.now + self.answer_s, lambda: self.receive(WSMsgType.PONG, payload))

    def receive(self, msg_type: WSMsgType, payload: bytes = b"") -> None:
        """A whole frame comes from the peer, or the rest of one."""
        if self._in_a_frame and msg_type >= WSMsgType.CLOSE:
            self._behind.append((msg_type, payload))  # there is no place for it on the wire
            return
        self._in_a_frame = False
        self.heard_at = self.world.now
        self._deliver(msg_type, payload)
        while self._behind:
            self._deliver(*self._behind.pop(0))

    def _deliver(self, msg_type: WSMsgType, payload: bytes) -> None:
        self.frames_in += 1
        frame: Any = VirtualFrame(msg_type, payload)
        for hook in self.hooks:
            if type(hook).on_frame is not TransportHook.on_frame and msg_type in hook.opcodes:
                frame = hook.on_frame(self, frame)
                if frame is None:
                    return
        self.shown.append(frame)

    def receive_bytes(self) -> None:
        """A part of a data frame comes."""
        self._in_a_frame = True
        self.heard_at = self.world.now

    def notify_user_specific_pong_received(self) -> None:
        for hook in self.hooks:
            hook.on_user_pong(self)

    def fail(self, code: WSCloseCode, reason: WSDisconnectReason) -> None:
        if self.ended_at is None:
            self.ended_at, self.code, self.reason = self.world.now, code, reason
            self.underlying_transport.closing = True

    def lose(self) -> None:
        """The connection is gone."""
        self.underlying_transport.closing = True
        for hook in self.hooks:
            hook.on_close(self)
