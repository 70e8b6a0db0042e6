"""The end of a program with open connections: quiet, whatever warnings are set to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import TIMEOUT_S

PROGRAM = """
import asyncio, sys, uvloop, ws_core

kept = []

class Keeper(ws_core.WSListener):
    def on_ws_connected(self, transport):
        kept.append(transport)

async def main():
    server = await ws_core.ws_create_server(lambda request: Keeper(), "127.0.0.1")
    await ws_core.ws_connect(Keeper, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    for transport in kept:
        transport.send(ws_core.WSMsgType.BINARY, bytes(10_000_000))

loop = {"asyncio": asyncio, "uvloop": uvloop}[sys.argv[1]].new_event_loop()
loop.run_until_complete(main())
"""


@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
@pytest.mark.parametrize("warnings", ["default", "error"])
def test_open_connections_at_the_end_of_the_interpreter(loop_name: str, warnings: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", warnings, "-c", PROGRAM, loop_name],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "ws_core" not in ended.stderr
    assert "excepthook" not in ended.stderr
