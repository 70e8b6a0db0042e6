"""broadcast(): everybody who can take the message gets it, whatever becomes of the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness import Net, RawPeer, Recorder, client_frame, frame_bytes, until, within
from ws_core import WSCloseCode, WSDisconnectKind, WSFrame, WSMsgType, WSServer, WSTransport, broadcast

EACH = 5


async def audience(net: Net, factory: Any = Recorder, **kwargs: Any) -> tuple[WSServer, list[Any], list[RawPeer]]:
    """A server with a few raw clients; the listeners stand in the order of the clients."""
    listeners: list[Any] = []
    server = await net.serve(lambda request: listeners.append(factory()) or listeners[-1], **kwargs)
    peers = []
    for _ in range(EACH):
        peers.append(await net.raw(server))
        await until(lambda: len(server.connections) == len(peers))
    return server, listeners, peers


@pytest.mark.parametrize(
    ("msg_type", "message", "payload"),
    [
        (WSMsgType.TEXT, "grüße", "grüße".encode()),
        (WSMsgType.TEXT, b"text as bytes", b"text as bytes"),
        (WSMsgType.BINARY, bytearray(b"\x00\x01"), b"\x00\x01"),
        (WSMsgType.BINARY, memoryview(b"x" * 300)[100:], b"x" * 200),
        (WSMsgType.BINARY, None, b""),
        (WSMsgType.PING, b"p" * 125, b"p" * 125),
        (WSMsgType.PONG, "", b""),
    ],
)
async def test_everybody_gets_it(net: Net, msg_type: WSMsgType, message: Any, payload: bytes) -> None:
    server, listeners, peers = await audience(net)
    assert broadcast(server.connections, msg_type, message) == EACH
    for peer in peers:
        assert await peer.frame() == (0x80 | msg_type, payload)
    for listener in listeners:
        assert listener.transport.stats.frames_out == 1
        assert listener.transport.stats.bytes_out == len(frame_bytes(msg_type, payload))


async def test_large_messages(net: Net) -> None:
    server, _, peers = await audience(net)
    message = bytes(range(256)) * 4000
    assert broadcast(server.connections, WSMsgType.BINARY, message) == EACH
    assert broadcast(server.connections, WSMsgType.TEXT, "behind it") == EACH
    for peer in peers:
        assert await peer.frame() == (0x82, message)
        assert await peer.frame() == (0x81, b"behind it")


async def test_clients_mask_each_for_itself(net: Net) -> None:
    received: list[bytes] = []

    async def serve(peer: RawPeer) -> None:
        await net.accept_upgrade(peer)
        received.append(await peer.reader.readexactly(2 + 4 + 5))

    port = await net.raw_server(serve)
    clients = [(await net.connect(port))[0] for _ in range(EACH)]
    assert broadcast(clients, WSMsgType.TEXT, "hello") == EACH
    await until(lambda: len(received) == EACH)
    assert all(frame[:2] == b"\x81\x85" for frame in received)
    assert len({frame[2:6] for frame in received}) == EACH


async def test_several_messages_leave_in_one_write(net: Net) -> None:
    server, listeners, peers = await audience(net)
    messages = ["one", b"two", None, "four" * 100]
    assert broadcast(server.connections, WSMsgType.TEXT, messages) == EACH
    for peer in peers:
        assert [(await peer.frame())[1] for _ in messages] == [b"one", b"two", b"", b"four" * 100]
    assert listeners[0].transport.stats.frames_out == len(messages)
    assert broadcast(server.connections, WSMsgType.TEXT, []) == EACH
    assert broadcast([], WSMsgType.TEXT, "to nobody") == 0


async def test_what_is_closed_or_closing_is_skipped(net: Net) -> None:
    _, listeners, peers = await audience(net)
    transports = [listener.transport for listener in listeners]
    transports[0].disconnect(graceful=False)
    transports[1].send_close(WSCloseCode.OK)
    transports[2].disconnect()
    assert broadcast(transports, WSMsgType.TEXT, "still here?") == EACH - 3
    assert await peers[1].frame() == (0x88, b"\x03\xe8")
    for peer in peers[3:]:
        assert await peer.frame() == (0x81, b"still here?")
    await listeners[0].event("disconnected")
    assert broadcast(transports[:1], WSMsgType.TEXT, "gone") == 0


async def test_order_under_corks(net: Net) -> None:
    """With what else is sent, and from inside a callback, where its own connection is corked."""

    class Shouting(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            transport.send(WSMsgType.TEXT, "1")
            assert broadcast([transport, transport], WSMsgType.TEXT, ["2", "x" * 70_000]) == 2
            transport.send(WSMsgType.TEXT, "3")

    _, listeners, peers = await audience(net, Shouting)
    await peers[0].send(client_frame(1, b"a") + client_frame(1, b"b"))
    once = [b"1", b"2", b"x" * 70_000, b"2", b"x" * 70_000, b"3"]
    assert [(await peers[0].frame())[1] for _ in range(12)] == once + once
    transport = listeners[1].transport
    with transport.cork():
        transport.send(WSMsgType.TEXT, "a")
        broadcast([transport], WSMsgType.TEXT, "b" * 40_000)
        broadcast([transport], WSMsgType.TEXT, "c" * 40_000)
        transport.send(WSMsgType.TEXT, "d")
    assert [(await peers[1].frame())[1] for _ in range(4)] == [b"a", b"b" * 40_000, b"c" * 40_000, b"d"]


async def test_a_slow_peer_delays_nobody(net: Net) -> None:
    """Its share waits in its own backlog, and max_write_backlog ends it alone."""
    server, listeners, peers = await audience(net, max_write_backlog=2_000_000)
    slow = peers[0].writer.transport
    slow.pause_reading()  # type: ignore[attr-defined]

    async def read(peer: RawPeer) -> int:
        count = 0
        while (await peer.frame())[1] != b"end":
            count += 1
        return count

    readers = [asyncio.ensure_future(read(peer)) for peer in peers[1:]]
    rounds = 0
    while listeners[0].transport.disconnect_reason is None:
        broadcast(server.connections, WSMsgType.BINARY, bytes(100_000))
        rounds += 1
        await within(asyncio.gather(*(listener.transport.drain() for listener in listeners[1:])))
    assert broadcast(server.connections, WSMsgType.BINARY, b"end") == EACH - 1
    assert await within(asyncio.gather(*readers)) == [rounds] * (EACH - 1)
    await listeners[0].event("disconnected")
    assert listeners[0].transport.disconnect_reason.kind is WSDisconnectKind.LOCAL


async def test_a_callback_ends_others_meanwhile(plain_net: Net) -> None:
    transports: list[WSTransport] = []

    class Ending(Recorder):
        def on_write_backlog(self, transport: WSTransport) -> None:
            for other in transports:
                other.disconnect(graceful=False)
            raise ValueError("and this")

    server, listeners, peers = await audience(plain_net, Ending, max_write_backlog=1_000_000)
    peers[0].writer.transport.pause_reading()  # type: ignore[attr-defined]
    transports.extend(listener.transport for listener in listeners)
    first = listeners[0].transport
    while first.write_backlog_size < 900_000:
        first.send(WSMsgType.BINARY, bytes(50_000))
    assert broadcast(transports, WSMsgType.BINARY, bytes(1_000_000)) == 1
    for listener in listeners:
        await listener.event("disconnected")
    assert not server.connections


async def test_a_transport_that_raises_is_ended(plain_net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """An underlying transport of an extension's may be of any kind."""
    _, listeners, peers = await audience(plain_net)
    broken = listeners[1].transport
    broken.underlying_transport.pause_reading()
    peers[1].writer.transport.pause_reading()  # type: ignore[attr-defined]
    while not broken.write_backlog_size:
        broken.send(WSMsgType.BINARY, bytes(1_000_000))
    if not broken.underlying_transport.can_write_eof():
        pytest.fail("plain transports can")
    broken.underlying_transport.write_eof()  # from here on, write() raises RuntimeError
    assert broadcast([listener.transport for listener in listeners], WSMsgType.TEXT, "all") == EACH - 1
    assert isinstance(broken.disconnect_reason.exception, RuntimeError)
    assert "broadcast() failed" in caplog.text
    await listeners[1].event("disconnected")
    for peer in (peers[0], *peers[2:]):
        assert await peer.frame() == (0x81, b"all")


