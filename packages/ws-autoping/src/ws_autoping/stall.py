"""Notices that a peer which is alive sends no data any more.

Data are the bytes of TEXT, BINARY and CONTINUATION frames, of a half one, too.
No data frame is looked at: core counts all frames and notes the time of each
read, this hook counts the others, which are few, and the difference is data.
"""

from __future__ import annotations

from ws_autoping import _core
from ws_autoping.scheduler import Scheduler
from ws_core import TransportHook, WSFrame, WSMsgType, WSTransport

__all__ = ["StallWatch"]

#: Looks in one stall_timeout. Pings and pongs that come after data hide when it came; the next look finds out no more
#: than this part of the timeout too late.
_LOOKS = 4
_GRID = 1 / 64
#: Seconds. What lies in the socket while the loop is busy is read before the verdict.
_LAST_CALL_S = 0.001


class StallWatch(TransportHook):
    """The stall_timeout of one connection. It must see control frames before anybody consumes them."""

    __slots__ = (
        *("_control_at", "_data_at", "_data_frames", "_due", "_last_call", "_others", "_others_frames_in"),
        *("_scheduler", "_stall_s", "_transport"),
    )
    opcodes = frozenset({WSMsgType.CLOSE, WSMsgType.PING, WSMsgType.PONG})

    def __init__(self, scheduler: Scheduler, stall_s: float) -> None:
        self._scheduler = scheduler
        self._stall_s = stall_s
        self._transport: WSTransport | None = None
        self._due = 0.0
        # No later than this the last data came, by the scheduler's clock.
        self._data_at = 0.0
        self._data_frames = 0
        # Frames that are no data, the read that brought the last one, and how many frames there were with it.
        self._others = 0
        self._control_at = 0.0
        self._others_frames_in = 0
        self._last_call = False

    def on_open(self, transport: WSTransport) -> None:
        self._transport = transport
        _core.check_callback(_core.listener_of(transport), "on_stall")
        now = self._scheduler.clock()
        self._data_at = now
        self._control_at = _core.heard_at(transport)
        self._sleep(now)

    def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
        self._not_data(transport)
        return frame

    def on_close(self, transport: WSTransport) -> None:
        self._scheduler.remove(self, self._due)
        self._transport = None

    def user_pong(self, transport: WSTransport) -> None:
        """A frame that answers a ping of the listener's making has come: it is no data, whatever its type."""
        if transport.stats.frames_in != self._others_frames_in:  # else it is a PONG, which was counted
            self._not_data(transport)

    def wake(self, now: float) -> None:
        """The scheduler: time to look."""
        transport = self._transport
        if transport is None or transport.underlying_transport.is_closing():
            return
        if not _core.is_listening(transport):
            self._data_at = now  # nothing can be heard: nobody is judged
        heard_at, data_frames = _core.heard_at(transport), transport.stats.frames_in - self._others
        # Bytes behind the last control frame are data, if perhaps half a frame of it.
        if data_frames != self._data_frames or heard_at > self._control_at:
            self._data_frames = data_frames
            self._data_at = max(self._data_at, heard_at)
        if now < self._data_at + self._stall_s:
            self._last_call = False
        elif not self._last_call:
            self._last_call = True
        else:
            self._last_call = False
            self._data_at = now
            self._stalled(transport)
        if self._transport is not None:
            self._sleep(now)

    def _not_data(self, transport: WSTransport) -> None:
        self._others += 1
        self._control_at = _core.heard_at(transport)
        self._others_frames_in = transport.stats.frames_in

    def _sleep(self, now: float) -> None:
        if self._last_call:
            self._due = self._scheduler.add(self, now + _LAST_CALL_S, _LAST_CALL_S)
            return
        when = min(self._data_at + self._stall_s, now + self._stall_s / _LOOKS)
        self._due = self._scheduler.add(self, when, self._stall_s * _GRID)

    def _stalled(self, transport: WSTransport) -> None:
        listener = _core.listener_of(transport)
        if _core.has_callback(listener, "on_stall"):
            _core.call(transport, listener, "on_stall", transport)
        else:
            _core.give_up(transport, f"no data came for stall_timeout={self._stall_s:g} seconds")
