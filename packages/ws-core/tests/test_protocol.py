"""The receive side: rules of RFC 6455 over real sockets, half frames, what is delivered before an error."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import socket

import pytest

from harness import Net, RawPeer, Recorder, client_frame, frame_bytes, random_bytes, request_bytes, until, within
from ws_core import WSCloseCode, WSDisconnectKind, WSFrame, WSMsgType, WSProtocolError, WSTransport

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10

# name: frames of a client; how many of them are delivered; close code
VIOLATIONS: dict[str, tuple[bytes, int, int]] = {
    "rsv1": (client_frame(BINARY, b"x", rsv=4), 0, 1002),
    "rsv2 on a control frame": (client_frame(PING, rsv=2), 0, 1002),
    "opcode 3": (client_frame(3, b"x"), 0, 1002),
    "opcode 11": (client_frame(11), 0, 1002),
    "fragmented ping": (client_frame(PING, fin=False), 0, 1002),
    "long ping": (client_frame(PING, b"x" * 126), 0, 1002),
    "not masked": (frame_bytes(BINARY, b"x"), 0, 1002),
    "orphan continuation": (client_frame(CONT, b"x"), 0, 1002),
    "text inside text": (client_frame(TEXT, b"x", fin=False) + client_frame(TEXT, b"y"), 1, 1002),
    "length in 2 bytes": (client_frame(BINARY, b"x" * 125, length_bytes=2), 0, 1002),
    "length in 8 bytes": (client_frame(BINARY, b"x" * 65535, length_bytes=8), 0, 1002),
    "length 2^63": (client_frame(BINARY, length=2**63, length_bytes=8), 0, 1002),
    "length 2^63+1": (client_frame(BINARY, length=2**63 + 1, length_bytes=8), 0, 1002),
    "length 2^64-1": (client_frame(BINARY, length=2**64 - 1, length_bytes=8), 0, 1002),
    "length 2^63-1": (client_frame(BINARY, length=2**63 - 1, length_bytes=8), 0, 1009),
    "too big": (client_frame(BINARY, length=10 * 1024 * 1024 + 1), 0, 1009),
    "bad utf-8": (client_frame(TEXT, b"ok\xff"), 0, 1007),
    "bad utf-8 in the second fragment": (
        client_frame(TEXT, b"\xe2\x82", fin=False) + client_frame(CONT, b"\x41"),
        1,
        1007,
    ),
    "utf-8 that ends early": (client_frame(TEXT, b"\xe2\x82"), 0, 1007),
    "surrogate": (client_frame(TEXT, b"\xed\xa0\x80"), 0, 1007),
    "close of one byte": (client_frame(CLOSE, b"\x03"), 0, 1002),
    "close 1005": (client_frame(CLOSE, b"\x03\xed"), 0, 1002),
    "close 0": (client_frame(CLOSE, b"\x00\x00"), 0, 1002),
    "close 65535": (client_frame(CLOSE, b"\xff\xff"), 0, 1002),
    "close with bad utf-8": (client_frame(CLOSE, b"\x03\xe8\xff"), 0, 1007),
}


@pytest.mark.parametrize("name", VIOLATIONS)
async def test_violations(one_net: Net, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """What was valid before the error is delivered; then a CLOSE with the right code, and the end."""
    data, delivered, code = VIOLATIONS[name]
    caplog.set_level(logging.INFO, logger="ws_core")
    server, peer = await one_net.server_and_peer()
    before = client_frame(BINARY, b"one") + client_frame(PING, b"p")
    await peer.send(before + data + client_frame(BINARY, b"never"))
    assert await peer.frame() == (0x8A, b"p")
    first, payload = await peer.frame()
    assert first == 0x88
    assert int.from_bytes(payload[:2], "big") == code
    assert await peer.rest() == b""
    peer.close()
    await server.event("disconnected")
    assert server.events == ["connected", *["frame"] * (1 + delivered), "disconnected"]
    reason = server.transport.disconnect_reason
    assert reason.kind is WSDisconnectKind.PROTOCOL_ERROR
    assert isinstance(reason.exception, WSProtocolError)
    assert reason.exception.code == code
    await within(server.transport.wait_disconnected())  # a server does not raise
    assert [record.levelname for record in caplog.records if record.name == "ws_core.server"] == ["INFO"]


@pytest.mark.parametrize("name", ["bad utf-8 in the second fragment", "too big", "close 1005"])
async def test_violations_on_every_network(net: Net, name: str) -> None:
    data, delivered, code = VIOLATIONS[name]
    server, peer = await net.server_and_peer()
    await peer.send(client_frame(BINARY, b"one") + data)
    assert await peer.frame() == (0x88, code.to_bytes(2, "big") + (await _reason(server)).encode())
    peer.close()
    await server.event("disconnected")
    assert server.events.count("frame") == 1 + delivered


async def _reason(server: Recorder) -> str:
    await until(lambda: server.transport.disconnect_reason)
    return server.transport.disconnect_reason.message


async def test_a_client_raises_the_violation(net: Net) -> None:
    async def handler(peer: RawPeer) -> None:
        await net.accept_upgrade(peer)
        await peer.send(frame_bytes(TEXT, b"fine") + client_frame(TEXT, b"masked"))
        assert (await peer.frame())[1][:2] == b"\x03\xea"
        peer.close()

    transport, client = await net.connect(await net.raw_server(handler))
    with pytest.raises(WSProtocolError, match="masked") as caught:
        await within(transport.wait_disconnected())
    assert caught.value.code is WSCloseCode.PROTOCOL_ERROR
    assert client.events == ["connected", "frame", "disconnected"]
    with pytest.raises(WSProtocolError):  # every time
        await transport.wait_disconnected()


async def test_bad_utf8_fails_when_its_byte_comes(one_net: Net) -> None:
    """Inside a half-received frame of which the rest never comes (Autobahn 6.4)."""
    _, peer = await one_net.server_and_peer()
    frame = client_frame(TEXT, b"x" * 50 + b"\xf4\x90" + b"y" * 5_000)
    await peer.send(frame[: 8 + 51])
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(peer.reader.read(1), 0.03)
    await peer.send(frame[8 + 51 : 8 + 52])
    assert (await peer.frame())[1][:2] == b"\x03\xef"


async def test_lenient_hands_over_what_comes(plain_net: Net) -> None:
    server, peer = await plain_net.server_and_peer(strict=False)
    frames = [
        client_frame(BINARY, b"rsv", rsv=7),
        client_frame(CONT, b"orphan"),
        client_frame(TEXT, b"open", fin=False),
        client_frame(TEXT, b"inside"),
        client_frame(TEXT, b"\xff\xfe"),
        client_frame(CLOSE, b"\x00\x05\xff"),
        client_frame(CLOSE, b"\x01"),
        client_frame(TEXT, b"after close"),
    ]
    await peer.send(b"".join(frames))
    got = [await server.frame() for _ in frames]
    assert [bytes(frame) for frame in got[:5]] == [b"rsv", b"orphan", b"open", b"inside", b"\xff\xfe"]
    assert got[5].get_close_code() == 5
    assert got[6].get_close_code() is WSCloseCode.NO_INFO
    assert server.transport.close_handshake.recv == (5, None)
    # Framing that makes no sense is refused all the same.
    await peer.send(client_frame(BINARY, length=2**63, length_bytes=8))
    assert (await peer.frame())[1][:2] == b"\x03\xea"


async def test_nothing_is_delivered_after_close(net: Net) -> None:
    """RFC 6455 section 5.5.1, also for a second CLOSE in the same read (LESSONS 20) and for broken bytes."""
    server, peer = await net.server_and_peer()
    await peer.send(
        client_frame(CLOSE, b"\x03\xe8") + client_frame(CLOSE, b"\x03\xe9") + client_frame(TEXT, b"x") + b"\xff" * 50
    )
    await server.frame()
    server.transport.send_close(WSCloseCode.OK)
    server.transport.disconnect()
    assert await peer.rest() == frame_bytes(CLOSE, b"\x03\xe8")
    peer.close()
    await server.event("disconnected")
    assert server.events == ["connected", "frame", "disconnected"]
    assert server.transport.close_handshake.recv == (WSCloseCode.OK, None)
    assert server.transport.close_handshake.recv_then_sent
    assert server.transport.disconnect_reason.kind is WSDisconnectKind.PEER


async def test_byte_by_byte(plain_net: Net) -> None:
    """As far as the kernel lets it be so; test_pieces.py has every cut there is."""
    server, peer = await plain_net.server_and_peer()
    messages = [b"", b"x", random_bytes(130), random_bytes(1000)]
    for byte in b"".join(client_frame(BINARY, message) for message in messages):
        peer.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    for message in messages:
        assert bytes(await server.frame()) == message


async def test_fragments_with_control_frames_between(net: Net) -> None:
    server, peer = await net.server_and_peer(enable_auto_pong=False)
    await peer.send(
        client_frame(TEXT, b"a", fin=False)
        + client_frame(PING, b"ping")
        + client_frame(CONT, b"b", fin=False)
        + client_frame(PONG, b"pong")
        + client_frame(CONT, b"c")
    )
    frames = [await server.frame() for _ in range(5)]
    assert [(frame.msg_type, bytes(frame), frame.fin) for frame in frames] == [
        (WSMsgType.TEXT, b"a", False),
        (WSMsgType.PING, b"ping", True),
        (WSMsgType.CONTINUATION, b"b", False),
        (WSMsgType.PONG, b"pong", True),
        (WSMsgType.CONTINUATION, b"c", True),
    ]


async def test_auto_pong(net: Net) -> None:
    server, peer = await net.server_and_peer()
    await peer.send(client_frame(PING, b"x" * 125) + client_frame(PING) + client_frame(PONG, b"unasked"))
    assert await peer.frame() == (0x8A, b"x" * 125)
    assert await peer.frame() == (0x8A, b"")
    assert (await server.frame()).msg_type is WSMsgType.PONG
    assert server.events == ["connected", "frame"]


@pytest.mark.parametrize("limit", [0, 1, 125, 126, 70_000])
async def test_max_frame_size(plain_net: Net, limit: int) -> None:
    server, peer = await plain_net.server_and_peer(max_frame_size=limit)
    await peer.send(client_frame(BINARY, b"x" * limit) + client_frame(PING, b"y" * 125))
    assert len(await server.frame()) == limit
    assert (await peer.frame())[0] == 0x8A  # control frames have a limit of their own
    await peer.send(client_frame(BINARY, length=limit + 1))
    assert (await peer.frame())[1][:2] == b"\x03\xf1"


def rss() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


async def test_an_announced_size_costs_nothing(one_net: Net) -> None:
    """A hundred peers announce 1 GiB each, send a little, and go quiet (DESIGN: what has arrived counts)."""
    server = await one_net.serve(lambda request: Recorder(), max_frame_size=2**30)
    peers = [await one_net.raw(server) for _ in range(100)]
    gc.collect()
    before = rss()
    for peer in peers:
        await peer.send(client_frame(BINARY, b"x" * 1000, length=2**30))
    await until(lambda: all(transport.stats.last_data_time for transport in server.connections))
    await asyncio.sleep(0.05)
    assert rss() - before < 20 * 1024 * 1024


async def test_a_large_frame_leaves_nothing_behind(plain_net: Net) -> None:
    """LESSONS 11: the reference keeps 65 MB after one frame of 64 MB."""

    class Counting(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            self.size = len(frame)
            self._note("frame")

    made: list[Counting] = []
    server = await plain_net.serve(lambda request: made.append(Counting()) or made[-1], max_frame_size=2**27)
    data = client_frame(BINARY, mask=bytes(4), length=2**26) + bytes(2**26)

    def send() -> None:
        # From a blocking socket in a thread: what an asyncio transport keeps of its backlog is not ours to count.
        with socket.create_connection(("127.0.0.1", plain_net.port(server))) as sock:
            sock.sendall(request_bytes())
            sock.recv(1000)
            sock.sendall(data)
            sock.recv(1)

    gc.collect()
    before = rss()
    sending = asyncio.get_running_loop().run_in_executor(None, send)
    await until(lambda: made)
    await made[0].event("frame")
    assert made[0].size == 2**26
    made[0].transport.disconnect()
    await within(sending)
    gc.collect()
    assert rss() - before < 16 * 1024 * 1024


async def test_frames_of_a_read_all_at_once(net: Net) -> None:
    """on_ws_frames gets all frames of a read; PINGs are answered before; an error comes after them."""

    class Batch(Recorder):
        def on_ws_frames(self, transport: WSTransport, frames: list[WSFrame]) -> None:
            self.batches = [*getattr(self, "batches", []), [bytes(frame) for frame in frames]]
            self._note("batch")

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            raise AssertionError("must not be called")

    made: list[Batch] = []
    server = await net.serve(lambda request: made.append(Batch()) or made[-1])
    peer = await net.raw(server)
    await peer.send(client_frame(BINARY, b"a") + client_frame(PING) + client_frame(BINARY, b"b") + client_frame(3))
    assert (await peer.frame())[0] == 0x8A
    assert (await peer.frame())[0] == 0x88
    peer.close()
    await made[0].event("disconnected")
    assert [item for batch in made[0].batches for item in batch] == [b"a", b"b"]


async def test_reads_inside_a_callback(plain_net: Net) -> None:
    """A callback that runs another connection's reader does not disturb the frames that are dispatched."""
    server = await plain_net.serve()
    inner, inner_listener = await plain_net.connect(server)
    seen: list[bytes] = []

    class Outer(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            protocol = inner.underlying_transport.get_protocol()
            view = protocol.get_buffer(-1)
            data = frame_bytes(BINARY, b"inner" * 20)
            view[: len(data)] = data
            protocol.buffer_updated(len(data))
            seen.append(bytes(frame))
            self._note("frame")

    if plain_net.fast is False:
        return  # the loops' own transports hide their protocol behind get_protocol, too; one network is enough
    outer, outer_listener = await plain_net.connect(server, Outer)
    messages = [b"outer%03d" % index for index in range(100)]
    with outer.cork():
        for message in messages:
            outer.send(WSMsgType.BINARY, message)
    await outer_listener.event("frame", 100)
    assert seen == messages
    assert [bytes(frame) for frame in inner_listener.frames] == [b"inner" * 20] * 100


@pytest.mark.parametrize("size", [2_000, 70_001, 200_000])
async def test_reads_go_to_the_beginning_of_a_cache_line(one_net: Net, size: int) -> None:
    """The kernel copies there five times as fast as to some other addresses (_memory.h)."""

    def place() -> int:
        return ctypes.addressof(ctypes.c_char.from_buffer(protocol.get_buffer(-1))) % 64

    _, client = await one_net.pair()
    protocol = client.transport.underlying_transport.get_protocol()
    assert place() == 0
    data = frame_bytes(BINARY, b"kept") + frame_bytes(BINARY, bytes(size))[: size // 3]
    protocol.get_buffer(-1)[: len(data)] = data
    protocol.buffer_updated(len(data))
    assert place() == 0  # behind the half frame
    rest = frame_bytes(BINARY, bytes(size))[size // 3 :]
    while rest:
        view = protocol.get_buffer(-1)
        view[: len(rest)] = rest[: len(view)]
        protocol.buffer_updated(min(len(view), len(rest)))
        rest = rest[len(view) :]
    assert [len(await client.frame()) for _ in range(2)] == [4, size]
    assert place() == 0  # behind the frame that is kept


@pytest.mark.parametrize("keep", [False, True], ids=["views dropped", "views kept"])
async def test_room_grows_under_a_large_frame(one_net: Net, keep: bool) -> None:
    """Mapped memory moves when it grows, unless somebody still has a view of it: that one stays good."""
    server, client = await one_net.pair(client_kwargs={"max_frame_size": 1 << 28})
    protocol = client.transport.underlying_transport.get_protocol()
    payload = random_bytes(40 * 1024 * 1024)
    kept: list[memoryview] = []
    rest = memoryview(frame_bytes(BINARY, payload))
    while rest:
        view = protocol.get_buffer(-1)
        size = min(len(view), len(rest))
        view[:size] = rest[:size]
        if keep:
            kept.append(view)
        protocol.buffer_updated(size)
        rest = rest[size:]
    frame = await client.frame()
    assert bytes(frame) == payload
    for view in kept[:-1]:
        view[: len(view)] = bytes(len(view))
    assert keep is False or len({len(view) for view in kept}) > 4
    kept.clear()
    server.transport.send(WSMsgType.BINARY, b"goes on")
    assert bytes(await client.frame()) == b"goes on"


async def test_the_protocol_object_survives_misuse(one_net: Net) -> None:
    """It can be reached from Python, so it must not crash from Python."""
    server, client = await one_net.pair()
    protocol = client.transport.underlying_transport.get_protocol()
    with pytest.raises(ValueError, match="negative"):
        protocol.buffer_updated(-1)
    with pytest.raises(RuntimeError, match="get_buffer"):
        protocol.buffer_updated(10)
    view = protocol.get_buffer(-1)
    with pytest.raises(RuntimeError, match="get_buffer"):
        protocol.buffer_updated(len(view) + 1)
    protocol.buffer_updated(0)
    with pytest.raises(RuntimeError, match="one connection"):
        protocol.connection_made(client.transport.underlying_transport)
    with pytest.raises(RuntimeError, match="open or gone"):
        protocol.opened(Recorder(), None, None, None, b"")
    with pytest.raises(TypeError):
        type(protocol)(None, None)
    kept = protocol.get_buffer(-1)
    for size in (10, 100_000):
        server.transport.send(WSMsgType.BINARY, b"x" * size)
        assert bytes(await client.frame()) == b"x" * size
    kept[:5] = b"hello"
    for arguments in ((), (None, None), (object(), None)):
        with pytest.raises(TypeError):
            type(protocol).__new__(type(protocol), *arguments)
    cork = client.transport.cork()
    with pytest.raises(TypeError):
        type(cork).__new__(type(cork), None)
    bare = WSTransport.__new__(WSTransport)
    for use in (lambda: bare.send(WSMsgType.TEXT, "x"), lambda: bare.write_backlog_size, lambda: bare.user_data):
        with pytest.raises(RuntimeError, match="is made by ws_connect"):
            use()
    assert bare.stats.frames_in == 0
    assert "open" in repr(bare)
    client.transport.disconnect(graceful=False)
    await within(client.transport.wait_disconnected())
    for _ in range(2):
        protocol.get_buffer(-1)
        protocol.buffer_updated(5)
        protocol.eof_received()
        protocol.pause_writing()
        protocol.resume_writing()
        protocol.connection_lost(None)
    assert client.events.count("disconnected") == 1
