"""``python -m ws_core`` and its benchmark as a shell and as a person would run them, and servers for them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import AsyncIterator
from typing import Any

from harness import Net, Recorder, certificate_authority, within
from ws_core import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

ENV = {**os.environ, "TERM": "xterm", "NO_COLOR": "", "COLUMNS": "100"}
TALK, BENCH = "ws_core", "ws_core.bench"


async def command(*arguments: object, stdin: bytes = b"", module: str = TALK) -> tuple[int, bytes, str]:
    """Exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-W", "error", "-m", module, *map(str, arguments)],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=ENV,
    )
    try:
        out, err = await within(process.communicate(stdin))
    finally:
        if process.returncode is None:
            process.kill()
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out, err.decode()


@contextlib.contextmanager
def certificates(net: Net) -> Any:
    """Arguments that make the command trust the server."""
    if not net.tls:
        yield ()
        return
    with certificate_authority().cert_pem.tempfile() as file:
        yield ("--ca", file)


class Person:
    """Somebody at a terminal."""

    def __init__(self, process: asyncio.subprocess.Process, fd: int) -> None:
        self.process = process
        self.fd = fd
        self.seen = ""
        self.everything = ""
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        if data:
            # A terminal answers when it is asked where the cursor is.
            if b"\x1b[6n" in data:
                os.write(self.fd, b"\x1b[1;1R")
            self.everything += data.decode(errors="replace")
            self.seen += re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", data.decode(errors="replace"))
        else:
            asyncio.get_running_loop().remove_reader(self.fd)
        self._more.set()

    async def sees(self, text: str) -> None:
        """Wait until `text` has been shown, and go on behind it."""

        async def look() -> None:
            while text not in self.seen:
                self._more.clear()
                await self._more.wait()
            self.seen = self.seen.partition(text)[2]

        try:
            await within(look())
        except asyncio.TimeoutError:
            raise AssertionError(f"{text!r} is not in {self.seen!r}") from None

    def types(self, text: str) -> None:
        os.write(self.fd, text.encode())


@contextlib.asynccontextmanager
async def at_a_terminal(
    *arguments: object,
    module: str = "talk",
    without: tuple[str, ...] = (),
    before: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    columns: int = 100,
) -> AsyncIterator[Person]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    hide = "".join(f"sys.modules[{name!r}] = None; " for name in without)
    run = f"import sys; {hide}from ws_core._cli.{module} import main; sys.exit(main())"
    process = await asyncio.create_subprocess_exec(
        *[*before, sys.executable, "-c", run, *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**ENV, **(env or {})},
    )
    os.close(theirs)
    try:
        yield Person(process, ours)
        await within(process.wait())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


class Sends(Recorder):
    """A server's listener that says something by itself, then closes."""

    what: tuple[tuple[WSMsgType, Any], ...] = ()
    close: tuple[Any, ...] = (WSCloseCode.OK,)

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        for kind, message in self.what:
            transport.send(kind, message)
        transport.send_close(*self.close)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


class Silent(WSListener):
    """A server's listener that does not answer, not even a CLOSE."""

    closed = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.closed = self.closed or frame.msg_type == WSMsgType.CLOSE
