"""Plain sockets that the library drives itself: an asyncio transport like any other, and a server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import random
import socket
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from harness import Net, RawPeer, Recorder, frame_bytes, request_bytes, until, within
from ws_core import WSMsgType, WSTransport, ws_create_server


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def own(loop_name: str) -> Net:
    """On asyncio and uvloop, the default for plain sockets."""
    return Net(tls=False, fast=None)


async def accepted(net: Net, factory: Any = Recorder) -> tuple[Any, Any, RawPeer]:
    """A listener of a server, the transport below its connection, and the raw peer."""
    server, peer = await net.server_and_peer(factory)
    below = server.transport.underlying_transport
    assert type(below).__module__ == "ws_core._socket"
    return server, below, peer


def shrink(below: Any, peer: RawPeer) -> None:
    """The peer does not read, and the system takes little: not so little that TCP itself begins to wait."""
    below.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]


# ------------------------------------------------------------------ what it says of itself


async def test_addresses(own: Net) -> None:
    _, below, peer = await accepted(own)
    assert below.get_extra_info("peername") == peer.writer.get_extra_info("sockname")
    assert below.get_extra_info("sockname") == peer.writer.get_extra_info("peername")
    assert below.get_extra_info("socket").fileno() == below.fd
    assert below.get_extra_info("sslcontext") is None
    assert below.get_extra_info("cipher", "none") == "none"
    assert "open" in repr(below)
    below.abort()
    name = below.get_extra_info("peername")
    await until(lambda: below.fd == -1)
    assert name == below.get_extra_info("peername")  # for who logs the end
    assert below.get_extra_info("socket") is None
    assert below.get_extra_info("sockname") is None
    assert "closed" in repr(below)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_addresses_of_ipv6(own: Net) -> None:
    made: list[Recorder] = []
    server = await own.serve(lambda request: made.append(Recorder()) or made[-1], host="::1")
    port = own.port(server)
    _, writer = await asyncio.open_connection("::1", port)
    writer.write(request_bytes())
    await until(lambda: made and made[0].transport)
    below = made[0].transport.underlying_transport
    assert below.get_extra_info("peername") == writer.get_extra_info("sockname")
    assert below.get_extra_info("peername")[0] == "::1"
    writer.close()


async def test_a_unix_socket(own: Net, socket_path: Path) -> None:
    made: list[Recorder] = []
    await own.serve(lambda request: made.append(Recorder()) or made[-1], path=str(socket_path))
    _, writer = await asyncio.open_unix_connection(str(socket_path))
    writer.write(request_bytes())
    await until(lambda: made and made[0].transport)
    below = made[0].transport.underlying_transport
    assert type(below).__module__ == "ws_core._socket"
    assert below.get_extra_info("peername") == ""
    writer.close()


def test_it_is_made_by_servers_only() -> None:
    from ws_core._socket import SocketTransport

    with pytest.raises(TypeError):
        SocketTransport()
    empty = SocketTransport.__new__(SocketTransport)
    assert "closed" in repr(empty)
    for call in (
        lambda: empty.write(b"x"),
        lambda: empty.writelines([b"x"]),
        empty.close,
        empty.abort,
        empty.write_eof,
        empty.pause_reading,
        empty.resume_reading,
        empty.is_reading,
        empty._readable,
        empty._writable,
        empty.get_write_buffer_size,
        empty.get_protocol,
        lambda: empty.get_extra_info("socket"),
        lambda: empty.get_extra_info("peername"),
    ):
        try:
            call()  # whatever it says: the interpreter goes on
        except Exception:
            pass
    with pytest.raises(TypeError, match="made by"):
        empty.write(b"x")


# ------------------------------------------------------------------ writing


async def test_a_backlog_of_many_pieces_keeps_its_order(own: Net) -> None:
    """Bytes, views and what can change, over more pieces than one system call takes, while the peer reads slowly."""
    _, below, peer = await accepted(own)
    shrink(below, peer)
    chance = random.Random(7)
    sent = hashlib.sha256()
    size = 0
    for index in range(500):
        data = chance.randbytes(chance.choice([1, 7, 300, 20_000]))
        sent.update(data)
        size += len(data)
        kind = index % 4
        if kind == 0:
            below.write(data)
        elif kind == 1:
            changing = bytearray(data)
            below.write(changing)
            changing[:] = b"\0" * len(data)
        elif kind == 2:
            below.write(memoryview(b"--" + data)[2:])
        else:
            below.writelines([data[:3], b"", memoryview(data)[3:]])
    waiting = below.get_write_buffer_size()
    assert size // 2 < waiting <= size
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    received = await within(peer.reader.readexactly(size))
    assert hashlib.sha256(received).digest() == sent.digest()
    await until(lambda: below.get_write_buffer_size() == 0)


async def test_watermarks(own: Net) -> None:
    server, below, peer = await accepted(own)
    assert below.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
    shrink(below, peer)
    below.set_write_buffer_limits(high=1000, low=10)
    assert below.get_write_buffer_limits() == (10, 1000)
    below.write(b"x" * 2_000_000)
    below.write(b"y" * 5000)
    assert server.events[-1] == "pause"
    assert server.events.count("pause") == 1
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    await within(peer.reader.readexactly(2_005_000))
    await until(lambda: server.events[-1] == "resume")
    below.set_write_buffer_limits(low=5)
    assert below.get_write_buffer_limits() == (5, 20)
    below.set_write_buffer_limits()
    assert below.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
    with pytest.raises(ValueError, match="high"):
        below.set_write_buffer_limits(high=1, low=2)


async def test_nothing_comes_between_the_lines(own: Net) -> None:
    """pause_writing() that writes: behind all of writelines(), not in it."""

    class Writes(Recorder):
        def pause_writing(self) -> None:
            self.transport.underlying_transport.write(b"PAUSED")

    _, below, peer = await accepted(own, Writes)
    shrink(below, peer)
    below.set_write_buffer_limits(high=0)
    below.writelines([b"a" * 1_000_000, b"b" * 1_000_000])
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    data = await within(peer.reader.readexactly(2_000_006))
    assert data == b"a" * 1_000_000 + b"b" * 1_000_000 + b"PAUSED"


async def test_all_lines_or_none(own: Net) -> None:
    _, below, peer = await accepted(own)
    with pytest.raises(TypeError, match="bytes-like"):
        below.writelines([b"half a message", "text"])
    below.write(b"whole")
    below.close()
    assert await peer.rest() == b"whole"


async def test_the_end_behind_a_backlog(own: Net) -> None:
    server, below, peer = await accepted(own)
    shrink(below, peer)
    below.write(b"x" * 2_000_000)
    below.close()
    below.close()
    assert below.is_closing()
    assert not below.is_reading()
    below.write(b"too late")
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert await peer.rest() == b"x" * 2_000_000
    await server.event("disconnected")


async def test_half_close_behind_a_backlog(own: Net) -> None:
    _, below, peer = await accepted(own)
    shrink(below, peer)
    assert below.can_write_eof()
    below.write(b"x" * 2_000_000)
    below.write_eof()
    below.write_eof()
    with pytest.raises(RuntimeError, match="write_eof"):
        below.write(b"more")
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert await peer.rest() == b"x" * 2_000_000
    assert not below.is_closing()


async def test_abort_drops_the_backlog(own: Net) -> None:
    server, below, peer = await accepted(own)
    shrink(below, peer)
    below.write(b"x" * 3_000_000)
    below.abort()
    below.abort()
    assert below.get_write_buffer_size() == 0
    await server.event("disconnected")
    below.close()
    below.write(b"x")


async def test_nothing_follows_a_backlog_that_was_dropped(own: Net) -> None:
    """The peer would take it for the rest of the message that was cut."""
    server, below, peer = await accepted(own)
    raw = peer.writer.get_extra_info("socket")
    shrink(below, peer)
    below.write(b"x" * 3_000_000)
    assert below.get_write_buffer_size()
    with socket.socket(fileno=os.dup(raw.fileno())) as reading:
        reading.settimeout(0.2)
        below.abort()
        received = b""
        with contextlib.suppress(TimeoutError):
            while data := reading.recv(1 << 20):  # in one turn of the loop: there is room again
                received += data
        server.transport.send(WSMsgType.TEXT, "follows")
        await server.event("disconnected")
        with contextlib.suppress(TimeoutError):
            while data := reading.recv(1 << 20):
                received += data
    assert received.strip(b"x") == b""


@pytest.mark.parametrize("data", ["text", 1, None, [b"x"]], ids=repr)
async def test_what_cannot_be_written(own: Net, data: Any) -> None:
    _, below, _ = await accepted(own)
    with pytest.raises(TypeError, match="bytes-like"):
        below.write(data)


# ------------------------------------------------------------------ reading


async def test_pausing(own: Net) -> None:
    server, below, peer = await accepted(own)
    below.pause_reading()
    below.pause_reading()
    assert not below.is_reading()
    await peer.send(frame_bytes(WSMsgType.TEXT, b"later", mask=b"abcd"))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(server.frame(), 0.02)
    below.resume_reading()
    below.resume_reading()
    assert below.is_reading()
    assert (await server.frame()).get_payload_as_bytes() == b"later"


class Plain(asyncio.Protocol):
    def __init__(self, keep: bool) -> None:
        self.keep = keep
        self.data = b""
        self.ended = False
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.ended = True
        return self.keep

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


class Buffered(Plain, asyncio.BufferedProtocol):  # type: ignore[misc]
    def get_buffer(self, sizehint: int) -> bytearray:
        self.room = bytearray(16)
        return self.room

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.room[:nbytes]


@pytest.mark.parametrize("kind", [Plain, Buffered])
@pytest.mark.parametrize("keep", [False, True])
async def test_another_protocol(own: Net, kind: type[Plain], keep: bool) -> None:
    _, below, peer = await accepted(own)
    ours = below.get_protocol()
    other = kind(keep)
    below.set_protocol(other)
    assert below.get_protocol() is other
    await peer.send(b"not a frame" * 10)
    await until(lambda: other.data == b"not a frame" * 10)
    peer.writer.write_eof()
    await until(lambda: other.ended)
    if keep:
        below.write(b"still here")
        assert await within(peer.reader.readexactly(10)) == b"still here"
        below.close()
    await until(lambda: other.lost)
    ours.connection_lost(None)  # which would never hear of it


async def test_bytes_are_not_received_into(own: Net) -> None:
    """A buffer that nobody may write to is refused, whatever came."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    _, below, peer = await accepted(own)
    ours = below.get_protocol()
    constant = bytes(16)

    class ReadOnly(Buffered):
        def get_buffer(self, sizehint: int) -> Any:
            return constant

    other = ReadOnly(False)
    below.set_protocol(other)
    await peer.send(b"overwritten")
    await until(lambda: other.lost)
    assert constant == bytes(16)
    assert [type(context["exception"]) for context in complaints] == [BufferError]
    ours.connection_lost(None)


