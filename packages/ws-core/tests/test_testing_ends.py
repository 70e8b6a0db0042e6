"""How a connection in memory ends, and what it does with a slow peer: as one over sockets does."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref

import pytest

from harness import within
from ws_core import (
    WSCloseCode,
    WSDisconnectKind,
    WSFrame,
    WSMsgType,
    WSProtocolError,
    WSTransport,
)
from ws_core.testing import Pair, Recorder, Wire, connected_pair, frame_bytes

pytestmark = pytest.mark.usefixtures("loop_name")


class Boom(Exception):
    pass


def once(pair: Pair) -> None:
    for listener in pair.client_listener, pair.server_listener:
        assert listener.events.count("connected") == 1
        assert listener.events.count("disconnected") == 1
        assert listener.events[-1] == "disconnected"


async def test_closing_handshake() -> None:
    async with connected_pair() as pair:
        await pair.client.close(WSCloseCode.OK, "bye")
        await pair.deliver()
        assert pair.server.disconnect_reason.kind is WSDisconnectKind.PEER
        assert pair.server.close_handshake == pair.server.close_handshake.__class__(
            (WSCloseCode.OK, "bye"), (WSCloseCode.OK, "bye"), True
        )
        assert pair.client.close_handshake.recv == (WSCloseCode.OK, "bye")
    once(pair)


async def test_disconnect_without_a_close() -> None:
    async with connected_pair() as pair:
        pair.server.send(WSMsgType.TEXT, "last")
        pair.server.disconnect()
        await pair.deliver()
        assert pair.client_listener.events == ["connected", "frame", "disconnected"]
        assert pair.client.disconnect_reason.kind is WSDisconnectKind.PEER
        assert pair.server.disconnect_reason.kind is WSDisconnectKind.LOCAL
    once(pair)


@pytest.mark.parametrize("error", [None, TimeoutError("no route")])
async def test_lost(error: Exception | None) -> None:
    async with connected_pair() as pair:
        pair.client.send(WSMsgType.TEXT, "never arrives")
        pair.wire.lose(error)
        await pair.deliver()
        for transport in pair.client, pair.server:
            assert transport.disconnect_reason.kind is WSDisconnectKind.NETWORK_ERROR
            assert isinstance(transport.disconnect_reason.exception, ConnectionResetError if error is None else OSError)
        assert pair.server_listener.frames == []
    once(pair)


async def test_the_peer_half_closes() -> None:
    async with connected_pair() as pair:
        pair.server.send(WSMsgType.TEXT, "last")
        pair.wire.to_client.end()
        await pair.deliver()
        assert pair.client.disconnect_reason.message == "the peer ended the stream without a CLOSE frame"
        assert len(pair.client_listener.frames) == 1
        assert pair.server.is_disconnected
    once(pair)


@pytest.mark.parametrize("after", range(1, 12))
async def test_lost_in_the_middle_of_a_frame(after: int) -> None:
    async with connected_pair() as pair:
        pair.wire.to_server.hold(after)
        pair.client.send(WSMsgType.TEXT, "hello")
        await pair.deliver()
        assert pair.server_listener.events == ["connected"] + ["frame"] * (after == 11)
        pair.wire.lose()
    once(pair)


async def test_a_protocol_error() -> None:
    async with connected_pair() as pair:
        pair.wire.to_client.inject(frame_bytes(3, masked=False))
        with pytest.raises(WSProtocolError):
            await within(pair.client.wait_disconnected())
        assert (await pair.server_listener.next_frame()).get_close_code() == WSCloseCode.PROTOCOL_ERROR
    once(pair)


class Raising(Recorder):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        super().on_ws_frame(transport, frame)
        raise Boom


async def test_a_callback_of_the_client_raises() -> None:
    async with connected_pair(Raising) as pair:
        pair.server.send(WSMsgType.TEXT, "hello")
        with pytest.raises(Boom):
            await within(pair.client.wait_disconnected())
        assert (await pair.server_listener.next_frame()).get_close_code() == WSCloseCode.INTERNAL_ERROR
    once(pair)


async def test_a_callback_of_the_server_raises(caplog: pytest.LogCaptureFixture) -> None:
    async with connected_pair(server_factory=Raising) as pair:
        pair.client.send(WSMsgType.TEXT, "hello")
        assert (await pair.client_listener.next_frame()).get_close_code() == WSCloseCode.INTERNAL_ERROR
        await pair.deliver()
        assert isinstance(pair.server.disconnect_reason.exception, Boom)
    once(pair)
    assert [record.exc_info[0] for record in caplog.records if record.levelno == logging.ERROR] == [Boom]


async def test_whatever_state_it_is_in_the_end_of_the_block_ends_it() -> None:
    async with connected_pair(wire=Wire(capacity=0)) as pair:
        pair.wire.hold()
        pair.client.underlying_transport.pause_reading()
        pair.client.send(WSMsgType.BINARY, b"x" * 1_000_000)
        closing = asyncio.create_task(pair.client.close())
        await asyncio.sleep(0)
        pair.server.disconnect()
    await within(closing)
    once(pair)


async def test_an_exception_in_the_block_goes_out() -> None:
    with pytest.raises(Boom):
        async with connected_pair() as pair:
            raise Boom
    once(pair)


async def test_a_server_that_ends_in_on_ws_connected() -> None:
    class Rude(Recorder):
        def on_ws_connected(self, transport: WSTransport) -> None:
            super().on_ws_connected(transport)
            transport.disconnect(graceful=False)

    async with connected_pair(server_factory=Rude) as pair:
        await pair.deliver()
        assert pair.client.is_disconnected
        assert isinstance(pair.server_listener, Rude)
    once(pair)


async def test_nothing_is_left() -> None:
    async with connected_pair() as pair:
        pair.client.send(WSMsgType.TEXT, "hello")
        await pair.deliver()
    left = [weakref.ref(each) for each in (pair.client, pair.server, pair.client_listener, pair.wire)]
    del pair
    gc.collect()
    assert [ref() for ref in left] == [None] * 4


async def test_backpressure() -> None:
    async with connected_pair(wire=Wire(capacity=1000)) as pair:
        pair.wire.hold()
        pair.client.send(WSMsgType.BINARY, b"x" * 992)  # and 8 bytes of head
        assert pair.client.write_backlog_size == 0
        pair.client.send(WSMsgType.BINARY, b"x" * 100_000)
        assert pair.client.write_backlog_size == 100_014
        assert pair.client_listener.events == ["connected", "pause_writing"]
        draining = asyncio.create_task(pair.client.drain())
        await pair.deliver()
        assert not draining.done()
        pair.wire.release()
        await within(draining)
        await pair.deliver()
        assert pair.client_listener.events == ["connected", "pause_writing", "resume_writing"]
        assert [frame.payload_size for frame in pair.server_listener.frames] == [992, 100_000]


async def test_max_write_backlog() -> None:
    options = {"max_write_backlog": 100}
    async with connected_pair(wire=Wire(capacity=0), server_options=options) as pair:
        pair.wire.hold()
        pair.server.send(WSMsgType.BINARY, b"x" * 98)
        assert not pair.server.underlying_transport.is_closing()
        pair.server.send(WSMsgType.BINARY, b"")
        await pair.deliver()
        assert "max_write_backlog=100" in pair.server.disconnect_reason.message
        assert pair.server_listener.events == ["connected", "disconnected"]
        pair.wire.release()
        await pair.deliver()
        assert pair.client_listener.events == ["connected", "disconnected"]
