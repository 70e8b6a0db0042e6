"""Counters of a connection."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["WSStats"]


class WSStats(NamedTuple):
    """What a connection has carried so far: ``transport.stats``. A snapshot."""

    #: Frames received, control frames included.
    frames_in: int
    #: Bytes of those frames, headers included.
    bytes_in: int
    #: Frames sent, control frames included.
    frames_out: int
    #: Bytes of those frames, headers included.
    bytes_out: int
    #: When bytes last came from the peer, whole frame or not: seconds on the loop's clock (``loop.time()``).
    last_data_time: float
