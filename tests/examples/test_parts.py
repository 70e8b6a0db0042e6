"""Classes of the examples that are made to be copied: what they do where the example itself does not go."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import pytest
from example import import_example

from harness import Net, RawPeer, Recorder, client_frame, frame_bytes, until, within
from ws_core import WSCloseCode, WSMsgType, WSProtocolError, WSTransport


@pytest.fixture(scope="module")
def iteration() -> ModuleType:
    return import_example("async_iteration")


@pytest.fixture(scope="module")
def fragments() -> ModuleType:
    return import_example("fragmented_messages")


# ------------------------------------------------------------------ Messages of async_iteration.py


@pytest.fixture(params=[(False, True), (False, False), (True, False)], ids=["plain-fast", "plain-native", "tls-native"])
def net(loop_name: str, request: pytest.FixtureRequest) -> Net:
    """Not TLS by aiofastnet 1.2.0: paused and resumed, it loses sight of what it has read (the example says so)."""
    tls, fast = request.param
    return Net(tls=tls, fast=fast)


async def served(net: Net, iteration: ModuleType) -> tuple[Recorder, Any, WSTransport]:
    """The server's side, a Messages, and its transport."""
    made: list[Recorder] = []
    server = await net.serve(lambda request: made.append(Recorder()) or made[0])
    transport, messages = await net.connect(server, lambda: iteration.Messages(limit=4))
    await made[0].event("connected")
    return made[0], messages, transport


def send(peer: Recorder, count: int, size: int) -> None:
    assert peer.transport is not None
    for number in range(count):
        peer.transport.send(WSMsgType.BINARY, number.to_bytes(2, "big") + bytes(size - 2))


async def take(messages: Any) -> int:
    return int.from_bytes((await within(anext(messages))).get_payload_as_bytes()[:2], "big")


async def test_reading_stops_and_goes_on(net: Net, iteration: ModuleType) -> None:
    peer, messages, transport = await served(net, iteration)
    send(peer, 400, 65536)
    assert peer.transport is not None
    await until(lambda: messages.paused)
    assert not transport.underlying_transport.is_reading()
    await peer.event("pause")  # what is not read reaches the sender, in the end
    waiting = messages.queue.qsize()
    assert 4 <= waiting < 40
    assert [await take(messages) for _ in range(400)] == list(range(400))
    await until(lambda: not messages.paused)
    assert transport.underlying_transport.is_reading()


async def test_the_end_comes_behind_the_messages(net: Net, iteration: ModuleType) -> None:
    peer, messages, _ = await served(net, iteration)
    send(peer, 10, 100)
    assert peer.transport is not None
    peer.transport.send_close(WSCloseCode.OK)
    assert [await take(messages) for _ in range(10)] == list(range(10))
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await within(anext(messages))


async def test_a_peer_that_is_cut_off_while_reading_is_paused(net: Net, iteration: ModuleType) -> None:
    peer, messages, transport = await served(net, iteration)
    send(peer, 400, 65536)
    await until(lambda: messages.paused)
    assert peer.transport is not None
    peer.transport.disconnect(graceful=False)
    taken = [int.from_bytes(frame.get_payload_as_bytes()[:2], "big") async for frame in messages]
    assert taken == list(range(len(taken)))
    assert len(taken) >= 4
    assert transport.is_disconnected


async def test_a_connection_that_is_dropped_while_reading_is_paused(net: Net, iteration: ModuleType) -> None:
    peer, messages, transport = await served(net, iteration)
    send(peer, 400, 65536)
    await until(lambda: messages.paused)
    transport.disconnect(graceful=False)
    await within(transport.wait_disconnected())
    count = messages.queue.qsize() - 1
    assert [await take(messages) for _ in range(count)] == list(range(count))
    with pytest.raises(StopAsyncIteration):
        await within(anext(messages))


async def test_what_failed_is_raised_behind_the_messages(net: Net, iteration: ModuleType) -> None:
    async def breaks_the_protocol(peer: RawPeer) -> None:
        await net.accept_upgrade(peer)
        await peer.send(frame_bytes(WSMsgType.BINARY, b"\0\0") + frame_bytes(WSMsgType.CONTINUATION, b"of nothing"))
        await peer.rest()
        peer.close()

    port = await net.raw_server(breaks_the_protocol)
    _, messages = await net.connect(port, iteration.Messages)
    assert await take(messages) == 0
    with pytest.raises(WSProtocolError):
        await within(anext(messages))


# ------------------------------------------------------------------ Assembler of fragmented_messages.py


class Collected:
    """Makes an Assembler that keeps its messages."""

    def __init__(self, fragments: ModuleType, limit: int = 1000) -> None:
        self.messages: list[tuple[WSMsgType, bytes]] = []
        self.fragments = fragments
        self.limit = limit

    def __call__(self) -> Any:
        collected = self.messages

        class Collector(self.fragments.Assembler):  # type: ignore[misc, name-defined]
            def on_ws_connected(self, transport: WSTransport) -> None:
                self.transport = transport

            def on_message(self, transport: WSTransport, msg_type: WSMsgType, message: bytearray) -> None:
                collected.append((msg_type, bytes(message)))

        return Collector(self.limit)


@pytest.mark.parametrize("size", [0, 1, 6, 7, 8, 1000])
async def test_pieces_make_the_message(one_net: Net, fragments: ModuleType, size: int) -> None:
    collected = Collected(fragments)
    server = await one_net.serve(lambda request: collected())
    transport, _ = await one_net.connect(server)
    message = os.urandom(size)
    fragments.send_in_pieces(transport, WSMsgType.BINARY, message, 7)
    await until(lambda: collected.messages)
    assert collected.messages == [(WSMsgType.BINARY, message)]
    assert transport.stats.frames_out == max(1, -(-size // 7))


async def test_control_frames_between_fragments(one_net: Net, fragments: ModuleType) -> None:
    collected = Collected(fragments)
    _, peer = await one_net.server_and_peer(collected, enable_auto_pong=True)
    await peer.send(
        client_frame(WSMsgType.TEXT, "ä".encode()[:1], fin=False)
        + client_frame(WSMsgType.PONG, b"unasked")
        + client_frame(WSMsgType.PING, b"?")
        + client_frame(WSMsgType.CONTINUATION, "ä".encode()[1:])
        + client_frame(WSMsgType.TEXT, b"next")
    )
    assert await peer.frame() == (0x80 | WSMsgType.PONG, b"?")
    await until(lambda: len(collected.messages) == 2)
    assert collected.messages == [(WSMsgType.TEXT, "ä".encode()), (WSMsgType.TEXT, b"next")]


async def test_a_message_that_is_too_long(one_net: Net, fragments: ModuleType) -> None:
    collected = Collected(fragments)
    _, peer = await one_net.server_and_peer(collected)
    await peer.send(client_frame(WSMsgType.BINARY, bytes(1000)))
    await until(lambda: collected.messages)
    await peer.send(
        client_frame(WSMsgType.BINARY, bytes(600), fin=False) + client_frame(WSMsgType.CONTINUATION, bytes(401))
    )
    first, payload = await peer.frame()
    assert first == 0x80 | WSMsgType.CLOSE
    assert payload[:2] == WSCloseCode.MESSAGE_TOO_BIG.to_bytes(2, "big")
    assert len(collected.messages) == 1
