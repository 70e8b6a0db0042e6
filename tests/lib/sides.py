"""A protocol that records, for tests of transports; and what connects two of them in memory."""

from __future__ import annotations

import asyncio
from typing import Any

from ws_core.testing import Wire


class Side(asyncio.BufferedProtocol):
    """Records what a transport calls. `room`: bytes that it reads at once."""

    def __init__(self, room: int = 64 * 1024, *, keep_open: bool = False) -> None:
        self.transport: Any = None
        self.calls: list[Any] = []
        self.pieces: list[bytes] = []
        self.keep_open = keep_open
        self._buffer = bytearray(room)

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def lost(self) -> bool:
        return bool(self.calls) and self.calls[-1][0] == "lost"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.pieces.append(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool:
        self.calls.append(("eof",))
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(("lost", type(exc)))

    def pause_writing(self) -> None:
        self.calls.append(("pause",))

    def resume_writing(self) -> None:
        self.calls.append(("resume",))


def plug(wire: Wire, client: Side, server: Side) -> None:
    """Connect both by `wire`, reading."""
    for side, end in zip((client, server), wire.connect(), strict=True):
        end.set_protocol(side)
        side.connection_made(end)
        end.resume_reading()
