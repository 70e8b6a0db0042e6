"""The clock that tests of this package put forward."""

from __future__ import annotations

import pytest

from jumps import Jumps


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Jumps:
    return Jumps(monkeypatch)
