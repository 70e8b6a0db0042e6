"""Auto-ping finds a peer that is gone; auto-pong answers pings (pip install wirelark-ws-autoping).

python keepalive.py

The server of this example answers two pings and then plays dead, with its connection open: what a pulled cable looks
like. The clients notice. One sends PINGs, the other its own kind of ping, a TEXT message, as some services want it.
Any byte from the peer counts as life, not only a pong.
"""

from __future__ import annotations

import argparse
import asyncio

from ws_core import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server


class PlaysDead(WSListener):
    """Answers by hand: its server has enable_auto_pong=False. With auto-pong, the default, PINGs are not seen here."""

    answers = 2

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.answers == 0:
            return
        if frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_memoryview())
        elif frame.msg_type == WSMsgType.TEXT and frame.get_payload_as_utf8_text() == "ping":
            transport.send(WSMsgType.TEXT, "pong")
        self.answers -= 1


class Client(WSListener):
    pings = 0

    def send_user_specific_ping(self, transport: WSTransport) -> None:
        self.pings += 1
        transport.send_ping()


class TextClient(Client):
    def send_user_specific_ping(self, transport: WSTransport) -> None:
        self.pings += 1
        transport.send(WSMsgType.TEXT, "ping")

    def is_user_specific_pong(self, frame: WSFrame) -> bool:
        # Asked of every frame while a pong is due. If telling a pong means parsing, parse in on_ws_frame instead and
        # call transport.notify_user_specific_pong_received() there.
        return frame.msg_type == WSMsgType.TEXT and frame.get_payload_as_bytes() == b"pong"


async def run(client: Client, url: str, idle: float, reply: float) -> None:
    transport, _ = await ws_connect(
        lambda: client,
        url,
        enable_auto_ping=True,
        auto_ping_idle_timeout=idle,  # seconds without a byte from the peer until a ping is sent
        auto_ping_reply_timeout=reply,  # seconds that the peer then has
    )
    await transport.wait_disconnected()
    print(f"{type(client).__name__}: {client.pings} pings sent, {transport.disconnect_reason}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=float, default=1.0, help="seconds")
    parser.add_argument("--reply", type=float, default=1.0, help="seconds, no more than --idle")
    args = parser.parse_args()
    server = await ws_create_server(lambda request: PlaysDead(), "127.0.0.1", enable_auto_pong=False)
    port = server.sockets[0].getsockname()[1]
    url = f"ws://127.0.0.1:{port}/"
    async with server:
        await asyncio.gather(*(run(client, url, args.idle, args.reply) for client in (Client(), TextClient())))


if __name__ == "__main__":
    asyncio.run(main())
