"""A server's process is killed and started again: the reconnecting client goes on, and every connection has its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import doomed
from harness import Net, Recorder, certificate_authority, within
from leftovers import nothing_left
from retries import again
from ws_core import WSDisconnectKind, WSFrame, WSMsgType, WSTransport

#: Messages on their way at any time.
WINDOW = 8
ENOUGH = 100
KILLS = 2


class Counting(Recorder):
    """Sends 0, 1, 2, ... and hears them again."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.heard: list[int] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        for _ in range(WINDOW):
            self._send(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.heard.append(int(frame.get_payload_as_utf8_text()))
            self._send(transport)
            self._note("frame")

    def _send(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, str(self.sent))
        self.sent += 1


@contextlib.asynccontextmanager
async def doomed_server(port: int, *certificate: str) -> AsyncIterator[None]:
    """It listens until the end of the block, and is killed in the middle of whatever it does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, doomed.__file__, str(port), *certificate, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await within(process.stdout.readline()) == b"listening\n"
        yield
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert await within(process.wait()) == -signal.SIGKILL


async def test_the_server_is_killed_and_started_again(loop_name: str, tls: bool, tmp_path: Path) -> None:
    net = Net(tls=tls, fast=None)
    certificate = tmp_path / "server.pem"
    certificate_authority().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    arguments = [str(certificate)] if tls else []
    with socket.socket() as place:  # keeps the port for the server, also while it is dead
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
        async with doomed_server(port, *arguments):
            transport, _ = await net.connect(port)  # the watch of uvloop, of this process and of resets, stays
            await within(transport.close())
        net._transports.clear()
        del transport, _
        async with nothing_left():
            await survive(net, port, arguments)


async def survive(net: Net, port: int, arguments: list[str]) -> None:
    seen: list[Counting] = []
    async with again(net, port, Counting, backoff_min=0.01, backoff_max=0.05) as connections:
        for _ in range(KILLS):
            async with doomed_server(port, *arguments):
                transport = await within(anext(connections))
                assert isinstance(transport.listener, Counting)
                seen.append(transport.listener)
                await seen[-1].wait_for(lambda: len(seen[-1].heard) >= ENOUGH)
                assert not transport.is_disconnected
            await within(transport.wait_disconnected())
    for each in seen:
        assert each.heard == list(range(len(each.heard)))
        assert len(each.heard) <= each.sent
        assert each.events[0] == "connected"
        assert each.events[-1] == "disconnected"
        assert each.events.count("connected") == each.events.count("disconnected") == 1
        assert each.transport is not None
        assert each.transport.disconnect_reason is not None
        # With bytes that it had not read, its system sends RST, and FIN otherwise.
        assert each.transport.disconnect_reason.kind in (WSDisconnectKind.PEER, WSDisconnectKind.NETWORK_ERROR)
        assert each.transport.close_handshake is None
