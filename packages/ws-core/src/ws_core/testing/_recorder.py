"""A listener for tests: it keeps what happens, and lets a test wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from ws_core._frame import WSFrame
from ws_core._listener import WSListener
from ws_core._transport import WSTransport
from ws_core.enums import WSMsgType

_T = TypeVar("_T")

#: Seconds that a test waits for what must come.
_PATIENCE_S = 5.0


class Recorder(WSListener):
    """
    A listener that keeps what happens, and lets a test wait for it. It answers a CLOSE and sends nothing else.

    :param answer_close: False: a CLOSE is only recorded, and the connection stays open

    A subclass that overrides a callback calls the one of this class, too.
    """

    def __init__(self, *, answer_close: bool = True) -> None:
        #: Of the connection, from its opening on.
        self.transport: WSTransport | None = None
        #: Every frame, in order; CLOSE frames, too. Frames may be kept.
        self.frames: list[WSFrame] = []
        #: What happened, in order: connected, frame, pause_writing, resume_writing, disconnected.
        self.events: list[str] = []
        self._answer_close = answer_close
        self._taken = 0
        self._changed = asyncio.Event()

    async def next_frame(self, timeout: float = _PATIENCE_S) -> WSFrame:
        """
        The next frame that was not taken yet, by this or by :meth:`next_message`; CLOSE frames, too.

        :param timeout: seconds; then asyncio.TimeoutError, which says what has come

        ConnectionError, from the exception that ended it if there was one, if the connection ends without it.
        """
        index = self._taken
        await self._until(lambda: index if len(self.frames) > index else None, "frame", timeout)
        self._taken = index + 1
        return self.frames[index]

    async def next_message(self, timeout: float = _PATIENCE_S) -> str | bytes:
        """
        The next whole message: str for TEXT, bytes for BINARY; its fragments put together. Control frames between them
        are passed over: they stay in :attr:`frames`.

        :param timeout: as for :meth:`next_frame`

        ConnectionError also if a CLOSE comes instead of it.
        """
        end = await self._until(self._message_end, "message", timeout)
        frames = self.frames[self._taken : end]
        self._taken = end
        if frames[-1].msg_type == WSMsgType.CLOSE:
            raise ConnectionError(f"a CLOSE came instead of a message: {frames[-1].get_close_code()!r}")
        parts = [frame for frame in frames if frame.msg_type < WSMsgType.CLOSE]
        payload = b"".join(part.get_payload_as_bytes() for part in parts)
        return payload.decode() if parts[0].msg_type == WSMsgType.TEXT else payload

    def _message_end(self) -> int | None:
        """Behind the first message, or CLOSE, that was not taken."""
        for index in range(self._taken, len(self.frames)):
            frame = self.frames[index]
            if frame.msg_type == WSMsgType.CLOSE or (frame.fin and frame.msg_type < WSMsgType.CLOSE):
                return index + 1
        return None

    async def _until(self, find: Callable[[], _T | None], what: str, timeout: float) -> _T:
        async def wait() -> _T:
            while (found := find()) is None:
                if self.events[-1:] == ["disconnected"]:
                    reason = self.transport and self.transport.disconnect_reason
                    error = ConnectionError(f"the connection ended without another {what}: {reason}")
                    raise error from (reason.exception if reason else None)
                self._changed.clear()
                await self._changed.wait()
            return found

        try:
            return await asyncio.wait_for(wait(), timeout)
        except asyncio.TimeoutError:
            raise asyncio.TimeoutError(f"no {what} within {timeout} seconds; what happened: {self.events}") from None

    def _note(self, event: str) -> None:
        self.events.append(event)
        self._changed.set()

    # ------------------------------------------------------------- callbacks

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._note("connected")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.frames.append(frame)
        self._note("frame")
        if frame.msg_type == WSMsgType.CLOSE and self._answer_close:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._note("disconnected")

    def pause_writing(self) -> None:
        self._note("pause_writing")

    def resume_writing(self) -> None:
        self._note("resume_writing")
