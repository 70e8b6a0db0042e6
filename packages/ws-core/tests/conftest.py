"""A fixture for the tests of reconnecting: pauses that pass at once."""

from __future__ import annotations

import asyncio

import pytest

import ws_core._reconnecting
import ws_core._retry


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, each as long as it may be; none of them takes time."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(ws_core._reconnecting, "_sleep", sleep)
    monkeypatch.setattr(ws_core._retry, "_uniform", lambda low, high: high)
    return made
