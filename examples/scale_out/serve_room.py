"""One room in several processes: what one of them is told reaches the viewers of all, through Redis.

python serve_room.py --workers 3          # pip install redis, and a redis-server on its usual port
python watch_room.py                      # as often as you like; what you type is said in the room

The processes share one port (`reuse_port`), so any of them may get a connection. Each message is stored in a stream of
Redis and then sent to all viewers. A viewer that connects again says which message it has seen last and gets what it
has missed: the process that served it may have been killed, its viewers go on with another one.

What is promised: a message that was answered by `{"stored": id}` comes to each viewer once, in the order of the ids,
unless the viewer is away until HISTORY newer ones have come, or Redis forgets it: what that may lose when it crashes is
a matter of its configuration (appendfsync). A message that was not answered may have been stored all the same.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from typing import Any
from urllib.parse import parse_qs

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ws_core import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    broadcast,
    ws_create_server,
)

STREAM = "room"
HISTORY = 10_000  # messages that Redis keeps, at least
LARGEST = 4096  # bytes of a message; JSON may need six times as many
AT_ONCE = 32  # messages that are fetched, and sent, at a time
BACKLOG = 1 << 20  # bytes; a viewer for whom more waits is cut, and comes back for what it has missed
UNSTORED = 1000  # messages that a viewer may say faster than they are stored
RETRY_S = 0.5
NOTHING = "0-0"


def place(request: WSUpgradeRequest) -> str:
    """The id of the message that a viewer has seen last. ValueError if it is none."""
    query = parse_qs(request.path.partition(b"?")[2].decode(), errors="strict")
    seen = query.get("after", [NOTHING])[0]
    if not re.fullmatch(r"\d{1,18}-\d{1,18}", seen, re.ASCII):
        raise ValueError(seen)
    return seen


def order(number: str) -> tuple[int, int]:
    """Ids of a stream are a time and a number."""
    milliseconds, _, sequence = number.partition("-")
    return int(milliseconds), int(sequence)


def line(number: str, fields: dict[str, str]) -> str:
    return json.dumps({"id": number, "text": fields["text"]})


class Room:
    """What this process knows of the room: who has seen everything until `last`."""

    def __init__(self, store: redis.asyncio.Redis) -> None:
        self._store: Any = store  # its types do not know that decode_responses=True leaves no bytes
        self.last = NOTHING
        self._moved = asyncio.Event()
        self.viewers: set[WSTransport] = set()

    async def begin(self) -> None:
        newest = await self._store.xrevrange(STREAM, count=1)
        self.last = newest[0][0] if newest else NOTHING

    async def follow(self) -> None:
        """Send what is stored to the viewers, from now on."""
        while True:
            try:
                answer = await self._store.xread({STREAM: self.last}, count=AT_ONCE, block=1000)
            except RedisError as exc:
                print(f"no Redis, trying again: {exc}", file=sys.stderr)
                await asyncio.sleep(RETRY_S)
                continue
            for _, entries in answer:
                self.last = entries[-1][0]
                broadcast(self.viewers, WSMsgType.TEXT, [line(*entry) for entry in entries])
                self._moved.set()
                self._moved.clear()  # whoever waited goes on, and looks again

    async def welcome(self, transport: WSTransport, seen: str) -> None:
        """Bring a viewer up to date; then it is one of those who get what is new."""
        while order(seen) != order(self.last):
            if order(seen) > order(self.last):  # it comes from a process that was faster
                await self._moved.wait()
                continue
            missed = await self._store.xrange(STREAM, min=f"({seen}", max=self.last, count=AT_ONCE)
            if not missed:
                break
            with transport.cork():
                for entry in missed:
                    transport.send(WSMsgType.TEXT, line(*entry))
            seen = missed[-1][0]
            await transport.drain()
        self.viewers.add(transport)  # nothing has come since the comparison

    async def store(self, text: str) -> str:
        return str(await self._store.xadd(STREAM, {"text": text}, maxlen=HISTORY, approximate=True))


class Viewer(WSListener):
    def __init__(self, room: Room, seen: str) -> None:
        self._room = room
        self._seen = seen
        self._said: asyncio.Queue[str] = asyncio.Queue(UNSTORED)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._task = asyncio.create_task(self._serve(transport))

    async def _serve(self, transport: WSTransport) -> None:
        try:
            await self._room.welcome(transport, self._seen)
            while True:
                stored = await self._room.store(await self._said.get())
                transport.send(WSMsgType.TEXT, json.dumps({"stored": stored}))
        except RedisError:
            await transport.close(WSCloseCode.TRY_AGAIN_LATER, "no store")
        except ConnectionResetError:
            pass  # it went while it was brought up to date

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif self._said.full():
            transport.send_close(WSCloseCode.TRY_AGAIN_LATER, "too fast")
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT and frame.fin:
            self._said.put_nowait(frame.get_payload_as_utf8_text())
        else:
            transport.send_close(WSCloseCode.UNSUPPORTED_DATA, "one text in one frame")
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._room.viewers.discard(transport)
        self._task.cancel()


async def work(args: argparse.Namespace) -> None:
    """One process."""

    def answer(request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        try:
            return Viewer(room, place(request))
        except ValueError:
            refusal = WSUpgradeResponse.create_error_response(400, b"after= is the id of a message\n")
            return WSUpgradeResponseWithListener(refusal, None)

    # What is tried again by itself would be stored twice, if only the answer was lost.
    once = Retry(NoBackoff(), retries=0)
    async with redis.asyncio.Redis.from_url(args.redis, decode_responses=True, protocol=2, retry=once) as store:
        room = Room(store)
        await room.begin()
        server = await ws_create_server(
            answer,
            args.host,
            args.port,
            reuse_port=True,
            max_frame_size=LARGEST,
            max_write_backlog=BACKLOG,
        )
        # In one write, since the others print into the same pipe.
        sys.stdout.write(f"worker {os.getpid()} listening on port {server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        async with server:  # its end says goodbye to the viewers
            loop, following = asyncio.get_running_loop(), asyncio.create_task(room.follow())

            def stop() -> None:
                loop.remove_reader(sys.stdin)
                following.cancel()

            # The supervisor holds the other end of our standard input: when it is gone, so are we.
            loop.add_reader(sys.stdin, stop)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop)
            with contextlib.suppress(asyncio.CancelledError):
                await following


async def supervise(number: int) -> None:
    """Workers, each started again when it has ended."""

    async def keep() -> None:
        while True:
            command = [sys.executable, *sys.argv, "--worker"]
            worker = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
            try:
                print(f"worker {worker.pid} ended: {await worker.wait()}", file=sys.stderr)
            finally:
                if worker.returncode is None:
                    worker.terminate()
                    await worker.wait()
            await asyncio.sleep(RETRY_S)

    keeping = [asyncio.ensure_future(keep()) for _ in range(number)]

    def stop() -> None:
        for each in keeping:
            each.cancel()

    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop)
    await asyncio.wait(keeping)  # not gather(): it would be over with the first worker that has ended


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0", metavar="URL")
    parser.add_argument("--workers", type=int, default=3, help="processes")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    await (work(args) if args.worker else supervise(args.workers))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
