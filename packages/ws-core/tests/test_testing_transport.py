"""The transports of a connection in memory do what those of sockets do: most tests here run over TCP, too."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from harness import until
from sides import Side, plug
from ws_core.testing import Wire

pytestmark = pytest.mark.usefixtures("loop_name")


@asynccontextmanager
async def connected_by(kind: str, client: Side, server: Side) -> AsyncIterator[None]:
    """Connect both by memory or by TCP; at the end of the block nothing is left open."""
    if kind == "memory":
        plug(Wire(), client, server)
    else:
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: server, "127.0.0.1", 0)
        await loop.create_connection(lambda: client, *listening.sockets[0].getsockname())
        await until(lambda: server.transport)
        listening.close()
    try:
        yield
    finally:
        client.transport.abort()
        server.transport.abort()
        await asyncio.sleep(0)


both = pytest.mark.parametrize("kind", ["memory", "tcp"])


@both
async def test_bytes_arrive_in_order_and_not_inside_write(kind: str) -> None:
    client, server = Side(), Side()
    async with connected_by(kind, client, server):
        client.transport.write(b"one ")
        client.transport.write(bytearray(b"two "))
        client.transport.writelines([b"three ", memoryview(b"four")])
        client.transport.write(b"")
        server.transport.write(b"back")
        assert server.data == client.data == b""
        await until(lambda: server.data == b"one two three four" and client.data == b"back")


@both
async def test_a_write_copies(kind: str) -> None:
    client, server = Side(), Side()
    async with connected_by(kind, client, server):
        data = bytearray(b"before")
        client.transport.write(data)
        data[:] = b"after!"
        await until(lambda: server.data)
        assert server.data == b"before"


@both
async def test_more_than_the_buffer_comes_in_several_reads(kind: str) -> None:
    client, server = Side(), Side(room=10)
    async with connected_by(kind, client, server):
        client.transport.write(bytes(range(256)))
        await until(lambda: len(server.data) == 256)
        assert server.data == bytes(range(256))
        assert {len(piece) for piece in server.pieces} == {10, 6}


@both
async def test_close_sends_what_waits_then_the_end(kind: str) -> None:
    client, server = Side(), Side()
    async with connected_by(kind, client, server):
        client.transport.write(b"x" * 1_000_000)
        assert not client.transport.is_closing()
        client.transport.close()
        client.transport.close()
        client.transport.write(b"too late")
        assert client.transport.is_closing()
        assert not client.transport.is_reading()
        await until(lambda: client.lost and server.lost)
        assert client.calls[-1:] == [("lost", type(None))]
        assert server.calls == [("eof",), ("lost", type(None))]
        assert server.data == b"x" * 1_000_000


@both
async def test_half_close(kind: str) -> None:
    client, server = Side(), Side(keep_open=True)
    async with connected_by(kind, client, server):
        client.transport.write(b"request")
        assert client.transport.can_write_eof()
        client.transport.write_eof()
        client.transport.write_eof()
        with pytest.raises(RuntimeError, match="after write_eof"):
            client.transport.write(b"more")
        await until(lambda: server.calls == [("eof",)])
        assert server.data == b"request"
        assert not server.transport.is_closing()
        server.transport.write(b"answer")
        server.transport.close()
        await until(lambda: client.lost and server.lost)
        assert client.data == b"answer"
        assert client.calls == [("eof",), ("lost", type(None))]


@both
async def test_the_end_of_the_stream_closes_unless_told_otherwise(kind: str) -> None:
    client, server = Side(), Side()
    async with connected_by(kind, client, server):
        client.transport.write_eof()
        await until(lambda: client.lost and server.lost)
        assert server.calls == [("eof",), ("lost", type(None))]
        assert client.calls == [("eof",), ("lost", type(None))]


@both
async def test_abort(kind: str) -> None:
    client, server = Side(), Side()
    async with connected_by(kind, client, server):
        client.transport.abort()
        client.transport.abort()
        assert client.transport.is_closing()
        assert client.calls == []
        await until(lambda: client.lost and server.lost)
        assert client.calls == [("lost", type(None))]
        assert server.calls == [("eof",), ("lost", type(None))]


@both
async def test_one_who_closes_with_unread_input_resets(kind: str) -> None:
    client, server = Side(), Side()
    async with connected_by(kind, client, server):
        client.transport.pause_reading()
        server.transport.write(b"never read")
        if kind == "tcp":
            await until(lambda: select.select([client.transport.get_extra_info("socket")], [], [], 0)[0])  # it is there
        client.transport.close()
        await until(lambda: client.lost and server.lost)
        assert client.calls == [("lost", type(None))]
        assert server.calls == [("lost", ConnectionResetError)]


@both
async def test_one_who_sends_to_a_closed_peer_is_reset(kind: str) -> None:
    client, server = Side(keep_open=True), Side()
    async with connected_by(kind, client, server):
        server.transport.close()
        await until(lambda: server.lost and client.calls == [("eof",)])
        for _ in range(100):  # the first one provokes the reset
            client.transport.write(b"anybody?")
            await asyncio.sleep(0.001)
            if client.lost:
                break
        assert client.calls[-1][1] in (ConnectionResetError, BrokenPipeError)


@both
async def test_pause_and_resume_reading(kind: str) -> None:
    client, server = Side(), Side()
    async with connected_by(kind, client, server):
        assert server.transport.is_reading()
        server.transport.pause_reading()
        server.transport.pause_reading()
        assert not server.transport.is_reading()
        client.transport.write(b"waits")
        client.transport.write_eof()
        for _ in range(5):
            await asyncio.sleep(0)
        assert server.pieces == server.calls == []
        server.transport.resume_reading()
        server.transport.resume_reading()
        await until(lambda: server.calls[:1] == [("eof",)])
        assert server.data == b"waits"
        await until(lambda: client.lost and server.lost)


@both
async def test_flow_control(kind: str) -> None:
    """pause_writing from inside write(), resume_writing when the backlog has left; once each."""
    client, server = Side(), Side()
    async with connected_by(kind, client, server):
        client.transport.set_write_buffer_limits(high=1000)
        assert client.transport.get_write_buffer_limits() == (250, 1000)
        server.transport.pause_reading()
        for _ in range(1000):
            client.transport.write(b"x" * 100_000)
            if client.calls:
                break
            await asyncio.sleep(0)
        assert client.calls == [("pause",)]
        assert client.transport.get_write_buffer_size() > 1000
        client.transport.write(b"x" * 100_000)
        server.transport.resume_reading()
        await until(lambda: client.transport.get_write_buffer_size() == 0)
        assert client.calls == [("pause",), ("resume",)]


@both
async def test_limits_of_the_write_buffer(kind: str) -> None:
    client, server = Side(), Side()
    async with connected_by(kind, client, server):
        limits = client.transport.get_write_buffer_limits
        client.transport.set_write_buffer_limits(low=10)
        assert limits() == (10, 40)
        client.transport.set_write_buffer_limits(high=0)
        assert limits() == (0, 0)
        client.transport.set_write_buffer_limits()  # the default, too, but for uvloop's
        assert limits() == (16 * 1024, 64 * 1024)
        with pytest.raises(ValueError, match="low"):
            client.transport.set_write_buffer_limits(high=1, low=2)


@both
async def test_what_is_no_bytes_is_refused(kind: str) -> None:
    client, server = Side(), Side()
    async with connected_by(kind, client, server):
        with pytest.raises(TypeError):
            client.transport.write("text")


@both
async def test_another_protocol_may_take_over(kind: str) -> None:
    """A plain Protocol: data_received."""

    class Plain(asyncio.Protocol):
        data = b""

        def data_received(self, data: bytes) -> None:
            self.data += data

        def connection_lost(self, exc: Exception | None) -> None:
            self.data += b" end"

    client, server = Side(), Side()
    async with connected_by(kind, client, server):
        plain = Plain()
        server.transport.set_protocol(plain)
        assert server.transport.get_protocol() is plain
        client.transport.write(b"hello")
        client.transport.close()
        await until(lambda: plain.data == b"hello end")
        assert server.pieces == []
        await until(lambda: client.lost)


@both
async def test_a_protocol_that_raises_is_reported_and_ends_the_connection(kind: str) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    class Raising(Side):
        def buffer_updated(self, nbytes: int) -> None:
            raise ZeroDivisionError

    client, server = Side(), Raising()
    async with connected_by(kind, client, server):
        client.transport.write(b"x")
        await until(lambda: client.lost and server.lost)
        assert [type(exc) for exc in told] == [ZeroDivisionError]
        assert server.calls == [("lost", ZeroDivisionError)]


async def test_addresses() -> None:
    client, server = Wire(client_address=("192.0.2.1", 1), server_address=("192.0.2.2", 2)).connect()
    assert client.get_extra_info("sockname") == server.get_extra_info("peername") == ("192.0.2.1", 1)
    assert client.get_extra_info("peername") == server.get_extra_info("sockname") == ("192.0.2.2", 2)
    assert client.get_extra_info("socket") is None
    assert client.get_extra_info("nothing", "else") == "else"


async def test_a_protocol_without_room() -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))
    wire, client, server = Wire(), Side(), Side(room=0)
    plug(wire, client, server)
    client.transport.write(b"x")
    await wire.deliver()
    assert told == ["get_buffer() returned an empty buffer"]
    assert server.calls == [("lost", RuntimeError)]


async def test_an_aborted_sender_hears_nothing_more() -> None:
    wire, client, server = Wire(capacity=4), Side(), Side()
    plug(wire, client, server)
    client.transport.set_write_buffer_limits(high=1)
    wire.hold()
    client.transport.write(b"123456")
    client.transport.abort()
    wire.release()
    await wire.deliver()
    wire.to_server.capacity = 100
    assert server.data == b"1234"
    assert client.calls == [("pause",), ("lost", type(None))]
