"""Standard input, read in a thread of its own: it may be a file or a terminal, which no event loop can wait for."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator

PIECE = 64 * 1024  # bytes that are read at a time
AHEAD = 16  # pieces that may wait for the event loop


async def pieces(fd: int = 0) -> AsyncIterator[bytes]:
    """What one read(2) brings at a time, until the end of `fd`."""
    if fd == 0 and sys.stdin is None:  # somebody has closed it: by now 0 may be one of our own sockets
        return
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    room = threading.Semaphore(AHEAD)

    def read() -> None:
        # Not sys.stdin: the thread may still be in read(2) when the interpreter ends, and it must not hold its lock.
        while True:
            room.acquire()
            try:
                piece = os.read(fd, PIECE)
            except OSError:
                piece = b""
            try:
                loop.call_soon_threadsafe(arrived.put_nowait, piece)
            except RuntimeError:  # the loop has gone
                return
            if not piece:
                return

    threading.Thread(target=read, daemon=True, name="standard input").start()
    while piece := await arrived.get():
        room.release()
        yield piece


async def lines(fd: int = 0) -> AsyncIterator[bytes]:
    """Its lines, without their ends. A last one need not have any."""
    begun: list[bytes] = []  # of a line: joined once, however long it is
    async for piece in pieces(fd):
        first, *others = piece.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun).removesuffix(b"\r")
            begun = [other]
    if last := b"".join(begun):
        yield last
