"""A viewer of the room: sees every message once, whatever happens to the process that serves it.

python watch_room.py                      # what you type is said in the room
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable

from ws_core import WSFrame, WSListener, WSMsgType, WSTransport, reconnecting

NOTHING = "0-0"


class Watch:
    """What is kept from one connection to the next: the message that was seen last."""

    def __init__(self, url: str, show: Callable[[str, str], None]) -> None:
        self._url = url
        self._show = show
        self.last = NOTHING
        self.transport: WSTransport | None = None

    def url(self) -> str:
        return f"{self._url}?after={self.last}"

    def seen(self, number: str, text: str) -> None:
        self.last = number
        self._show(number, text)

    async def run(self) -> None:
        async with reconnecting(lambda: Watcher(self), self.url, backoff_min=0.1, backoff_max=2.0) as connections:
            async for transport in connections:
                self.transport = transport


class Watcher(WSListener):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        message = json.loads(frame.get_payload_as_bytes())
        if "id" in message:
            self._watch.seen(message["id"], message["text"])


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001)
    args = parser.parse_args()

    watch = Watch(f"ws://{args.host}:{args.port}/", lambda number, text: print(f"{number} {text}", flush=True))

    def typed() -> None:
        text = sys.stdin.readline()
        if not text:
            asyncio.get_running_loop().remove_reader(sys.stdin)
        elif watch.transport is None or watch.transport.is_disconnected:
            print("not connected, nothing was said", file=sys.stderr)
        elif text.strip():
            # A program that must know that it was stored would wait for the answer, and say it again if none comes.
            watch.transport.send(WSMsgType.TEXT, text.strip())

    if sys.stdin.isatty():
        asyncio.get_running_loop().add_reader(sys.stdin, typed)
    await watch.run()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
