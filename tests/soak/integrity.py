"""Messages of all sizes, both ways at once, by every way to send: each must arrive whole, once and in its place.

A server and its clients in one process. Who sends notes the hash of each message, who receives compares. There are
fragments with PINGs between them, corks that are held over an await, broadcasts, answers out of callbacks, and peers
that stop reading. tests/faults/test_integrity.py runs it for a moment, `nox -s soak` for minutes.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
from collections import Counter, deque
from typing import Any

import ws_core
from harness import Net, until, within
from ws_core import WSFrame, WSListener, WSMsgType, WSTransport

CLIENTS = 3
SIZES = (0, 1, 125, 126, 127, 1000, 4096, 16_384, 65_535, 65_536, 200_000)
HEADER_ROOM = 14
#: Of the system; little, so that there is backpressure.
SEND_BUFFER_BYTES = 16 * 1024
#: Each of them must have happened before it is over, however slow the machine.
MUST_HAPPEN = {"bytes", "view", "in place", "pieces", "broadcasts", "answers", "paused"}
#: Frames that a receiver keeps, and looks at again before it lets go of them.
KEPT = 20
_CONTENT = random.Random(0).randbytes(2 * SIZES[-1])


def digest(data: Any) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


class End(WSListener):
    """One end of a connection."""

    def __init__(self, seed: object, done: Counter[str]) -> None:
        self.random = random.Random(str(seed))
        self.done = done
        self.transport: WSTransport | None = None
        self.ended = 0
        #: Hashes of what this end has sent, in order, up to what the other one has seen.
        self.sent: deque[bytes] = deque()
        self.other: End | None = None
        self._number = 0
        self._pieces: list[bytes] = []
        self._kept: deque[tuple[WSFrame, bytes]] = deque()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        sock = transport.underlying_transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.ended += 1

    def pause_writing(self) -> None:
        self.done["paused"] += 1

    # ------------------------------------------------------------------ sending

    def make(self) -> bytes:
        """A message unlike all others."""
        self._number += 1
        size = self.random.choice(SIZES) if self.random.random() < 0.2 else self.random.randrange(2000)
        start = self.random.randrange(len(_CONTENT) - size)
        return b"%d/%d " % (id(self), self._number) + _CONTENT[start : start + size]

    def send(self) -> None:
        """One message, in one of the ways."""
        assert self.transport is not None
        message = self.make()
        self.sent.append(digest(message))
        way = self.random.choice(("bytes", "view", "in place", "pieces"))
        self.done[way] += 1
        if way == "bytes":
            self.transport.send(WSMsgType.BINARY, message)
        elif way == "view":
            self.transport.send(WSMsgType.BINARY, memoryview(bytearray(message)))
        elif way == "in place":
            buffer = bytearray(HEADER_ROOM) + message
            self.transport.send_reuse_external_bytearray(WSMsgType.BINARY, buffer, HEADER_ROOM)
            buffer[:] = bytes(len(buffer))  # it is ours again
        else:
            cuts = sorted(self.random.randrange(len(message) + 1) for _ in range(self.random.randrange(1, 5)))
            kind = WSMsgType.BINARY
            for start, end in zip([0, *cuts], [*cuts, None], strict=True):
                self.transport.send(kind, message[start:end], end is None)
                kind = WSMsgType.CONTINUATION
                if end is not None and self.random.random() < 0.2:
                    self.transport.send_ping(b"between")

    async def send_until(self, end: float) -> None:
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        while loop.time() < end or not self.done.keys() >= MUST_HAPPEN:
            if self.random.random() < 0.3:
                with self.transport.cork():
                    for _ in range(self.random.randrange(20)):
                        self.send()
                    await asyncio.sleep(0)
            else:
                self.send()
            if self.random.random() < 0.02:
                self._stop_reading(loop)
            await self.transport.drain()
            await asyncio.sleep(0)

    def _stop_reading(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self.transport is not None
        below: Any = self.transport.underlying_transport
        if below.is_reading():
            below.pause_reading()
            loop.call_later(0.02, below.resume_reading)

    # ------------------------------------------------------------------ receiving

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        assert self.other is not None
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type != WSMsgType.PONG:
            self._pieces.append(frame.get_payload_as_bytes())
            self._keep(frame)
            if frame.fin:
                message = b"".join(self._pieces)
                self._pieces.clear()
                if digest(message) != self.other.sent.popleft():
                    raise AssertionError(f"not what was to come: {message[:30]!r}, {len(message)} bytes")
                self.done["messages"] += 1
                self.done["received bytes"] += len(message)
                if self.random.random() < 0.1:
                    self.send()
                    self.done["answers"] += 1

    def _keep(self, frame: WSFrame) -> None:
        self._kept.append((frame, digest(frame.get_payload_as_memoryview())))
        if len(self._kept) > KEPT:
            old, then = self._kept.popleft()
            if digest(old.get_payload_as_memoryview()) != then:
                raise AssertionError("a frame that was kept has changed")


async def broadcast_until(end: float, ends: list[End], done: Counter[str]) -> None:
    """Between what they send themselves; to those that have nothing waiting, so that no backlog grows for ever."""
    loop = asyncio.get_running_loop()
    while loop.time() < end or not done.keys() >= MUST_HAPPEN:
        messages = [ends[0].make() for _ in range(ends[0].random.randrange(1, 4))]
        targets = [each for each in ends if each.transport and not each.transport.write_backlog_size]
        for each in targets:
            each.sent.extend(map(digest, messages))
        took = ws_core.broadcast([each.transport for each in targets], WSMsgType.BINARY, messages)
        if took != len(targets):
            raise AssertionError(f"{took} of {len(targets)} took a broadcast")
        done["broadcasts"] += took > 0
        await asyncio.sleep(0.001)


async def exchange(net: Net, seconds: float, seed: object) -> Counter[str]:
    """For so many seconds, at least. What was done. AssertionError if something has not arrived as it was sent."""
    done: Counter[str] = Counter()
    accepted: list[End] = []

    def accept(request: Any) -> End:
        accepted.append(End(f"server {len(accepted)} {seed}", done))
        return accepted[-1]

    server = await net.serve(accept)
    clients: list[End] = []
    for number in range(CLIENTS):
        _, client = await net.connect(server, lambda number=number: End(f"client {number} {seed}", done))
        clients.append(client)
        await until(lambda: len(accepted) == len(clients) and accepted[-1].transport)
        client.other, accepted[-1].other = accepted[-1], client
    ends = accepted + clients
    try:
        end = asyncio.get_running_loop().time() + seconds
        await asyncio.gather(*(each.send_until(end) for each in ends), broadcast_until(end, accepted, done))
        await until(lambda: not any(each.sent for each in ends))
        for each in clients:
            assert each.transport is not None
            await within(each.transport.close())
        await until(lambda: all(each.ended for each in ends))
    finally:
        failures = [each.transport.disconnect_reason.exception for each in ends if each.transport.disconnect_reason]
        for failure in filter(None, failures):
            raise failure  # the cause of whatever has gone wrong here
    assert [each.ended for each in ends] == [1] * len(ends)
    return done
