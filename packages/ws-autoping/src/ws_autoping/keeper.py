"""What watches one connection: it asks its policy, pings, and sees to the end of a peer that is gone."""

from __future__ import annotations

from ws_autoping import _core
from ws_autoping.pings import Pings
from ws_autoping.policy import Action, Policy
from ws_autoping.scheduler import Scheduler
from ws_autoping.stall import StallWatch
from ws_core import TransportHook, WSFrame, WSListener, WSMsgType, WSTransport

__all__ = ["Keeper"]

#: A wake-up may come late by this part of the shorter timeout; so connections share their wake-ups.
_GRID = 1 / 64
#: Seconds. What waits for "now" waits at least for the loop to read what there is.
_LEAST_WAIT_S = 0.001


class Keeper(Pings):
    """
    The keepalive of one connection: Pings that sends some by itself. One object, since there are many of them.

    It sees no frames but PONGs: what it must know of life, core notes at each read.
    """

    __slots__ = ("_due", "_left", "_policy", "_scheduler", "_transport", "_user_ping", "_watch")

    def __init__(self, scheduler: Scheduler, policy: Policy, watch: StallWatch | None = None) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._policy = policy
        self._watch = watch  # is told of pongs of the user's making, which are no data
        self._transport: WSTransport | None = None
        self._user_ping: _UserPing | None = None
        self._due = 0.0
        # Bytes that had left when last looked at, if there was a backlog then.
        self._left: int | None = None

    def on_open(self, transport: WSTransport) -> None:
        super().on_open(transport)
        self._transport = transport
        listener = _core.listener_of(transport)
        custom = ("send_user_specific_ping", "is_user_specific_pong")
        if any(_core.is_overridden(listener, method) for method in custom):
            self._user_ping = _UserPing(self, listener, self._watch)
        now = self._scheduler.clock()
        self._follow(transport, now, now)  # the upgrade has come just now, which core does not count as data

    def on_user_pong(self, transport: WSTransport) -> None:
        if self._user_ping is not None:
            self._user_ping.pong(transport)

    def on_close(self, transport: WSTransport) -> None:
        self._scheduler.remove(self, self._due)
        self._transport = None
        self._user_ping = None
        super().on_close(transport)

    def wake(self, now: float) -> None:
        """The scheduler: it is time."""
        transport = self._transport
        if transport is None or transport.underlying_transport.is_closing():
            return  # the end is under way, on_close is still to come
        self._follow(transport, now, now if self._must_not_judge(transport) else _core.heard_at(transport))

    def _must_not_judge(self, transport: WSTransport) -> bool:
        """Whether silence means nothing now, since the peer's answer cannot be here yet."""
        # A ping waits behind the backlog. As long as that moves, somebody takes it.
        before, (left, more) = self._left, _core.backlog(transport)
        self._left = left if more else None
        if before is not None and left > before:
            return True
        return not _core.is_listening(transport)

    def _follow(self, transport: WSTransport, now: float, heard_at: float) -> None:
        policy = self._policy
        action, when = policy.decide(now, heard_at)
        if action is Action.GIVE_UP:
            _core.give_up(transport, f"no byte came within {policy.reply_s:g} seconds after a ping")
            return
        if action is Action.PING:
            if self._user_ping is None:
                self.send_own(transport)
            else:
                self._user_ping.send(transport)
        # The listener's ping may have ended the connection, with on_close and all.
        if self._transport is not None:
            # Of the two timeouts, the reply timeout is the shorter one. The last look before a verdict comes soon.
            grid_s = policy.reply_s * _GRID if when > now else _LEAST_WAIT_S
            self._due = self._scheduler.add(self, max(when, now + _LEAST_WAIT_S), grid_s)


class _UserPing(TransportHook):
    """
    A ping of the listener's making. The listener is shown frames until it recognises the pong, or says so.

    As a hook it is attached only while a pong is expected: at other times frames cost nothing. CLOSE and PING are
    never a pong.
    """

    __slots__ = ("_expecting", "_listener", "_pings", "_sent_at", "_watch", "opcodes")

    def __init__(self, pings: Pings, listener: WSListener, watch: StallWatch | None) -> None:
        self._pings = pings
        self._listener = listener
        self._watch = watch
        if _core.is_overridden(listener, "is_user_specific_pong"):
            self.opcodes = frozenset({WSMsgType.CONTINUATION, WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PONG})
        else:
            self.opcodes = frozenset({WSMsgType.PONG})
        self._expecting = False
        # None: the round trip cannot be told, since a second ping went out before the first pong.
        self._sent_at: float | None = None

    def send(self, transport: WSTransport) -> None:
        if self._expecting:
            self._sent_at = None  # as in Karn's algorithm, RFC 6298 section 3
        else:
            transport.add_hook(self)
            self._expecting = True
            self._sent_at = _core.clock()
        _core.call(transport, self._listener, "send_user_specific_ping", transport)

    def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
        is_pong = self._listener.is_user_specific_pong(frame)
        if is_pong is not True and is_pong is not False:
            _core.no_coroutine("is_user_specific_pong", is_pong)
        if not is_pong:
            return frame
        self.pong(transport)
        return None

    def pong(self, transport: WSTransport) -> None:
        """The listener has recognised a pong."""
        if not self._expecting:
            return
        self._expecting = False
        transport.remove_hook(self)
        if self._watch is not None:
            self._watch.user_pong(transport)
        if self._sent_at is not None:
            self._pings.add(transport, max(_core.heard_at(transport) - self._sent_at, 0.0))
