"""What a row of the table is made of: a vector of frames, right or wrong, and the verdict on it.

The rows are in cases.py. Bytes and verdicts only: who receives the frames, and how, is the business of play.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness import frame_bytes

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\xa1\x02\x0f\xff"


class Frame(NamedTuple):
    """A frame, as the other side sends it: masked, if that is a client."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    #: Of frame_bytes: `length` and `length_bytes` announce something else. `mask`: a key. `wrong_mask`: as the other
    #: side must not send it.
    extra: Mapping[str, Any] = {}

    def to_bytes(self, masked: bool) -> bytes:
        extra = {"mask": MASK, **self.extra}
        if extra.pop("wrong_mask", False):
            masked = not masked
        if not masked:
            extra["mask"] = None
        return frame_bytes(self.opcode, self.payload, fin=self.fin, rsv=self.rsv, **extra)

    def header_size(self, masked: bool) -> int:
        return len(self.to_bytes(masked)) - len(self.payload)


#: Where a frame is known to be wrong: how many of its bytes must be there.
At = Callable[[Frame, bool], int]


def first_byte(frame: Frame, masked: bool) -> int:
    return 1


def second_byte(frame: Frame, masked: bool) -> int:
    return 2


def header(frame: Frame, masked: bool) -> int:
    return frame.header_size(masked)


def last_byte(frame: Frame, masked: bool) -> int:
    return len(frame.to_bytes(masked))


def payload_byte(number: int) -> At:
    """The first one is 1."""
    return lambda frame, masked: frame.header_size(masked) + number


OPEN = "open"
#: In the middle of a frame, and nothing is wrong so far.
WAITING = "waiting"
#: After a CLOSE: the connection is the listener's to end, and what comes is thrown away (RFC 6455 section 5.5.1).
DEAF = "deaf"
#: Gone, and no CLOSE was sent.
DROPPED = "dropped"


class Verdict(NamedTuple):
    """`delivered` frames reach the listener; `then`: one of the above, or the status code with which we fail it."""

    delivered: int
    then: str | int
    at: At = last_byte  # of the frame that fails


@dataclass(frozen=True)
class Case:
    name: str
    frames: tuple[Frame, ...]
    strict: Verdict
    lenient: Verdict
    options: dict[str, Any] = field(default_factory=dict)
    #: The stream ends behind the frames.
    ends: bool = False

    def verdict(self, strict: bool) -> Verdict:
        return self.strict if strict else self.lenient

    def to_bytes(self, masked: bool) -> bytes:
        return b"".join(frame.to_bytes(masked) for frame in self.frames)

    def fails_at(self, masked: bool, strict: bool) -> int:
        """How many bytes of the stream must be there."""
        verdict = self.verdict(strict)
        wrong = self.frames[verdict.delivered]
        before = sum(len(frame.to_bytes(masked)) for frame in self.frames[: verdict.delivered])
        return before + verdict.at(wrong, masked)

    def may_be_repeated(self, strict: bool) -> bool:
        """Whether the same stream may follow, and has the same verdict."""
        data = [frame for frame in self.frames if frame.opcode < CLOSE]
        return self.verdict(strict).then == OPEN and not (strict and data and not data[-1].fin)


def good(name: str, *frames: Frame, **options: Any) -> Case:
    """All of it is delivered."""
    verdict = Verdict(len(frames), OPEN)
    return Case(name, frames, verdict, verdict, options)


def bad(name: str, delivered: int, code: int, at: At, *frames: Frame, **options: Any) -> Case:
    """The frame behind those that are delivered makes no sense, whatever `strict` is."""
    verdict = Verdict(delivered, code, at)
    return Case(name, frames, verdict, verdict, options)


def illegal(name: str, delivered: int, code: int, at: At, *frames: Frame) -> Case:
    """The frame behind those that are delivered breaks a rule that strict=False leaves out."""
    return Case(name, frames, Verdict(delivered, code, at), Verdict(len(frames), OPEN))


def fragments(opcode: int, *payloads: bytes) -> tuple[Frame, ...]:
    """A message in so many frames."""
    last = len(payloads) - 1
    return tuple(Frame(CONTINUATION if n else opcode, payload, n == last) for n, payload in enumerate(payloads))
