"""A logger that raises, as one does that writes to a full disk by itself: what it was told of happens all the same."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from harness import Net, Recorder, client_frame, until, within
from ws_core import WSDisconnectKind, WSDisconnectReason, WSFrame, WSTransport


class Full(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        raise OSError(28, "No space left on device")


@pytest.fixture
def full() -> Iterator[logging.Logger]:
    logger = logging.getLogger("full")
    logger.setLevel(logging.INFO)
    logger.addFilter(full := Full())
    yield logger
    logger.removeFilter(full)


def ignore_complaints() -> None:
    """What the logger raises ends where errors of callbacks end: the loop is told."""
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
async def test_requests(net: Net, full: logging.Logger, sent: bytes) -> None:
    """Who is too slow is dropped, who is wrong is refused."""
    ignore_complaints()
    refused = sent.endswith(b"\r\n\r\n")
    server = await net.serve(logger_name=full, websocket_handshake_timeout=None if refused else 0.1)
    peer = await net.raw(server, upgrade=False)
    await peer.send(sent)
    try:
        answer = await within(peer.reader.read(1024))
    except ConnectionError:
        answer = b""
    assert answer.startswith(b"HTTP/1.1 426 ") if refused else answer == b""


class Raising(Recorder):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        raise ValueError("no")


class RaisingAtPause(Recorder):
    def pause_writing(self) -> None:
        raise ValueError("no")


async def test_callbacks_that_raise(net: Net, full: logging.Logger) -> None:
    ignore_complaints()
    listener, peer = await net.server_and_peer(Raising, logger_name=full)
    await peer.send(client_frame(1, b"x"))
    assert (await peer.frame())[1][:2] == (1011).to_bytes(2, "big")
    peer.close()
    await listener.event("disconnected")
    assert listener.transport.disconnect_reason.kind is WSDisconnectKind.CALLBACK_ERROR


async def test_pause_writing_that_raises(net: Net, full: logging.Logger) -> None:
    ignore_complaints()
    listener, peer = await net.server_and_peer(RaisingAtPause, logger_name=full)
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(2):  # asyncio's TLS sees a backlog below it with the second one
        with contextlib.suppress(OSError):  # whether the logger's error comes out here is up to the loop
            listener.transport.send(2, bytes(20_000_000))
    reason = await until(lambda: listener.transport.disconnect_reason)
    assert reason.kind is WSDisconnectKind.CALLBACK_ERROR


async def test_a_protocol_error(net: Net, full: logging.Logger) -> None:
    ignore_complaints()
    listener, peer = await net.server_and_peer(logger_name=full)
    await peer.send(client_frame(3))
    assert (await peer.frame())[1][:2] == (1002).to_bytes(2, "big")
    peer.close()
    await listener.event("disconnected")
    assert listener.transport.disconnect_reason.kind is WSDisconnectKind.PROTOCOL_ERROR


async def test_fail(net: Net, full: logging.Logger) -> None:
    """A keepalive gives up: the dead connection must go."""
    listener, peer = await net.server_and_peer(logger_name=full)
    reason: Any = WSDisconnectReason(WSDisconnectKind.TIMEOUT, "gone")
    with pytest.raises(OSError, match="No space left"):
        listener.transport.fail(1001, reason)
    assert (await peer.frame())[1] == (1001).to_bytes(2, "big") + b"gone"
    peer.close()
    await listener.event("disconnected")
    assert listener.transport.disconnect_reason == reason
