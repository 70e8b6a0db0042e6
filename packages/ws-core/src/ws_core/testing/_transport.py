"""One end of a connection in memory: an asyncio transport that does what those of sockets do. Knows asyncio only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ws_core.testing._direction import reset

if TYPE_CHECKING:
    from ws_core.testing._direction import Direction
    from ws_core.testing._wire import Wire

#: Bytes; asyncio's own.
_HIGH_WATER = 64 * 1024


class MemoryTransport(asyncio.Transport):
    """
    One end of a :class:`Wire`: an asyncio transport without a socket, as complete as asyncio's own.

    It is paused until ``resume_reading()`` is called. As with asyncio's transports, write() calls ``pause_writing`` of
    its protocol at once; everything else is called in turns of the loop of its own. ``get_extra_info`` knows
    ``peername`` and ``sockname``; there is no ``socket``.
    """

    def __init__(self, wire: Wire, out: Direction, into: Direction, extra: dict[str, Any]) -> None:
        super().__init__(extra)
        self._wire = wire
        self._out = out
        self._into = into
        self._protocol: asyncio.BaseProtocol | None = None
        self._paused = True
        self._eof = False  # write_eof() was called
        self._closing = False
        self._lost_soon = False  # connection_lost is on its way
        self._gone = False  # and has been called
        self._protocol_paused = False
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4

    def __repr__(self) -> str:
        state = "closed" if self._gone else "closing" if self._closing else "open"
        return f"<MemoryTransport {state}, peer {self._out._name}>"

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From now on `protocol`, a BufferedProtocol or a Protocol, is called."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is called."""
        return self._protocol  # type: ignore[return-value]  # None before the first, as with asyncio's own

    # ------------------------------------------------------------- reading

    def is_reading(self) -> bool:
        """Whether bytes may arrive."""
        return not (self._paused or self._closing)

    def pause_reading(self) -> None:
        """Let nothing arrive, neither bytes nor the end."""
        self._paused = True
        self._into._update()

    def resume_reading(self) -> None:
        """Let it arrive again."""
        self._paused = False
        self._into._update()

    def _bytes_arrived(self, size: int) -> None:
        if size == 0:
            return
        self._tell(self._hand_over, size)
        sender = self._into._source
        if sender is not None:
            sender._buffer_changed()

    def _hand_over(self, size: int) -> None:
        protocol = self._protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            room = memoryview(protocol.get_buffer(size))[:size]
            if not room:
                raise RuntimeError("get_buffer() returned an empty buffer")
            self._into._read_into(room)
            protocol.buffer_updated(len(room))
        else:
            data = bytearray(size)
            self._into._read_into(memoryview(data))
            protocol.data_received(bytes(data))  # type: ignore[union-attr]

    def _end_arrived(self, exception: Exception | None) -> None:
        if exception is not None:
            self._force_close(exception)
        elif not self._tell(self._protocol.eof_received):  # type: ignore[union-attr]
            self.close()

    # ------------------------------------------------------------- writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`, which is copied unless it is bytes. After close() and after the end of the connection it is
        dropped. RuntimeError after write_eof(), TypeError for what is not bytes-like."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        self._out._put(memoryview(bytes(data)))
        self._pause_if_full()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send all of it, in one write."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """True."""
        return True

    def write_eof(self) -> None:
        """Close the write side behind what has been written; reading goes on."""
        if not (self._eof or self._closing):
            self._eof = True
            self._out._put_end(None)

    def get_write_buffer_size(self) -> int:
        """Bytes that the wire has not taken."""
        return 0 if self._lost_soon else self._out._unsent

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Low and high-water mark, in bytes."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks in bytes, with asyncio's rules for what is left out: 64 KiB, and a quarter of `high`."""
        if high is None:
            high = _HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low
        self._pause_if_full()

    def _pause_if_full(self) -> None:
        if not self._protocol_paused and self.get_write_buffer_size() > self._high:
            self._protocol_paused = True
            self._tell(self._protocol.pause_writing)  # type: ignore[union-attr]

    def _buffer_changed(self) -> None:
        """The wire has taken something, or takes less."""
        if self._lost_soon:
            return  # what still arrives is not the sender's any more
        self._pause_if_full()
        if self._protocol_paused and self.get_write_buffer_size() <= self._low:
            self._protocol_paused = False
            self._tell(self._protocol.resume_writing)  # type: ignore[union-attr]
        if self._closing and self.get_write_buffer_size() == 0:
            self._lose_soon(None)

    # ------------------------------------------------------------- ending

    def is_closing(self) -> bool:
        """Whether close() or abort() was called, or the connection is lost."""
        return self._closing

    def close(self) -> None:
        """Read no more, send what waits, then end the connection: connection_lost(None)."""
        if not self._closing:
            self._closing = True
            self._into._update()
            self._buffer_changed()

    def abort(self) -> None:
        """End the connection at once: what waits here is dropped. connection_lost(None) comes in the next turn."""
        self._force_close(None)

    def _force_close(self, exception: Exception | None) -> None:
        if not self._lost_soon:
            self._closing = True
            self._into._update()
            self._out._drop_unsent()
            self._lose_soon(exception)

    def _lose_soon(self, exception: Exception | None) -> None:
        if not self._lost_soon:
            self._lost_soon = True
            self._wire._loop.call_soon(self._lose, exception)

    def _lose(self, exception: Exception | None) -> None:
        try:
            if self._protocol is not None:
                self._tell(self._protocol.connection_lost, exception)
        finally:
            self._gone = True
            # What a kernel does: one who closes with unread input resets.
            self._out._put_end(reset() if self._into._has_unread() else None)
            self._into._update()
            self._wire._stopped()

    def _tell(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call the protocol. What it raises is for the loop's exception handler, and the end of the connection."""
        try:
            return call(*args)
        except Exception as exc:
            self._wire._loop.call_exception_handler(
                {
                    "message": "the protocol of a MemoryTransport raised",
                    "exception": exc,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
            self._force_close(exc)
            return None
