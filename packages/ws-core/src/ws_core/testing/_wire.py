"""The wire between the two ends of a connection in memory: what is set for both directions, and when all is at rest.

It behaves as a TCP connection does: bytes arrive in later turns of the event loop, never from inside write(); what
the other side does not take waits, first on the wire and then in the sender's write buffer; an end of stream comes
behind the bytes, and one who closes with unread input resets. Knows asyncio, no WebSocket.
"""

from __future__ import annotations

import asyncio

from ws_core.testing._direction import Direction, Pieces, reset
from ws_core.testing._transport import MemoryTransport


def running_loop() -> asyncio.AbstractEventLoop:
    """The running loop, or an error that says how to have one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "a connection in memory needs a running asyncio event loop: use it in a coroutine that asyncio.run(), "
            "or the asyncio plugin of your test framework, runs"
        ) from None


class Wire:
    """
    What lies between the two sides of a connection in memory. It carries one connection; make a new one for the next.

    :param cut_into: see :meth:`Direction.cut_into`; of an iterator, both directions take their sizes in turn
    :param delay: seconds on the loop's clock from a write to its arrival
    :param capacity: bytes that each direction takes while they do not arrive; the rest waits in the sender
    :param client_address: what the server sees as ``peername``
    :param server_address: what the client sees as ``peername``

    It may be made, and set, before there is a connection: then it holds for the opening handshake, too. Everything here
    acts on both directions; each by itself is :attr:`to_client` and :attr:`to_server`.
    """

    def __init__(
        self,
        *,
        cut_into: Pieces = None,
        delay: float = 0.0,
        capacity: int = 64 * 1024,
        client_address: tuple[str, int] = ("127.0.0.1", 50000),
        server_address: tuple[str, int] = ("127.0.0.1", 80),
    ) -> None:
        self.to_client: Direction = Direction(self, "client", cut_into, delay, capacity)
        self.to_server: Direction = Direction(self, "server", cut_into, delay, capacity)
        self._addresses = client_address, server_address
        self._ends: tuple[MemoryTransport, ...] = ()
        self._waiters: list[asyncio.Future[None]] = []
        self._loop: asyncio.AbstractEventLoop

    @property
    def _directions(self) -> tuple[Direction, Direction]:
        return self.to_client, self.to_server

    def cut_into(self, pieces: Pieces) -> None:
        """See :meth:`Direction.cut_into`."""
        for direction in self._directions:
            direction.cut_into(pieces)

    def hold(self) -> None:
        """Let nothing arrive, on either side, until :meth:`release`."""
        for direction in self._directions:
            direction.hold()

    def release(self) -> None:
        """Let arrive what has gathered, and what follows."""
        for direction in self._directions:
            direction.release()

    def lose(self, exception: Exception | None = None) -> None:
        """
        Lose the connection: both sides get connection_lost(exception) in the next turn of the loop, and what is on its
        way is gone, also what is held.

        :param exception: what both are told; None: a ConnectionResetError, as of a peer's RST

        Nothing happens to a side that has closed. RuntimeError if there is no connection yet.
        """
        if exception is not None and not isinstance(exception, Exception):
            raise TypeError(f"a connection is lost by an exception object or None, not by {exception!r}")
        if not self._ends:
            raise RuntimeError("no connection runs over this wire yet")
        for direction in self._directions:
            direction._drop_all()
        for end in self._ends:
            end._force_close(reset() if exception is None else exception)

    async def deliver(self, timeout: float = 10.0) -> None:
        """
        Wait until nothing moves any more: everything that was sent has arrived, what was sent in answer to it, too, and
        connections that have ended are gone. What is held, or what a side that has paused reading does not take, stays
        where it is. What is delayed is waited for. A task that a callback has woken has run once.

        :param timeout: seconds; then asyncio.TimeoutError: two listeners that answer each other never come to rest
        """
        loop = running_loop()
        try:
            await asyncio.wait_for(self._rest(loop), timeout)
        except asyncio.TimeoutError:
            raise asyncio.TimeoutError(
                f"bytes still move after {timeout} seconds ({self!r}): is the delay longer, or do two listeners "
                "answer each other for ever?"
            ) from None

    async def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            while self._moves():
                waiter: asyncio.Future[None] = loop.create_future()
                self._waiters.append(waiter)
                await waiter
            await asyncio.sleep(0)  # for tasks that a callback has woken
            if not self._moves():
                return

    def __repr__(self) -> str:
        return f"<Wire {self.to_client!r} {self.to_server!r}>"

    # ------------------------------------------------------------- for whoever opens the connection

    def connect(self) -> tuple[MemoryTransport, MemoryTransport]:
        """
        The two ends, the client's and the server's, of a connection that is open from now on. Each is paused and has no
        protocol: give it one by ``set_protocol``, call its ``connection_made``, then ``resume_reading``.

        RuntimeError if it was called before, or without a running event loop.
        """
        if self._ends:
            raise RuntimeError("a Wire carries one connection: make a new one for each")
        self._loop = running_loop()
        client_address, server_address = self._addresses
        client = MemoryTransport(
            self, self.to_server, self.to_client, {"sockname": client_address, "peername": server_address}
        )
        server = MemoryTransport(
            self, self.to_client, self.to_server, {"sockname": server_address, "peername": client_address}
        )
        self.to_client._source, self.to_client._target = server, client
        self.to_server._source, self.to_server._target = client, server
        self._ends = client, server
        return client, server

    async def close(self) -> None:
        """End the connection on both sides, whatever is held or paused. Returns when connection_lost has returned."""
        if self._ends:
            for end in self._ends:
                end.abort()
            for direction in self._directions:
                direction._drop_all()
            await self.deliver()

    # ------------------------------------------------------------- for the directions and the transports

    def _opposite(self, direction: Direction) -> Direction:
        return self.to_client if direction is self.to_server else self.to_server

    def _now(self) -> float:
        return self._loop.time() if self._ends else 0.0

    def _moves(self) -> bool:
        return any(direction._handle is not None for direction in self._directions) or any(
            end._lost_soon and not end._gone for end in self._ends
        )

    def _stopped(self) -> None:
        """Something came to rest: tell those who wait, if everything has."""
        if self._waiters and not self._moves():
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
