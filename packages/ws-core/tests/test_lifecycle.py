"""Callbacks: exactly once, in order, and what an exception in each of them does. Who ended a connection and why."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import Any

import pytest

from harness import Echo, Net, RawPeer, Recorder, client_frame, frame_bytes, request_bytes, until, within
from leftovers import KEEPS_WHAT_IS_FREED, resident_bytes
from ws_core import (
    WSCloseCode,
    WSDisconnectKind,
    WSFrame,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    _linger,
)


class Boom(Exception):
    pass


class Raising(Recorder):
    """Raises `exception` in the callback `where`."""

    def __init__(self, where: str, exception: BaseException) -> None:
        super().__init__()
        self.where = where
        self.exception = exception

    def _note(self, event: str) -> None:
        super()._note(event)
        if event == self.where:
            raise self.exception


async def raw_client_of(net: Net, listener: WSListener, **kwargs: Any) -> RawPeer:
    server = await net.serve(lambda request: listener, **kwargs)
    return await net.raw(server)


@pytest.mark.parametrize("where", ["connected", "frame"])
async def test_server_callback_raises(net: Net, where: str, caplog: pytest.LogCaptureFixture) -> None:
    """CLOSE(INTERNAL_ERROR), disconnect, logged with the traceback; not raised (there is nobody to raise it to)."""
    listener = Raising(where, Boom("boom"))
    peer = await raw_client_of(net, listener)
    if where == "frame":
        await peer.send(client_frame(2, b"1") + client_frame(2, b"2"))
    assert await peer.frame() == (0x88, b"\x03\xf3")
    peer.close()
    await listener.event("disconnected")
    assert listener.events[-1] == "disconnected"
    assert listener.events.count(where) == 1
    reason = listener.transport.disconnect_reason
    assert reason.kind is WSDisconnectKind.CALLBACK_ERROR
    assert reason.exception is listener.exception
    assert f"on_ws_{where}" in reason.message
    await within(listener.transport.wait_disconnected())
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert errors[0].exc_info[1] is listener.exception


@pytest.mark.parametrize("where", ["connected", "frame", "disconnected"])
async def test_client_callback_raises(net: Net, where: str) -> None:
    """The first exception comes out of wait_disconnected."""
    server = await net.serve()
    boom = Boom("boom")
    transport, listener = await net.connect(server, lambda: Raising(where, boom))
    transport.send(WSMsgType.TEXT, "hello")
    if where == "disconnected":
        transport.disconnect()
    with pytest.raises(Boom) as caught:
        await within(transport.wait_disconnected())
    assert caught.value is boom
    assert listener.events[-1] == "disconnected"
    assert listener.events.count("disconnected") == 1


async def test_the_first_exception_counts(plain_net: Net) -> None:
    class Twice(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            raise Boom("first")

        def on_ws_disconnected(self, transport: WSTransport) -> None:
            raise Boom("second")

    server = await plain_net.serve()
    transport, _ = await plain_net.connect(server, Twice)
    transport.send(WSMsgType.TEXT, "hello")
    with pytest.raises(Boom, match="first"):
        await within(transport.wait_disconnected())


@pytest.mark.parametrize("where", ["connected", "frame"])
@pytest.mark.parametrize(
    ("error", "payload"),
    [
        (WSProtocolError(WSCloseCode.POLICY_VIOLATION, "no such symbol"), b"\x03\xf0no such symbol"),
        (WSProtocolError(4001, "ö" * 100), b"\x0f\xa1" + "ö".encode() * 61),
        (WSProtocolError(1006, "not for the wire"), b"\x03\xf3not for the wire"),
        (WSProtocolError("nonsense", 5), b"\x03\xf3"),  # type: ignore[arg-type]
    ],
    ids=["policy", "long", "reserved", "nonsense"],
)
async def test_a_protocol_error_chooses_the_close(
    one_net: Net, where: str, error: WSProtocolError, payload: bytes
) -> None:
    listener = Raising(where, error)
    peer = await raw_client_of(one_net, listener, disconnect_on_exception=False)
    await peer.send(client_frame(2, b"1"))
    assert await peer.frame() == (0x88, payload)
    peer.close()
    await listener.event("disconnected")


async def test_disconnect_on_exception_false(plain_net: Net, caplog: pytest.LogCaptureFixture) -> None:
    listener = Raising("frame", Boom("boom"))
    peer = await raw_client_of(plain_net, listener, disconnect_on_exception=False)
    await peer.send(client_frame(2, b"1") + client_frame(2, b"2"))
    await listener.event("frame", 2)
    await peer.send(client_frame(9, b"still here"))
    assert await peer.frame() == (0x8A, b"still here")
    assert [record.exc_info[1] for record in caplog.records if record.levelno == logging.ERROR] == [
        listener.exception
    ] * 2


@pytest.mark.parametrize("where", ["pause", "resume"])
async def test_flow_control_callbacks_that_raise(plain_net: Net, where: str) -> None:
    listener = Raising(where, Boom("boom"))
    peer = await raw_client_of(plain_net, listener)
    await until(lambda: listener.transport)
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(200):
        listener.transport.send(WSMsgType.BINARY, b"x" * 100_000)
        if "pause" in listener.events:
            break
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    data = await peer.rest()
    assert data.endswith(frame_bytes(8, b"\x03\xf3"))
    peer.close()
    await listener.event("disconnected")
    assert listener.transport.disconnect_reason.kind is WSDisconnectKind.CALLBACK_ERROR


async def test_no_frame_after_disconnect(net: Net) -> None:
    """Not even one that was in the same read."""

    class Once(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            super().on_ws_frame(transport, frame)
            transport.send(WSMsgType.TEXT, "answer")
            transport.disconnect()

    listener = Once()
    peer = await raw_client_of(net, listener)
    await peer.send(client_frame(2, b"1") * 10)
    assert await peer.rest() == frame_bytes(1, b"answer")
    peer.close()
    await listener.event("disconnected")
    assert listener.events == ["connected", "frame", "disconnected"]


@pytest.mark.parametrize("how", ["eof", "abort", "close frame"])
async def test_the_peer_ends_it(net: Net, how: str) -> None:
    listener = Recorder()
    peer = await raw_client_of(net, listener)
    await peer.send(client_frame(2, b"1"))
    await listener.frame()
    if how == "eof":
        peer.close()
    elif how == "abort":
        peer.writer.transport.abort()
    else:
        await peer.send(client_frame(8, b"\x03\xe9"))
        peer.close()
    await listener.event("disconnected")
    assert listener.events[-1] == "disconnected"
    assert listener.events.count("disconnected") == 1
    kinds = {WSDisconnectKind.PEER} if how != "abort" else {WSDisconnectKind.PEER, WSDisconnectKind.NETWORK_ERROR}
    assert listener.transport.disconnect_reason.kind in kinds
    await within(listener.transport.wait_disconnected())  # never raises what the peer did
    assert str(listener.transport.disconnect_reason).startswith(listener.transport.disconnect_reason.kind.value)


async def test_a_reset_is_a_network_error(plain_net: Net) -> None:
    import socket
    import struct

    listener = Recorder()
    peer = await raw_client_of(plain_net, listener)
    sock = peer.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()
    await listener.event("disconnected")
    reason = listener.transport.disconnect_reason
    assert reason.kind is WSDisconnectKind.NETWORK_ERROR
    assert isinstance(reason.exception, ConnectionResetError)


async def test_closing_the_underlying_transport_is_local(plain_net: Net) -> None:
    listener = Recorder()
    peer = await raw_client_of(plain_net, listener)
    await until(lambda: listener.transport)
    listener.transport.underlying_transport.close()
    await listener.event("disconnected")
    assert listener.transport.disconnect_reason.kind is WSDisconnectKind.LOCAL
    del peer


async def test_wait_disconnected_can_be_cancelled(plain_net: Net) -> None:
    _, client = await plain_net.pair()
    waiting = [asyncio.ensure_future(client.transport.wait_disconnected()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    assert not client.transport.is_disconnected
    client.transport.disconnect()
    await within(asyncio.gather(*waiting[1:]))
    assert "disconnected" in client.events


async def test_wait_disconnected_is_after_the_callback(plain_net: Net) -> None:
    order: list[str] = []

    class Slow(Recorder):
        def on_ws_disconnected(self, transport: WSTransport) -> None:
            order.append("callback")

    server = await plain_net.serve()
    transport, _ = await plain_net.connect(server, Slow)
    waiting = asyncio.ensure_future(transport.wait_disconnected())
    waiting.add_done_callback(lambda _: order.append("waiter"))
    transport.disconnect()
    await within(waiting)
    await asyncio.sleep(0)
    assert order == ["callback", "waiter"]


async def test_nothing_holds_a_closed_connection(net: Net) -> None:
    """Without the collector: the library leaves no cycle of its own, also when the listener holds the transport."""

    class Listener(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            self.transport = transport

    server = await net.serve()
    transport, listener = await net.connect(server, Listener)
    await within(transport.close())
    for _ in range(5):
        await asyncio.sleep(0)
    refs = [weakref.ref(transport), weakref.ref(listener)]
    gc.collect()
    gc.disable()
    try:
        net._transports.clear()
        del transport, listener
        # listener -> transport is the user's; nothing leads back.
        assert [ref() for ref in refs] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("way", ["opens", "is refused", "never asks"])
async def test_nothing_is_left_to_the_collector(net: Net, way: str) -> None:
    """Among ten thousand connections it hardly ever looks at old objects."""
    server = await net.serve(lambda request: Echo() if request.path == b"/" else None)

    async def come_and_go() -> None:
        if way == "opens":
            transport, _ = await net.connect(server)
            await within(transport.close())
        else:
            peer = await net.raw(server, upgrade=False)
            await peer.send(request_bytes("/not-here")[: None if way == "is refused" else 20])
            if way == "is refused":
                await peer.rest()
            peer.writer.transport.abort()
        net._transports.clear()
        await until(lambda: not server.connections and not server._settings.pending)

    await come_and_go()  # what a loop makes once
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await come_and_go()
        for _ in range(5):
            await asyncio.sleep(0)
        gc.collect()
        ours = [each for each in gc.garbage if type(each).__module__.startswith(("ws_core", "httptools"))]
        found = {type(each).__name__ for each in ours}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert not found


class Arrivals(WSListener):
    """Keeps nothing of the frames."""

    def __init__(self) -> None:
        self.sizes: asyncio.Queue[int] = asyncio.Queue()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.sizes.put_nowait(frame.payload_size)


@pytest.mark.skipif(KEEPS_WHAT_IS_FREED, reason="memory does not come back under AddressSanitizer")
async def test_what_a_large_message_leaves_behind_over_tls(loop_name: str) -> None:
    """Not what aiofastnet would have for each connection by default: a quarter of a megabyte, each way."""
    net = Net(tls=True, fast=None)
    server = await net.serve(lambda request: Echo())
    clients = [await net.connect(server, Arrivals) for _ in range(40)]

    async def exchange(size: int) -> None:
        for transport, arrivals in clients:
            transport.send(WSMsgType.BINARY, bytes(size))
            assert await within(arrivals.sizes.get()) == size

    await exchange(16)
    before = resident_bytes()
    await exchange(1024 * 1024)
    assert resident_bytes() - before < len(clients) * 500 * 1024  # both ends, both ways


async def test_a_callback_may_do_anything(net: Net) -> None:
    """Disconnect, forget everything, run the collector, from inside a frame's callback."""

    class Wild(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            self.transport = transport
            self.frame: Any = None

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            self.frame = frame
            view = frame.get_payload_as_memoryview()
            transport.send(WSMsgType.BINARY, view)
            transport.disconnect(graceful=False)
            self.transport = None
            self.__dict__.clear()
            del transport, frame
            gc.collect()
            assert len(view) == 5

    server = await net.serve(lambda request: Wild())
    for _ in range(5):
        peer = await net.raw(server)
        await peer.send(client_frame(2, b"12345") * 3)
        try:
            await peer.rest()
        except ConnectionError:
            pass
        peer.close()
    await until(lambda: not server.connections)


async def test_the_loop_is_stopped_in_a_callback() -> None:
    """And closed right after: no crash, and the memory is given back."""

    def run() -> None:
        loop = asyncio.new_event_loop()

        class Stopping(WSListener):
            def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
                self.frame = frame
                loop.stop()

        async def main() -> None:
            import ws_core

            server = await ws_core.ws_create_server(lambda request: Echo(), "127.0.0.1")
            port = server.sockets[0].getsockname()[1]
            transport, _ = await ws_core.ws_connect(Stopping, f"ws://127.0.0.1:{port}/")
            transport.send(WSMsgType.BINARY, b"x" * 10)
            await asyncio.sleep(30)

        loop.set_exception_handler(lambda loop, context: None)
        task = loop.create_task(main())
        loop.run_forever()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transports of a closed loop are unclosed: that is this test
        await asyncio.get_running_loop().run_in_executor(None, run)
        gc.collect()


async def test_debug_log(plain_net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """Below DEBUG every step is logged; at DEBUG none of it is."""
    from ws_core import WS_DEBUG_LL

    assert WS_DEBUG_LL == 9
    for level, expected in ((WS_DEBUG_LL, True), (logging.DEBUG, False)):
        caplog.clear()
        with caplog.at_level(level, logger="ws_core"):
            server = await plain_net.serve()
            transport, listener = await plain_net.connect(server)
            transport.send(WSMsgType.TEXT, "hello")
            await listener.frame()
            await within(transport.close())
            await until(lambda server=server: not server.connections)
        text = "\n".join(record.getMessage() for record in caplog.records)
        for step in ("upgrade request", "upgrade response", "send first=0x81", "bytes received"):
            assert (step in text) is expected, (step, text)


@pytest.mark.parametrize("with_close", [True, False], ids=["CLOSE", "no CLOSE"])
async def test_disconnect_while_reading_is_paused(net: Net, with_close: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the peer has sent meanwhile does not delay the end, and the end of its stream is seen."""
    monkeypatch.setattr(_linger, "PATIENCE_S", 60.0)
    listener, peer = await net.server_and_peer()
    transport = listener.transport
    transport.underlying_transport.pause_reading()
    await peer.send(client_frame(2, bytes(50_000)))
    if with_close:
        transport.send_close(WSCloseCode.GOING_AWAY)
    transport.disconnect()
    if with_close:
        assert await peer.frame() == (0x88, b"\x03\xe9")
    peer.close()
    await listener.event("disconnected")
    assert listener.frames == []


async def test_a_user_closes_the_underlying_transport(net: Net) -> None:
    """Twice, and goes on sending: nobody gets it, nothing raises, and the connection ends as by any other means."""
    listener, peer = await net.server_and_peer()
    transport = listener.transport
    transport.underlying_transport.close()
    transport.underlying_transport.close()
    transport.send(WSMsgType.TEXT, "to nobody")
    transport.send_close()
    peer.close()
    await listener.event("disconnected")
    assert transport.disconnect_reason is not None


async def test_a_callback_closes_the_underlying_transport(net: Net) -> None:
    class Closing(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            super().on_ws_frame(transport, frame)
            transport.underlying_transport.close()

    listener, peer = await net.server_and_peer(Closing)
    peer.writer.write(client_frame(2, bytes(300_000)))
    peer.writer.write(b"".join(client_frame(1, b"%d" % i) for i in range(1000)))
    await listener.event("frame")
    peer.close()
    await listener.event("disconnected")
