"""Mask keys differ between processes (LESSONS 1: the reference sent the same ones from every fresh process)."""

from __future__ import annotations

import subprocess
import sys

# A client that sends empty frames to a server of raw bytes in the same process; the mask keys are what is printed.
SCRIPT = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from harness import Net, Recorder

async def main():
    net = Net(tls=False, fast=True)
    done = asyncio.Event()

    async def handler(peer):
        await net.accept_upgrade(peer)
        for _ in range(64):
            print((await peer.reader.readexactly(6))[2:].hex())
        done.set()

    transport, _ = await net.connect(await net.raw_server(handler))
    for _ in range(64):
        transport.send(2, b"")
    await asyncio.wait_for(done.wait(), 20)
    await net.aclose()

asyncio.run(main())
"""


def test_fresh_processes_send_different_keys() -> None:
    import harness

    folder = harness.__file__.rpartition("/")[0]
    keys: list[str] = []
    for _ in range(3):
        result = subprocess.run(
            [sys.executable, "-c", SCRIPT, folder], capture_output=True, text=True, timeout=60, check=True
        )
        lines = result.stdout.split()
        assert len(lines) == 64
        keys += lines
    # 192 random numbers of 32 bits: one pair that is equal has a chance of 4 in a million; two pairs, none.
    assert len(set(keys)) >= 191
