"""Which exceptions there are, where they arrive, and what a failing callback does.

python exceptions.py

ws_connect raises what the system raises, unwrapped, and WSError where the server does not do its part. A callback that
raises ends the connection: the peer gets CLOSE(INTERNAL_ERROR), or the code of a WSProtocolError. On a client,
wait_disconnected raises the exception again; on a server, where nobody waits, it is logged.
disconnect_on_exception=False only logs what on_ws_frame raises, on both sides.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys

from ws_core import (
    WSCloseCode,
    WSFrame,
    WSInvalidStatusError,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    ws_connect,
    ws_create_server,
)


class Divider(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        text = frame.get_payload_as_utf8_text()
        if not text.isdecimal():
            raise WSProtocolError(WSCloseCode.POLICY_VIOLATION, f"{text} is no number")
        transport.send(WSMsgType.TEXT, f"{100 / int(text):.1f}")


class Client(WSListener):
    def __init__(self, text: str) -> None:
        self.text = text

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, self.text)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            print(f"sent {self.text!r}: the server closes with {frame.get_close_code()!r}, {frame.get_close_reason()}")
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            raise LookupError(f"nobody wants {frame.get_payload_as_utf8_text()}")


async def main() -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.ERROR, format="log: %(name)s %(message)s")

    server = await ws_create_server(lambda request: Divider() if request.path == b"/" else None, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    url = f"ws://127.0.0.1:{port}/"
    async with server:
        for text in ("seven", "0", "8"):
            transport, _ = await ws_connect(functools.partial(Client, text), url)
            try:
                await transport.wait_disconnected()
            except LookupError as exc:
                print(f"sent {text!r}: wait_disconnected raised {exc!r}")
        try:
            await ws_connect(WSListener, f"{url}elsewhere")
        except WSInvalidStatusError as exc:
            print(f"elsewhere: {exc}")
    try:
        await ws_connect(WSListener, url)
    except ConnectionRefusedError as exc:
        print(f"after the end: {type(exc).__name__}")


if __name__ == "__main__":
    asyncio.run(main())
