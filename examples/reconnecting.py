"""A client that connects again whenever its connection has ended, and says what it waits for. Ctrl-C ends it.

python reconnecting.py                            # with a small server of its own, which it restarts
python reconnecting.py wss://example.org/feed     # any server
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import logging
import sys

from ws_core import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    reconnecting,
    ws_create_server,
)


class Client(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            print("received:", frame.get_payload_as_utf8_text())
        else:
            print("received:", frame)


async def listen(url: str) -> None:
    async with reconnecting(Client, url, backoff_min=0.1, backoff_max=30.0) as connections:
        async for transport in connections:
            print("connected")
            transport.send(WSMsgType.TEXT, "hello")
            # Nothing else to do here: the loop waits for the end of the connection.


class Server(WSListener):
    def __init__(self, answer: str, answered: asyncio.Event, request: WSUpgradeRequest) -> None:
        self.answer, self.answered = answer, answered

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            transport.send(WSMsgType.TEXT, self.answer)
            self.answered.set()


async def show() -> None:
    """Start a server three times on one port, each time until it has answered."""
    port, client = 0, None
    for number in (1, 2, 3):
        answered = asyncio.Event()
        factory = functools.partial(Server, f"I am server {number}", answered)
        server = await ws_create_server(factory, "127.0.0.1", port)
        port = server.sockets[0].getsockname()[1]
        client = client or asyncio.create_task(listen(f"ws://127.0.0.1:{port}/"))
        await answered.wait()
        print(f"server {number} shuts down")
        await server.shutdown(WSCloseCode.SERVICE_RESTART)
        await asyncio.sleep(0.1)
    assert client is not None
    client.cancel()
    await asyncio.wait({client})


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="ws:// or wss://; without it: a server of its own")
    args = parser.parse_args()
    # What is waited for, and why.
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    await (listen(args.url) if args.url else show())


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
