"""WSTransport: what may be sent, what it looks like on the wire, backlog, corking, closing."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
from typing import Any

import pytest

from harness import Net, RawPeer, Recorder, client_frame, frame_bytes, random_bytes, until, within
from ws_core import WSCloseCode, WSDisconnectKind, WSDisconnectReason, WSFrame, WSMsgType, WSTransport, broadcast

# ------------------------------------------------------------------ messages


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        (b"bytes", b"bytes"),
        ("tëxt", "tëxt".encode()),
        ("", b""),
        (None, b""),
        (bytearray(b"bytearray"), b"bytearray"),
        (memoryview(b"memoryview")[2:], b"moryview"),
        (array.array("H", [1, 2]), array.array("H", [1, 2]).tobytes()),
        (type("B", (bytes,), {})(b"subclass"), b"subclass"),
        (type("S", (str,), {})("subclass"), b"subclass"),
    ],
    ids=repr,
)
async def test_kinds_of_messages(one_net: Net, message: Any, payload: bytes) -> None:
    server, peer = await one_net.server_and_peer()
    server.transport.send(WSMsgType.BINARY, message)
    assert await peer.frame() == (0x82, payload)


class Lying(bytes):
    """Says of itself that it is short, and stays what it is where bytes() is asked for."""

    def __len__(self) -> int:
        return 1

    def __bytes__(self) -> bytes:
        return self


class LyingText(str):
    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return Lying(super().encode(encoding, errors))


async def test_wrong_arguments_raise_and_leave_the_wire_alone(net: Net) -> None:
    server, peer = await net.server_and_peer()
    transport = server.transport
    assert transport is not None
    for message in (3, 1.5, ["x"], object(), memoryview(b"abcd")[::2]):
        with pytest.raises(TypeError, match="contiguous bytes-like"):
            transport.send(WSMsgType.BINARY, message)
    with pytest.raises(UnicodeEncodeError):
        transport.send(WSMsgType.TEXT, "\ud800")
    for msg_type in (3, 7, 11, 15, 16, -1, 0x81):
        with pytest.raises(ValueError, match="not a message type"):
            transport.send(msg_type, b"")
    for msg_type in (None, "TEXT"):
        with pytest.raises(TypeError):
            transport.send(msg_type, b"")
    for send in (transport.send_ping, transport.send_pong):
        with pytest.raises(ValueError, match="125 bytes"):
            send(b"x" * 126)
    with pytest.raises(ValueError, match="125 bytes"):
        transport.send(WSMsgType.PING, b"x" * 200)
    with pytest.raises(ValueError, match="fragmented"):
        transport.send(WSMsgType.PING, b"", fin=False)
    for code in (1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535, 70000, -1):
        with pytest.raises(ValueError, match="must not be sent"):
            transport.send_close(code)
    with pytest.raises(ValueError, match="needs a status code"):
        transport.send_close(WSCloseCode.NO_INFO, b"why")
    with pytest.raises(ValueError, match="123 bytes"):
        transport.send_close(WSCloseCode.OK, "x" * 124)
    with pytest.raises(UnicodeDecodeError):
        transport.send_close(WSCloseCode.OK, b"\xff")
    with pytest.raises(ValueError, match="two bytes"):
        transport.send(WSMsgType.CLOSE, b"\x03")
    for reason in (5, 2**60, [65, 66], {65: 1}):  # bytes() would make something of each
        with pytest.raises(TypeError, match="the reason of a CLOSE must be"):
            transport.send_close(WSCloseCode.OK, reason)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the body of a CLOSE must be"):
        transport.send(WSMsgType.CLOSE, 1000)  # type: ignore[arg-type]
    for lie in (Lying(b"x" * 500), LyingText("x" * 500)):
        with pytest.raises(ValueError, match="this one has 500"):
            transport.send_close(WSCloseCode.OK, lie)
    assert not transport.is_close_frame_sent
    assert transport.close_handshake is None
    transport.send(WSMsgType.TEXT, "still here")
    assert await peer.frame() == (0x81, b"still here")


async def test_flags_and_fragments(plain_net: Net) -> None:
    server, peer = await plain_net.server_and_peer()
    send = server.transport.send
    send(WSMsgType.TEXT, b"a", fin=False)
    send(WSMsgType.CONTINUATION, b"b", False)
    send(WSMsgType.PING, b"between")
    send(WSMsgType.CONTINUATION, b"c")
    send(WSMsgType.BINARY, b"d", True, True, False, False)
    send(WSMsgType.BINARY, b"e", rsv2=True)
    send(WSMsgType.BINARY, b"f", rsv3=True)
    assert [await peer.frame() for _ in range(7)] == [
        (0x01, b"a"),
        (0x00, b"b"),
        (0x89, b"between"),
        (0x80, b"c"),
        (0xC2, b"d"),
        (0xA2, b"e"),
        (0x92, b"f"),
    ]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70_000, 300_000])
async def test_send_reuse_external_bytearray(net: Net, size: int) -> None:
    server = await net.serve()
    transport, listener = await net.connect(server)
    payload = random_bytes(size)
    for offset in (14, 100):
        buffer = bytearray(offset) + payload
        transport.send_reuse_external_bytearray(WSMsgType.BINARY, buffer, offset)
        buffer[:] = bytes(len(buffer))  # ours again at once
        assert bytes(await listener.frame()) == payload
        with transport.cork():
            transport.send(WSMsgType.TEXT, "first")
            transport.send_reuse_external_bytearray(WSMsgType.BINARY, bytearray(offset) + payload, offset)
        assert bytes(await listener.frame()) == b"first"
        assert bytes(await listener.frame()) == payload


async def test_send_reuse_external_bytearray_refuses(plain_net: Net) -> None:
    server, _ = await plain_net.server_and_peer()
    send = server.transport.send_reuse_external_bytearray
    with pytest.raises(ValueError, match="14 bytes"):
        send(WSMsgType.BINARY, bytearray(20), 13)
    with pytest.raises(ValueError, match="14 bytes"):
        send(WSMsgType.BINARY, bytearray(20), -1)
    with pytest.raises(ValueError, match="behind the end"):
        send(WSMsgType.BINARY, bytearray(20), 21)
    with pytest.raises(ValueError, match="send_close"):
        send(WSMsgType.CLOSE, bytearray(20), 14)
    with pytest.raises(ValueError, match="not None"):
        send(WSMsgType.BINARY, None, 14)
    with pytest.raises(TypeError):
        send(WSMsgType.BINARY, b"x" * 20, 14)
    with pytest.raises(ValueError, match="125 bytes"):
        send(WSMsgType.PING, bytearray(200), 14)


async def test_client_frames_are_masked_with_changing_keys(plain_net: Net) -> None:
    """Never twice the same key (LESSONS 1); the processes of test_entropy.c show the rest."""
    keys: set[bytes] = set()

    async def handler(peer: RawPeer) -> None:
        await plain_net.accept_upgrade(peer)
        for _ in range(600):
            head = await peer.reader.readexactly(10)
            assert head[:2] == b"\x82\x84"
            keys.add(head[2:6])
        await peer.rest()

    port = await plain_net.raw_server(handler)
    transport, _ = await plain_net.connect(port)
    for _ in range(600):
        transport.send(WSMsgType.BINARY, b"\0\0\0\0")
    await until(lambda: len(keys) == 600)


# ------------------------------------------------------------------ order, corking, backlog


async def test_order_is_the_order_of_the_calls(net: Net) -> None:
    """Small and large, corked and not, direct and behind a backlog: mixed, and in order."""
    server = await net.serve()
    transport, listener = await net.connect(server)
    messages = []
    for round_ in range(60):
        size = (10, 200_000, 0, 65_537, 1_000)[round_ % 5]
        message = b"%05d" % round_ + b"x" * size
        messages.append(message)
        if round_ % 4 == 1:
            with transport.cork():
                transport.send(WSMsgType.BINARY, message)
                messages.append(b"corked")
                transport.send(WSMsgType.BINARY, b"corked")
        else:
            transport.send(WSMsgType.BINARY, message)
    for message in messages:
        assert bytes(await listener.frame()) == message


@pytest.mark.parametrize("how", ["send", "large", "in place", "broadcast", "cork"])
async def test_nothing_overtakes_the_backlog(plain_net: Net, how: str) -> None:
    """The system has room again, and the loop has not noticed yet: what waits in the transport goes first."""
    server, peer = await plain_net.server_and_peer()
    transport = server.transport
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    count = 0
    while transport.write_backlog_size < 10_000_000:
        transport.send(WSMsgType.BINARY, b"-" * 100_000)
        count += 1
    received = b""
    with socket.socket(fileno=os.dup(peer.writer.get_extra_info("socket").fileno())) as sock:
        while True:
            try:
                received += sock.recv(1_000_000, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
    last = b"l" * (1_000_000 if how == "large" else 10)
    if how == "in place":
        transport.send_reuse_external_bytearray(WSMsgType.BINARY, bytearray(14) + last, 14)
    elif how == "broadcast":
        broadcast([transport], WSMsgType.BINARY, last)
    elif how == "cork":
        with transport.cork():
            transport.send(WSMsgType.BINARY, last)
    else:
        transport.send(WSMsgType.BINARY, last)
    transport.disconnect()
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert received + await peer.rest() == frame_bytes(2, b"-" * 100_000) * count + frame_bytes(2, last)


async def test_cork_is_one_write(plain_net: Net) -> None:
    """Seen from outside: nothing arrives inside the block, everything after it."""
    server, peer = await plain_net.server_and_peer()
    transport = server.transport
    with transport.cork() as corked, transport.cork():
        assert corked is transport
        for index in range(50):
            transport.send(WSMsgType.BINARY, b"%d" % index)
        assert transport.write_backlog_size == sum(len(frame_bytes(2, b"%d" % index)) for index in range(50))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(peer.reader.read(1), 0.02)
    assert transport.write_backlog_size == 0
    data = await within(peer.reader.readexactly(sum(len(frame_bytes(2, b"%d" % index)) for index in range(50))))
    assert data == b"".join(frame_bytes(2, b"%d" % index) for index in range(50))


async def test_cork_in_the_callback_of_a_last_frame(plain_net: Net) -> None:
    """Without it the first answer would leave at once."""

    class Answers(Recorder):
        waiting: tuple[int, ...] = ()

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            with transport.cork():
                transport.send(WSMsgType.BINARY, b"one")
                first = transport.write_backlog_size
                transport.send(WSMsgType.BINARY, b"two")
                self.waiting = (first, transport.write_backlog_size)

    server, peer = await plain_net.server_and_peer(Answers)
    await peer.send(frame_bytes(WSMsgType.BINARY, b"?", mask=b"abcd"))
    assert [await peer.frame(), await peer.frame()] == [(0x82, b"one"), (0x82, b"two")]
    assert server.waiting == (5, 10)


async def test_cork_flushes_at_64_kib(plain_net: Net) -> None:
    server, peer = await plain_net.server_and_peer()
    with server.transport.cork():
        for _ in range(70):
            server.transport.send(WSMsgType.BINARY, b"x" * 1000)
        assert (await peer.frame())[1] == b"x" * 1000
    for _ in range(69):
        assert (await peer.frame())[1] == b"x" * 1000


async def test_replies_of_one_read_leave_in_one_segment(one_net: Net) -> None:
    """The listener's answers to frames of one read are one write (LESSONS: one send a frame is what others do)."""
    sizes: list[int] = []

    class Answering(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            transport.send(WSMsgType.BINARY, frame)
            sizes.append(transport.write_backlog_size)

    server = await one_net.serve(lambda request: Answering())
    peer = await one_net.raw(server)
    await peer.send(b"".join(client_frame(2, b"x" * 10) for _ in range(20)))
    assert await within(peer.reader.readexactly(20 * 12)) == frame_bytes(2, b"x" * 10) * 20
    assert sizes == [12 * count for count in range(1, 21)]  # gathered, not sent
    await peer.send(client_frame(2, b"y" * 10))
    await peer.frame()
    assert sizes[-1] == 0  # alone in its read: left at once


async def stop_reading(peer: RawPeer) -> None:
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]


