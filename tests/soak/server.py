"""The server of a soak, in a process of its own: python server.py LOOP [CERTIFICATE].

Says its port; at SIGTERM it says what it has seen, and ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
from collections import Counter

import uvloop

import ws_core
from ws_core import WSFrame, WSListener, WSMsgType, WSTransport

#: Seconds; a test has less.
HANDSHAKE_S = float(os.environ.get("WIRELARK_SOAK_HANDSHAKE_S", "60"))

seen: Counter[str] = Counter()


class Echo(WSListener):
    """Leaves when it is told to."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        seen["opened"] += 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            transport.send(WSMsgType.BINARY, frame.get_payload_as_memoryview())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.get_payload_as_bytes() == b"you close":
            transport.send_close(ws_core.WSCloseCode.GOING_AWAY)
        else:
            transport.disconnect(graceful=False)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        seen["ended"] += 1


async def serve(certificate: str | None) -> None:
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await ws_core.ws_create_server(
        lambda request: Echo(), "127.0.0.1", 0, ssl=context, backlog=4096, websocket_handshake_timeout=HANDSHAKE_S
    )
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()
    await server.shutdown()
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    loop = uvloop.new_event_loop() if sys.argv[1] == "uvloop" else asyncio.new_event_loop()
    loop.run_until_complete(serve(sys.argv[2] if len(sys.argv) > 2 else None))
    loop.close()
