"""PINGs that carry an id, and the PONGs that answer them.

One Pings object hangs on a connection as a hook that sees nothing but PONGs,
from its first measurement on. Any number of callers wait in it, each for ids
of its own; every answered ping goes into the connection's RTTRecord, and the
listener is told when that says that the peer has become slow. PONGs that
answer nobody's id here pass on to the listener.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable

from ws_autoping import _core
from ws_autoping._checks import seconds
from ws_autoping.rtt import RTTRecord, RTTStats
from ws_core import TransportHook, WSFrame, WSMsgType, WSTransport

__all__ = ["Pings", "measure_roundtrip_time", "pings_of", "rtt_stats"]

_USER_DATA = "ws_autoping"

#: Pings of auto-ping whose answer is still worth something, for a peer that sends data but no PONGs.
_REMEMBERED = 8

# A payload is this and 8 bytes of number. The first part belongs to this
# process: a PONG that starts with it is an answer, if perhaps a late one.
_MARK = os.urandom(4)
_numbers = itertools.count(1)

#: Called with the round-trip time in seconds, or with what made it impossible.
Answered = Callable[[float | ConnectionResetError], None]


class Pings(TransportHook):
    """The open pings of one connection and what has been learned from the answered ones."""

    __slots__ = ("_is_slow", "_open", "record", "threshold_s")
    opcodes = frozenset({WSMsgType.PONG})

    def __init__(self) -> None:
        self.record = RTTRecord()
        #: Seconds of smoothed round-trip time above which the listener's on_rtt is called; None: never.
        self.threshold_s: float | None = None
        self._is_slow = False
        # None for nothing open, which is nearly always: an emptied dict keeps its 200 bytes.
        self._open: dict[bytes, tuple[float, Answered]] | None = None

    def on_open(self, transport: WSTransport) -> None:
        if self.threshold_s is not None:
            _core.check_callback(_core.listener_of(transport), "on_rtt")

    def send(self, transport: WSTransport, answered: Answered) -> bytes:
        """Send a PING; `answered` is called once, unless `forget` is called with the returned id before."""
        ping_id = _MARK + next(_numbers).to_bytes(8, "big")
        if self._open is None:
            self._open = {}
        self._open[ping_id] = (_core.clock(), answered)
        transport.send_ping(ping_id)
        return ping_id

    def send_own(self, transport: WSTransport) -> None:
        """Send a PING for the record only."""
        if self._open is not None and len(self._open) >= _REMEMBERED:
            # Their ids tell late answers apart, so they are kept for a while.
            own = [ping_id for ping_id, (_, answered) in self._open.items() if answered is _nobody_waits]
            if len(own) >= _REMEMBERED:
                self.forget(own[0])
        self.send(transport, _nobody_waits)

    def forget(self, ping_id: bytes) -> None:
        """Nobody waits for this answer any more."""
        if self._open is not None:
            self._open.pop(ping_id, None)
            self._open = self._open or None

    def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
        payload = frame.get_payload_as_bytes()
        if not payload.startswith(_MARK):
            return frame
        if self._open is not None and payload in self._open:
            sent_at, answered = self._open.pop(payload)
            self._open = self._open or None
            # The time at which the read was done that brought it, not the time
            # at which the frames before it in the batch were dealt with.
            rtt_s = max(_core.heard_at(transport) - sent_at, 0.0)
            answered(rtt_s)
            self.add(transport, rtt_s)
        return None

    def add(self, transport: WSTransport, rtt_s: float) -> None:
        """A round trip took `rtt_s` seconds. May call the listener, which may do anything."""
        self.record.add(rtt_s)
        if self.threshold_s is None:
            return
        was_slow, self._is_slow = self._is_slow, self.record.smoothed > self.threshold_s
        if was_slow or not self._is_slow:
            return
        listener = _core.listener_of(transport)
        if _core.has_callback(listener, "on_rtt"):
            _core.call(transport, listener, "on_rtt", transport, self.record.stats())
        else:
            what = f"the smoothed round-trip time is {self.record.smoothed:.3g} seconds"
            _core.give_up(transport, f"{what}, more than rtt_threshold={self.threshold_s:g}")

    def on_close(self, transport: WSTransport) -> None:
        left, self._open = self._open, None
        for _, answered in (left or {}).values():
            answered(ConnectionResetError("the connection was lost before the PONG came"))


def _nobody_waits(outcome: object) -> None:
    """The time goes into the record; life was noted by core."""


def pings_of(transport: WSTransport) -> Pings:
    """The Pings of a connection; attached to it if this is the first time that somebody asks."""
    pings = transport.user_data.get(_USER_DATA)
    if pings is None:
        pings = Pings()
        transport.add_hook(pings)
        be_pings_of(transport, pings)
    assert isinstance(pings, Pings)
    return pings


def be_pings_of(transport: WSTransport, pings: Pings) -> None:
    """`pings`, which is or will be a hook of the connection, is what pings_of returns."""
    transport.user_data[_USER_DATA] = pings


def rtt_stats(transport: WSTransport) -> RTTStats:
    """What is known of the round-trip times of a connection: from auto-pings and from measure_roundtrip_time. Also
    after its end."""
    pings = transport.user_data.get(_USER_DATA)
    return RTTRecord().stats() if pings is None else pings.record.stats()


async def measure_roundtrip_time(transport: WSTransport, rounds: int, timeout: float = 10.0) -> list[float]:
    """
    Round-trip times in seconds, `rounds` of them: a PING, its PONG, and so on.

    :param rounds: how many, 1 or more
    :param timeout: seconds that one round may take

    Any number of callers may measure at once, beside auto-ping. asyncio.TimeoutError if an answer does not come in
    time, ConnectionResetError if the connection is, or goes, down or has sent its CLOSE.
    """
    if isinstance(rounds, bool) or not isinstance(rounds, int):
        raise TypeError(f"rounds must be an int, not {rounds!r}")
    if rounds < 1:
        raise ValueError(f"rounds must be 1 or more, it is {rounds}")
    seconds("timeout", timeout)
    return [await _one_round(transport, timeout, f"round {n} of {rounds}") for n in range(1, rounds + 1)]


async def _one_round(transport: WSTransport, timeout: float, which: str) -> float:
    if transport.is_disconnected or transport.is_close_frame_sent:
        raise ConnectionResetError("the connection is closed: there is no round trip to measure")
    loop = asyncio.get_running_loop()
    future: asyncio.Future[float] = loop.create_future()

    def answered(outcome: float | ConnectionResetError) -> None:
        if future.done():
            return
        if isinstance(outcome, ConnectionResetError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def expired() -> None:
        if not future.done():
            future.set_exception(asyncio.TimeoutError(f"no PONG within {timeout} seconds ({which})"))

    pings = pings_of(transport)
    ping_id = pings.send(transport, answered)
    timer = loop.call_later(timeout, expired)
    try:
        return await future
    finally:
        timer.cancel()
        pings.forget(ping_id)