@pytest.mark.parametrize(
    ("msg_type", "message", "error", "text"),
    [
        (WSMsgType.CLOSE, b"", ValueError, "cannot be broadcast"),
        (WSMsgType.CONTINUATION, b"", ValueError, "cannot be broadcast"),
        (7, b"", ValueError, "7 cannot be broadcast"),
        (WSMsgType.PING, bytes(126), ValueError, "125 bytes"),
        (WSMsgType.TEXT, 5, TypeError, "not int"),
        (WSMsgType.TEXT, ["fine", object()], TypeError, "not object"),
        (WSMsgType.BINARY, memoryview(bytes(10))[::2], TypeError, "contiguous"),
    ],
)
async def test_wrong_arguments_raise_before_anything_is_sent(
    plain_net: Net, msg_type: Any, message: Any, error: Any, text: str
) -> None:
    server, listeners, _ = await audience(plain_net)
    with pytest.raises(error, match=text):
        broadcast(server.connections, msg_type, message)
    with pytest.raises(TypeError, match="not Recorder"):
        broadcast([listeners[0].transport, listeners[1]], WSMsgType.TEXT, "x")
    assert all(listener.transport.stats.frames_out == 0 for listener in listeners)


async def test_connections_of_another_thread_are_refused(plain_net: Net) -> None:
    server, listeners, _ = await audience(plain_net)
    loop = asyncio.get_running_loop()
    with pytest.raises(RuntimeError, match="call_soon_threadsafe"):
        await loop.run_in_executor(None, broadcast, list(server.connections), WSMsgType.TEXT, "x")
    assert all(listener.transport.stats.frames_out == 0 for listener in listeners)
