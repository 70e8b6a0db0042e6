"""Graceful ends: a server that says goodbye when it is told to stop, and listeners that answer a CLOSE.

python graceful_shutdown.py               # Ctrl-C, or SIGTERM, ends it
python echo_client.py hello               # ends by a closing handshake of the client's

A closing handshake is a CLOSE from each side (RFC 6455 section 7). The library sends none by itself, so that yours is
the code, the reason and the moment: transport.send_close(), or `await transport.close()` for the whole handshake, or
`await server.shutdown()` for that of every connection. transport.disconnect() alone sends no CLOSE.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

from ws_core import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server


class Polite(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            # If the peer began, this is the answer. If this is the peer's answer, nothing is sent: one CLOSE is enough.
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()  # lets the CLOSE out first
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview(), frame.fin)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        print(f"a connection ended, {transport.disconnect_reason}", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001, help="0: a free one")
    parser.add_argument("--patience", type=float, default=5.0, help="seconds that clients have to answer")
    args = parser.parse_args()

    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)

    server = await ws_create_server(lambda request: Polite(), args.host, args.port)
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    print(f"closing {len(server.connections)} connections")
    # No new connections; a CLOSE to each client; who has not answered in time is cut.
    await server.shutdown(WSCloseCode.GOING_AWAY, "back in a minute", timeout=args.patience)


if __name__ == "__main__":
    asyncio.run(main())
