"""Our side of Autobahn: a plain echo, as server and as client.

The listener joins fragments and nothing else: what RFC 6455 demands has to come from core. Of Autobahn it knows the
three paths by which a client asks a server for its cases.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import ws_core
from ws_core import WSFrame, WSListener, WSMsgType, WSProtocolError, WSTransport

AGENT = "ws_core"
#: 9.1.6 and 9.2.6 send 16 MiB in one frame.
MAX_FRAME_SIZE = 2**25
#: Seconds. A connection that takes longer hangs: the slowest case takes some ten.
CASE_LIMIT_S = 120


class Echo(WSListener):
    """Sends back every message, whole, and answers a CLOSE."""

    def __init__(self) -> None:
        self._fragments: list[WSFrame] = []

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type != WSMsgType.PONG:
            self._fragments.append(frame)
            if frame.fin:
                transport.send(self._fragments[0].msg_type, b"".join(self._fragments))
                self._fragments.clear()


class Told(WSListener):
    """Keeps the last text, and answers a CLOSE: an Autobahn server tells how many cases it has."""

    text = ""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.text = frame.get_payload_as_utf8_text()
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


@contextlib.asynccontextmanager
async def serving(use_aiofastnet: bool | None) -> AsyncIterator[int]:
    """An echo server on a free port of 127.0.0.1."""
    server = await ws_core.ws_create_server(
        lambda request: Echo(), "127.0.0.1", 0, use_aiofastnet=use_aiofastnet, max_frame_size=MAX_FRAME_SIZE
    )
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def visit(url: str, listener: WSListener, use_aiofastnet: bool | None) -> None:
    """One connection, to its end. Breaking the protocol is what the other side is there for."""
    transport, _ = await ws_core.ws_connect(
        lambda: listener, url, use_aiofastnet=use_aiofastnet, max_frame_size=MAX_FRAME_SIZE
    )
    with contextlib.suppress(WSProtocolError):
        await asyncio.wait_for(transport.wait_disconnected(), CASE_LIMIT_S)


async def take_cases(url: str, use_aiofastnet: bool | None) -> None:
    """Every case of the Autobahn server at `url`, as its client; then let it write its report."""
    told = Told()
    await visit(f"{url}/getCaseCount", told, use_aiofastnet)
    for case in range(1, int(told.text) + 1):
        await visit(f"{url}/runCase?case={case}&agent={AGENT}", Echo(), use_aiofastnet)
    await visit(f"{url}/updateReports?agent={AGENT}", Told(), use_aiofastnet)