async def test_backpressure(net: Net) -> None:
    """A peer that does not read: pause_writing, a visible backlog, drain() waits; it reads: all of it comes."""
    server, peer = await net.server_and_peer()
    transport = server.transport
    await stop_reading(peer)
    sent = 0
    # Far more than the kernel may take yet, on both sides together.
    while transport.write_backlog_size < 20_000_000:
        transport.send(WSMsgType.BINARY, b"x" * 100_000)
        sent += 1
        assert sent < 1000
    assert "pause" in server.events
    drained = asyncio.ensure_future(transport.drain())
    await asyncio.sleep(0.01)
    assert not drained.done()
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    for _ in range(sent):
        assert await peer.frame() == (0x82, b"x" * 100_000)
    await within(drained)
    await server.event("resume")
    await until(lambda: transport.write_backlog_size == 0)
    await within(transport.drain())  # at once
    transport.send(WSMsgType.TEXT, "after it")
    assert await peer.frame() == (0x81, b"after it")


async def test_drain_of_a_lost_connection_raises(plain_net: Net) -> None:
    server, peer = await plain_net.server_and_peer()
    await stop_reading(peer)
    while server.transport.write_backlog_size < 20_000_000:
        server.transport.send(WSMsgType.BINARY, b"x" * 100_000)
    drained = asyncio.ensure_future(server.transport.drain())
    await asyncio.sleep(0)
    server.transport.disconnect(graceful=False)
    with pytest.raises(ConnectionResetError):
        await within(drained)
    with pytest.raises(ConnectionResetError):
        await within(server.transport.drain())


