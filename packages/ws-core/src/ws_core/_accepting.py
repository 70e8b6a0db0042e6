"""A server for plain sockets: it accepts connections in C, without a task or a transport of the loop for each.

Whoever binds the sockets (loop.create_server and its like, with ``start_serving=False``) keeps them; what is listened
on here is a duplicate of each, so that only public interfaces are used. Knows no WebSocket.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
from collections.abc import Callable

from ws_core._adopting import accept_waiting

#: Seconds without accepting after the system has run out of descriptors or memory.
RETRY_S = 1.0


class SocketServer:
    """What WSServer needs of an asyncio.Server."""

    def __init__(
        self,
        bound: asyncio.Server,
        loop: asyncio.AbstractEventLoop,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        backlog: int,
    ) -> None:
        self._bound = bound
        self._loop = loop
        self._protocol_factory = protocol_factory
        self._backlog = backlog
        self._listening: list[socket.socket] | None = None
        self._closed = False
        self._connections = 0
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return tuple(self._bound.sockets)

    def is_serving(self) -> bool:
        return self._listening is not None and not self._closed

    async def start_serving(self) -> None:
        if self._closed:
            raise RuntimeError("the server is closed")
        if self._listening is not None:
            return
        made: list[socket.socket] = []
        try:
            for bound in self._bound.sockets:
                made.append(socket.socket(fileno=os.dup(bound.fileno())))
                made[-1].listen(self._backlog)
        except BaseException:
            for listening in made:
                listening.close()
            raise
        self._listening = made
        for listening in made:
            self._watch(listening)

    def _watch(self, listening: socket.socket) -> None:
        if not self._closed:
            self._loop.add_reader(listening.fileno(), functools.partial(self._accept, listening))

    def _accept(self, listening: socket.socket) -> None:
        try:
            accept_waiting(listening, self._loop, self._protocol_factory, self, max(self._backlog, 0) + 1)
        except OSError as exc:
            # What waits stays readable: without a pause the loop would do nothing else.
            context = {"message": "accept() failed; the server goes on in a second", "exception": exc}
            self._loop.call_exception_handler(context)
            if not self._closed:
                self._loop.remove_reader(listening.fileno())
                self._loop.call_later(RETRY_S, self._watch, listening)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for listening in self._listening or ():
            self._loop.remove_reader(listening.fileno())
            listening.close()
        self._bound.close()
        self._wake()

    async def wait_closed(self) -> None:
        if self._closed and not self._connections:
            return
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def attach(self) -> None:
        self._connections += 1

    def detach(self) -> None:
        self._connections -= 1
        self._wake()

    def _wake(self) -> None:
        if self._closed and not self._connections:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()
