"""How messages and events are shown: as they are for a program that reads us, and made readable for a person."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import Any

#: Bytes of a binary message that a person gets to see.
HEX_MOST = 256
#: Characters of JSON that a person gets to see in colours and on several lines: more takes long, and nobody reads it.
PRETTY_MOST = 64 * 1024
#: Deeper JSON is shown as it comes: its indentation could be a thousand times as long as itself.
DEEPEST = 64

# What would move the cursor, change the title, turn the direction of writing or worse: a server must not reach the
# terminal with it. Half surrogate pairs, which our own user may have typed, have no encoding.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# Of JSON that is known to be valid.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


class Pipe:
    """Payloads on stdout, a line for each text; everything else on stderr. Either may be a terminal after all."""

    def __init__(self, *, binary: bool = False, pretty: bool = False) -> None:
        self._binary = binary
        self._pretty = pretty
        self._seen = is_terminal(sys.stdout)

    def show_text(self, text: str) -> None:
        text = (self._pretty and pretty(text)) or text
        self._write((harmless(text) if self._seen else text).encode() + b"\n")

    def show_bytes(self, data: bytes) -> None:
        self._write(data if self._binary else data.hex(" ").encode() + b"\n")

    def note(self, text: str) -> None:
        print(harmless(text), file=sys.stderr, flush=True)

    def _write(self, data: bytes) -> None:
        if sys.stdout is not None:  # it is where somebody has closed it
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


class Terminal:
    """For a person; without colours where rich is not installed."""

    def __init__(self, *, pretty: bool = True) -> None:
        self._pretty = pretty
        self._console = _console()
        if isinstance(sys.stdout, io.TextIOWrapper):  # it may have fewer characters than Unicode
            sys.stdout.reconfigure(errors="backslashreplace")

    def show_text(self, text: str) -> None:
        found = pretty(text) if self._pretty and len(text) <= PRETTY_MOST else None
        self._line("< ", harmless(found or text), "green", is_json=found is not None)

    def show_bytes(self, data: bytes) -> None:
        more = f" ... and {len(data) - HEX_MOST} more" if len(data) > HEX_MOST else ""
        self._line("< ", f"{len(data)} bytes: {data[:HEX_MOST].hex(' ')}{more}", "cyan")

    def note(self, text: str) -> None:
        self._line("* ", harmless(text), "yellow")

    def _line(self, mark: str, text: str, style: str, *, is_json: bool = False) -> None:
        text = text.replace("\n", "\n  ")  # so that no message can look like the next one, or like a note
        if self._console is None:
            print(mark + text, flush=True)
        elif is_json:
            from rich.highlighter import JSONHighlighter
            from rich.text import Text

            self._console.print(Text(mark, style) + JSONHighlighter()(text))
        else:
            from rich.text import Text

            self._console.print(Text(mark + text, style))


def is_terminal(stream: Any) -> bool:
    return stream is not None and bool(stream.isatty())


def pretty(text: str) -> str | None:
    """A JSON object or array on several lines, None for anything else: a lone number or string is as readable as it is.

    Every token stays as it came. To load it and to dump it would round numbers and drop keys that are there twice.
    """
    if not text.lstrip(" \t\r\n").startswith(("{", "[")):
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    parts: list[str] = []
    depth, before = 0, ""
    for token in _TOKEN.findall(text):
        closes = token in ("]", "}")
        depth += (token in ("[", "{")) - closes
        if depth > DEEPEST:
            return None
        # Nothing is between the brackets of an empty one; else each is at the end of a line or on one of its own.
        if before and (before not in ("[", "{") if closes else before in ("[", "{", ",")):
            parts.append("\n" + "  " * (depth - (token in ("[", "{"))))
        parts.append(": " if token == ":" else token)
        before = token
    return "".join(parts)


def harmless(text: str) -> str:
    """`text` without control characters, which are shown as escapes."""
    return _CONTROL.sub(lambda match: _escape(ord(match[0])), text)


def _escape(number: int) -> str:
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _console() -> Any:
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(soft_wrap=True, highlight=False)