@pytest.mark.parametrize("decision", ["default", "go on"])
async def test_max_write_backlog(net: Net, decision: str) -> None:
    asked = 0

    class Deciding(Recorder):
        def on_write_backlog(self, transport: WSTransport) -> None:
            nonlocal asked
            asked += 1
            assert 300_000 < transport.write_backlog_size < 400_000 or asked > 1
            if decision == "default":
                super().on_write_backlog(transport)

    made: list[Deciding] = []
    server = await net.serve(lambda request: made.append(Deciding()) or made[-1], max_write_backlog=300_000)
    peer = await net.raw(server)
    await until(lambda: made and made[0].transport)
    transport = made[0].transport
    assert transport is not None
    await stop_reading(peer)
    for _ in range(1000):
        transport.send(WSMsgType.BINARY, b"x" * 50_000)
        if asked:
            break
    assert asked == 1
    if decision == "default":
        await made[0].event("disconnected")
        assert transport.disconnect_reason.kind is WSDisconnectKind.LOCAL
        assert "max_write_backlog=300000" in transport.disconnect_reason.message
        transport.send(WSMsgType.BINARY, b"dropped")
    else:
        assert transport.write_backlog_size > 300_000
        assert transport.disconnect_reason is None
        transport.send(WSMsgType.BINARY, b"x")
        assert asked == 2


