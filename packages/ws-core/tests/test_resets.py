"""A peer that resets the connection right behind its data: the data is delivered, then the connection ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import pytest

from harness import Net, RawPeer, Recorder, client_frame, frame_bytes, request_bytes, until, within
from ws_core import WSDisconnectKind, WSFrame, WSMsgType, WSTransport


def reset(sock: socket.socket) -> None:
    """The next close of this socket sends RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_a_frame_and_a_reset_at_once(plain_net: Net) -> None:
    """The loop sees both with its next look at the socket."""
    listener = Recorder()
    server = await plain_net.serve(lambda request: listener)
    sock = socket.create_connection(("127.0.0.1", plain_net.port(server)))
    sock.sendall(request_bytes())
    await listener.event("connected")
    sock.sendall(client_frame(1, b"the last words"))
    reset(sock)
    sock.close()
    await listener.event("disconnected")
    assert [frame.get_payload_as_bytes() for frame in listener.frames] == [b"the last words"]
    assert listener.transport.disconnect_reason.kind is WSDisconnectKind.NETWORK_ERROR
    assert isinstance(listener.transport.disconnect_reason.exception, ConnectionResetError)
    assert not server.connections


@pytest.mark.parametrize("size", [20, 1_000_000])
@pytest.mark.parametrize("is_client", [False, True], ids=["server", "client"])
async def test_a_reset_while_reading_is_paused(net: Net, is_client: bool, size: int) -> None:
    """However long the listener takes, it gets all that came, then the end."""
    listener = Recorder()
    peers: list[RawPeer] = []
    if is_client:

        async def serve(peer: RawPeer) -> None:
            await net.accept_upgrade(peer)
            peers.append(peer)

        _, listener = await net.connect(await net.raw_server(serve))
    else:
        peers.append(await net.raw(await net.serve(lambda request: listener)))
    await until(lambda: peers and listener.transport)
    transport = listener.transport
    transport.underlying_transport.pause_reading()
    sock = transport.underlying_transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * size)

    peer = peers[0]
    payload = bytes(size)
    peer.writer.write(frame_bytes(2, payload) if is_client else client_frame(2, payload))
    await until(lambda: peer.writer.transport.get_write_buffer_size() == 0)
    reset(peer.writer.get_extra_info("socket"))
    peer.writer.transport.abort()
    await asyncio.sleep(0.1)  # so that the loop would have seen it, were it not for the pause
    assert not listener.frames

    transport.underlying_transport.resume_reading()
    await listener.event("disconnected")
    if net.fast is not False or not net.tls:  # the TLS of asyncio and of uvloop drops what it was not asked for in time
        assert [frame.payload_size for frame in listener.frames] == [size]
    assert transport.disconnect_reason is not None


async def test_a_reset_while_a_listener_pauses_again_and_again(plain_net: Net) -> None:
    """Reading in small steps, as under backpressure."""

    class Sipping(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            super().on_ws_frame(transport, frame)
            if transport.underlying_transport.is_reading():
                transport.underlying_transport.pause_reading()
                asyncio.get_running_loop().call_later(0.01, transport.underlying_transport.resume_reading)

    listener = Sipping()
    server = await plain_net.serve(lambda request: listener)
    sock = socket.create_connection(("127.0.0.1", plain_net.port(server)))
    sock.setblocking(False)
    sock.sendall(request_bytes())
    await listener.event("connected")
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.sendall(client_frame(2, bytes(1000)))
    reset(sock)
    sock.close()
    await listener.event("disconnected")
    assert listener.frames
    assert {frame.msg_type for frame in listener.frames} == {WSMsgType.BINARY}
    await within(listener.transport.wait_disconnected())
