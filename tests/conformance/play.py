"""Plays a case of the table to one side of a connection in memory, cut in every way: what is not as it should be?

A verdict is about one stream; here it is compared with what a listener got and what the other side was told.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from harness import TIMEOUT_S
from vectors import BINARY, DEAF, DROPPED, OPEN, PING, TEXT, WAITING, Case, Frame, Verdict
from ws_core import WSDisconnectKind, WSFrame, WSProtocolError
from ws_core.testing import Pair, Recorder, connected_pair

SIDES = ("server", "client")
#: What comes before and behind a stream that fails.
AROUND = (Frame(TEXT, "gööd".encode()), Frame(BINARY, b"\xff"))
#: Bytes. Streams up to this size are cut at every byte; larger ones at their ends, and where buffers change hands.
SMALL = 20
_CHANGES = [2**power + step for power in range(6, 18) for step in (-1, 0, 1)]

# Thousands of peers that break the protocol, and not one of them is news.
QUIET = logging.getLogger("conformance")
QUIET.propagate = False
QUIET.setLevel(logging.CRITICAL)

Got = tuple[int, bool, int, bytes]  # opcode, fin, reserved bits, payload


def got(frame: WSFrame) -> Got:
    return int(frame.msg_type), frame.fin, frame.rsv1 << 2 | frame.rsv2 << 1 | frame.rsv3, bytes(frame)


def delivered(frames: tuple[Frame, ...], verdict: Verdict) -> list[Got]:
    """What the listener should get."""
    return [(frame.opcode, frame.fin, frame.rsv, frame.payload) for frame in frames[: verdict.delivered]]


def cuts(last: int) -> list[int]:
    """Where a stream is cut in two, up to the byte that decides: everywhere, if it is small."""
    if last <= SMALL:
        return list(range(1, last + 1))
    near = {*range(1, SMALL // 2), *_CHANGES, *range(last - SMALL // 2, last + 1)}
    return sorted(at for at in near if 0 < at <= last)


def smallest(size: int) -> Iterator[int]:
    """Sizes of pieces: one byte each, for as long as that is no waste of time."""
    yield from [1] * min(size, 2000)
    for _ in range(2000, size, 997):
        yield 997


class Player:
    """One side of a connection, and what comes to it."""

    def __init__(self, pair: Pair, side: str) -> None:
        is_server = side == "server"
        self._pair = pair
        self._into = pair.wire.to_server if is_server else pair.wire.to_client
        self._transport = pair.server if is_server else pair.client
        self._listener: Recorder = pair.server_listener if is_server else pair.client_listener
        self._peer: Recorder = pair.client_listener if is_server else pair.server_listener
        self._masked = is_server

    async def feed(self, data: bytes, pieces: int | Iterable[int] | None = None, *, ends: bool = False) -> None:
        self._into.cut_into(pieces)
        self._into.inject(data)
        if ends:
            self._into.end()
        await self._pair.deliver(TIMEOUT_S)

    @property
    def has_ended(self) -> bool:
        return bool(self._transport.is_disconnected)

    def frames(self) -> list[Got]:
        return [got(frame) for frame in self._listener.frames]

    async def then(self, verdict: Verdict) -> str | int:
        """What has become of the connection, as a verdict says it. One that may be open is asked by a PING."""
        count = len(self._listener.frames)
        events = ["connected"] + ["frame"] * count + ["disconnected"] * self.has_ended
        assert self._listener.events == events
        if self._peer.frames:
            (close,) = self._peer.frames
            code = int(close.get_close_code())
            self._check_failure(code)
            return code
        if self.has_ended:
            assert self._transport.disconnect_reason.kind is WSDisconnectKind.PEER
            return DROPPED
        if verdict.then == WAITING:
            return WAITING
        await self.feed(Frame(PING, b"still there?").to_bytes(self._masked))
        return OPEN if len(self._listener.frames) > count else DEAF

    def _check_failure(self, code: int) -> None:
        """What this side says of its end is what the other side was told."""
        assert self.has_ended
        reason = self._transport.disconnect_reason
        assert self._transport.close_handshake.sent.code == code
        if self._transport.close_handshake.recv is None:  # otherwise that came first, and is the reason
            assert reason.kind is WSDisconnectKind.PROTOCOL_ERROR
            assert isinstance(reason.exception, WSProtocolError)
            assert reason.exception.code == code


@contextlib.asynccontextmanager
async def connected(case: Case, side: str, strict: bool) -> AsyncIterator[Player]:
    ours: dict[str, Any] = {"strict": strict, "enable_auto_pong": False, "logger_name": QUIET, **case.options}
    theirs: dict[str, Any] = {"strict": False, "logger_name": QUIET}
    is_server = side == "server"
    async with connected_pair(
        lambda: Recorder(answer_close=is_server),
        lambda: Recorder(answer_close=not is_server),
        client_options=theirs if is_server else ours,
        server_options=ours if is_server else theirs,
    ) as pair:
        yield Player(pair, side)


Seen = tuple[list[Got], str | int]  # what the listener got, and what was then


class Played:
    """A case on one side, in one way, played again and again. `complaints`: all that was not as the verdict says."""

    def __init__(self, case: Case, side: str, strict: bool) -> None:
        self.complaints: list[str] = []
        self._case = case
        self._side = side
        self._strict = strict
        self._verdict = case.verdict(strict)
        self._data = case.to_bytes(side == "server")
        self._frames = delivered(case.frames, self._verdict)

    def _connected(self) -> contextlib.AbstractAsyncContextManager[Player]:
        return connected(self._case, self._side, self._strict)

    async def _compare(self, how: str, player: Player, expected: list[Got] | None = None) -> None:
        seen = player.frames(), await player.then(self._verdict)
        verdict = (self._frames if expected is None else expected), self._verdict.then
        if seen != verdict:
            self.complaints.append(f"{self._case.name}, {how}: {seen}, and not {verdict}")

    async def in_pieces(self, how: str, pieces: Iterable[int] | None) -> None:
        async with self._connected() as player:
            await player.feed(self._data, pieces, ends=self._case.ends)
            await self._compare(how, player)

    async def cut_at(self, at: int) -> None:
        await self.in_pieces(f"cut behind {at} bytes", [at])

    async def everywhere(self) -> None:
        """All on one connection: whole, cut in two at each byte, byte by byte."""
        size = len(self._data)
        halves = [piece for at in cuts(size - 1) for piece in (at, size - at)]
        times = len(halves) // 2 + 2
        async with self._connected() as player:
            await player.feed(self._data * times, [size, *halves, *smallest(size)])
            await self._compare("cut everywhere", player, self._frames * times)

    async def among_others(self) -> None:
        """With good frames before it, and behind it."""
        around = b"".join(frame.to_bytes(self._side == "server") for frame in AROUND)
        async with self._connected() as player:
            await player.feed(around + self._data + around)
            await self._compare("among others", player, delivered(AROUND, Verdict(len(AROUND), OPEN)) + self._frames)

    async def byte_by_byte(self) -> None:
        """It ends with the byte that makes it wrong, and not before."""
        last = self.last
        async with self._connected() as player:
            await player.feed(self._data[: last - 1], smallest(last - 1))
            if player.has_ended:
                self.complaints.append(f"{self._case.name}: has ended before byte {last}")
            else:
                await player.feed(self._data[last - 1 : last])
            await self._compare("byte by byte", player)

    @property
    def fails(self) -> bool:
        return isinstance(self._verdict.then, int)

    @property
    def last(self) -> int:
        """The byte that decides: cuts behind it make no difference."""
        return self._case.fails_at(self._side == "server", self._strict) if self.fails else len(self._data) - 1


async def complaints(case: Case, side: str, strict: bool, cut_at: Callable[[int], bool]) -> list[str]:
    """What is not as the verdict says, in all ways that the stream may come. Empty: all is well."""
    played = Played(case, side, strict)
    if case.may_be_repeated(strict):
        await played.everywhere()
        return played.complaints
    await played.in_pieces("whole", None)
    if not strict and case.strict == case.lenient:
        return played.complaints
    if played.fails:
        await played.byte_by_byte()
        if len(case.frames) == 1 and not case.options:
            await played.among_others()
    else:
        await played.in_pieces("byte by byte", smallest(played.last + 1))
    if strict:
        for at in filter(cut_at, cuts(played.last)):
            await played.cut_at(at)
    return played.complaints
