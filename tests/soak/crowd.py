"""Many clients in one process: they send, wait for the echo, leave in four ways, and others come for them."""

from __future__ import annotations

import asyncio
import random
import ssl
import struct
import time
from collections import Counter
from collections.abc import Callable

from latencies import Latencies

import ws_core
from ws_core import WSFrame, WSListener, WSMsgType, WSTransport

#: At once, while the crowd comes together.
CONNECTING = 50
TICK_S = 0.01
#: A port of each may be in TIME_WAIT for a minute: one address has 28,000 of them.
SOURCES = [f"127.0.0.{number}" for number in range(2, 10)]
SIZES = [16, 64, 200, 1000, 8000]
#: The last two are a request to the server.
WAYS_TO_LEAVE = ("close", "abort", "you close", "you abort")
PATIENCE_S = 60.0
_STAMP = struct.Struct("d")
_PADDING = bytes(SIZES[-1])


class Member(WSListener):
    """One connection of the crowd."""

    __slots__ = ("crowd", "leaving", "transport", "waiting")

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.leaving = False
        self.waiting = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.crowd.done["opened"] += 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            self.waiting -= 1
            self.crowd.done["answered"] += 1
            self.crowd.latencies.add(self.crowd.time() - _STAMP.unpack_from(frame.get_payload_as_memoryview())[0])
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.crowd.done["ended"] += 1
        self.crowd.done["unanswered"] += self.waiting
        if not self.leaving:
            self.crowd.surprises[str(transport.disconnect_reason)] += 1

    def send(self, size: int) -> None:
        self.waiting += 1
        self.crowd.done["sent"] += 1
        self.transport.send(WSMsgType.BINARY, _STAMP.pack(self.crowd.time()) + _PADDING[:size])


class Crowd:
    """`url`: of the server (server.py)."""

    def __init__(self, url: str, context: ssl.SSLContext | None, seed: object = None) -> None:
        self.url = url
        self.context = context
        self.members: list[Member] = []
        self.done: Counter[str] = Counter()
        #: Reasons of ends that nobody has asked for.
        self.surprises: Counter[str] = Counter()
        #: From send() to the echo; whoever looks at them clears them.
        self.latencies = Latencies()
        self.time = time.perf_counter  # a loop's own clock may tick in milliseconds
        self._random = random.Random(seed)
        self._changes: set[asyncio.Task[None]] = set()

    async def come(self, count: int) -> None:
        left = iter(range(count))

        async def some() -> None:
            for _ in left:
                self.members.append(await self._open())

        await asyncio.gather(*(some() for _ in range(CONNECTING)))

    async def _open(self) -> Member:
        _, member = await ws_core.ws_connect(
            lambda: Member(self),
            self.url,
            ssl_context=self.context,
            websocket_handshake_timeout=PATIENCE_S,
            local_addr=(self._random.choice(SOURCES), 0),
        )
        return member

    async def warm_up(self) -> None:
        """A message of each size on each connection: what layers below make at the first one, and keep, is there."""
        for member in self.members:
            for size in SIZES:
                member.send(size)
            while self._under_way() > CONNECTING * len(SIZES):
                await asyncio.sleep(0)
        while self._under_way():
            await asyncio.sleep(TICK_S)
        self.latencies.clear()

    def _under_way(self) -> int:
        return self.done["sent"] - self.done["answered"] - self.done["unanswered"]

    async def live(self, seconds: float, rate: float, churn: float, look: Callable[[], None], looks: int) -> None:
        """`rate`: messages a second of all together; `churn`: leave and come anew, a second. `look` is called `looks`
        times, at the end of equal parts of the time."""
        start = self.time()
        ticks = sent = changed = looked = 0
        while looked < looks:
            ticks += 1
            await asyncio.sleep(max(0.0, start + ticks * TICK_S - self.time()))
            elapsed = self.time() - start
            while sent < elapsed * rate:
                sent += 1
                member = self._random.choice(self.members)
                if not member.leaving:
                    member.send(self._random.choice(SIZES))
            while changed < elapsed * churn:
                changed += 1
                task = asyncio.ensure_future(self._change(self._random.randrange(len(self.members))))
                self._changes.add(task)
                task.add_done_callback(self._changes.discard)
            if elapsed >= seconds * (looked + 1) / looks:
                looked += 1
                look()
        await asyncio.gather(*self._changes)

    async def _change(self, index: int) -> None:
        member = self.members[index]
        if member.leaving:
            return
        await self._leave(member, self._random.choice(WAYS_TO_LEAVE))
        self.members[index] = await self._open()

    async def _leave(self, member: Member, way: str) -> None:
        member.leaving = True
        self.done[way] += 1
        if way == "close":
            await member.transport.close(timeout=PATIENCE_S)
        elif way == "abort":
            member.transport.disconnect(graceful=False)
        else:
            member.transport.send(WSMsgType.TEXT, way)
        await asyncio.wait_for(member.transport.wait_disconnected(), PATIENCE_S)

    async def go(self) -> None:
        """All of them, by a closing handshake: whatever is under way arrives before."""
        left = iter(self.members)

        async def some() -> None:
            for member in left:
                await self._leave(member, "close")

        await asyncio.gather(*(some() for _ in range(CONNECTING)))
        self.members.clear()
