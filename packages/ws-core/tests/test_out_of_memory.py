"""No memory for what a peer does not take at once: the connection ends, and does not go on inside of a frame."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import Net, RawPeer, Recorder, until
from ws_core import WSDisconnectKind, WSMsgType, WSTransport

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")

BIG = 150_000_000  # bytes: no system takes so many for a peer that does not read
LEFT = 60_000_000


@contextmanager
def little_memory() -> Iterator[None]:
    """Room for LEFT more bytes, and not for BIG."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + LEFT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


async def server_side(net: Net) -> tuple[WSTransport, Recorder, RawPeer]:
    listener, peer = await net.server_and_peer()
    return listener.transport, listener, peer


async def client_side(net: Net) -> tuple[WSTransport, Recorder, RawPeer]:
    peers: list[RawPeer] = []

    async def serve(peer: RawPeer) -> None:
        await net.accept_upgrade(peer)
        peers.append(peer)
        await peer.writer.wait_closed()

    transport, listener = await net.connect(await net.raw_server(serve))
    await until(lambda: peers)
    return transport, listener, peers[0]


def send(transport: WSTransport, message: bytearray) -> None:
    transport.send(WSMsgType.BINARY, message)


def send_in_place(transport: WSTransport, message: bytearray) -> None:
    transport.send_reuse_external_bytearray(WSMsgType.BINARY, message, 14)


@pytest.mark.parametrize("side", [server_side, client_side])
@pytest.mark.parametrize("way", [send, send_in_place])
async def test_a_frame_is_sent_whole_or_is_the_last(
    net: Net, side: Callable[[Net], Any], way: Callable[[WSTransport, bytearray], None]
) -> None:
    """What is sent after it must never arrive as a part of it. TLS, and uvloop's transports, take all or nothing."""
    transport, listener, peer = await side(net)
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    message = bytearray(BIG)
    with little_memory(), pytest.raises(MemoryError):
        way(transport, message)
    transport.send(WSMsgType.TEXT, "hello")
    if transport.disconnect_reason is None:
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await peer.frame() == (0x81, b"hello")
        return
    assert transport.disconnect_reason.kind is WSDisconnectKind.NETWORK_ERROR
    assert "in part only: MemoryError" in transport.disconnect_reason.message
    assert isinstance(transport.disconnect_reason.exception, MemoryError)
    await listener.event("disconnected")
