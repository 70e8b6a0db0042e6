"""Connections that never finish their request: what they say, and what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from harness import request_bytes

#: What they say before they fall silent.
BEGINNINGS = (b"", b"G", b"GET / HTTP/1.1\r\n", request_bytes()[:-1], b"\r\n" * 50, b"POST / HTTP/1.1\r\nHost: h\r\n")


async def fall_silent(port: int, number: int, source: str = "127.0.0.1") -> socket.socket:
    """The one with this number, from an address of its own."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind((source, 0))
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, BEGINNINGS[number % len(BEGINNINGS)])
    return sock


async def its_end(sock: socket.socket) -> bytes:
    """What it was told; returns when the other side has closed it, and closes this one."""
    said = b""
    with sock, contextlib.suppress(ConnectionError):
        while more := await asyncio.get_running_loop().sock_recv(sock, 1000):
            said += more
    return said
