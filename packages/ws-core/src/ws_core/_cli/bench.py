"""``python -m ws_core.bench URL``: round trips and throughput against any echo server."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import deque
from collections.abc import Sequence

from ws_core import WSCloseCode, WSFrame, WSMsgType, WSTransport, ws_connect
from ws_core._cli.arguments import (
    add_connection,
    connect_arguments,
    count,
    hide_password,
    not_negative,
    positive,
    run,
    size,
)
from ws_core._cli.histogram import Histogram
from ws_core._cli.screen import is_terminal
from ws_core._listener import WSListener  # with which core passes mypy by itself

DESCRIPTION = """
Send messages to an echo server and time the answers. With one message in flight, which is the default, that is the
round trip; with many it is what the way there, the server and the way back can take. The times include the server's,
so they say nothing about this library alone: for comparisons see benchmarks/ in the source.
""".strip()
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
ROWS = 16
BAR = 50


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        "python -m ws_core.bench", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_connection(made, timeout="to connect within, and to wait for an answer (5)")
    group = made.add_argument_group("the messages")
    group.add_argument("--size", type=size, default=256, metavar="BYTES", help="of each (256)")
    group.add_argument("--text", action="store_true", help="TEXT instead of BINARY")
    group.add_argument("--in-flight", type=count, default=1, metavar="N", help="on the way at a time, a connection (1)")
    group.add_argument("--connections", type=count, default=1, metavar="N", help="at the same time (1)")
    group.add_argument("--duration", type=positive, default=5.0, metavar="SECONDS", help="that are counted (5)")
    group.add_argument("--warm-up", type=not_negative, default=0.5, metavar="SECONDS", help="before, not counted (0.5)")
    made.add_argument("--json", action="store_true", help="the result as JSON, times in seconds")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    return run(lambda: bench(args), args, "ws_core.bench")


class Clock:
    """What the connections of a run have in common: from when to when, and what came out."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.times = Histogram()
        self.in_time = 0  # answers that came before the end; for those that were on their way it is waited
        self.begin = time.perf_counter_ns() + round(args.warm_up * 1e9)
        self.end = self.begin + round(args.duration * 1e9)


class Flight(WSListener):
    """One connection: whatever comes back is answered by the next message, until the time is over."""

    def __init__(self, args: argparse.Namespace, message: bytes) -> None:
        self._args = args
        self._message = message
        self._kind = WSMsgType.TEXT if args.text else WSMsgType.BINARY
        self._sent: deque[int] = deque()
        self._received = 0  # bytes of the message that is coming
        self._heard = 0  # when
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, transport: WSTransport, clock: Clock) -> None:
        self._clock = clock
        with transport.cork():
            for _ in range(self._args.in_flight):
                self._send(transport)

    def _send(self, transport: WSTransport) -> None:
        self._sent.append(time.perf_counter_ns())
        transport.send(self._kind, self._message)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        if frame.msg_type == WSMsgType.PONG:
            return
        now = self._heard = time.perf_counter_ns()
        self._received += frame.payload_size
        if not frame.fin:
            return
        received, self._received = self._received, 0
        if received != self._args.size or not self._sent:
            self._end(ValueError(f"this is not an echo server: it answers {self._args.size} bytes by {received}"))
            transport.disconnect(graceful=False)
            return
        taken = now - self._sent.popleft()
        if now >= self._clock.begin:
            self._clock.times.add(taken)
            self._clock.in_time += now <= self._clock.end
        if now < self._clock.end:
            self._send(transport)
        elif not self._sent:
            self._end(None)

    def check(self, timeout_s: float) -> None:
        """Give up on a server that says nothing any more."""
        if self._sent and time.perf_counter_ns() - max(self._sent[0], self._heard) > timeout_s * 1e9:
            self._end(TimeoutError(f"no answer within {timeout_s:g} seconds"))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._end(ConnectionResetError(f"the connection ended: {transport.disconnect_reason}"))

    def _end(self, exception: Exception | None) -> None:
        if self.over.done():
            return
        if exception is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(exception)


