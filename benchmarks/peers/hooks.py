"""Transport hooks for a measured connection. A mode such as ``feed-none/python*4`` asks for four of that kind.

Each one counts the bytes that it sees, whatever it is written in.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from ws_core import TransportHook, WSFrame, WSMessage, WSMsgType, WSTransport

DATA: tuple[WSMsgType, ...] = (WSMsgType.TEXT, WSMsgType.BINARY)


class Receiving(TransportHook):
    opcodes: tuple[WSMsgType, ...] = DATA

    def __init__(self) -> None:
        self.size = 0

    def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
        self.size += frame.payload_size
        return frame


class Sending(TransportHook):
    opcodes: tuple[WSMsgType, ...] = DATA

    def __init__(self) -> None:
        self.size = 0

    def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage | None:
        self.size += len(message.payload)
        return message


class OtherReceiving(Receiving):
    opcodes = (WSMsgType.PONG,)


class OtherSending(Sending):
    opcodes = (WSMsgType.PONG,)


PYTHON: dict[str, dict[str, Callable[[], TransportHook]]] = {
    "python": {"receiving": Receiving, "sending": Sending},
    "other": {"receiving": OtherReceiving, "sending": OtherSending},
}


def attach(transport: WSTransport, direction: str, spec: str) -> None:
    """`spec`: a kind, ``*`` and how many, such as ``c*2``; `direction`: ``receiving`` or ``sending``."""
    kind, _, count = spec.partition("*")
    if kind in PYTHON:
        make = PYTHON[kind][direction]
    else:
        make = getattr(importlib.import_module(f"bench_hooks_{kind}"), direction)
    for _ in range(int(count)):
        transport.add_hook(make())