async def test_a_protocol_that_fails_ends_the_connection(plain_net: Net, loop_name: str) -> None:
    net = Net(tls=False, fast=None)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    _, below, peer = await accepted(net)
    ours = below.get_protocol()

    class Fails(Plain):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    other = Fails(False)
    below.set_protocol(other)
    await peer.send(b"x")
    await until(lambda: other.lost)
    assert [type(context["exception"]) for context in complaints] == [ZeroDivisionError]
    ours.connection_lost(None)


async def test_many_bytes_at_once_leave_time_for_others(own: Net) -> None:
    """A peer that sends without end does not keep the loop."""
    server, _, peer = await accepted(own)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    size = 8 << 20
    peer.writer.write(frame_bytes(WSMsgType.BINARY, b"x" * size, mask=b"\0\0\0\0"))
    frame = await server.frame()
    assert len(frame.get_payload_as_memoryview()) == size
    assert turns > 5
    counting.cancel()


# ------------------------------------------------------------------ threads, and what is left behind


async def test_another_thread_is_refused(own: Net) -> None:
    _, below, _ = await accepted(own)
    errors: list[Exception] = []

    def run() -> None:
        for call in (
            lambda: below.write(b"x"),
            lambda: below.writelines([b"x"]),
            below.close,
            below.abort,
            below.write_eof,
            below.pause_reading,
            below.resume_reading,
        ):
            try:
                call()
            except RuntimeError as exc:
                errors.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert len(errors) == 7
    assert not below.is_closing()


