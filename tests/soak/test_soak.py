"""The soak itself: it finds what is not flat, and a short one runs to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from latencies import Latencies

from soak import Window, what_is_not_flat

HERE = Path(__file__).parent
FLAT = Window(1000, 1.0, 5.0, 50.0, 60.0, 110.0, 10_008)
#: Once, for the length of one window: another process had the machine.
HICCUP = FLAT._replace(p50=30.0, p99=300.0, longest=900.0)


def test_flat() -> None:
    assert what_is_not_flat([FLAT] * 4 + [HICCUP] + [FLAT] * 4, 10_000) == []


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"server_memory": 1.0}, "server_memory grows"),
        ({"client_memory": 1.5}, "client_memory grows"),
        ({"p50": 0.5}, "p50"),
        ({"p99": 5.0}, "p99"),
        ({"descriptors": 50}, "descriptors"),
    ],
)
def test_what_grows_is_found(step: dict[str, float], said: str) -> None:
    windows = [
        FLAT._replace(**{name: getattr(FLAT, name) + by * number for name, by in step.items()}) for number in range(9)
    ]
    (found,) = what_is_not_flat(windows, 10_000)
    assert said in found


def test_latencies() -> None:
    times = Latencies()
    assert times.percentile(0.5) == 0
    for number in range(1000):
        times.add(0.001 * (number + 1))
    times.add(0.0)
    times.add(1e9)
    assert times.percentile(0.5) == pytest.approx(0.5, rel=0.03)
    assert times.percentile(0.99) == pytest.approx(0.99, rel=0.03)
    assert (times.count, times.longest) == (1002, 1e9)


def test_a_short_one(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-W", "error", HERE / "soak.py", "load", "--minutes", "0.02", "--connections", "30"]
    env = {**os.environ, "PYTHONPATH": str(HERE.parent / "lib")}
    done = subprocess.run([*command, "--json", figures], env=env, capture_output=True, text=True, timeout=60)
    load = json.loads(figures.read_text())["load"]
    # Its 1.2 seconds say nothing of memory or latency.
    assert [each for each in load["wrong"] if "grows" not in each] == [], done.stdout
    assert not done.stderr
    assert load["done"]["answered"] > 1000
    assert load["seen"]["opened"] == load["seen"]["ended"] == load["done"]["opened"]


def test_a_few_who_never_ask() -> None:
    """Each is dropped after the two seconds that the server gives it here."""
    command = [sys.executable, "-W", "error", HERE / "soak.py", "half-open", "--connections", "30"]
    env = {**os.environ, "PYTHONPATH": str(HERE.parent / "lib"), "WIRELARK_SOAK_HANDSHAKE_S": "2"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "all is well", done.stdout
    assert not done.stderr