async def test_on_write_backlog_raises(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """As in any callback: nothing comes out of send, the connection fails."""

    class Raising(Recorder):
        def on_write_backlog(self, transport: WSTransport) -> None:
            raise KeyError("the policy")

    listener = Raising()
    peer = await net.raw(await net.serve(lambda request: listener, max_write_backlog=300_000))
    await listener.event("connected")
    await stop_reading(peer)
    transport = listener.transport
    while transport.disconnect_reason is None:
        transport.send(WSMsgType.BINARY, b"x" * 50_000)
    assert transport.disconnect_reason.kind is WSDisconnectKind.CALLBACK_ERROR
    assert isinstance(transport.disconnect_reason.exception, KeyError)
    assert transport.close_handshake.sent.code == WSCloseCode.INTERNAL_ERROR
    assert "on_write_backlog raised" in caplog.text
    transport.send(WSMsgType.BINARY, b"dropped")


# ------------------------------------------------------------------ the end


async def test_the_peer_ends_its_stream_under_a_cork(plain_net: Net) -> None:
    """It may read on after its half-close: what was corked leaves, what comes later is dropped, and nothing raises."""
    server, peer = await plain_net.server_and_peer()
    transport = server.transport
    with transport.cork():
        transport.send(WSMsgType.TEXT, "gathered")
        transport.send_close(WSCloseCode.OK)
        peer.writer.write_eof()
        await server.event("disconnected")
    assert await peer.rest() == frame_bytes(1, b"gathered") + frame_bytes(8, b"\x03\xe8")
    assert transport.disconnect_reason.kind is WSDisconnectKind.PEER


async def test_nothing_is_sent_after_close(net: Net) -> None:
    server, peer = await net.server_and_peer()
    transport = server.transport
    transport.send_close(WSCloseCode.GOING_AWAY, "maintenance")
    transport.send_close(WSCloseCode.OK)
    transport.send(WSMsgType.TEXT, "no")
    transport.send_ping()
    transport.send_pong(b"no")
    transport.send_reuse_external_bytearray(WSMsgType.BINARY, bytearray(20), 14)
    assert transport.is_close_frame_sent
    transport.disconnect()
    transport.disconnect()
    assert await peer.rest() == frame_bytes(8, b"\x03\xe9maintenance")
    peer.close()
    await server.event("disconnected")
    transport.send(WSMsgType.TEXT, "no")
    transport.disconnect()
    transport.disconnect(graceful=False)
    await within(transport.wait_disconnected())
    assert server.events == ["connected", "disconnected"]
    assert transport.is_disconnected
    assert transport.write_backlog_size == 0
    assert transport.disconnect_reason.kind is WSDisconnectKind.LOCAL


@pytest.mark.parametrize(
    ("arguments", "payload"),
    [
        ((), b""),
        ((WSCloseCode.NO_INFO,), b""),
        ((WSCloseCode.NO_INFO, None), b""),
        ((WSCloseCode.NO_INFO, b""), b""),
        ((1000,), b"\x03\xe8"),
        ((4999, "ü" * 61), b"\x13\x87" + "ü".encode() * 61),
        ((3000, bytearray(b"ba")), b"\x0b\xb8ba"),
    ],
    ids=repr,
)
async def test_close_payloads(one_net: Net, arguments: tuple[Any, ...], payload: bytes) -> None:
    server, peer = await one_net.server_and_peer()
    server.transport.send_close(*arguments)
    assert await peer.frame() == (0x88, payload)


async def test_send_of_a_raw_close_is_a_close(plain_net: Net) -> None:
    server, peer = await plain_net.server_and_peer()
    server.transport.send(WSMsgType.CLOSE, b"\x03\xe8why")
    server.transport.send(WSMsgType.TEXT, b"no")
    assert server.transport.is_close_frame_sent
    assert server.transport.close_handshake.sent == (WSCloseCode.OK, "why")
    server.transport.disconnect()
    assert await peer.rest() == frame_bytes(8, b"\x03\xe8why")


async def test_graceful_disconnect_sends_the_backlog_first(net: Net) -> None:
    server, peer = await net.server_and_peer()
    await stop_reading(peer)
    for _ in range(50):
        server.transport.send(WSMsgType.BINARY, b"x" * 100_000)
    assert server.transport.write_backlog_size > 0
    server.transport.disconnect()
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert await peer.rest() == frame_bytes(2, b"x" * 100_000) * 50
    peer.close()
    await server.event("disconnected")


async def test_graceful_disconnect_sends_what_has_gathered(plain_net: Net) -> None:
    server, peer = await plain_net.server_and_peer()
    with server.transport.cork():
        server.transport.send(WSMsgType.TEXT, "gathered")
        server.transport.disconnect()
    assert await peer.rest() == frame_bytes(1, b"gathered")


async def test_ungraceful_disconnect_drops_the_backlog(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and not because the patience with a peer that takes nothing has ended."""
    from ws_core import _linger

    monkeypatch.setattr(_linger, "PATIENCE_S", 60.0)
    server, peer = await net.server_and_peer()
    await stop_reading(peer)
    for _ in range(100):
        server.transport.send(WSMsgType.BINARY, b"x" * 100_000)
    server.transport.disconnect()
    server.transport.disconnect(graceful=False)
    await server.event("disconnected")
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    with contextlib.suppress(ConnectionError):
        assert len(await peer.rest()) < 100 * 100_000


async def test_a_close_reaches_a_peer_that_is_still_sending(plain_net: Net) -> None:
    """Closing with unread input would send RST, and the peer would never read the CLOSE (LESSONS 17)."""
    server, peer = await plain_net.server_and_peer()
    flood = asyncio.ensure_future(peer.send(client_frame(2, b"x" * 50_000) * 100))
    await server.frame()
    server.transport.send_close(WSCloseCode.TRY_AGAIN_LATER, "busy")
    server.transport.disconnect()
    assert await peer.frame() == (0x88, b"\x03\xf5busy")
    await within(flood)
    peer.close()
    await server.event("disconnected")


async def test_a_dead_peer_does_not_hold_the_socket(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """It neither reads nor closes: its socket is cut after a bounded wait."""
    from ws_core import _linger

    monkeypatch.setattr(_linger, "PATIENCE_S", 0.05)
    server, peer = await net.server_and_peer()
    await stop_reading(peer)
    for _ in range(100):
        server.transport.send(WSMsgType.BINARY, b"x" * 100_000)
    server.transport.send_close(WSCloseCode.OK)
    server.transport.disconnect()
    await server.event("disconnected")


async def test_a_close_waits_for_a_slow_peer(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it takes something it is not cut, also where the loop's TLS does not say how much waits."""
    from ws_core import _ending, _linger

    made: list[_linger.Linger] = []

    class Kept(_linger.Linger):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(_linger, "PATIENCE_S", 60.0)
    monkeypatch.setattr(_ending, "Linger", Kept)
    server, peer = await net.server_and_peer()
    server.transport.send(WSMsgType.BINARY, b"x" * 30_000_000)  # more than what the system takes
    server.transport.send_close(WSCloseCode.OK)
    server.transport.disconnect()
    underlying = server.transport.underlying_transport
    for _ in range(3):
        taken = _linger._taken(underlying)
        await within(peer.reader.readexactly(3_000_000))
        await until(lambda taken=taken: _linger._taken(underlying) > taken)
        made[0]._look()  # its time is up
        await asyncio.sleep(0.01)
        assert "disconnected" not in server.events
    # But not for ever.
    made[0]._deadline = 0.0
    taken = _linger._taken(underlying)
    await within(peer.reader.readexactly(3_000_000))
    await until(lambda: _linger._taken(underlying) > taken)
    made[0]._look()
    await server.event("disconnected")


async def test_close_waits_for_the_peers_close(net: Net) -> None:
    server, peer = await net.server_and_peer()
    closing = asyncio.ensure_future(server.transport.close(WSCloseCode.GOING_AWAY, "bye"))
    assert await peer.frame() == (0x88, b"\x03\xe9bye")
    await peer.send(client_frame(1, b"on its way"))
    await server.frame()
    assert not closing.done()
    await peer.send(client_frame(8, b"\x03\xe9"))
    assert await peer.rest() == b""
    peer.close()
    await within(closing)
    assert server.events == ["connected", "frame", "frame", "disconnected"]
    handshake = server.transport.close_handshake
    assert handshake.sent == (WSCloseCode.GOING_AWAY, "bye")
    assert handshake.recv == (WSCloseCode.GOING_AWAY, None)
    assert not handshake.recv_then_sent
    assert server.transport.disconnect_reason.kind is WSDisconnectKind.LOCAL
    await within(server.transport.close())  # at once


async def test_close_gives_up_on_a_silent_peer(net: Net) -> None:
    server, peer = await net.server_and_peer()
    await within(server.transport.close(timeout=0.05))
    assert server.transport.disconnect_reason.kind is WSDisconnectKind.TIMEOUT
    assert server.events == ["connected", "disconnected"]
    for timeout in (-1, float("nan"), "soon"):
        with pytest.raises(ValueError, match="timeout"):
            await server.transport.close(timeout=timeout)
    del peer


async def test_close_of_a_connection_that_the_peer_drops(net: Net) -> None:
    server, peer = await net.server_and_peer()
    closing = asyncio.ensure_future(server.transport.close())
    await peer.frame()
    peer.writer.transport.abort()
    await within(closing)
    assert server.events == ["connected", "disconnected"]


async def test_close_is_cancelled(plain_net: Net) -> None:
    server, peer = await plain_net.server_and_peer()
    closing = asyncio.ensure_future(server.transport.close())
    await peer.frame()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not server.transport.is_disconnected
    again = asyncio.ensure_future(server.transport.close())
    await peer.send(client_frame(8, b""))
    peer.close()
    await within(again)


async def test_fail(net: Net) -> None:
    """How an extension ends a connection: first cause, a CLOSE with it, and the end."""
    server, peer = await net.server_and_peer()
    with pytest.raises(TypeError, match="WSDisconnectReason"):
        server.transport.fail(1001, "gone")
    reason = WSDisconnectReason(WSDisconnectKind.TIMEOUT, "no answer")
    server.transport.fail(WSCloseCode.GOING_AWAY, reason)
    server.transport.fail(WSCloseCode.OK, WSDisconnectReason(WSDisconnectKind.LOCAL, "second"))
    assert await peer.rest() == frame_bytes(8, b"\x03\xe9no answer")
    peer.close()
    await server.event("disconnected")
    assert server.transport.disconnect_reason == reason
    assert server.transport.listener is None


async def test_fail_with_an_exception(plain_net: Net) -> None:
    server, client = await plain_net.pair()
    assert client.transport.listener is client
    error = RuntimeError("secret detail")
    client.transport.fail(
        WSCloseCode.INTERNAL_ERROR, WSDisconnectReason(WSDisconnectKind.CALLBACK_ERROR, "secret detail", error)
    )
    with pytest.raises(RuntimeError, match="secret detail"):
        await within(client.transport.wait_disconnected())
    close = await server.frame()
    assert (close.get_close_code(), close.get_close_reason()) == (WSCloseCode.INTERNAL_ERROR, None)


# ------------------------------------------------------------------ properties


async def test_properties(net: Net) -> None:
    server, client = await net.pair()
    for side, recorder in ((False, server), (True, client)):
        transport = recorder.transport
        assert transport.is_client_side is side
        assert transport.is_secure is net.tls
        assert transport.request.path == b"/"
        assert transport.response.status == 101
        assert transport.subprotocol is None
        assert not transport.is_close_frame_sent
        assert not transport.is_disconnected
        assert transport.close_handshake is None
        assert transport.disconnect_reason is None
        assert "open" in repr(transport)
        for name in ("is_client_side", "underlying_transport", "request", "disconnect_reason", "stats"):
            with pytest.raises(AttributeError):
                setattr(transport, name, None)
        sock = transport.underlying_transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    client.transport.user_data["key"] = 1
    assert client.transport.user_data == {"key": 1}


async def test_stats(net: Net) -> None:
    server, client = await net.pair()
    assert client.transport.stats[:4] == (0, 0, 0, 0)
    client.transport.send(WSMsgType.BINARY, b"x" * 200)
    client.transport.send_ping(b"p")
    await server.frame()
    await until(lambda: client.transport.stats.frames_in == 1)
    assert client.transport.stats[:4] == (1, 3, 2, 208 + 7)
    assert server.transport.stats[:4] == (2, 208 + 7, 1, 3)
    loop = asyncio.get_running_loop()
    before = server.transport.stats.last_data_time
    assert abs(loop.time() - before) < 5
    client.transport.send(WSMsgType.BINARY, b"x")
    await server.frame()
    assert server.transport.stats.last_data_time > before


async def test_a_transport_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError, match="ws_connect"):
        WSTransport()
    with pytest.raises(TypeError):
        type("T", (WSTransport,), {})
