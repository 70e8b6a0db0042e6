"""A clock for ws_autoping on real connections that can be put forward: minutes of idling without waiting for them.

Between jumps it goes like any clock. What was heard before a jump was heard that long ago.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from ws_autoping import _core, scheduler
from ws_core import WSTransport


class Jumps:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._jumps: list[tuple[float, float]] = []
        monkeypatch.setattr(scheduler, "_clock", self.now)
        monkeypatch.setattr(_core, "clock", self.now)
        monkeypatch.setattr(_core, "heard_at", self._heard_at)

    def now(self) -> float:
        return self._read(time.monotonic())

    def jump(self, seconds: float) -> None:
        """So much time has passed; what is due happens now."""
        self._jumps.append((time.monotonic(), seconds))
        of_loop = scheduler.scheduler_of(asyncio.get_running_loop())
        of_loop._disarm()
        of_loop.fire()

    def _read(self, real: float) -> float:
        return real + sum(seconds for at, seconds in self._jumps if at < real)

    def _heard_at(self, transport: WSTransport) -> float:
        return self._read(transport.stats.last_data_time)
