"""Paragraphs of the topic guides that no other file is about: how callbacks come, how one closes, socket options."""

from __future__ import annotations

import asyncio
import socket

import pytest

from harness import Net, RawPeer, Recorder, client_frame, frame_bytes, until, within
from ws_core import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport


async def test_callbacks_do_not_wait_for_the_loop(plain_net: Net) -> None:
    """All frames of a read are given to the listener within that read: no task, no queue in between."""
    order: list[str] = []

    class Listener(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            order.append(frame.get_payload_as_ascii_text())
            asyncio.get_running_loop().call_soon(order.append, "next turn")
            super().on_ws_frame(transport, frame)

    listener, peer = await plain_net.server_and_peer(Listener)
    await peer.send(client_frame(1, b"one") + client_frame(1, b"two") + client_frame(1, b"three"))
    await listener.event("frame", 3)
    await until(lambda: len(order) == 6)
    assert order == ["one", "two", "three", *["next turn"] * 3]
    # And they have been called when the transport's report of what it has read returns.
    protocol = listener.transport.underlying_transport.get_protocol()
    data = client_frame(1, b"four") + client_frame(1, b"five")
    protocol.get_buffer(-1)[: len(data)] = data
    protocol.buffer_updated(len(data))
    assert order[6:] == ["four", "five"]


async def test_a_message_in_pieces_is_not_put_together(net: Net) -> None:
    """Each fragment comes when it is there, also while the rest of the message is not."""
    server, peer = await net.server_and_peer()
    await peer.send(client_frame(1, b"first", fin=False))
    frame = await server.frame()
    assert (frame.msg_type, frame.fin, bytes(frame)) == (WSMsgType.TEXT, False, b"first")
    await peer.send(client_frame(0, b"second", fin=False))
    frame = await server.frame()
    assert (frame.msg_type, frame.fin, bytes(frame)) == (WSMsgType.CONTINUATION, False, b"second")
    await peer.send(client_frame(0, b"third"))
    frame = await server.frame()
    assert (frame.msg_type, frame.fin, bytes(frame)) == (WSMsgType.CONTINUATION, True, b"third")


# ------------------------------------------------------------------ closing


async def test_a_close_of_the_peer_is_not_answered_by_itself(net: Net) -> None:
    """It goes to the listener, and the connection stays as it is until the listener has decided."""
    server, peer = await net.server_and_peer()
    await peer.send(client_frame(8, b"\x03\xe9going"))
    close = await server.frame()
    assert (close.get_close_code(), close.get_close_message()) == (WSCloseCode.GOING_AWAY, b"going")
    transport = server.transport
    assert not transport.is_close_frame_sent
    assert not transport.underlying_transport.is_closing()
    transport.send(WSMsgType.TEXT, "the last word")
    transport.disconnect()
    assert await peer.rest() == frame_bytes(1, b"the last word")


async def test_disconnect_does_not_send_a_close(net: Net) -> None:
    server, peer = await net.server_and_peer()
    server.transport.disconnect()
    assert await peer.rest() == b""
    assert server.transport.close_handshake is None


class Closing(Recorder):
    """Answers a CLOSE as the guide does: the same calls, whoever began."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        super().on_ws_frame(transport, frame)
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


@pytest.mark.parametrize(
    "body", [b"", b"\x03\xe8", b"\x03\xe9going", b"\x0f\xa0" + "grün".encode()], ids=["empty", "ok", "reason", "own"]
)
async def test_a_close_is_echoed_by_the_listener(net: Net, body: bytes) -> None:
    server, peer = await net.server_and_peer(Closing)
    await peer.send(client_frame(8, body))
    assert await peer.rest() == frame_bytes(8, body)
    peer.close()
    await server.event("disconnected")
    assert server.transport.close_handshake.recv == server.transport.close_handshake.sent
    assert server.transport.close_handshake.recv_then_sent


@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_closing_handshake_by_listeners_alone(net: Net, who: str) -> None:
    """Who began gets the answer as a frame, and sending CLOSE again at that point does nothing."""
    made: list[Closing] = []
    server = await net.serve(lambda request: made.append(Closing()) or made[-1])
    _, client = await net.connect(server, Closing)
    await until(lambda: made and made[0].transport)
    first, second = (client, made[0]) if who == "client" else (made[0], client)
    first.transport.send_close(WSCloseCode.OK, b"done")
    for side in (first, second):
        await side.event("disconnected")
        assert side.events == ["connected", "frame", "disconnected"]
        assert side.frames[0].get_close_message() == b"done"
    assert first.transport.stats.frames_out == second.transport.stats.frames_out == 1


async def test_who_says_done_and_disconnects(net: Net) -> None:
    """send_close and disconnect in a row: the CLOSE arrives, behind all that was sent before."""
    received: list[bytes] = []

    async def serve(peer: RawPeer) -> None:
        await net.accept_upgrade(peer)
        for _ in range(2):
            received.append((await peer.frame())[1])
        peer.close()

    transport, _ = await net.connect(await net.raw_server(serve))
    transport.send(WSMsgType.BINARY, bytes(200_000))
    transport.send_close(WSCloseCode.OK, b"done")
    transport.disconnect()
    await within(transport.wait_disconnected())
    await until(lambda: len(received) == 2)
    assert received == [bytes(200_000), b"\x03\xe8done"]


# ------------------------------------------------------------------ the socket


async def test_socket_options_of_the_users_own(net: Net) -> None:
    """The raw socket can be had in on_ws_connected, on both sides, and options that are set there stay."""

    class Tuning(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            self.sock = transport.underlying_transport.get_extra_info("socket")
            self.before = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000)

    made: list[Tuning] = []
    server = await net.serve(lambda request: made.append(Tuning()) or made[-1])
    _, client = await net.connect(server, Tuning)
    await until(lambda: made and hasattr(made[0], "before"))
    for side in (made[0], client):
        assert side.before == 0
        assert side.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert 50_000 <= side.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 100_000
