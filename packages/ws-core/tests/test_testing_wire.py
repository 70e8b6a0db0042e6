"""The wire of a connection in memory does what it is told: pieces, delay, hold, capacity, injected bytes, loss."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Iterator
from typing import Any

import pytest

from harness import within
from sides import Side, plug
from ws_core.testing import Direction, MemoryTransport, Wire

pytestmark = pytest.mark.usefixtures("loop_name")


def connected(**kwargs: Any) -> tuple[Wire, Side, Side]:
    wire, client, server = Wire(**kwargs), Side(), Side()
    plug(wire, client, server)
    return wire, client, server


async def test_whole() -> None:
    """What was sent in one turn of the loop arrives in one piece, as it does from a socket."""
    wire, client, server = connected()
    client.transport.write(b"one")
    client.transport.write(b"two")
    assert wire.to_server.in_flight == 6
    await wire.deliver()
    assert wire.to_server.in_flight == 0
    assert server.pieces == [b"onetwo"]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (1, [b"o", b"n", b"e", b"t", b"w", b"o"]),
        (4, [b"onet", b"wo"]),
        (100, [b"onetwo"]),
        ([1, 2], [b"o", b"ne", b"two"]),
        ([], [b"onetwo"]),
        ((5, 9), [b"onetw", b"o"]),
        (None, [b"onetwo"]),
    ],
    ids=str,
)
async def test_cut(pieces: Any, expected: list[bytes]) -> None:
    wire, client, server = connected()
    wire.to_server.cut_into(pieces)
    client.transport.write(b"one")
    client.transport.write(b"two")
    await wire.deliver()
    assert server.pieces == expected


async def test_cuts_are_places_in_the_stream() -> None:
    """A piece that is not there in full arrives as far as it is there."""
    wire, client, server = connected(cut_into=4)
    client.transport.write(b"ab")
    await wire.deliver()
    client.transport.write(b"cdef")
    await wire.deliver()
    assert server.pieces == [b"ab", b"cd", b"ef"]


async def test_each_piece_has_a_turn_of_its_own() -> None:
    wire, client, server = connected(cut_into=1)
    turns: list[int] = []

    async def count() -> None:
        while len(server.data) < 5:
            turns.append(len(server.data))
            await asyncio.sleep(0)

    client.transport.write(b"12345")
    await within(count())
    assert turns == list(range(turns[0], 5))
    assert turns[0] <= 1
    await wire.deliver()


async def test_each_direction_has_its_own_pieces() -> None:
    wire, client, server = connected(cut_into=[1, 2])
    client.transport.write(b"12345")
    server.transport.write(b"12345")
    await wire.deliver()
    assert server.pieces == client.pieces == [b"1", b"23", b"45"]
    wire.cut_into(3)
    wire.to_client.cut_into(None)
    client.transport.write(b"12345")
    server.transport.write(b"12345")
    await wire.deliver()
    assert server.pieces[3:] == [b"123", b"45"]
    assert client.pieces[3:] == [b"12345"]


async def test_random_pieces_are_the_same_each_time() -> None:
    runs = []
    for _ in range(2):
        wire, client, server = connected(cut_into=random.Random(7))
        client.transport.write(b"x" * 50_000)
        await wire.deliver()
        runs.append([len(piece) for piece in server.pieces])
    assert runs[0] == runs[1]
    assert sum(runs[0]) == 50_000
    assert min(runs[0]) < 16
    assert 1000 < max(runs[0]) <= 4096


def broken() -> Iterator[int]:
    yield 1
    raise ZeroDivisionError


@pytest.mark.parametrize(("sizes", "error"), [([2, 0], ValueError), ([2, "x"], TypeError), (broken, ZeroDivisionError)])
async def test_an_iterator_that_gives_no_size_loses_the_connection(sizes: Any, error: type[Exception]) -> None:
    wire, client, server = connected(cut_into=sizes() if callable(sizes) else sizes)
    client.transport.write(b"12345")
    await wire.deliver()
    assert server.pieces in ([b"12"], [b"1"])
    assert client.calls == server.calls == [("lost", error)]


@pytest.mark.parametrize(
    ("pieces", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (object(), TypeError)]
)
async def test_what_is_no_size_is_refused(pieces: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="piece"):
        Wire(cut_into=pieces)
    with pytest.raises(error, match="piece"):
        Wire().to_client.cut_into(pieces)


async def test_hold_and_release() -> None:
    wire, client, server = connected()
    wire.hold()
    client.transport.write(b"one")
    client.transport.write_eof()
    server.transport.write(b"two")
    await wire.deliver()
    assert (server.pieces, server.calls, client.pieces) == ([], [], [])
    wire.to_client.release()
    await wire.deliver()
    assert client.data == b"two"
    assert server.pieces == []
    wire.release()
    await wire.deliver()
    assert server.data == b"one"
    assert server.calls[0] == ("eof",)
    assert client.lost
    assert server.lost


async def test_hold_takes_back_what_is_about_to_arrive() -> None:
    wire, client, server = connected()
    client.transport.write(b"one")
    wire.hold()
    await wire.deliver()
    assert server.pieces == []
    wire.release()
    wire.hold()
    wire.release()
    await wire.deliver()
    assert server.pieces == [b"one"]


async def test_hold_after_some_bytes() -> None:
    wire, client, server = connected()
    wire.to_server.hold(after=4)
    client.transport.write(b"123")
    await wire.deliver()
    client.transport.write(b"456")
    client.transport.close()
    await wire.deliver()
    assert server.pieces == [b"123", b"4"]
    assert server.calls == []
    assert wire.to_server.in_flight == 2
    wire.release()
    await wire.deliver()
    assert server.pieces == [b"123", b"4", b"56"]
    assert server.lost
    with pytest.raises(ValueError, match="after"):
        wire.to_server.hold(after=-1)


async def test_delay() -> None:
    wire, client, server = connected(delay=0.02)
    # By the loop's own timers, not by a clock: uvloop's counts whole milliseconds, from before the call.
    earlier: list[list[bytes]] = []
    asyncio.get_running_loop().call_later(0.01, lambda: earlier.append([*server.pieces]))
    client.transport.write(b"one")
    await wire.deliver()
    assert earlier == [[]]
    assert server.pieces == [b"one"]
    assert wire.to_server.delay == 0.02


async def test_what_is_sent_later_does_not_overtake() -> None:
    wire, client, server = connected()
    wire.to_server.delay = 0.02
    client.transport.write(b"one")
    wire.to_server.delay = 0
    client.transport.write(b"two")
    client.transport.close()
    await wire.deliver()
    assert server.data == b"onetwo"
    assert server.calls == [("eof",), ("lost", type(None))]


async def test_delayed_is_not_held() -> None:
    """hold() while something is delayed: deliver() does not wait for what cannot arrive."""
    wire, client, server = connected(delay=3600)
    client.transport.write(b"one")
    wire.hold()
    await within(wire.deliver())
    assert server.pieces == []
    await wire.close()


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf")])
async def test_delays_that_are_none(delay: float) -> None:
    with pytest.raises(ValueError, match="delay"):
        Wire(delay=delay)


async def test_capacity() -> None:
    wire, client, server = connected(capacity=10)
    size = client.transport.get_write_buffer_size
    wire.hold()
    client.transport.write(b"x" * 10)
    assert size() == 0
    client.transport.write(b"x" * 5)
    assert size() == 5
    wire.to_server.capacity = 12
    assert size() == 3
    wire.to_server.capacity = 0
    assert size() == 15
    wire.release()
    await wire.deliver()
    assert size() == 0
    assert len(server.data) == 15
    with pytest.raises(ValueError, match="capacity"):
        Wire(capacity=-1)


async def test_capacity_and_flow_control() -> None:
    wire, client, _ = connected(capacity=0)
    client.transport.set_write_buffer_limits(high=10, low=4)
    wire.hold()
    client.transport.write(b"x" * 10)
    assert client.calls == []
    client.transport.write(b"x")
    assert client.calls == [("pause",)]
    wire.to_server.hold(after=6)
    await wire.deliver()
    assert client.transport.get_write_buffer_size() == 5
    assert client.calls == [("pause",)]
    wire.to_server.hold(after=1)
    await wire.deliver()
    assert client.calls == [("pause",), ("resume",)]
    wire.to_server.capacity = 100
    client.transport.write(b"x" * 100)
    assert client.calls == [("pause",), ("resume",)]
    wire.to_server.capacity = 0
    assert client.calls == [("pause",), ("resume",), ("pause",)]


async def test_close_waits_for_room() -> None:
    """What is not on the wire is still the sender's: it is there until it has left."""
    wire, client, server = connected(capacity=4)
    wire.hold()
    client.transport.write(b"123456")
    client.transport.close()
    await wire.deliver()
    assert client.calls == []
    wire.release()
    await wire.deliver()
    assert server.data == b"123456"
    assert client.lost
    assert server.lost


