"""Callbacks that are coroutines: each message is handled by an eager task (Python 3.12 or newer).

python async_callbacks.py                 # then, in another terminal:
python echo_client.py coffee tea coffee

An eager task runs at once, inside on_ws_frame, up to the first `await` that really waits. A handler that need not wait
is done when on_ws_frame returns, as if it were an ordinary method; one that waits goes on later, and other messages are
handled meanwhile: answers may leave in another order than the questions came.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from ws_core import (
    WSCloseCode,
    WSDisconnectKind,
    WSDisconnectReason,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_create_server,
)


class AsyncListener(WSListener):
    """Override on_message. If it raises, the connection ends, as with any callback; the end cancels what still runs."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()  # the event loop alone does not keep a task alive

    async def on_message(self, transport: WSTransport, frame: WSFrame) -> None:
        raise NotImplementedError

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif sys.version_info >= (3, 12):
            # A frame may be kept: it is the same after an await.
            task = asyncio.eager_task_factory(asyncio.get_running_loop(), self.on_message(transport, frame))
            self.tasks.add(task)
            task.add_done_callback(lambda task: self.finished(transport, task))

    def finished(self, transport: WSTransport, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            reason = WSDisconnectReason(WSDisconnectKind.CALLBACK_ERROR, "on_message raised", exc)
            transport.fail(WSCloseCode.INTERNAL_ERROR, reason)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        for task in self.tasks:
            task.cancel()


class Prices(AsyncListener):
    known = {"tea": 3}

    async def on_message(self, transport: WSTransport, frame: WSFrame) -> None:
        name = frame.get_payload_as_utf8_text()
        if name not in self.known:
            await asyncio.sleep(0.05)  # stands for a database, another service, ...
            self.known[name] = len(name)
        transport.send(WSMsgType.TEXT, f"{name}: {100 / self.known[name]:.2f}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001, help="0: a free one")
    args = parser.parse_args()
    server = await ws_create_server(lambda request: Prices(), args.host, args.port)
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if sys.version_info < (3, 12):
        print("eager tasks need Python 3.12 or newer")
    else:
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            pass
