"""The same extension with its hook in C: with `count_words_c=True`, words(transport) is how many have come.

pip install .        # in this folder; needs a C compiler
"""

from __future__ import annotations

from typing import Any

from _wordcount import new_hook, words_of  # type: ignore[import-not-found]

from ws_core import Extension, TransportHook, WSTransport


class WordCount(Extension):
    name = "ws-wordcount-c"
    options = {"count_words_c": False}

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook | None:
        hook: TransportHook = new_hook()
        transport.user_data["wordcount"] = hook
        return hook


def words(transport: WSTransport) -> int:
    """The number of words that have come on a connection with `count_words_c=True`."""
    return int(words_of(transport.user_data["wordcount"]))
