"""One message for many: a chat room. What one client says goes to all, framed once.

python broadcast.py                       # then, in several other terminals:
python -m ws_core ws://127.0.0.1:9001/    # or any other client that you can type into

broadcast() sends to whoever is still there and tells how many that were. A member that does not read would make the
server keep its messages: max_write_backlog says how much, then it is cut, and the others do not notice.
"""

from __future__ import annotations

import argparse
import asyncio

from ws_core import WSFrame, WSListener, WSMsgType, WSTransport, broadcast, ws_create_server


class Member(WSListener):
    def __init__(self, room: set[WSTransport]) -> None:
        self.room = room

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.room.add(transport)
        broadcast(self.room, WSMsgType.TEXT, f"{len(self.room)} in the room")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT and frame.fin:
            took = broadcast(self.room, WSMsgType.TEXT, frame.get_payload_as_memoryview())
            print(f"{frame.payload_size} bytes to {took} members", flush=True)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.room.discard(transport)
        broadcast(self.room, WSMsgType.TEXT, f"{len(self.room)} in the room")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001, help="0: a free one")
    args = parser.parse_args()

    room: set[WSTransport] = set()
    server = await ws_create_server(
        lambda request: Member(room), args.host, args.port, max_write_backlog=1024 * 1024, max_frame_size=64 * 1024
    )
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
