"""One end of a connection for the stateful test: it does what it is told, and notes what it sends and what it gets.

What may be expected of two of them is world.py.
"""

from __future__ import annotations

import contextlib
import gc
import random
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import ws_core
from ws_core import WSCloseCode, WSDisconnectKind, WSFrame, WSListener, WSMsgType, WSProtocolError, WSTransport

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = WSMsgType
#: What payloads of PINGs begin with: a PONG with that is one of the library's.
PINGED = b"ping "
#: Text is cut out of this again and again, wherever: a fragment may end within a character.
SIGNS = "aé€𝄞".encode()

Action = tuple[Any, ...]  # the name of a method of End without `do_`, and its arguments


class Entry(NamedTuple):
    """A frame."""

    opcode: int
    payload: bytes
    fin: bool = True


class Planned(Exception):
    """What a callback raises."""


class End(WSListener):
    """The listener, with what it has done. `keeps`: "frames", "views" or "nothing"."""

    def __init__(self, *, answers_close: bool, keeps: str, survives: bool, auto_pong: bool) -> None:
        self.transport: WSTransport
        self.other: End
        self.events: list[str] = []
        self.got: list[Entry] = []
        #: In the order of the calls; without CLOSE, which is in transport.close_handshake.
        self.sent: list[Entry] = []
        #: What callbacks do, each time one action.
        self.plans: defaultdict[str, deque[Action]] = defaultdict(deque)
        #: Exceptions of callbacks that end the connection.
        self.raised: list[Exception] = []
        #: Something was done by which what this end has sent may not arrive.
        self.may_be_lost = False
        #: Of its end, where the model can tell: what disconnect_reason and the CLOSE must say.
        self.cause: WSDisconnectKind | None = None
        self.code: int | None = None
        self.survives = survives
        self.auto_pong = auto_pong
        self._answers_close = answers_close
        self._keeps = keeps
        self._kept: list[tuple[Any, bytes]] = []
        self._open = False  # a message of which fragments are still to come
        self._phase = 0  # of the text
        self._random = random.Random(1)

    # ------------------------------------------------------------- callbacks

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.events.append("connected")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._note(frame)
        self._react(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.events.append("disconnected")
        self._as_planned("disconnected")

    def pause_writing(self) -> None:
        self._as_planned("pause_writing")

    def resume_writing(self) -> None:
        self._as_planned("resume_writing")

    def _note(self, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        self.events.append("frame")
        self.got.append(Entry(int(frame.msg_type), payload, frame.fin))
        if self._keeps == "frames":
            self._kept.append((frame, payload))
        elif self._keeps == "views":
            self._kept.append((frame.get_payload_as_memoryview()[1:], payload[1:]))

    def _react(self, frame: WSFrame) -> None:
        if frame.msg_type == CLOSE and self._answers_close:
            self.transport.send_close(frame.get_close_code(), frame.get_close_message())
            self.do_disconnect(True)
        self._as_planned("frame")

    def _as_planned(self, callback: str) -> None:
        if self.plans[callback]:
            action = self.plans[callback].popleft()
            if action[0] == "raise":
                self._raise(callback, *action[1:])
            self.do(action)

    def _raise(self, callback: str, code: int | None) -> None:
        """Planned, or a WSProtocolError with this code."""
        error = Planned() if code is None else WSProtocolError(WSCloseCode(code), "as planned")
        if not (self.survives and callback == "frame" and code is None):
            self.raised.append(error)
            self.other.may_be_lost = True
            if self.is_well():
                self.cause = WSDisconnectKind.CALLBACK_ERROR
                self.code = WSCloseCode.INTERNAL_ERROR if code is None else code
        raise error

    def is_well(self) -> bool:
        """Nothing has begun to end it."""
        transport = self.transport
        return not (transport.disconnect_reason or transport.is_disconnected or transport.is_close_frame_sent)

    def kept_as_it_was(self) -> bool:
        return all(bytes(kept) == payload for kept, payload in self._kept)

    # ------------------------------------------------------------- what it can do

    def do(self, action: Action) -> None:
        name, *arguments = action
        getattr(self, f"do_{name}")(*arguments)

    def do_message(self, kind: WSMsgType, sizes: list[int], is_whole: bool) -> None:
        """Begin a message in so many frames, or go on with one. Not `is_whole`: there is more to come."""
        for number, size in enumerate(sizes, 1):
            fin = is_whole and number == len(sizes)
            if not self._open:
                self._kind = kind
            opcode = CONTINUATION if self._open else kind
            payload = self._text(size, fin) if self._kind == TEXT else self._random.randbytes(size)
            self._open = not fin
            with self._noted(Entry(opcode, payload, fin)):
                self.transport.send(opcode, payload, fin)

    def do_in_place(self, size: int) -> None:
        """A whole message by send_reuse_external_bytearray."""
        if not self._open:
            payload = self._random.randbytes(size)
            with self._noted(Entry(BINARY, payload)):
                self.transport.send_reuse_external_bytearray(BINARY, bytearray(14) + payload, 14)

    def do_ping(self) -> None:
        entry = Entry(PING, PINGED + b"%d" % len(self.sent))
        with self._noted(entry):
            self.transport.send_ping(entry.payload)

    def do_pong(self) -> None:
        with self._noted(Entry(PONG, b"unasked")):
            self.transport.send_pong(b"unasked")

    def do_broadcast(self, count: int) -> None:
        """To both ends."""
        payloads = [b"to all %d" % number for number in range(count)]
        entries = [Entry(PONG, payload) for payload in payloads]
        with self._noted(*entries), self.other._noted(*entries):
            ws_core.broadcast([self.transport, self.other.transport], PONG, payloads)

    def do_several(self, actions: list[Action]) -> None:
        for action in actions:
            self.do(action)

    def do_corked(self, actions: list[Action]) -> None:
        with self.transport.cork():
            self.do_several(actions)

    def do_send_close(self, code: int) -> None:
        self.transport.send_close(code, "as planned" if code else None)

    def do_disconnect(self, graceful: bool) -> None:
        if self.is_well():
            self.cause = WSDisconnectKind.LOCAL
        self.other.may_be_lost = True
        if not graceful:
            self.may_be_lost = True
        self.transport.disconnect(graceful)

    def do_collect(self) -> None:
        gc.collect(1)

    def _text(self, size: int, fin: bool) -> bytes:
        end = self._phase + size
        if fin:
            end += -end % len(SIGNS)
        text = (SIGNS * (end // len(SIGNS) + 1))[self._phase : end]
        self._phase = end % len(SIGNS)
        return text

    @contextlib.contextmanager
    def _noted(self, *entries: Entry) -> Iterator[None]:
        """
        What is sent inside of the block stands at its place in `sent`, whatever callbacks send meanwhile; unless it was
        dropped, since the connection does not send any more.
        """
        place, before = len(self.sent), self._frames_out()
        self.sent += entries
        yield
        by_callbacks = len(self.sent) - place - len(entries)
        taken = self._frames_out() - before - by_callbacks
        assert taken in (0, len(entries)), (entries, taken)
        if not taken:
            del self.sent[place : place + len(entries)]

    def _frames_out(self) -> int:
        return self.transport.stats.frames_out - self.transport.is_close_frame_sent


class BatchEnd(End):
    """Takes all frames of a read at once."""

    def on_ws_frames(self, transport: WSTransport, frames: list[WSFrame]) -> None:
        for frame in frames:
            self._note(frame)
        for frame in frames:
            self._react(frame)
