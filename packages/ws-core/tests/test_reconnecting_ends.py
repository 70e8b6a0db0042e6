"""Every way to end an iteration of reconnecting, in the middle of whatever it does, and that nothing stays open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from harness import Echo, Net, RawPeer, Recorder, until, within
from retries import again, free_port, in_turn, is_mute, refuses
from ws_core import WSCloseCode, WSDisconnectKind, WSMsgType, WSReconnecting, WSTransport

LONG_S = 1e6  # a pause that nobody sees the end of


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """No task is left that was not there before."""
    before = asyncio.all_tasks()
    yield
    await until(lambda: asyncio.all_tasks() <= before)


async def go_through(connections: WSReconnecting, connected: asyncio.Event | None = None) -> int:
    """A loop whose body does nothing but set an event; how many connections there were."""
    count = 0
    async for _ in connections:
        count += 1
        if connected is not None:
            connected.set()
    return count


async def test_leaving_async_with_closes(net: Net) -> None:
    codes: list[int] = []

    class Closing(Echo):
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            codes.append(frame.get_close_code())
            super().on_ws_frame(transport, frame)

    async def leave() -> None:
        async with again(net, server) as connections:
            async for transport in connections:
                seen.append(transport)
                raise LookupError("the body")

    server = await net.serve(lambda request: Closing())
    seen: list[WSTransport] = []
    async with nothing_left():
        with pytest.raises(LookupError, match="the body"):
            await within(leave())
    assert seen[0].is_disconnected
    assert codes == [WSCloseCode.OK]
    await until(lambda: not server.connections)


async def test_after_break_the_connection_is_the_callers(plain_net: Net, pauses: list[float]) -> None:
    server = await plain_net.serve()
    connections = again(plain_net, server)
    seen: list[WSTransport] = []
    async for transport in connections:
        seen.append(transport)
        break
    assert isinstance(transport.listener, Recorder)
    transport.send(WSMsgType.TEXT, "mine")
    await transport.listener.frame()
    transport.disconnect()
    async for another in connections:
        seen.append(another)
        break
    assert another is not transport
    await connections.aclose()
    assert another.is_disconnected


async def test_the_end_is_the_end(one_net: Net) -> None:
    server = await one_net.serve()
    connections = again(one_net, server)
    assert aiter(connections) is connections
    await within(anext(connections))
    await connections.aclose()
    await connections.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(connections)
    assert await go_through(connections) == 0


async def test_aclose_before_anything(one_net: Net) -> None:
    connections = again(one_net, free_port())
    await connections.aclose()
    assert await go_through(connections) == 0
    async with again(one_net, free_port()):
        pass


async def test_the_url_function_may_end_it(one_net: Net) -> None:
    requests: list[Any] = []

    def factory(request: Any) -> Echo:
        requests.append(request)
        return Echo()

    server = await one_net.serve(factory)

    async def url() -> str:
        try:
            await connections.aclose()
        finally:
            await connections.aclose()
        return one_net.url(server)

    connections = again(one_net, url)
    assert await within(go_through(connections)) == 0
    assert not requests


# ------------------------------------------------------------------ in the middle of something


class During:
    """Something that an iteration can be in the middle of, and a look at the server afterwards."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.closed = asyncio.Event()
        self.asked = asyncio.Event()

    async def watch(self, peer: RawPeer) -> None:
        """Sees a connection of a client that is left alone."""
        self.asked.set()
        await peer.rest()
        peer.close()
        self.closed.set()

    async def connection(self) -> tuple[WSReconnecting, asyncio.Task[int]]:
        async def serve(peer: RawPeer) -> None:
            await Net.accept_upgrade(peer)
            assert (await peer.frame())[0] == 0x88
            peer.close()
            self.closed.set()

        return await self.start(again(self.net, await self.net.raw_server(serve)), self.asked)

    async def tcp(self) -> tuple[WSReconnecting, asyncio.Task[int]]:
        async def factory(url: Any) -> Any:
            self.asked.set()
            try:
                await asyncio.sleep(LONG_S)
            finally:
                self.closed.set()

        return await self.start(again(self.net, 1, socket_factory=factory))

    async def upgrade(self) -> tuple[WSReconnecting, asyncio.Task[int]]:
        return await self.start(again(self.net, await self.net.raw_server(self.watch)))

    async def url(self) -> tuple[WSReconnecting, asyncio.Task[int]]:
        async def url() -> str:
            self.asked.set()
            try:
                await asyncio.sleep(LONG_S)
            finally:
                await asyncio.sleep(0.01)  # it tidies up
                self.closed.set()
            return ""

        return await self.start(again(self.net, url))

    async def pause(self) -> tuple[WSReconnecting, asyncio.Task[int]]:
        def about_to_pause(exc: Exception) -> None:
            self.asked.set()

        self.closed.set()
        port = await self.net.raw_server(in_turn(refuses(503, "Retry-After: 99999\r\n"), is_mute))
        return await self.start(again(self.net, port, backoff_max=LONG_S, retry=about_to_pause))

    async def start(
        self, connections: WSReconnecting, connected: asyncio.Event | None = None
    ) -> tuple[WSReconnecting, asyncio.Task[int]]:
        task = asyncio.ensure_future(go_through(connections, connected))
        await within(self.asked.wait())
        await asyncio.sleep(0)  # from there to the wait itself
        return connections, task


