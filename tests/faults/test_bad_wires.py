"""Two ends of ours and a wire between them that is cut at any byte, or slow, or stands still.

What arrives is what was sent, in order and once, up to the cut; each end has one end, and a true reason.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from faulty import FaultyWire, faulty_wire
from harness import Net, Recorder, random_bytes, until, within
from leftovers import nothing_left
from ws_core import WSCloseCode, WSDisconnectKind, WSFrame, WSInvalidMessageError, WSMsgType, WSTransport

STEPS = 12
#: How a connection ends of which no CLOSE was read.
KINDS = {"fin": WSDisconnectKind.PEER, "rst": WSDisconnectKind.NETWORK_ERROR, "abort": WSDisconnectKind.LOCAL}
MESSAGES = [random_bytes(size) for size in (0, 1, 125, 126, 700)]


class Talker(Recorder):
    """Sends all it has to say; keeps the payloads of messages, and not their frames."""

    def __init__(self, messages: list[bytes]) -> None:
        super().__init__()
        self.messages = messages
        self.heard: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        for message in self.messages:
            transport.send(WSMsgType.BINARY, message)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            self.heard.append(frame.get_payload_as_bytes())
        self._note("frame")


class Ends:
    """A server and the connections that are made to it over a wire."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.port = 0
        self.accepted: list[Talker] = []

    async def set_up(self) -> Ends:
        self.port = Net.port(await self.net.serve(self._accept))
        async with faulty_wire(self.port) as wire:
            await self.talk(wire)  # a server's first connection makes its one timer, uvloop's first one its watch
        self.forget()
        return self

    def _accept(self, request: Any) -> Talker:
        self.accepted.append(Talker(MESSAGES))
        return self.accepted[-1]

    async def talk(self, wire: FaultyWire) -> Talker:
        """Both ends send what they have, and the client closes when it has heard all. What ws_connect raises."""
        _, talker = await self.net.connect(wire, lambda: Talker(MESSAGES))
        await talker.wait_for(lambda: len(talker.heard) == len(MESSAGES) or "disconnected" in talker.events)
        await talker.transport.close(WSCloseCode.GOING_AWAY)
        return talker

    def forget(self) -> None:
        self.net._transports.clear()
        self.accepted.clear()


