"""An open connection is cut, by FIN, by RST and by its own end: it ends once, says why, and leaves nothing behind.

The one who is watched is ours; the other one speaks in bytes, so that the place of the cut is exact under TLS, too.
Cuts at any byte, also before it is open: test_bad_wires.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest

import ws_core
from faulty import FaultyWire, faulty_wire
from harness import Net, RawPeer, Recorder, client_frame, frame_bytes, until, within
from leftovers import KEEPS_WHAT_IS_FREED, nothing_left, resident_bytes
from ws_core import WSCloseCode, WSDisconnectKind, WSMsgType

GOING_AWAY = b"\x03\xe9"
MESSAGES = [b"first", b"second" * 1000]
HALF_BYTES = 1024 * 1024
#: Who has ended it, unless a CLOSE came first.
KINDS = {"fin": WSDisconnectKind.PEER, "rst": WSDisconnectKind.NETWORK_ERROR, "abort": WSDisconnectKind.LOCAL}


class Stage:
    """Where one end of a connection is watched, the client or the server; the other one is raw, and a wire between."""

    def __init__(self, net: Net, watched: str) -> None:
        self.net = net
        self.watched = watched
        self.frame = frame_bytes if watched == "client" else client_frame  # as the raw peer sends them
        self._port = 0
        self._listeners: list[Recorder] = []
        self._peers: list[RawPeer] = []

    async def set_up(self) -> Stage:
        if self.watched == "client":
            self._port = await self.net.raw_server(self._be_server)
        else:
            self._port = Net.port(await self.net.serve(self._make_listener))
        async with self.connection():
            pass  # a server's first connection makes its one timer, uvloop's first one the watch for resets
        return self

    def _make_listener(self, request: Any) -> Recorder:
        self._listeners.append(Recorder())
        return self._listeners[-1]

    async def _be_server(self, peer: RawPeer) -> None:
        await Net.accept_upgrade(peer)
        self._peers.append(peer)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[FaultyWire, RawPeer, Recorder, ws_core.WSTransport]]:
        """The wire, the raw peer, and what is watched. It is all over with the block."""
        async with faulty_wire(self._port) as wire:
            if self.watched == "client":
                self._listeners.append((await self.net.connect(wire))[1])
            else:
                self._peers.append(await self.net.raw(wire))
            await until(lambda: self._peers and self._listeners and self._listeners[0].transport)
            (peer,), (listener,) = self._peers, self._listeners
            assert listener.transport is not None
            yield wire, peer, listener, listener.transport
            peer.writer.transport.abort()
        for each in (self.net._transports, self.net._peers, self._peers, self._listeners):
            each.clear()


class Phase(NamedTuple):
    """What has happened before the cut. The peer has sent `sent` behind MESSAGES."""

    name: str
    sent: Callable[[Callable[..., bytes]], bytes]
    #: What is delivered of it.
    delivered: tuple[bytes, ...] = ()
    #: The code of the peer's CLOSE.
    received: WSCloseCode | None = None
    we_close: bool = False


PHASES = [
    Phase("between frames", lambda frame: b""),
    Phase("in a header", lambda frame: frame(2, bytes(200))[:1]),
    Phase("in a long header", lambda frame: frame(2, bytes(70_000))[:7]),
    Phase("in a payload", lambda frame: frame(2, bytes(200))[:100]),
    Phase("in a large payload", lambda frame: frame(2, bytes(1_000_000))[:300_000]),
    Phase("between fragments", lambda frame: frame(2, b"half", fin=False), delivered=(b"half",)),
    Phase("in the peer's CLOSE", lambda frame: frame(8, GOING_AWAY)[:3]),
    Phase("behind it", lambda frame: frame(8, GOING_AWAY), (GOING_AWAY,), received=WSCloseCode.GOING_AWAY),
    Phase("behind our CLOSE", lambda frame: b"", we_close=True),
    Phase("in the answer to it", lambda frame: frame(8, GOING_AWAY)[:3], we_close=True),
]


@pytest.mark.parametrize("how", ["fin", "rst", "abort"])
@pytest.mark.parametrize("watched", ["client", "server"])
async def test_an_open_connection_is_cut(net: Net, watched: str, how: str) -> None:
    """By the network, or by the one who is watched."""
    stage = await Stage(net, watched).set_up()
    async with nothing_left():
        for phase in PHASES:
            await cut_an_open_connection(stage, phase, how)


async def cut_an_open_connection(stage: Stage, phase: Phase, how: str) -> None:
    async with stage.connection() as (wire, peer, listener, transport):
        await peer.send(b"".join(stage.frame(2, message) for message in MESSAGES) + phase.sent(stage.frame))
        expected = [*MESSAGES, *phase.delivered]
        await listener.event("frame", len(expected))
        if phase.we_close:
            transport.send_close(WSCloseCode.GOING_AWAY, "bye")
            assert await peer.frame() == (0x88, GOING_AWAY + b"bye")
        if how == "abort":
            transport.disconnect(graceful=False)
        else:
            await wire.cut(how)
        await listener.event("disconnected")
        await within(transport.wait_disconnected())

        assert [each.get_payload_as_bytes() for each in listener.frames] == expected
        assert listener.events == ["connected", *["frame"] * len(expected), "disconnected"]
        reason, closing = transport.disconnect_reason, transport.close_handshake
        assert reason is not None
        assert reason.kind is (WSDisconnectKind.PEER if phase.received else KINDS[how])
        assert type(reason.exception) is (ConnectionResetError if how == "rst" and not phase.received else type(None))
        assert (closing and closing.recv and closing.recv.code) == phase.received
        assert (closing and closing.sent and closing.sent.code) == (WSCloseCode.GOING_AWAY if phase.we_close else None)


@pytest.mark.skipif(KEEPS_WHAT_IS_FREED, reason="memory does not come back under AddressSanitizer")
async def test_half_frames_leave_no_memory(tls: bool) -> None:
    """Which the collector would not know of."""
    stage = await Stage(Net(tls=tls, fast=None), "server").set_up()
    half = Phase("in a payload", lambda frame: frame(2, bytes(2 * HALF_BYTES))[:HALF_BYTES])
    for _ in range(5):
        await cut_an_open_connection(stage, half, "fin")
    before = resident_bytes()
    for _ in range(30):
        await cut_an_open_connection(stage, half, "fin")
    assert resident_bytes() - before < 10 * HALF_BYTES


@pytest.mark.parametrize("watched", ["client", "server"])
async def test_the_peer_ends_its_half(plain_net: Net, watched: str) -> None:
    """It has nothing more to say, and is still told everything: a backlog, too."""
    stage = await Stage(plain_net, watched).set_up()
    async with nothing_left():
        await end_one_half(stage)


async def end_one_half(stage: Stage) -> None:
    message = bytes(500_000)
    async with stage.connection() as (wire, peer, listener, transport):
        await peer.send(stage.frame(2, MESSAGES[0]))
        await listener.frame()
        way = wire.up if stage.watched == "client" else wire.down
        way.open.clear()
        count = 0
        while "pause" not in listener.events:
            transport.send(WSMsgType.BINARY, message)
            count += 1
        peer.writer.write_eof()
        await until(lambda: transport.disconnect_reason)
        way.open.set()
        for _ in range(count):
            assert await peer.frame() == (0x82, message)
        assert await peer.rest() == b""
        await listener.event("disconnected")
        assert listener.events.count("disconnected") == 1
        reason = transport.disconnect_reason
        assert reason is not None
        assert reason.kind is WSDisconnectKind.PEER


async def test_pings_of_a_peer_that_does_not_read(net: Net) -> None:
    """The newest of them is answered when it reads again (RFC 6455 section 5.5.3): their PONGs do not pile up."""
    listener, peer = await net.server_and_peer()
    transport: Any = peer.writer.transport
    transport.pause_reading()
    pings = [client_frame(9, b"%125d" % number) for number in range(1000)]
    for _ in range(200):
        await peer.send(b"".join(pings))
        await asyncio.sleep(0)  # uvloop: drain() of its own TLS does not wait for what waits below
    await peer.send(client_frame(9, b"last") + client_frame(2, b"behind"))
    assert bytes(await listener.frame()) == b"behind"
    assert listener.transport.write_backlog_size < 1024 * 1024  # of 25 MB
    transport.resume_reading()
    pong, answers = frame_bytes(10, b"last"), bytearray()
    while not answers.endswith(pong):
        answers += await within(peer.reader.read(1 << 20))
    assert len(answers) < 125 * 1000 * 200
    listener.transport.send(WSMsgType.BINARY, b"goes on")
    assert await peer.frame() == (0x82, b"goes on")
