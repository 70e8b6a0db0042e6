"""The last moments of a connection: what waits is sent, in bounded time.

Where a CLOSE was sent, the end is a half-close. Closing a socket that has
unread input makes the kernel send RST, and the RST destroys what the peer has
not read yet: our CLOSE. So the write side is closed, input is read and thrown
away (the protocol does that), and the peer's end of stream ends the
connection. Each wait is bounded: a peer that takes nothing of the backlog, or
that does not close, is cut.

This module knows no frames.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ws_core._transport import WSTransport

#: Seconds in which the peer takes nothing of what was sent, or does not end the stream.
PATIENCE_S = 2.0
#: Seconds for all of it, however slowly the backlog moves.
LIMIT_S = 60.0


class Linger:
    """Sees to the end of a connection behind its backlog, until it is cancelled."""

    def __init__(self, connection: WSTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._deadline = loop.time() + LIMIT_S
        self._backlog = connection.write_backlog_size
        self._taken = _taken(connection.underlying_transport)
        self._timer = loop.call_later(PATIENCE_S, self._look)

    def begin(self, *, half_close: bool) -> None:
        """`half_close`: close the write side only, and leave it to the peer to end the stream."""
        transport = self._connection.underlying_transport
        try:
            if not transport.is_closing() and not transport.is_reading():
                transport.resume_reading()  # or the peer's end would never be seen
        except RuntimeError:
            pass  # asyncio's TLS transport until Python 3.10, when it has ended already
        try:
            if half_close and transport.can_write_eof():
                transport.write_eof()
            else:
                # TLS: this sends what waits and close_notify, and reads until the peer's.
                transport.close()
        except OSError:
            transport.abort()  # the peer has reset it; the loop is about to notice

    def cancel(self) -> None:
        """The connection is gone."""
        self._timer.cancel()

    def _look(self) -> None:
        backlog = self._connection.write_backlog_size
        taken = _taken(self._connection.underlying_transport)
        if (backlog < self._backlog or taken > self._taken) and self._loop.time() < self._deadline:
            self._backlog = backlog
            self._taken = taken
            self._timer = self._loop.call_later(PATIENCE_S, self._look)
        else:
            self._connection.underlying_transport.abort()


# Of Linux's struct tcp_info; the kernel cuts it where it knows no more.
_BYTES_ACKED = slice(120, 128)


def _taken(transport: Any) -> int:
    """
    Bytes that the peer's system has acknowledged; 0 where ours does not tell.

    The backlog alone would not do: the TLS transports of asyncio and uvloop leave out of it what waits in the transport
    below theirs.
    """
    try:
        sock = transport.get_extra_info("socket")
    except AttributeError:
        return 0  # asyncio's TLS transport, closed twice by somebody
    if not sys.platform.startswith("linux") or sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return 0
    try:
        acked = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.stop)[_BYTES_ACKED]
    except OSError:
        return 0
    return int(struct.unpack("Q", acked)[0]) if len(acked) == 8 else 0