async def bench(args: argparse.Namespace) -> int:
    kwargs = connect_arguments(args)
    kwargs["max_frame_size"] = max(args.size, args.max_size)
    message = b"x" * args.size
    progress = _Progress()
    opened: list[tuple[WSTransport, WSListener]] = []
    watching = None
    try:
        for number in range(args.connections):
            progress.show(f"connecting, {number:,} of {args.connections:,}")
            opened.append(await ws_connect(lambda: Flight(args, message), args.url, **kwargs))
        clock = Clock(args)
        flights = [listener for _, listener in opened if isinstance(listener, Flight)]
        for (transport, _), flight in zip(opened, flights, strict=True):
            flight.start(transport, clock)
        watching = asyncio.create_task(_watch(flights, clock, progress, args.timeout))
        await asyncio.gather(*(flight.over for flight in flights))
    finally:
        if watching is not None:
            watching.cancel()
        progress.show("")
        await asyncio.gather(*(transport.close(WSCloseCode.OK) for transport, _ in opened))
    _report(args, clock)
    return 0


async def _watch(flights: list[Flight], clock: Clock, progress: _Progress, timeout_s: float) -> None:
    """Five times a second: how far we are, and whether the server still answers."""
    seen = 0
    while True:
        await asyncio.sleep(0.2)
        now, seen, before = time.perf_counter_ns(), clock.times.count, seen
        part = max(0.0, min(1.0, (now - clock.begin) / (clock.end - clock.begin)))
        progress.show(f"[{'#' * round(part * 30):30}] {(seen - before) * 5:>10,} messages/s")
        for flight in flights:
            flight.check(timeout_s)


class _Progress:
    """A line on stderr that is written over and over, where that is a terminal."""

    def __init__(self) -> None:
        self._shown = 0
        self._next = 0.0

    def show(self, text: str) -> None:
        if not is_terminal(sys.stderr) or (text and time.perf_counter() < self._next):
            return
        # A line that is too long could not be written over. To begin it again is all that is asked of the terminal.
        text = text[: os.get_terminal_size(sys.stderr.fileno()).columns - 1]
        print("\r" + text + " " * (self._shown - len(text)), end="" if text else "\r", file=sys.stderr, flush=True)
        self._shown, self._next = len(text), time.perf_counter() + 0.1


def _report(args: argparse.Namespace, clock: Clock) -> None:
    times, rate = clock.times, clock.in_time / args.duration
    found = {"min": times.least, **{f"p{each:g}": times.percentile(each) for each in PERCENTILES}, "max": times.most}
    if args.json:
        result = {
            "url": hide_password(args.url),
            "size": args.size,
            "connections": args.connections,
            "in_flight": args.in_flight,
            "messages": clock.in_time,
            "messages_per_s": rate,
            "bytes_per_s": rate * args.size,
            "round_trip_s": {name: ns / 1e9 for name, ns in found.items()},
        }
        print(json.dumps(result))
        return
    each = f"{args.connections} connection{'s' * (args.connections > 1)}, {args.in_flight} in flight on each"
    print(f"{clock.in_time:,} messages of {args.size:,} B in {args.duration:g} s, {each}:")
    print(f"{rate:,.0f} a second, {rate * args.size / 2**20:,.1f} MiB/s in each direction")
    print("  ".join(f"{name} {_duration(ns)}" for name, ns in found.items()))
    rows = list(times.rows(ROWS))
    highest = max((number for _, _, number in rows), default=1)
    wide = min(BAR, max(10, (os.get_terminal_size().columns if sys.stdout.isatty() else 80) - 30))
    for start, end, number in rows:
        bar = "#" * round(number / highest * wide)
        print(f"{_duration(start):>9} to {_duration(end):>9}  {bar}{' ' * bool(bar)}{number:,}")


def _duration(ns: int) -> str:
    for unit, one in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if ns >= one:
            return f"{ns / one:.3g} {unit}"
    return f"{ns} ns"
