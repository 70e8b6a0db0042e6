"""What goes wrong in the moment in which a connection opens: listeners that cannot be asked, signals in callbacks."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from harness import Net, Recorder, client_frame, frame_bytes, request_bytes, until, within
from loops import LOOPS
from ws_core import WSDisconnectKind, WSTransport


class Delegating(Recorder):
    """A common mistake: __getattr__ of an object that has not got yet what it hands on to."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def with_property() -> Recorder:
    class Property(Recorder):
        @property
        def on_ws_frame(self) -> Any:  # type: ignore[override]
            raise LookupError("not now")

    return Property()


@pytest.mark.parametrize("make", [Delegating, with_property])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_server_whose_listener_cannot_be_asked(
    net: Net, make: Any, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told of the connection and of its end, and the peer of the error; nothing hangs."""
    made: list[Recorder] = []

    def factory(request: Any) -> Any:
        made.append(make())
        return later() if asynchronous else made[0]

    async def later() -> Recorder:
        return made[0]

    with caplog.at_level(logging.ERROR):
        server = await net.serve(factory, websocket_handshake_timeout=None)
        peer = await net.raw(server)
        first, payload = await peer.frame()
        assert (first & 0x0F, int.from_bytes(payload[:2], "big")) == (8, 1011)
        peer.close()
        await made[0].event("disconnected")
    assert made[0].events == ["connected", "disconnected"]
    transport = made[0].transport
    assert transport is not None
    assert transport.disconnect_reason is not None
    assert transport.disconnect_reason.kind is WSDisconnectKind.CALLBACK_ERROR
    assert "looking up the listener's methods" in caplog.text


@pytest.mark.parametrize(("make", "error"), [(Delegating, RecursionError), (with_property, LookupError)])
async def test_a_client_whose_listener_cannot_be_asked(net: Net, make: Any, error: type[Exception]) -> None:
    async def serve(peer: Any) -> None:
        await net.accept_upgrade(peer)
        await peer.send(frame_bytes(1, b"hello"))
        await peer.rest()

    transport, listener = await net.connect(await net.raw_server(serve), lambda: make())
    with pytest.raises(error):
        await within(transport.wait_disconnected())
    assert listener.events == ["connected", "disconnected"]


@pytest.mark.parametrize("loop_name", LOOPS)
def test_a_signal_in_on_ws_connected(loop_name: str) -> None:
    """Ctrl-C there takes what came behind the upgrade with it: what is left of the stream must not be taken for
    frames. So the connection is cut, as by Ctrl-C in on_ws_frame."""

    class Interrupted(Recorder):
        def on_ws_connected(self, transport: WSTransport) -> None:
            super().on_ws_connected(transport)
            raise KeyboardInterrupt

    made: list[Interrupted] = []
    net = Net(tls=False, fast=None)

    def factory(request: Any) -> Interrupted:
        made.append(Interrupted())
        return made[0]

    async def main() -> None:
        server = await net.serve(factory)
        peer = await net.raw(server, upgrade=False)
        await peer.send(request_bytes() + client_frame(1, b"one") + client_frame(1, b"two")[:5])
        await until(lambda: made and made[0].transport)
        await peer.send(client_frame(1, b"two")[5:] + client_frame(1, b"three"))
        await made[0].event("disconnected")

    loop = LOOPS[loop_name]()
    asyncio.set_event_loop(loop)
    try:
        task = loop.create_task(main())
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(task)
        loop.run_until_complete(task)
        loop.run_until_complete(net.aclose())
    finally:
        Net.live.remove(net)
        asyncio.set_event_loop(None)
        loop.close()
    assert made[0].events == ["connected", "disconnected"]
    assert made[0].transport is not None
    reason = made[0].transport.disconnect_reason
    assert reason is not None
    assert (reason.kind, type(reason.exception)) == (WSDisconnectKind.CALLBACK_ERROR, KeyboardInterrupt)
