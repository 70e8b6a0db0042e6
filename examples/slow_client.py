"""Backpressure: a server that produces no faster than its client reads.

python slow_client.py

What a client does not read waits, first in the kernels of both sides, then in the memory of the server. When more than
64 KiB wait there, pause_writing is called; when they have gone, resume_writing. A producer that stops in between needs
little memory for any client. `await transport.drain()` is the same for code that sends from a coroutine.
max_write_backlog is for producers that cannot stop: a client for which more waits is cut.
"""

from __future__ import annotations

import asyncio

from ws_core import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server

MESSAGES = 1000
MESSAGE = bytes(16 * 1024)


class Producer(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.pauses = self.most = 0
        self.task = asyncio.create_task(self.produce(transport))

    def pause_writing(self) -> None:
        self.pauses += 1
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    async def produce(self, transport: WSTransport) -> None:
        for _ in range(MESSAGES):
            await self.may_write.wait()
            transport.send(WSMsgType.BINARY, MESSAGE)
            self.most = max(self.most, transport.write_backlog_size)
        transport.send_close(WSCloseCode.OK)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.task.cancel()
        print(f"server: paused {self.pauses} times, at most {self.most // 1024} KiB waited")


class SlowClient(WSListener):
    received = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        self.received += 1
        if self.received % 100 == 0:
            # Busy for a while: what comes now stays in the socket.
            transport.underlying_transport.pause_reading()
            asyncio.get_running_loop().call_later(0.01, transport.underlying_transport.resume_reading)


async def main() -> None:
    server = await ws_create_server(lambda request: Producer(), "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with server:
        client = SlowClient()
        transport, _ = await ws_connect(lambda: client, f"ws://127.0.0.1:{port}/")
        await transport.wait_disconnected()
    print(f"client: {client.received} of {MESSAGES} messages arrived")


if __name__ == "__main__":
    asyncio.run(main())
