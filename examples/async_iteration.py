"""`async for` over the messages of a connection, with backpressure.

python async_iteration.py

Messages, below, is the adapter: copy it into your program. It costs what any queue costs: a message waits for the next
turn of the event loop instead of being handled at once. When `limit` messages wait, reading stops, the kernel's buffers
fill, and the peer has to wait. PINGs are not answered meanwhile, so do not stop for minutes. With TLS give ws_connect
use_aiofastnet=False, too: aiofastnet 1.2.0 loses sight of what it has read when reading is paused.
"""

from __future__ import annotations

import asyncio

from ws_core import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server


class Messages(WSListener):
    def __init__(self, limit: int = 16) -> None:
        self.limit = limit
        self.queue: asyncio.Queue[WSFrame | None] = asyncio.Queue()
        self.paused = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        self.queue.put_nowait(frame)  # frames may be kept: nothing is copied
        # What came in the same read still comes, so a few more than `limit` may wait.
        if self.queue.qsize() >= self.limit and not self.paused:
            self.paused = True
            transport.underlying_transport.pause_reading()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.queue.put_nowait(None)

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> WSFrame:
        frame = await self.queue.get()
        if self.paused and self.queue.qsize() <= self.limit // 2 and not self.transport.is_disconnected:
            self.paused = False
            self.transport.underlying_transport.resume_reading()
        if frame is None:
            self.queue.put_nowait(None)  # for whoever asks again
            await self.transport.wait_disconnected()  # raises if a callback failed or the peer broke the protocol
            raise StopAsyncIteration
        return frame


class Feed(WSListener):
    """The server of this example: 200 messages of 16 KiB, all at once."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        for number in range(200):
            transport.send(WSMsgType.TEXT, f"{number:16384}")
        transport.send_close(WSCloseCode.OK)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


async def main() -> None:
    server = await ws_create_server(lambda request: Feed(), "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with server:
        messages = Messages()
        await ws_connect(lambda: messages, f"ws://127.0.0.1:{port}/")
        numbers, most = [], 0
        async for frame in messages:
            most = max(most, messages.queue.qsize())
            numbers.append(int(frame.get_payload_as_ascii_text()))
            await asyncio.sleep(0)  # whatever there is to do for a message
        print(f"{len(numbers)} messages, in order: {numbers == sorted(numbers)}, at most {most} waited")


if __name__ == "__main__":
    asyncio.run(main())