# ------------------------------------------------------------------ cut at any byte


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_cut_at_any_byte(net: Net, how: str) -> None:
    """From the first one of TLS to the last one of the closing handshake, of what goes up and of what comes down."""
    ends = await Ends(net).set_up()
    async with faulty_wire(ends.port) as wire:
        await ends.talk(wire)
        await until(lambda: "disconnected" in ends.accepted[0].events)
        sizes = {"up": wire.up.passed, "down": wire.down.passed}
    ends.forget()
    if net.tls and net.fast:
        forgive_aiofastnet()
    async with nothing_left():
        for way, size in sizes.items():
            for step in range(STEPS + 1):
                await cut_at(ends, how, **{way: size * step // STEPS})
        # The server is as it was; and it has met by now whoever was cut while he waited to be accepted.
        await talk_undisturbed(ends)


def forgive_aiofastnet() -> None:
    """aiofastnet 1.2.0 tells the loop of a stream that ends in the TLS handshake, by an exception that is a class."""
    loop = asyncio.get_running_loop()
    tell: Any = loop.get_exception_handler()

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("exception") is not ConnectionResetError:
            tell(loop, context)

    loop.set_exception_handler(handler)


async def cut_at(ends: Ends, how: str, **limit: int) -> None:
    async with faulty_wire(ends.port, **limit) as wire:
        talk = asyncio.ensure_future(ends.talk(wire))
        await wire.full(or_until=talk)  # TLS: now and then it is a byte less than the last time
        await wire.cut(how)
        ended: list[Talker] = []
        try:
            ended.append(await within(talk))
        except ConnectionResetError:
            pass
        except (ConnectionError, WSInvalidMessageError):
            if how == "rst":
                raise
        ended += [each for each in ends.accepted if each.transport]
        for each in ended:
            await each.event("disconnected")
            check(each, how)
    ends.forget()


def check(talker: Talker, how: str) -> None:
    assert talker.events[0] == "connected"
    assert talker.events[-1] == "disconnected"
    assert talker.events.count("connected") == talker.events.count("disconnected") == 1
    assert talker.heard == MESSAGES[: len(talker.heard)]
    transport = talker.transport
    closing, reason = transport.close_handshake, transport.disconnect_reason
    if closing is not None and closing.recv is not None:
        assert closing.recv.code == WSCloseCode.GOING_AWAY
        expected = WSDisconnectKind.PEER if closing.recv_then_sent else WSDisconnectKind.LOCAL
    else:
        expected = KINDS[how]
    assert reason.kind is expected, reason


# ------------------------------------------------------------------ slow


async def test_one_byte_at_a_time(net: Net) -> None:
    """TLS, the upgrade, frames and the closing handshake."""
    ends = await Ends(net).set_up()
    async with nothing_left():
        await talk_undisturbed(ends, piece=1)


async def test_every_segment_is_late(net: Net) -> None:
    ends = await Ends(net).set_up()
    async with nothing_left():
        await talk_undisturbed(ends, piece=1000, delay=0.002)


async def talk_undisturbed(ends: Ends, **how: float) -> None:
    ends.forget()
    async with faulty_wire(ends.port) as wire:
        for name, value in how.items():
            setattr(wire.up, name, value)
            setattr(wire.down, name, value)
        for each in [await ends.talk(wire), *ends.accepted]:
            await each.event("disconnected")
            check(each, "never")
            assert each.heard == MESSAGES
    ends.forget()


# ------------------------------------------------------------------ it stands still


@pytest.mark.parametrize("then", ["it goes on", "fin", "rst", "abort"])
@pytest.mark.parametrize("watched", ["client", "server"])
async def test_the_peer_stops_reading(net: Net, watched: str, then: str) -> None:
    """What waits is told of, and bounded by who sends; nothing of it is lost, or all of it is let go of."""
    ends = await Ends(net).set_up()
    async with nothing_left():
        await stop_reading(ends, watched, then)


async def stop_reading(ends: Ends, watched: str, then: str) -> None:
    message = random_bytes(500_000)
    sent = list(MESSAGES)
    async with faulty_wire(ends.port) as wire:
        _, client = await ends.net.connect(wire, lambda: Talker(MESSAGES))
        await client.wait_for(lambda: len(client.heard) == len(MESSAGES))
        (server,) = ends.accepted
        await server.wait_for(lambda: len(server.heard) == len(MESSAGES))
        here, there = (client, server) if watched == "client" else (server, client)
        way = wire.up if watched == "client" else wire.down
        way.open.clear()
        while "pause" not in here.events:
            here.transport.send(WSMsgType.BINARY, message)
            sent.append(message)
            await asyncio.sleep(0)
        assert here.transport.write_backlog_size > 0
        draining = asyncio.ensure_future(here.transport.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        if then == "it goes on":
            way.open.set()
            await within(draining)
            await there.wait_for(lambda: len(there.heard) == len(sent))
            assert there.heard == sent
            assert here.events.count("pause") == here.events.count("resume")
            await within(client.transport.close())
        else:
            if then == "abort":
                here.transport.disconnect(graceful=False)
            else:
                await wire.cut(then)
            await here.event("disconnected")
            try:
                await within(draining)
                assert then == "fin"  # of a peer that does not send any more, and still reads
            except ConnectionResetError:
                pass
            assert here.transport.disconnect_reason.kind is KINDS[then]
            assert here.transport.write_backlog_size == 0
        for each in (here, there):
            way.open.set()
            await each.event("disconnected")
            assert each.events.count("disconnected") == 1
            assert each.heard == sent[: len(each.heard)]
    ends.forget()