@pytest.mark.parametrize("half_closed", [False, True])
async def test_abort_drops_what_is_not_on_the_wire(half_closed: bool) -> None:
    wire, client, server = connected(capacity=4)
    wire.hold()
    client.transport.write(b"123")
    client.transport.write(b"456")
    client.transport.write(b"789")
    if half_closed:
        client.transport.write_eof()
    client.transport.abort()
    await wire.deliver()
    assert client.lost
    wire.release()
    await wire.deliver()
    assert server.data == b"1234"
    assert server.calls == [("eof",), ("lost", type(None))]


async def test_inject() -> None:
    wire, client, server = connected()
    client.transport.write(b"one ")
    data = bytearray(b"two ")
    wire.to_server.inject(data)
    data[:] = b"xxxx"
    wire.to_server.inject(memoryview(b"three "))
    wire.to_server.inject(b"")
    client.transport.write(b"four")
    await wire.deliver()
    assert server.data == b"one two three four"
    with pytest.raises(TypeError):
        wire.to_server.inject("text")  # type: ignore[arg-type]


async def test_inject_behind_the_end() -> None:
    wire, client, _ = connected()
    wire.to_server.end()
    with pytest.raises(RuntimeError, match="nothing can arrive at the server any more"):
        wire.to_server.inject(b"x")
    await wire.deliver()
    assert client.lost
    with pytest.raises(RuntimeError, match="nothing can arrive at the client any more"):
        wire.to_client.inject(b"x")


