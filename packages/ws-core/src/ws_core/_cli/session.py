"""The connection that a person or a pipe talks through: messages go to the screen, its end becomes an exit code."""

from __future__ import annotations

import time
from typing import Any

from ws_core import WSCloseCode, WSDisconnectKind, WSFrame, WSMsgType, WSProtocolError, WSTransport
from ws_core._cli.arguments import BROKEN, OK
from ws_core._listener import WSListener  # with which core passes mypy by itself

#: A CLOSE with one of these is how connections are meant to end.
GOOD_CODES = (WSCloseCode.OK, WSCloseCode.GOING_AWAY, WSCloseCode.NO_INFO)


class Session(WSListener):
    def __init__(self, screen: Any, url: str, max_size: int) -> None:
        self._screen = screen
        self._url = url
        self._max_size = max_size
        self._parts = bytearray()
        self._is_text = False
        self._pinged: dict[bytes, float] = {}

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._screen.note(f"connected to {self._url}" + (f", {transport.subprotocol}" if transport.subprotocol else ""))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif kind == WSMsgType.PONG:
            self._answered(frame.get_payload_as_bytes())
        elif kind != WSMsgType.PING:
            self._part(kind, frame)

    def _part(self, kind: WSMsgType, frame: WSFrame) -> None:
        """A message, or a part of one."""
        if kind != WSMsgType.CONTINUATION:
            self._is_text = kind == WSMsgType.TEXT
        self._parts += frame.get_payload_as_memoryview()
        if len(self._parts) > self._max_size:
            raise WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, f"a message of more than {self._max_size} bytes")
        if frame.fin:
            data, self._parts = bytes(self._parts), bytearray()
            if self._is_text:
                self._screen.show_text(data.decode())
            else:
                self._screen.show_bytes(data)

    def ping(self, transport: WSTransport, payload: bytes) -> None:
        """The answer shows how long it took."""
        self._pinged[payload] = time.perf_counter()
        transport.send_ping(payload)

    def _answered(self, payload: bytes) -> None:
        sent = self._pinged.pop(payload, None)
        if sent is not None:
            self._screen.note(f"round trip {(time.perf_counter() - sent) * 1e3:.3f} ms")


def ended(transport: WSTransport, screen: Any) -> int:
    """Say how the connection ended, and give the exit code for it."""
    reason, close = transport.disconnect_reason, transport.close_handshake
    if (
        reason is not None
        and isinstance(reason.exception, BrokenPipeError)
        and reason.kind == WSDisconnectKind.CALLBACK_ERROR
    ):
        raise reason.exception  # nobody reads what comes any more: as with other commands, nothing is said
    received = None if close is None else close.recv
    if received is not None:
        text = f"closed: {received.code:d}" if received.code else "closed: without a code"
        screen.note(f"{text} {received.reason or ''}".rstrip())
        kind = None if reason is None else reason.kind
        if received.code in GOOD_CODES and kind in (WSDisconnectKind.LOCAL, WSDisconnectKind.PEER):
            return OK
    else:
        screen.note(f"ended: {reason}")
    return BROKEN
