"""WSListener: which methods are called, and how they are found."""

from __future__ import annotations

import weakref

import pytest

from harness import Net, Recorder, client_frame, until, within
from ws_core import WSFrame, WSListener, WSMsgType, WSTransport


async def test_the_base_class_is_enough(net: Net) -> None:
    """A listener without any method of its own is a sink that answers pings."""
    server = await net.serve(lambda request: WSListener())
    transport, listener = await net.connect(server)
    transport.send(WSMsgType.TEXT, "ignored")
    transport.send_ping(b"alive?")
    pong = await listener.frame()
    assert (pong.msg_type, bytes(pong)) == (WSMsgType.PONG, b"alive?")
    transport.disconnect()
    await within(transport.wait_disconnected())


async def test_methods_on_the_instance_and_in_mixins(one_net: Net) -> None:
    seen: list[str] = []

    class Mixin:
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            seen.append("mixin")

    class Mixed(Mixin, WSListener):
        pass

    class Child(Mixed):
        pass

    def instance() -> WSListener:
        class Bare(WSListener):
            pass

        listener = Bare()
        listener.on_ws_frame = lambda transport, frame: seen.append("instance")  # type: ignore[method-assign]
        return listener

    for factory in (Mixed, Child, instance):
        server = await one_net.serve(lambda request, factory=factory: factory())
        peer = await one_net.raw(server)
        await peer.send(client_frame(2, b"x"))
        count = len(seen)
        await until(lambda count=count: len(seen) > count)
    assert seen == ["mixin", "mixin", "instance"]


async def test_methods_are_looked_up_once(one_net: Net) -> None:
    lookups = 0

    class Counting(Recorder):
        def __getattribute__(self, name: str) -> object:
            nonlocal lookups
            lookups += name == "on_ws_frame"
            return super().__getattribute__(name)

    made: list[Counting] = []
    server = await one_net.serve(lambda request: made.append(Counting()) or made[-1])
    peer = await one_net.raw(server)
    await peer.send(client_frame(2, b"x") * 50)
    await made[0].event("frame", 50)
    assert lookups == 1


async def test_default_ping_and_pong() -> None:
    """What auto-ping builds on."""
    net = Net(tls=False, fast=True)
    made: list[Recorder] = []
    server = await net.serve(lambda request: made.append(Recorder()) or made[-1])
    peer = await net.raw(server)
    await until(lambda: made and made[0].transport)
    made[0].send_user_specific_ping(made[0].transport)
    assert await peer.frame() == (0x89, b"")
    await peer.send(client_frame(10, b"") + client_frame(1, b"pong"))
    pong, text = await made[0].frame(), await made[0].frame()
    assert made[0].is_user_specific_pong(pong)
    assert not made[0].is_user_specific_pong(text)
    await net.aclose()


def test_a_listener_can_be_weakly_referenced() -> None:
    listener = WSListener()
    assert weakref.ref(listener)() is listener


async def test_wrong_types_in_default_methods() -> None:
    listener = WSListener()
    for argument in (None, 5, object()):
        with pytest.raises((TypeError, AttributeError)):
            listener.send_user_specific_ping(argument)
        with pytest.raises((TypeError, AttributeError)):
            listener.is_user_specific_pong(argument)
        with pytest.raises((TypeError, AttributeError)):
            listener.on_write_backlog(argument)


async def test_one_listener_for_several_connections(plain_net: Net) -> None:
    shared = Recorder()
    server = await plain_net.serve(lambda request: shared)
    peers = [await plain_net.raw(server) for _ in range(3)]
    for peer in peers:
        await peer.send(client_frame(1, b"x"))
    await shared.event("frame", 3)
    for peer in peers:
        peer.close()
    await shared.event("disconnected", 3)
    assert shared.events.count("connected") == 3
