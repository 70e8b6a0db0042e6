"""Options of ws_connect reach the connection: what each changes when the bytes come from a server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness import Net, RawPeer, Recorder, frame_bytes, within
from ws_core import WSCloseCode, WSDisconnectKind, WSFrame, WSMsgType, WSProtocolError, WSTransport


async def from_server(net: Net, data: bytes, factory: Any = Recorder, **kwargs: Any) -> tuple[Any, list[Any]]:
    """The listener of a client whose server sends `data` behind the upgrade; what the server reads then."""
    answers: list[Any] = []

    async def serve(peer: RawPeer) -> None:
        await net.accept_upgrade(peer)
        await peer.send(data)
        answers.append(await peer.frame())
        peer.close()

    _, listener = await net.connect(await net.raw_server(serve), factory, **kwargs)
    return listener, answers


@pytest.mark.parametrize("strict", [None, True, False])
async def test_strict(one_net: Net, strict: bool | None) -> None:
    kwargs = {} if strict is None else {"strict": strict}
    listener, answers = await from_server(one_net, frame_bytes(0, b"orphan"), **kwargs)
    if strict is False:
        assert bytes(await listener.frame()) == b"orphan"
        return
    with pytest.raises(WSProtocolError, match="continuation"):
        await within(listener.transport.wait_disconnected())
    assert answers[0][1][:2] == b"\x03\xea"
    assert listener.events == ["connected", "disconnected"]


@pytest.mark.parametrize("size", [10, 11])
async def test_max_frame_size(one_net: Net, size: int) -> None:
    listener, answers = await from_server(one_net, frame_bytes(2, b"x" * size), max_frame_size=10)
    if size == 10:
        assert bytes(await listener.frame()) == b"x" * 10
        return
    with pytest.raises(WSProtocolError) as info:
        await within(listener.transport.wait_disconnected())
    assert info.value.code == WSCloseCode.MESSAGE_TOO_BIG
    assert answers[0][1][:2] == b"\x03\xf1"


@pytest.mark.parametrize("cork", [True, False])
async def test_cork(one_net: Net, cork: bool) -> None:
    sizes: list[int] = []

    class Answering(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            super().on_ws_frame(transport, frame)
            transport.send(WSMsgType.BINARY, frame)
            sizes.append(transport.write_backlog_size)

    listener, _ = await from_server(one_net, frame_bytes(2, b"x" * 10) * 3, Answering, cork=cork)
    await listener.event("frame", 3)
    assert sizes == ([16, 32, 48] if cork else [0] * 3)


@pytest.mark.parametrize("size", [1, 300_000])
async def test_read_buffer_init_size(one_net: Net, size: int) -> None:
    data = frame_bytes(1, b"whole") + frame_bytes(2, b"x" * 1_000_000)[:1000]
    listener, _ = await from_server(one_net, data, read_buffer_init_size=size)
    await listener.frame()
    protocol = listener.transport.underlying_transport.get_protocol()
    room = len(protocol.get_buffer(-1))
    assert 300_000 - 1000 <= room < 500_000 if size == 300_000 else room < 10_000


@pytest.mark.parametrize("busy_poll_us", [0, 1_000_000])
async def test_busy_poll_us(one_net: Net, busy_poll_us: int) -> None:
    """What the server's callback sends while the client's waits is met in the same turn of the loop, or is not."""
    turns: list[int] = []
    turn = 0

    def count() -> None:
        nonlocal turn
        turn += 1

    class Polling(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            super().on_ws_frame(transport, frame)
            turns.append(turn)
            asyncio.get_running_loop().call_soon(count)
            if len(self.frames) == 1:
                server[0].transport.send(WSMsgType.TEXT, "second")
            else:
                transport.underlying_transport.pause_reading()  # ends the poll

    class Beginning(Recorder):
        def on_ws_connected(self, transport: WSTransport) -> None:
            super().on_ws_connected(transport)
            transport.send(WSMsgType.TEXT, "first")

    server: list[Beginning] = []
    url = one_net.url(await one_net.serve(lambda request: server.append(Beginning()) or server[-1]))
    _, client = await one_net.connect(url, Polling, busy_poll_us=busy_poll_us)
    await client.event("frame", 2)
    assert turns == ([0, 0] if busy_poll_us else [0, 1])


async def test_max_write_backlog(net: Net) -> None:
    server, client = await net.pair(client_kwargs={"max_write_backlog": 300_000})
    server.transport.underlying_transport.pause_reading()
    for _ in range(1000):
        client.transport.send(WSMsgType.BINARY, b"x" * 50_000)
        if client.transport.disconnect_reason:
            break
    await client.event("disconnected")
    assert client.transport.disconnect_reason.kind is WSDisconnectKind.LOCAL
    assert "max_write_backlog=300000" in client.transport.disconnect_reason.message
