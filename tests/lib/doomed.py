"""An echo server in a process of its own: python doomed.py PORT [CERTIFICATE]. It says when it listens."""

from __future__ import annotations

import asyncio
import ssl
import sys

import ws_core


class Echo(ws_core.WSListener):
    def on_ws_frame(self, transport: ws_core.WSTransport, frame: ws_core.WSFrame) -> None:
        if frame.msg_type == ws_core.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


async def serve(port: str, *certificate: str) -> None:
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    async with await ws_core.ws_create_server(
        lambda request: Echo(), "127.0.0.1", int(port), ssl=context, reuse_port=True
    ) as server:
        print("listening", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
