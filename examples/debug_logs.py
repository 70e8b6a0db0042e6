"""What the library logs, down to each frame: WS_DEBUG_LL, a level below logging.DEBUG.

python debug_logs.py

The loggers are ws_core.client and ws_core.server; logger_name= gives a connection another suffix, or a logger of yours.
The level is read when a connection or a server is made: set it before.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from echo_client import Client
from echo_server import Echo

from ws_core import WS_DEBUG_LL, ws_connect, ws_create_server


async def main() -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(name)s %(levelno)d %(message)s")
    logging.getLogger("ws_core.client").setLevel(WS_DEBUG_LL)  # only the client; "ws_core" is both

    server = await ws_create_server(lambda request: Echo(), "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with server:
        transport, _ = await ws_connect(lambda: Client(["hello"]), f"ws://127.0.0.1:{port}/")
        await transport.wait_disconnected()


if __name__ == "__main__":
    asyncio.run(main())
