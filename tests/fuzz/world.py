"""Two ends, what happens to the wire between them, and what must be true whatever happens.

- What an end gets is the beginning of what the other one has sent, unchanged; and all of it, once everything has been
  delivered, unless something was done by which it may be lost.
- A PING is answered by the library, in order.
- Callbacks come in order: connected, frames, disconnected; at the end each of the two exactly once.
- Who ended a connection is said at once where it is certain, and never changes.
- What was kept stays as it was.

The clock of the loop stands still unless the test lets time pass. What the library does after seconds happens then, and
never because a machine is slow; and a loop that has nothing to do is an error, and not a test that hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import selectors
from typing import Any

from ends import CLOSE, PING, PINGED, PONG, Action, BatchEnd, End, Entry
from ws_core import WSDisconnectKind, WSProtocolError
from ws_core.testing import Pieces, Wire, connected_pair

# Exceptions of callbacks are what it is about.
QUIET = logging.getLogger("fuzz")
QUIET.propagate = False
QUIET.setLevel(logging.CRITICAL)


class _NeverWaits(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> Any:
        assert timeout == 0, "the loop has nothing to do: something waits for what never comes"
        return super().select(0)


class StillLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(_NeverWaits())
        self.now = 1000.0
        self.complaints: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    def time(self) -> float:
        return self.now


class World:
    def __init__(self, client: dict[str, Any], server: dict[str, Any], capacity: int, pieces: Pieces) -> None:
        self.loop = StillLoop()
        self._stack = contextlib.AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []
        self._held: set[str] = set()
        self._injected: set[str] = set()
        self._reasons: dict[str, Any] = {}
        self.ends = {"client": self._end(client), "server": self._end(server)}
        self.ends["client"].other, self.ends["server"].other = self.ends["server"], self.ends["client"]
        self.wire = Wire(capacity=capacity, cut_into=pieces)
        pair = connected_pair(
            lambda: self.ends["client"],
            lambda: self.ends["server"],
            wire=self.wire,
            client_options=self._options(client),
            server_options=self._options(server),
        )
        self.run(self._stack.enter_async_context(pair))

    @staticmethod
    def _end(how: dict[str, Any]) -> End:
        kind = BatchEnd if how["batches"] else End
        return kind(**{name: how[name] for name in ("answers_close", "keeps", "survives", "auto_pong")})

    @staticmethod
    def _options(how: dict[str, Any]) -> dict[str, Any]:
        return {
            "strict": how["strict"],
            "cork": how["cork"],
            "enable_auto_pong": how["auto_pong"],
            "disconnect_on_exception": not how["survives"],
            "logger_name": QUIET,
        }

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    # ------------------------------------------------------------- what happens

    def do(self, who: str, action: Action) -> None:
        async def do() -> None:
            self.ends[who].do(action)

        self.run(do())

    def plan(self, who: str, callback: str, action: Action, *, next_time: bool = False) -> None:
        plan = self.ends[who].plans[callback]
        plan.insert(0 if next_time else len(plan), action)

    def close(self, who: str, timeout: float | None) -> None:
        async def begin() -> None:
            self._tasks.append(asyncio.ensure_future(self.ends[who].transport.close(timeout=timeout)))

        self.run(begin())

    def drain(self, who: str) -> None:
        async def begin() -> None:
            self._tasks.append(asyncio.ensure_future(self.ends[who].transport.drain()))

        self.run(begin())

    def turn(self, count: int) -> None:
        async def turn() -> None:
            for _ in range(count):
                await asyncio.sleep(0)

        self.run(turn())

    def pass_time(self, seconds: float) -> None:
        """What lingers is cut when the other side has taken nothing for a while."""
        for end in self.ends.values():
            if not end.is_well():
                end.may_be_lost = end.other.may_be_lost = True
        self.loop.now += seconds
        self.turn(10)

    def hold(self, to: str, after: int) -> None:
        self._direction(to).hold(after)
        self._held.add(to)

    def release(self, to: str) -> None:
        self._direction(to).release()
        self._held.discard(to)

    def cut_into(self, to: str, pieces: Pieces) -> None:
        self._direction(to).cut_into(pieces)

    def inject(self, to: str, data: bytes) -> None:
        with contextlib.suppress(RuntimeError):  # nothing can arrive there any more
            self._direction(to).inject(data)
            self._injected.add(to)
            self.ends[to].other.may_be_lost = True

    def end_stream(self, to: str) -> None:
        self._direction(to).end()
        self.ends[to].other.may_be_lost = True
        self.ends[to].may_be_lost |= to in self._held

    def lose(self) -> None:
        for end in self.ends.values():
            end.may_be_lost = True
            if end.is_well():
                end.cause = WSDisconnectKind.NETWORK_ERROR
        self.wire.lose()
        self.turn(3)

    def _direction(self, to: str) -> Any:
        return self.wire.to_client if to == "client" else self.wire.to_server

    def deliver(self) -> None:
        """Everything that can arrive does."""
        self.run(self.wire.deliver())
        for name, end in self.ends.items():
            if not end.may_be_lost and end.other is not None and self._other(name) not in self._held:
                assert self._expected(end) == self._got(end.other), f"what {name} has sent is not what has come"

    @staticmethod
    def _other(name: str) -> str:
        return "server" if name == "client" else "client"

    # ------------------------------------------------------------- what must be true

    @staticmethod
    def _expected(end: End) -> list[Entry]:
        """What the other end gets of this one in the end."""
        frames = [entry for entry in end.sent if not (entry.opcode == PING and end.other.auto_pong)]
        handshake = end.transport.close_handshake
        if handshake is not None and handshake.sent is not None:
            code, reason = handshake.sent
            body = int(code).to_bytes(2, "big") + (reason or "").encode() if code else b""
            frames.append(Entry(int(CLOSE), body))
        return frames

    @staticmethod
    def _got(end: End) -> list[Entry]:
        return [entry for entry in end.got if not (entry.opcode == PONG and entry.payload.startswith(PINGED))]

    def check(self) -> None:
        for name, end in self.ends.items():
            got, expected = self._got(end), self._expected(end.other)
            assert got == expected[: len(got)], f"{name} has got something else than was sent"
            answers = [entry.payload for entry in end.got if entry.opcode == PONG and entry.payload.startswith(PINGED)]
            pings = (entry.payload for entry in end.sent if entry.opcode == PING)
            # In their order, and none twice. Not each: while we do not read, the peer answers the newest one only.
            assert all(answer in pings for answer in answers)
            frames = ["frame"] * len(end.got)
            assert end.events in (["connected", *frames], ["connected", *frames, "disconnected"])
            assert end.kept_as_it_was()
            self._check_reason(name, end)
        assert self.loop.complaints == []

    def _check_reason(self, name: str, end: End) -> None:
        reason = end.transport.disconnect_reason
        known = self._reasons.setdefault(name, reason)
        if known is None:
            self._reasons[name] = reason
        else:
            assert reason is known
        if end.cause is not None:
            assert reason is not None
            assert reason.kind is end.cause
        if end.code is not None:
            assert end.transport.close_handshake.sent.code == end.code
        assert "disconnected" not in end.events or reason is not None

    def finish(self) -> None:
        """Cut what is left, and see that nothing is."""
        try:
            for to in [*self._held]:
                self.release(to)
            self.deliver()
            self.check()
            self.run(self._stack.aclose())
            self.turn(10)
            assert all(task.done() for task in self._tasks)
            for task in self._tasks:
                assert isinstance(task.exception(), (ConnectionResetError, type(None)))
            for end in self.ends.values():
                assert end.events.count("disconnected") == 1
            self.check()
            self._check_what_is_raised()
        finally:
            self.loop.close()

    def _check_what_is_raised(self) -> None:
        raised = dict.fromkeys(self.ends)
        for name, end in self.ends.items():
            try:
                self.run(end.transport.wait_disconnected())
            except Exception as exc:
                raised[name] = exc
        assert raised["server"] is None
        first = next(iter(self.ends["client"].raised), None)
        if not ("client" in self._injected and isinstance(raised["client"], WSProtocolError)):
            assert raised["client"] is first
