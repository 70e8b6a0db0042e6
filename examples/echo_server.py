"""An echo server, plain or TLS: the smallest useful listener, with a proper end.

python echo_server.py                            # ws://127.0.0.1:9001/
python echo_server.py --port 9002 --cert chain.pem --key key.pem
"""

from __future__ import annotations

import argparse
import asyncio
import ssl

from ws_core import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview(), frame.fin)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001, help="0: a free one")
    parser.add_argument("--cert", help="certificate chain (PEM): serve wss://")
    parser.add_argument("--key", help="its private key (PEM)")
    args = parser.parse_args()
    context = None
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)

    server = await ws_create_server(lambda request: Echo(), args.host, args.port, ssl=context)
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