async def test_end() -> None:
    """As a half-close of the sender, who knows nothing of it."""
    wire, client, server = connected()
    server.keep_open = True
    client.transport.write(b"one")
    wire.to_server.end()
    wire.to_server.end()
    client.transport.write(b"two")
    await wire.deliver()
    assert server.data == b"one"
    assert server.calls == [("eof",)]
    assert client.calls == []
    server.transport.write(b"answer")
    await wire.deliver()
    assert client.data == b"answer"
    await wire.close()


@pytest.mark.parametrize("error", [None, OSError(errno.ETIMEDOUT, "timed out")])
async def test_lose(error: Exception | None) -> None:
    wire, client, server = connected()
    client.transport.write(b"on its way")
    wire.lose(error)
    assert client.calls == server.calls == []
    wire.lose(ValueError("the first one counts"))
    client.transport.write(b"too late")
    await wire.deliver()
    assert server.pieces == []
    assert client.calls == server.calls == [("lost", ConnectionResetError if error is None else type(error))]
    wire.lose()
    await wire.deliver()
    assert len(client.calls) == 1


async def test_lose_what_is_held_and_paused() -> None:
    wire, client, server = connected(capacity=0)
    wire.hold()
    client.transport.pause_reading()
    server.transport.pause_reading()
    client.transport.write(b"x" * 100_000)
    client.transport.close()
    wire.lose()
    await within(wire.deliver())
    assert client.calls == [("pause",), ("lost", ConnectionResetError)]
    assert server.calls == [("lost", ConnectionResetError)]
    assert client.transport.get_write_buffer_size() == 0


