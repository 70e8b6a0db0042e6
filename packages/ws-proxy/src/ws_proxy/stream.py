"""The bytes between us and a proxy while a tunnel is made.

Owns the transport until it is handed over, with nothing left unread, or
aborted. It has the methods that python-socks calls on a stream: write, read,
read_exactly, close. Never keeps more than a few KiB of what a proxy sends.
"""

from __future__ import annotations

import asyncio
import re
from ssl import SSLContext
from typing import Protocol

from ws_core import WSParsedURL

__all__ = ["Connector", "Stream", "StreamClosed", "StreamError"]

#: Bytes. An HTTP proxy's answer up to its empty line; a SOCKS answer is far below.
_HEAD_LIMIT = 32 * 1024
#: Bytes of noise that an error is made from.
_QUOTED = 1024
#: Bytes and seconds: how much of a refusal's body is waited for. Proxies say there why.
_BODY_LIMIT = 1024
_BODY_PATIENCE_S = 0.5


_HEAD_END = re.compile(rb"\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"(?i)\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r?\n")


class Connector(Protocol):
    """What core gives to open_connection: see ws_core.Extension."""

    async def open_transport(self, protocol: asyncio.BaseProtocol, url: WSParsedURL) -> asyncio.Transport: ...

    async def start_tls(
        self, transport: asyncio.Transport, protocol: asyncio.BaseProtocol, context: SSLContext, server_hostname: str
    ) -> asyncio.Transport: ...


class StreamError(Exception):
    """The proxy closed the connection or sent what cannot be an answer. The text is a predicate: "closed ...";
    `sent`, what it is about, may hold anything."""

    def __init__(self, text: str, sent: bytes = b"") -> None:
        super().__init__(text)
        self.sent = sent


class StreamClosed(StreamError):
    """The proxy closed the connection."""


class Stream(asyncio.Protocol):
    """A connection to a proxy, or through several. Its transport changes with each layer of TLS."""

    def __init__(self) -> None:
        #: The first bytes of the body with which an HTTP proxy has refused.
        self.refusal_body = b""
        self._transports: list[asyncio.Transport] = []
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._lost: Exception | None = None

    # ------------------------------------------------------------- opening and closing

    async def open(self, connector: Connector, url: WSParsedURL) -> None:
        """Connect."""
        self._transports.append(await connector.open_transport(self, url))

    async def start_tls(self, connector: Connector, context: SSLContext, host: str) -> None:
        """Put a layer of TLS on top of what there is."""
        self._expect_nothing()
        self._transports.append(await connector.start_tls(self._transports[-1], self, context, host))

    def hand_over(self) -> asyncio.Transport:
        """The transport, paused, for somebody else's protocol."""
        self._expect_nothing()
        transport = self._transports[-1]
        transport.pause_reading()
        return transport

    def abort(self) -> None:
        """Cut the connection, whatever state it is in. close() of TLS would wait for a peer that may be mute."""
        for transport in reversed(self._transports):
            transport.abort()

    def _expect_nothing(self) -> None:
        if self._ended or self._transports[-1].is_closing():
            raise self._end()
        if self._buffer:
            raise StreamError("sent more than an answer", self._take(_QUOTED))

    def _end(self) -> Exception:
        return self._lost or StreamClosed("closed the connection")

    # ------------------------------------------------------------- what python-socks calls

    async def write(self, data: bytes) -> None:
        if self._ended or self._transports[-1].is_closing():
            raise self._end()
        self._transports[-1].write(data)

    async def read_exactly(self, n: int) -> bytes:
        """`n` bytes of a SOCKS answer."""
        while len(self._buffer) < n:
            await self._more()
        return self._take(n)

    async def read(self, max_bytes: int = _HEAD_LIMIT) -> bytes:
        """The head of an HTTP proxy's answer, all of it and no more. The beginning of a refusal's body is kept."""
        # An empty line; its ends may lack their CR (RFC 9112 section 2.2).
        while (end := _HEAD_END.search(self._buffer)) is None:
            # Whatever speaks another protocol is found out at once, not after a time-out.
            start = bytes(self._buffer[:5])
            if start != b"HTTP/"[: len(start)]:
                raise StreamError("does not speak HTTP, it sent", self._take(_QUOTED))
            if len(self._buffer) > _HEAD_LIMIT:
                raise StreamError(f"sent a header of more than {_HEAD_LIMIT} bytes")
            await self._more()
        head = self._take(end.end())
        if head.split(None, 2)[1:2] != [b"200"]:
            length = _CONTENT_LENGTH.search(head)
            await self._read_body(_BODY_LIMIT if length is None else min(_BODY_LIMIT, int(length[1])))
        return head

    async def close(self) -> None:
        self.abort()

    # ------------------------------------------------------------- reading

    async def _read_body(self, limit: int) -> None:
        """Wait a moment for the body of a refusal, or its beginning; there may be none."""
        timer = asyncio.get_running_loop().call_later(_BODY_PATIENCE_S, self.eof_received)
        try:
            while len(self._buffer) < limit:
                await self._more()
        except (StreamError, OSError):
            pass  # that is how most end it
        finally:
            timer.cancel()
        self.refusal_body = self._take(limit)

    def _take(self, n: int) -> bytes:
        taken = bytes(self._buffer[:n])
        del self._buffer[:n]
        return taken

    async def _more(self) -> None:
        """Until more bytes have come; raises at the end of the stream."""
        if self._ended:
            raise self._end()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ------------------------------------------------------------- the loop's calls

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > 2 * _HEAD_LIMIT:
            # More than any answer: nobody reads on from here.
            self._ended = True
            self._lost = StreamError("sent more than an answer", self._take(_QUOTED))
            self._buffer.clear()
            self.abort()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._lost = self._lost or exc
        self._wake()
