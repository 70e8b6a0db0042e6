"""Messages of all sizes, sent in all ways there are, and compared when they come back: python echo_all_ways.py LOOP."""

from __future__ import annotations

import asyncio
import os
import sys

import uvloop

import ws_core
from ws_core import WSFrame, WSMsgType, WSTransport

SIZES = [0, 1, 125, 126, 3000, 65535, 65536, 200_003, 1_048_577, 3_000_001]


class Way(ws_core.WSListener):
    """Sends each message, and at the same time keeps what has come."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes] = asyncio.Queue()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.came.put_nowait(frame.get_payload_as_bytes())


def send_all_ways(transport: WSTransport, message: bytes) -> int:
    """How many times `message` was sent."""
    transport.send(WSMsgType.BINARY, message)
    transport.send(WSMsgType.BINARY, bytearray(message))
    transport.send_reuse_external_bytearray(WSMsgType.BINARY, bytearray(14) + message, 14)
    ws_core.broadcast([transport], WSMsgType.BINARY, message)
    with transport.cork():
        for _ in range(3):
            transport.send(WSMsgType.BINARY, message)
        ws_core.broadcast([transport], WSMsgType.BINARY, message)
    return 8


async def main() -> None:
    made: list[Way] = []
    server = await ws_core.ws_create_server(lambda request: made.append(Way()) or made[0], "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    transport, client = await ws_core.ws_connect(Way, f"ws://127.0.0.1:{port}/", websocket_handshake_timeout=None)
    for size in SIZES:
        message = os.urandom(size)
        for sender, receiver in ((client, made[0]), (made[0], client)):
            for number in range(send_all_ways(sender.transport, message)):
                assert await asyncio.wait_for(receiver.came.get(), 30) == message, (size, number, sender is client)
    transport.disconnect()
    server.close()
    print("all the same")


if __name__ == "__main__":
    {"asyncio": asyncio, "uvloop": uvloop}[sys.argv[1]].new_event_loop().run_until_complete(main())
