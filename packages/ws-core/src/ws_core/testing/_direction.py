"""One direction of a connection in memory: bytes on their way, in what pieces they arrive, and when."""

from __future__ import annotations

import asyncio
import errno
import math
import random
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ws_core.testing._transport import MemoryTransport
    from ws_core.testing._wire import Wire

#: Sizes of the pieces in which bytes arrive, see :meth:`Direction.cut_into`.
Pieces = int | Iterable[int] | random.Random | None

_WHOLE = sys.maxsize
#: Of a Random: sizes from 1 to 2 to the power of this, small ones as likely as large ones.
_RANDOM_BITS = 12


def reset() -> ConnectionResetError:
    """What a peer's RST is reported as."""
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


def _sizes(pieces: Pieces) -> Iterator[int]:
    if pieces is None:
        return iter(())
    if isinstance(pieces, random.Random):
        return iter(lambda: pieces.randint(1, 2 ** pieces.randint(0, _RANDOM_BITS)), 0)
    if isinstance(pieces, int):
        _check_size(pieces)
        return iter(lambda: pieces, 0)
    try:
        return iter(pieces)
    except TypeError:
        raise TypeError(
            f"pieces are given by a number of bytes, an iterable of such, a random.Random or None, not by {pieces!r}"
        ) from None


def _check_size(size: int) -> int:
    if not isinstance(size, int):
        raise TypeError(f"the size of a piece is an int, a number of bytes, not {size!r}")
    if size < 1:
        raise ValueError(f"a piece has at least 1 byte, not {size}")
    return size


class _Item:
    """What is on its way: bytes, or the end of the stream."""

    __slots__ = ("at", "data", "exception")

    def __init__(self, at: float, data: memoryview | None, exception: Exception | None = None) -> None:
        self.at = at  # on the loop's clock; not before
        self.data = data  # None: the end
        self.exception = exception  # of the end: a reset