async def test_close_of_a_wire() -> None:
    wire, client, server = connected(delay=3600)
    client.transport.write(b"x")
    server.transport.pause_reading()
    await within(wire.close())
    assert client.calls == server.calls == [("lost", type(None))]
    await wire.close()


async def test_deliver_waits_for_answers() -> None:
    class Answering(Side):
        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            if len(self.pieces) < 5:
                self.transport.write(b"x")

    wire, client, server = Wire(cut_into=1), Answering(), Answering()
    plug(wire, client, server)
    client.transport.write(b"x")
    await wire.deliver()
    assert len(client.data) == 4
    assert len(server.data) == 5


async def test_deliver_lets_tasks_run_that_a_callback_wakes() -> None:
    wire, client, server = connected()
    got: asyncio.Queue[bytes] = asyncio.Queue()
    server.buffer_updated = lambda nbytes: got.put_nowait(b"x" * nbytes)  # type: ignore[method-assign]

    async def work() -> None:
        while True:
            server.transport.write(await got.get())

    task = asyncio.create_task(work())
    client.transport.write(b"123")
    await wire.deliver()
    assert client.data == b"xxx"
    task.cancel()


async def test_deliver_gives_up() -> None:
    class Answering(Side):
        def buffer_updated(self, nbytes: int) -> None:
            self.transport.write(b"x")

    wire, client, server = Wire(), Answering(), Answering()
    plug(wire, client, server)
    client.transport.write(b"x")
    with pytest.raises(asyncio.TimeoutError, match="answer each other"):
        await wire.deliver(timeout=0.01)
    await wire.close()
    assert client.lost
    assert server.lost


async def test_several_may_wait_and_one_may_be_cancelled() -> None:
    wire, client, server = connected(delay=0.01)
    client.transport.write(b"x")
    waiting = [asyncio.create_task(wire.deliver()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await within(asyncio.wait(waiting))
    assert waiting[0].cancelled()
    assert server.data == b"x"


async def test_one_connection_a_wire() -> None:
    wire, _, _ = connected()
    with pytest.raises(RuntimeError, match="a Wire carries one connection"):
        wire.connect()


async def test_what_is_set_before_there_is_a_connection() -> None:
    wire = Wire()
    with pytest.raises(RuntimeError, match="no connection"):
        wire.lose()
    with pytest.raises(TypeError, match="exception object"):
        wire.lose(OSError)  # type: ignore[arg-type]
    await wire.deliver()
    await wire.close()
    wire.cut_into(2)
    wire.to_client.inject(b"greeting")
    wire.to_server.hold(after=1)
    client, server = Side(), Side()
    plug(wire, client, server)
    client.transport.write(b"123")
    await wire.deliver()
    assert client.pieces == [b"gr", b"ee", b"ti", b"ng"]
    assert server.pieces == [b"1"]


def test_without_a_running_loop() -> None:
    wire = Wire(cut_into=1)
    wire.hold()
    with pytest.raises(RuntimeError, match=r"needs a running asyncio event loop: .*asyncio\.run"):
        wire.connect()
    deliver = wire.deliver()
    with pytest.raises(RuntimeError, match="needs a running asyncio event loop"):
        deliver.send(None)


async def test_they_say_how_they_are() -> None:
    wire, client, _ = connected()
    wire.to_server.hold(after=1)
    wire.to_client.hold()
    client.transport.write(b"123")
    assert repr(wire.to_server) == "<Direction to server: 3 bytes in flight, held after 1 more>"
    assert repr(wire) == f"<Wire <Direction to client: 0 bytes in flight, held> {wire.to_server!r}>"
    assert isinstance(wire.to_server, Direction)
    assert isinstance(client.transport, MemoryTransport)
    assert repr(client.transport) == "<MemoryTransport open, peer server>"
    client.transport.close()
    assert "closing" in repr(client.transport)
    await wire.close()
    assert "closed" in repr(client.transport)
