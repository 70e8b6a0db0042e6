"""Subprotocols (RFC 6455 section 1.9): both sides agree in the upgrade on what their messages mean.

python subprotocols.py

The client offers what it speaks, the server takes the first of its own list that was offered. Having nothing in common
is no error: the connection opens without a subprotocol, and who needs one closes it.
"""

from __future__ import annotations

import asyncio
import json

from ws_core import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server


class Greeter(WSListener):
    """Greets in the subprotocol that was agreed on."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        if transport.subprotocol == "greeting.json":
            transport.send(WSMsgType.TEXT, json.dumps({"greeting": "hello"}))
        elif transport.subprotocol == "greeting.text":
            transport.send(WSMsgType.TEXT, "hello")
        else:
            transport.send_close(WSCloseCode.POLICY_VIOLATION, "greeting.json and greeting.text are spoken here")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


class Client(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            print(f"  {transport.subprotocol}: {frame.get_payload_as_utf8_text()}")
            transport.send_close(WSCloseCode.OK)


async def main() -> None:
    server = await ws_create_server(
        lambda request: Greeter(), "127.0.0.1", subprotocols=("greeting.json", "greeting.text")
    )
    port = server.sockets[0].getsockname()[1]
    async with server:
        for offer in (("greeting.text",), ("greeting.text", "greeting.json"), ("greeting.xml",), ()):
            print(f"offering {', '.join(offer) or 'nothing'}")
            transport, _ = await ws_connect(Client, f"ws://127.0.0.1:{port}/", subprotocols=offer)
            await transport.wait_disconnected()
            closing = transport.close_handshake
            if closing is not None and closing.recv is not None and closing.recv_then_sent:
                print(f"  closed by the server: {closing.recv.reason}")


if __name__ == "__main__":
    asyncio.run(main())