class Direction:
    """
    One direction of a :class:`Wire`: the bytes on their way to one side.

    Everything here belongs to the thread of the connection's event loop. Bytes never overtake each other, whatever is
    set. What is set here before there is a connection holds for its opening handshake, too.
    """

    def __init__(self, wire: Wire, name: str, pieces: Pieces, delay: float, capacity: int) -> None:
        self._wire = wire
        self._name = name
        self._source: MemoryTransport | None = None
        self._target: MemoryTransport | None = None
        self._items: deque[_Item] = deque()
        self._size = 0  # bytes in _items
        self._ended = False  # bytes that are sent from now on go nowhere
        self._last_at = 0.0
        self._handle: asyncio.Handle | None = None  # of the next arrival
        self._planned: float | None = None  # when that is
        self._may_pass: int | None = None  # bytes, while it is held; None: it is not
        self._piece = 0  # bytes of the current piece that have not arrived
        self.cut_into(pieces)
        self.delay = delay
        self.capacity = capacity

    # ------------------------------------------------------------- what a test sets

    def cut_into(self, pieces: Pieces) -> None:
        """
        Let bytes arrive in pieces, each in a turn of the loop of its own.

        :param pieces: bytes of every piece; or an iterable of the sizes of the pieces to come, behind which the rest
            arrives whole; or a random.Random that draws them, from 1 byte to 4 KiB; None: whatever is there arrives
            in one piece, as it does at first

        The cuts are places in the stream: bytes of one piece that are sent one after the other may still arrive one
        after the other, and a receiver that makes less room than a piece gets it in several. TypeError and ValueError
        for what is no size; an iterator that gives none, or raises, later loses the connection by that exception.
        """
        self._pieces = _sizes(pieces)
        self._piece = 0

    @property
    def delay(self) -> float:
        """Seconds, on the loop's clock, from a write to its arrival. Counts for what is sent after it was set."""
        return self._delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        if not 0 <= seconds < math.inf:
            raise ValueError(f"delay must be a finite number of seconds >= 0, not {seconds!r}: see hold()")
        self._delay = seconds

    @property
    def capacity(self) -> int:
        """Bytes that the wire takes while they do not arrive, as the buffers of a socket do. The rest waits in the
        sender: ``write_backlog_size``, ``pause_writing``."""
        return self._capacity

    @capacity.setter
    def capacity(self, size: int) -> None:
        if not size >= 0:
            raise ValueError(f"capacity must be a number of bytes >= 0, not {size!r}")
        self._capacity = size
        if self._source is not None:
            self._source._buffer_changed()

    def hold(self, after: int = 0) -> None:
        """Let nothing arrive any more, neither bytes nor the end, once `after` more bytes have. See :meth:`release`."""
        if not after >= 0:
            raise ValueError(f"after must be a number of bytes >= 0, not {after!r}")
        self._may_pass = after
        self._update()

    def release(self) -> None:
        """End a :meth:`hold`: what has gathered arrives, and what follows."""
        self._may_pass = None
        self._update()

    def inject(self, data: bytes | bytearray | memoryview) -> None:
        """
        Put bytes on the wire as if the sender had sent them, behind what it has sent. They are copied.

        RuntimeError if they cannot arrive any more: the stream has ended, or the receiver has closed.
        """
        copy = memoryview(bytes(memoryview(data)))
        if self._ended or (self._target is not None and self._target._gone):
            raise RuntimeError(f"nothing can arrive at the {self._name} any more: the stream has ended")
        if copy:
            self._put(copy)

    def end(self) -> None:
        """End the stream behind what has been sent, as a half-close of the sender does (eof_received). The sender
        knows nothing of it, and what it sends from now on goes nowhere."""
        self._put_end(None)

    @property
    def in_flight(self) -> int:
        """Bytes that were sent and have not arrived; those that still wait in the sender are among them."""
        return self._size

    def __repr__(self) -> str:
        held = "" if self._may_pass is None else f", held after {self._may_pass} more" if self._may_pass else ", held"
        return f"<Direction to {self._name}: {self._size} bytes in flight{held}>"

    # ------------------------------------------------------------- for the transports

    @property
    def _unsent(self) -> int:
        """Bytes that wait in the sender."""
        return max(0, self._size - self._capacity)

    def _put(self, data: memoryview) -> None:
        if not self._ended:
            self._size += len(data)
            self._append(data, None)

    def _put_end(self, exception: Exception | None) -> None:
        if not self._ended or exception is not None:  # a reset may come behind the end
            self._ended = True
            self._append(None, exception)

    def _append(self, data: memoryview | None, exception: Exception | None) -> None:
        if self._delay:
            self._last_at = max(self._last_at, self._wire._now() + self._delay)
        self._items.append(_Item(self._last_at, data, exception))
        self._update()

    def _drop_unsent(self) -> None:
        """The sender was cut off: what it has not put on the wire is gone."""
        while self._unsent:
            item = self._items.pop()
            if item.data is None:
                self._ended = False  # the abort puts another end behind what is left
            else:
                rest = item.data[: max(0, len(item.data) - self._unsent)]
                self._size -= len(item.data) - len(rest)
                if rest:
                    self._items.append(_Item(item.at, rest))
        self._update()

    def _drop_all(self) -> None:
        """Everything that is on its way is lost, and all that follows."""
        self._items.clear()
        self._size = 0
        self._ended = True
        self._update()

    def _has_unread(self) -> bool:
        """Whether bytes have come as far as the receiver, which did not take them."""
        return bool(self._size) and self._may_pass != 0 and self._items[0].at <= self._wire._now()

    # ------------------------------------------------------------- arriving

    def _next_at(self) -> float | None:
        """When the next item can arrive; None: not before something changes."""
        target = self._target
        if not self._items or self._may_pass == 0 or target is None or not (target._gone or target.is_reading()):
            return None
        return self._items[0].at

    def _update(self) -> None:
        """Plan the next arrival, or take it back."""
        at = self._next_at()
        if at == self._planned:
            return
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._planned = at
        if at is None:
            self._wire._stopped()
        elif at <= self._wire._now():
            self._handle = self._wire._loop.call_soon(self._arrive)
        else:
            self._handle = self._wire._loop.call_at(at, self._arrive)

    def _arrive(self) -> None:
        self._handle = self._planned = None
        target = self._target
        assert target is not None
        try:
            if self._items[0].at > self._wire._now():
                pass  # timers may be early by a hair
            elif target._gone:
                self._arrive_nowhere()
            elif self._items[0].data is None:
                target._end_arrived(self._items.popleft().exception)
            else:
                target._bytes_arrived(self._next_piece())
        finally:
            self._update()
            self._wire._stopped()

    def _arrive_nowhere(self) -> None:
        """The receiver has closed: what comes is answered by a reset."""
        had_bytes = self._size > 0
        self._items.clear()
        self._size = 0
        if had_bytes and self._source is not None:
            self._wire._opposite(self)._put_end(reset())
            self._source._buffer_changed()

    def _next_piece(self) -> int:
        """How many bytes may arrive now; 0: the sizes of the pieces are wrong."""
        if self._piece == 0:
            try:
                self._piece = _check_size(next(self._pieces, _WHOLE))
            except Exception as exc:
                self._wire.lose(exc)
                return 0
        most = min(self._piece, _WHOLE if self._may_pass is None else self._may_pass)
        size = 0
        now = self._wire._now()
        for item in self._items:
            if size >= most or item.at > now or item.data is None:
                break
            size += len(item.data)
        return min(size, most)

    def _read_into(self, buffer: memoryview) -> None:
        """Move bytes to `buffer`, which has room for as many as may arrive, or for less."""
        at = 0
        while at < len(buffer):
            item = self._items[0]
            assert item.data is not None
            part = item.data[: len(buffer) - at]
            buffer[at : at + len(part)] = part
            at += len(part)
            if len(part) == len(item.data):
                self._items.popleft()
            else:
                item.data = item.data[len(part) :]
        self._size -= at
        if self._piece != _WHOLE:
            self._piece -= at
        if self._may_pass is not None:
            self._may_pass -= at