@pytest.mark.parametrize("with_socket", [False, True])
def test_a_loop_that_is_closed_first(loop_name: str, with_socket: bool) -> None:
    """The descriptor is closed with the transport, and there is a warning if nobody else has closed it."""
    import uvloop

    loop = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[loop_name]()
    before = open_descriptors()

    async def leave() -> None:
        made: list[Recorder] = []
        server = await ws_create_server(lambda request: made.append(Recorder()) or made[-1], "127.0.0.1", 0)
        _, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(request_bytes())
        await until(lambda: made and made[0].transport)
        if with_socket:
            made[0].transport.underlying_transport.get_extra_info("socket")

    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop.run_until_complete(leave())
        loop.close()
        del loop
        gc.collect()
    if loop_name == "asyncio":  # uvloop lets its callbacks run once more, and they see the end
        assert any("SocketTransport" in str(warning.message) for warning in caught)
    assert open_descriptors() < before  # the loop's own were counted, too


def test_transports_are_small() -> None:
    """What an idle connection is, beside its protocol: no buffer, no deque, no socket object."""
    from ws_core._socket import SocketTransport

    assert SocketTransport.__basicsize__ <= 256
    assert not hasattr(SocketTransport.__new__(SocketTransport), "__dict__")
    assert isinstance(WSTransport.__basicsize__, int)