MIDDLES = ["connection", "tcp", "upgrade", "url", "pause"]


@pytest.mark.parametrize("middle", MIDDLES)
async def test_aclose_in_the_middle(plain_net: Net, middle: str) -> None:
    """The loop ends as if there were no more connections."""
    during = During(plain_net)
    async with nothing_left():
        connections, task = await getattr(during, middle)()
        await within(connections.aclose())
        if middle in ("tcp", "url"):
            assert during.closed.is_set()  # nothing goes on behind it
        assert await within(task) == (middle == "connection")
        await within(during.closed.wait())


@pytest.mark.parametrize("middle", MIDDLES)
async def test_cancelled_in_the_middle(plain_net: Net, middle: str) -> None:
    during = During(plain_net)
    async with nothing_left():
        connections, task = await getattr(during, middle)()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        await within(during.closed.wait())
        with pytest.raises(StopAsyncIteration):
            await anext(connections)


@pytest.mark.parametrize("middle", MIDDLES)
async def test_aclose_and_cancelled_at_once(plain_net: Net, middle: str) -> None:
    """A cancelled task is cancelled, whoever else has ended what it waits for."""
    during = During(plain_net)
    async with nothing_left():
        connections, task = await getattr(during, middle)()
        closing = asyncio.ensure_future(connections.aclose())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        await within(closing)
        await within(during.closed.wait())


async def test_the_loop_ends_when_the_connection_is_gone(plain_net: Net) -> None:
    got_close, may_go = asyncio.Event(), asyncio.Event()

    async def serve(peer: RawPeer) -> None:
        await Net.accept_upgrade(peer)
        await peer.frame()
        got_close.set()
        await may_go.wait()
        peer.close()

    connections = again(plain_net, await plain_net.raw_server(serve))
    transport = await within(anext(connections))
    task = asyncio.ensure_future(go_through(connections))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(connections.aclose())
    await within(got_close.wait())
    assert not task.done()
    assert not closing.done()
    may_go.set()
    assert await within(task) == 0
    assert transport.is_disconnected
    await within(closing)


async def test_aclose_in_any_turn_behind_the_opening(plain_net: Net) -> None:
    """Who waits gets an open connection, before aclose() was called, or none."""
    server = await plain_net.serve()
    was_early: list[bool] = []
    for turns in range(12):
        waiting: asyncio.Future[WSTransport]

        async def end(turns: int = turns) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            was_early.append(not waiting.done())  # noqa: B023
            await connections.aclose()  # noqa: B023

        class Ending(Recorder):
            def on_ws_connected(self, transport: WSTransport) -> None:
                super().on_ws_connected(transport)
                closing.append(asyncio.ensure_future(end()))  # noqa: B023

        closing: list[asyncio.Future[None]] = []
        connections = again(plain_net, server, factory=Ending)
        async with nothing_left():
            waiting = asyncio.ensure_future(anext(connections))
            await asyncio.wait({waiting})
            await within(closing[0])
        if was_early[-1]:
            assert isinstance(waiting.exception(), StopAsyncIteration)
        else:
            assert waiting.result().is_disconnected
    assert set(was_early) == {True, False}


@pytest.mark.parametrize("how", ["aclose", "cancel"])
async def test_cancelled_again_while_the_peer_does_not_close(plain_net: Net, how: str) -> None:
    """The first one closes by handshake, the second one cuts."""
    got_close, gone = asyncio.Event(), asyncio.Event()

    async def serve(peer: RawPeer) -> None:
        await Net.accept_upgrade(peer)
        assert (await peer.frame())[0] == 0x88
        got_close.set()
        with contextlib.suppress(ConnectionError):
            assert await peer.rest() == b""
        gone.set()

    async with nothing_left():
        connections = again(plain_net, await plain_net.raw_server(serve))
        transport = await within(anext(connections))
        task = asyncio.ensure_future(connections.aclose() if how == "aclose" else go_through(connections))
        if how == "cancel":
            await asyncio.sleep(0)
            task.cancel()
        await within(got_close.wait())
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        await within(gone.wait())
        await until(lambda: transport.is_disconnected)
        assert transport.disconnect_reason is not None
        assert transport.disconnect_reason.kind == WSDisconnectKind.LOCAL  # and not the handshake's time-out


async def test_two_tasks(plain_net: Net, pauses: list[float]) -> None:
    server = await plain_net.serve()
    async with again(plain_net, server) as connections:
        transport = await within(anext(connections))
        following = asyncio.ensure_future(anext(connections))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(connections)
        transport.disconnect()
        assert not (await within(following)).is_disconnected


async def test_many_at_once(one_net: Net, pauses: list[float]) -> None:
    """They share nothing."""
    server = await one_net.serve()

    async def three() -> int:
        async with again(one_net, server) as connections:
            for _ in range(3):
                (await within(anext(connections))).disconnect()
            return 3

    async with nothing_left():
        assert await asyncio.gather(*(three() for _ in range(10))) == [3] * 10
    assert pauses.count(1) == pauses.count(2) == 10
    await until(lambda: not server.connections)
