"""Messages in several frames (RFC 6455 section 5.4): how to send one in pieces, how to put one together again.

python fragmented_messages.py

The first frame has the type of the message, the others are CONTINUATION, and `fin` is set in the last one. The library
checks that order, and the UTF-8 of TEXT over all frames, but leaves putting them together to you: many peers never send
a fragment, and some programs want to begin before the last one is here.
"""

from __future__ import annotations

import asyncio

from ws_core import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    ws_connect,
    ws_create_server,
)


def send_in_pieces(transport: WSTransport, msg_type: WSMsgType, message: bytes | bytearray, size: int) -> None:
    """Send a message in frames of at most `size` bytes. No other TEXT or BINARY may be sent before the last one."""
    view = memoryview(message)
    for start in range(0, max(len(view), 1), size):
        piece = view[start : start + size]
        transport.send(msg_type if start == 0 else WSMsgType.CONTINUATION, piece, fin=start + size >= len(view))


class Assembler(WSListener):
    """Override on_message. `limit`: bytes of a whole message; max_frame_size is about single frames."""

    def __init__(self, limit: int = 1024 * 1024) -> None:
        self.limit = limit

    def on_message(self, transport: WSTransport, msg_type: WSMsgType, message: bytearray) -> None:
        raise NotImplementedError

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        if frame.msg_type == WSMsgType.PONG:
            return  # control frames may come between the fragments
        if frame.msg_type != WSMsgType.CONTINUATION:
            self.msg_type, self.message = frame.msg_type, bytearray()
        if len(self.message) + len(frame) > self.limit:
            raise WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, f"a message may have {self.limit} bytes")
        self.message += frame
        if frame.fin:
            self.on_message(transport, self.msg_type, self.message)


class Echo(Assembler):
    def on_message(self, transport: WSTransport, msg_type: WSMsgType, message: bytearray) -> None:
        send_in_pieces(transport, msg_type, message, 4)


class Client(Assembler):
    def on_ws_connected(self, transport: WSTransport) -> None:
        send_in_pieces(transport, WSMsgType.TEXT, "fünf Äpfel".encode(), 3)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.CLOSE:
            print(f"{frame.msg_type.name} {frame.get_payload_as_bytes()!r} fin={frame.fin}")
        super().on_ws_frame(transport, frame)

    def on_message(self, transport: WSTransport, msg_type: WSMsgType, message: bytearray) -> None:
        # Only the whole message can be decoded: a fragment may end in the middle of a character.
        print(f"the message: {message.decode()}")
        transport.send_close(WSCloseCode.OK)


async def main() -> None:
    server = await ws_create_server(lambda request: Echo(), "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with server:
        transport, _ = await ws_connect(Client, f"ws://127.0.0.1:{port}/")
        await transport.wait_disconnected()


if __name__ == "__main__":
    asyncio.run(main())
