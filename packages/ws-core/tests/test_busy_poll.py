"""busy_poll_us: the socket is read again before the event loop goes on."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from harness import Net, Recorder, client_frame, request_bytes, until, within
from ws_core import WSDisconnectKind, WSFrame, WSTransport

# Longer than loopback needs on a busy machine. No test waits for its end: the last callback pauses reading.
WINDOW_US = 1_000_000


class Feeder(Recorder):
    """Whenever a frame comes, the next step of `script` is done at once: bytes are put on the wire, a function called.
    Behind the last one it stops."""

    def __init__(self) -> None:
        super().__init__()
        self.sock = socket.socket()
        self.script: list[Any] = []
        self.turns = 0  # of the event loop
        self.seen_in: list[int] = []

    def turn(self) -> None:
        self.turns += 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.seen_in.append(self.turns)
        asyncio.get_running_loop().call_soon(self.turn)
        step = self.script.pop(0) if self.script else self.stop
        if callable(step):
            step()
        else:
            self.sock.sendall(step)
        super().on_ws_frame(transport, frame)

    def stop(self) -> None:
        """Ends the poll: a step of a script."""
        assert self.transport is not None
        self.transport.underlying_transport.pause_reading()


async def fed(net: Net, script: list[Any], **kwargs: Any) -> Feeder:
    listener = Feeder()
    listener.script = script
    server = await net.serve(lambda request: listener, **kwargs)
    listener.sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(listener.sock, ("127.0.0.1", net.port(server)))
    listener.sock.sendall(request_bytes())
    await listener.event("connected")
    listener.sock.sendall(client_frame(2, b"first"))
    return listener


def polls(net: Net) -> bool:
    """Whether core may read the socket itself: not on uvloop's own transports."""
    return net.fast is not False or "uvloop" not in type(asyncio.get_running_loop()).__module__


@pytest.mark.parametrize("busy_poll_us", [0, WINDOW_US])
async def test_what_comes_within_the_window_does_not_wait_for_the_loop(plain_net: Net, busy_poll_us: int) -> None:
    script: list[Any] = [client_frame(2, b"second"), client_frame(2, b"third")]
    listener = await fed(plain_net, script, busy_poll_us=busy_poll_us)
    with listener.sock:
        await listener.event("frame", 3)
        assert [frame.get_payload_as_bytes() for frame in listener.frames] == [b"first", b"second", b"third"]
        if busy_poll_us and polls(plain_net):
            assert listener.seen_in == [0, 0, 0]
        else:
            assert listener.seen_in == [0, 1, 2]


async def test_a_half_frame_is_completed_by_the_poll(plain_net: Net) -> None:
    message = bytes(range(256)) * 100
    large = client_frame(2, message)
    listener = await fed(plain_net, [client_frame(2, b"x") + large[:10], large[10:]], busy_poll_us=WINDOW_US)
    with listener.sock:
        await listener.event("frame", 3)
        assert [frame.get_payload_as_bytes() for frame in listener.frames] == [b"first", b"x", message]
        if polls(plain_net):
            assert listener.seen_in == [0, 0, 0]


async def test_the_loop_gets_its_turn(plain_net: Net) -> None:
    """However fast the peer answers, others are served."""
    listener = await fed(plain_net, [client_frame(2, b"x")] * 300, busy_poll_us=WINDOW_US)
    with listener.sock:
        await listener.event("frame", 200)
        assert listener.turns > 0
        await listener.event("frame", 301)


async def test_the_window_is_bounded(plain_net: Net) -> None:
    """Nothing comes: the loop goes on when the window has passed, not before."""
    window_s = 0.05
    begun: list[float] = []
    listener = await fed(plain_net, [lambda: begun.append(time.monotonic())], busy_poll_us=int(window_s * 1e6))
    with listener.sock:
        await until(lambda: listener.turns)
        if polls(plain_net):
            assert time.monotonic() - begun[0] >= window_s


@pytest.mark.parametrize("end", ["pause", "disconnect", "abort", "end of stream"])
async def test_the_poll_stops(plain_net: Net, end: str) -> None:
    def stop() -> None:
        assert listener.transport is not None
        if end != "end of stream":
            listener.sock.sendall(client_frame(2, b"too late"))
        if end == "pause":
            listener.transport.underlying_transport.pause_reading()
        elif end == "disconnect":
            listener.transport.disconnect()
        elif end == "abort":
            listener.transport.underlying_transport.abort()
        else:
            listener.sock.shutdown(socket.SHUT_WR)

    listener = await fed(plain_net, [stop], busy_poll_us=WINDOW_US)
    with listener.sock:
        if end == "pause":
            await until(lambda: listener.turns)
            assert len(listener.frames) == 1
            listener.transport.underlying_transport.resume_reading()
            await listener.event("frame", 2)
            return
        await listener.event("disconnected")
        assert len(listener.frames) == 1
        if end == "end of stream":
            assert listener.transport.disconnect_reason.kind is WSDisconnectKind.PEER


async def test_an_error_that_the_poll_meets_is_the_reason(plain_net: Net) -> None:
    def reset() -> None:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        listener.sock.close()

    listener = await fed(plain_net, [reset], busy_poll_us=WINDOW_US)
    await listener.event("disconnected")
    reason = listener.transport.disconnect_reason
    assert reason.kind is WSDisconnectKind.NETWORK_ERROR
    assert isinstance(reason.exception, ConnectionResetError)


async def test_a_client_polls_too(net: Net) -> None:
    """And over TLS, where the option has no effect, everything works as ever."""
    server = await net.serve(busy_poll_us=1000)
    transport, listener = await net.connect(server, busy_poll_us=1000)
    for number in range(20):
        transport.send(2, b"%d" % number)
        assert (await listener.frame()).get_payload_as_bytes() == b"%d" % number
    await within(transport.close())


@pytest.mark.parametrize(
    ("value", "error"),
    [(-1, ValueError), (1_000_001, ValueError), (2.5, TypeError), ("20", TypeError), (True, TypeError)],
)
async def test_wrong_values(plain_net: Net, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="microseconds"):
        await plain_net.serve(busy_poll_us=value)
    with pytest.raises(error, match="microseconds"):
        await plain_net.connect(9, busy_poll_us=value)
