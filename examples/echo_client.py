"""An echo client, plain or TLS: sends one word after the other, shows what comes back, ends with a closing handshake.

python echo_client.py hello world                   # to ws://127.0.0.1:9001/, where echo_server.py listens
python echo_client.py --tls --host example.org --port 443 hello
python echo_client.py --tls --ca authority.pem hello # for a server whose certificate you made yourself
"""

from __future__ import annotations

import argparse
import asyncio
import ssl

from ws_core import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect


class Client(WSListener):
    def __init__(self, words: list[str]) -> None:
        self.words = iter(words)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.send_next(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            # The server's answer to our CLOSE, or a CLOSE of its own. Answered is answered: a second one is not sent.
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        print(f"echo: {frame.get_payload_as_utf8_text()}")
        self.send_next(transport)

    def send_next(self, transport: WSTransport) -> None:
        word = next(self.words, None)
        if word is not None:
            transport.send(WSMsgType.TEXT, word)
        else:
            transport.send_close(WSCloseCode.OK, "that was all")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--tls", action="store_true", help="wss:// instead of ws://")
    parser.add_argument("--ca", help="trust certificates of this authority (PEM), and of no other")
    parser.add_argument("words", nargs="*", default=["hello", "world"])
    args = parser.parse_args()

    url = f"{'wss' if args.tls else 'ws'}://{args.host}:{args.port}/"
    context = ssl.create_default_context(cafile=args.ca) if args.tls else None
    transport, _ = await ws_connect(lambda: Client(args.words), url, ssl_context=context)
    print(f"connected to {url}")
    await transport.wait_disconnected()
    print(f"ended: {transport.disconnect_reason}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
