"""Messages of every size and kind go through both sides and come back as they were."""

from __future__ import annotations

import pytest

from harness import Net, Recorder, random_bytes, within
from ws_core import WSCloseCode, WSMsgType

SIZES = [0, 1, 2, 7, 64, 125, 126, 127, 4096, 65535, 65536, 65537, 300_000, 3_000_000]


@pytest.mark.parametrize("cork", [True, False], ids=["cork", "nocork"])
async def test_every_size_comes_back(net: Net, cork: bool) -> None:
    server = await net.serve(cork=cork)
    transport, listener = await net.connect(server, cork=cork)
    messages = [random_bytes(size) for size in SIZES]
    for message in messages:
        transport.send(WSMsgType.BINARY, message)
    for message in messages:
        frame = await listener.frame()
        assert frame.msg_type is WSMsgType.BINARY
        assert frame.get_payload_as_bytes() == message


async def test_one_at_a_time(net: Net) -> None:
    server = await net.serve()
    transport, listener = await net.connect(server)
    for size in SIZES:
        transport.send(WSMsgType.TEXT, "é" * (size // 2))
        frame = await listener.frame()
        assert frame.get_payload_as_utf8_text() == "é" * (size // 2)


async def test_closing_handshake(net: Net) -> None:
    server = await net.serve()
    transport, listener = await net.connect(server)
    await within(transport.close(WSCloseCode.OK, "bye"))
    assert listener.events == ["connected", "frame", "disconnected"]
    assert transport.close_handshake.recv == (WSCloseCode.OK, "bye")
    assert transport.close_handshake.sent == (WSCloseCode.OK, "bye")
    assert not transport.close_handshake.recv_then_sent
    await within(transport.wait_disconnected())


async def test_recorder_pair(net: Net) -> None:
    server, client = await net.pair()
    assert isinstance(server, Recorder)
    server.transport.send(WSMsgType.TEXT, "from the server")
    client.transport.send(WSMsgType.TEXT, "from the client")
    assert (await client.frame()).get_payload_as_ascii_text() == "from the server"
    assert (await server.frame()).get_payload_as_ascii_text() == "from the client"
