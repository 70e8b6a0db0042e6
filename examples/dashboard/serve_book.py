"""An order book in the browser: a page over plain HTTP, and its data over a WebSocket on the same port.

python serve_book.py                      # then open http://127.0.0.1:9001/

The book moves as often as the page's slider says. Each state goes to all viewers by one broadcast(). A viewer who does
not keep up is left out while something waits for it, and gets the newest state when that has gone: it sees fewer states
than the others, and old ones only as many as the kernels of both sides hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
from pathlib import Path

from ws_core import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    broadcast,
    ws_create_server,
)

PAGE = Path(__file__).with_name("page.html")
LEVELS = 12
RATES = (1, 1000)  # states a second: the slowest and the fastest that somebody may ask for
LARGEST = 1024  # bytes of what a viewer may say
BACKLOG = 64 * 1024  # bytes; a viewer who asks and asks and does not read the answers is cut
SEND_BUFFER = 16 * 1024  # bytes that the kernel may hold for one viewer: what is in there will be old when it is read


class Book:
    """Bids and asks around a price that walks at random. Prices are in cents."""

    def __init__(self) -> None:
        self._price = 10_000
        self._sizes = {price: random.randint(1, 100) for price in range(9_000, 11_001)}
        self.number = 0

    def step(self) -> None:
        self.number += 1
        self._price = min(max(self._price + random.choice((-1, 0, 0, 1)), 9_000 + LEVELS), 11_000 - LEVELS)
        for _ in range(3):
            level = self._price + random.randint(-LEVELS, LEVELS)
            self._sizes[level] = max(1, self._sizes[level] + random.randint(-20, 20))

    def state(self, viewers: int, rate: int) -> str:
        bids = [(price, self._sizes[price]) for price in range(self._price - 1, self._price - 1 - LEVELS, -1)]
        asks = [(price, self._sizes[price]) for price in range(self._price + 1, self._price + 1 + LEVELS)]
        return json.dumps({"number": self.number, "bids": bids, "asks": asks, "viewers": viewers, "rate": rate})


def allowed(rate: int) -> int:
    return min(max(rate, RATES[0]), RATES[1])


class Viewer(WSListener):
    def __init__(self, market: Market) -> None:
        self._market = market

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        underlying = transport.underlying_transport
        underlying.set_write_buffer_limits(high=0)  # pause_writing as soon as anything waits
        underlying.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._market.viewers.add(transport)
        transport.send(WSMsgType.TEXT, self._market.state())

    def pause_writing(self) -> None:
        self._market.behind.add(self._transport)

    def resume_writing(self) -> None:
        self._market.behind.discard(self._transport)
        self._transport.send(WSMsgType.TEXT, self._market.state())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        if frame.msg_type != WSMsgType.TEXT or not frame.fin:
            return
        try:
            asked = json.loads(frame.get_payload_as_bytes())
            if "rate" in asked:
                self._market.rate = allowed(int(asked["rate"]))
            if "sent" in asked:  # a browser cannot send PINGs: it times the answer to this
                transport.send(WSMsgType.TEXT, json.dumps({"sent": asked["sent"]}))
        except (ValueError, TypeError, OverflowError, RecursionError):  # what JSON can be
            transport.send_close(WSCloseCode.UNSUPPORTED_DATA, "what is that?")
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._market.viewers.discard(transport)
        self._market.behind.discard(transport)


class Market:
    """The book, those who watch it, and those of them who have not read what they have got."""

    def __init__(self, rate: int) -> None:
        self.rate = allowed(rate)
        self.book = Book()
        self.viewers: set[WSTransport] = set()
        self.behind: set[WSTransport] = set()
        self._page = PAGE.read_bytes()

    def state(self) -> str:
        return self.book.state(len(self.viewers), self.rate)

    def answer(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
        if request.path == b"/":
            page = WSUpgradeResponse.create_ok_response(self._page, {"Content-Type": "text/html; charset=utf-8"})
            return WSUpgradeResponseWithListener(page, None)
        return Viewer(self) if request.path == b"/book" else None

    async def move(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            due = max(due + 1 / self.rate, clock())  # what was too late is not made up for
            await asyncio.sleep(due - clock())
            self.book.step()
            broadcast(self.viewers - self.behind, WSMsgType.TEXT, self.state())


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001, help="0: a free one")
    parser.add_argument("--rate", type=int, default=20, help="states a second")
    args = parser.parse_args()

    market = Market(args.rate)
    server = await ws_create_server(
        market.answer, args.host, args.port, max_frame_size=LARGEST, max_write_backlog=BACKLOG
    )
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await market.move()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
