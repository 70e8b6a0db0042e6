"""How messages and events are shown: as they are for a program that reads us, and made readable for a person."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

#: Bytes of a binary message that a person gets to see.
HEX_MOST = 256

# What would move the cursor, change the title or worse: a server must not reach the terminal with it.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Pipe:
    """Payloads on stdout, a line for each text; everything else on stderr."""

    def __init__(self, *, binary: bool = False, pretty: bool = False) -> None:
        self._binary = binary
        self._pretty = pretty

    def show_text(self, text: str) -> None:
        value = parsed(text) if self._pretty else None
        self._write((text if value is None else json.dumps(value, indent=2, ensure_ascii=False)).encode() + b"\n")

    def show_bytes(self, data: bytes) -> None:
        self._write(data if self._binary else data.hex(" ").encode() + b"\n")

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def _write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


class Terminal:
    """For a person; without colours where rich is not installed."""

    def __init__(self, *, pretty: bool = True) -> None:
        self._pretty = pretty
        self._console = _console()

    def show_text(self, text: str) -> None:
        value = parsed(text) if self._pretty else None
        if value is None:
            self._line("< ", harmless(text), "green")
        elif self._console is None:
            self._line("< ", json.dumps(value, indent=2), "green")
        else:
            from rich.json import JSON

            # Escaped, so that nothing in it is a control character.
            self._console.print(JSON.from_data(value, ensure_ascii=True))

    def show_bytes(self, data: bytes) -> None:
        more = f" ... and {len(data) - HEX_MOST} more" if len(data) > HEX_MOST else ""
        self._line("< ", f"{len(data)} bytes: {data[:HEX_MOST].hex(' ')}{more}", "cyan")

    def note(self, text: str) -> None:
        self._line("* ", harmless(text), "yellow")

    def _line(self, mark: str, text: str, style: str) -> None:
        if self._console is None:
            print(mark + text, flush=True)
        else:
            from rich.text import Text

            self._console.print(Text(mark + text, style))


def parsed(text: str) -> Any:
    """The value of a JSON object or array, None for anything else: a lone number or string is as readable as it is."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def harmless(text: str) -> str:
    """`text` without control characters, which are shown as escapes."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _console() -> Any:
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(soft_wrap=True, highlight=False)
