"""An extension: with `count_words=True`, transport.user_data["words"] is the number of words that have come.

Those in TEXT frames: further fragments of a message are not looked at, to keep this short.

pip install .        # in this folder; from then on ws_connect and ws_create_server have the option
"""

from __future__ import annotations

from typing import Any

from ws_core import Extension, TransportHook, WSFrame, WSMsgType, WSTransport


class Counter(TransportHook):
    opcodes = (WSMsgType.TEXT,)

    def on_open(self, transport: WSTransport) -> None:
        transport.user_data["words"] = 0

    def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
        transport.user_data["words"] += len(frame.get_payload_as_bytes().split())
        return frame


class WordCount(Extension):
    name = "ws-wordcount"
    options = {"count_words": False}

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook | None:
        return Counter()
