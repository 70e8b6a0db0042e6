"""Transport hooks: what they see, in which order, what they may make of it, and what happens when they fail."""

from __future__ import annotations

from typing import Any

import pytest

from harness import Net, RawPeer, client_frame, frame_bytes, within
from ws_core import (
    TransportHook,
    WSCloseCode,
    WSDisconnectKind,
    WSFrame,
    WSMessage,
    WSMsgType,
    WSTransport,
    broadcast,
)


class Marking(TransportHook):
    """Appends its mark to every message, in both directions, and keeps a log."""

    def __init__(self, mark: bytes, log: list[tuple[str, bytes, bytes]] | None = None) -> None:
        self.mark = mark
        self.log = [] if log is None else log

    opcodes = (WSMsgType.TEXT, WSMsgType.BINARY)

    def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame:
        self.log.append(("in", self.mark, bytes(frame)))
        return frame.replace(payload=bytes(frame) + self.mark)

    def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage:
        self.log.append(("out", self.mark, message.payload))
        return message._replace(payload=message.payload + self.mark)


class Dropping(TransportHook):
    def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage | None:
        return None if b"secret" in message.payload else message


async def test_order(net: Net) -> None:
    """Registration order on receive, the reverse on send; each sees what the one before made."""
    listener, peer = await net.server_and_peer()
    transport = listener.transport
    log: list[tuple[str, bytes, bytes]] = []
    for mark in (b"1", b"2", b"3"):
        transport.add_hook(Marking(mark, log))
    await peer.send(client_frame(1, b"in"))
    frame = await listener.frame()
    assert frame.get_payload_as_bytes() == b"in123"
    assert (frame.msg_type, frame.fin, frame.last_in_buffer) == (WSMsgType.TEXT, True, True)
    transport.send(WSMsgType.TEXT, "out")
    assert await peer.frame() == (0x81, b"out321")
    seen = [("in", b"1", b"in"), ("in", b"2", b"in1"), ("in", b"3", b"in12")]
    assert log == [*seen, ("out", b"3", b"out"), ("out", b"2", b"out3"), ("out", b"1", b"out32")]


@pytest.mark.parametrize("size", [0, 1, 125, 70_000, 3_000_000])
async def test_every_way_of_sending_passes_on_send(net: Net, size: int) -> None:
    listener, peer = await net.server_and_peer()
    transport = listener.transport
    transport.add_hook(Marking(b"!"))
    body = b"x" * size
    transport.send(WSMsgType.BINARY, body)
    transport.send(WSMsgType.BINARY, bytearray(body))
    transport.send(WSMsgType.TEXT, body.decode())
    transport.send_reuse_external_bytearray(WSMsgType.BINARY, bytearray(14) + body, 14)
    assert broadcast([transport], WSMsgType.BINARY, body) == 1
    with transport.cork():
        transport.send(WSMsgType.BINARY, body, False)
        transport.send(WSMsgType.CONTINUATION, b"end")  # not among its opcodes
    for first in (0x82, 0x82, 0x81, 0x82, 0x82, 0x02):
        assert await peer.frame() == (first, body + b"!")
    assert await peer.frame() == (0x80, b"end")
    assert transport.stats.frames_out == 7


async def test_a_client_masks_what_the_hook_made(net: Net) -> None:
    received: list[Any] = []

    async def serve(peer: RawPeer) -> None:
        await net.accept_upgrade(peer)
        received.append(await peer.frame())
        peer.close()

    transport, listener = await net.connect(await net.raw_server(serve))
    transport.add_hook(Marking(b"!"))
    transport.send(WSMsgType.TEXT, "hello")
    await listener.event("disconnected")
    assert received == [(0x81, b"hello!")]


async def test_dropping_and_reserved_bits(plain_net: Net) -> None:
    class Flag(TransportHook):
        opcodes = (WSMsgType.BINARY,)

        def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage:
            assert message == (WSMsgType.BINARY, b"payload", False, False, True, False)
            return message._replace(rsv1=True, rsv2=False, rsv3=True, fin=True)

    listener, peer = await plain_net.server_and_peer()
    transport = listener.transport
    transport.add_hook(Flag())
    transport.add_hook(Dropping())
    transport.send(WSMsgType.TEXT, "a secret")
    transport.send(WSMsgType.BINARY, b"payload", fin=False, rsv2=True)
    assert await peer.frame() == (0x82 | 0x50, b"payload")
    assert transport.stats.frames_out == 1


async def test_control_frames(plain_net: Net) -> None:
    """PING and PONG pass on_send, also the PONG that core answers with; CLOSE does not."""
    seen: list[WSMessage] = []

    class Seeing(TransportHook):
        def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage:
            seen.append(message)
            return message

    listener, peer = await plain_net.server_and_peer()
    transport = listener.transport
    transport.add_hook(Seeing())
    transport.send_ping(b"1")
    transport.send_pong("2")
    await peer.send(client_frame(9, b"3"))
    assert [await peer.frame() for _ in range(3)] == [(0x89, b"1"), (0x8A, b"2"), (0x8A, b"3")]
    with pytest.raises(ValueError, match="125 bytes"):
        transport.send_ping(bytes(126))
    transport.send_close(WSCloseCode.OK)
    transport.send(WSMsgType.TEXT, "after it nothing is shown")
    assert [(message.msg_type, message.payload) for message in seen] == [(9, b"1"), (10, b"2"), (10, b"3")]
    assert await peer.frame() == (0x88, b"\x03\xe8")


BAD_RESULTS: dict[str, Any] = {
    "bytes": lambda message: b"bytes",
    "tuple": tuple,
    "bytearray payload": lambda message: message._replace(payload=bytearray(b"x")),
    "str payload": lambda message: message._replace(payload="x"),
    "no message type": lambda message: message._replace(msg_type=7),
    "a CLOSE": lambda message: message._replace(msg_type=WSMsgType.CLOSE),
    "a PING of a TEXT": lambda message: message._replace(msg_type=WSMsgType.PING),
    "an exception": lambda message: 1 // 0,
}


@pytest.mark.parametrize("what", BAD_RESULTS)
async def test_on_send_fails(plain_net: Net, what: str) -> None:
    """As a listener's callback: CLOSE, and the end. send() raises nothing."""

    class Failing(TransportHook):
        def on_send(self, transport: WSTransport, message: WSMessage) -> Any:
            return BAD_RESULTS[what](message)

    listener, peer = await plain_net.server_and_peer()
    transport = listener.transport
    transport.add_hook(Failing())
    transport.send(WSMsgType.TEXT, "never")
    assert (await peer.rest())[2:4] == WSCloseCode.INTERNAL_ERROR.to_bytes(2, "big")
    peer.close()
    await listener.event("disconnected")
    assert transport.disconnect_reason.kind is WSDisconnectKind.CALLBACK_ERROR
    assert "on_send" in transport.disconnect_reason.message


@pytest.mark.parametrize("change", [{"payload": bytes(126)}, {"fin": False}])
async def test_a_control_frame_that_cannot_be(plain_net: Net, change: dict[str, Any]) -> None:
    class Growing(TransportHook):
        def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage:
            return message._replace(**change)

    listener, peer = await plain_net.server_and_peer()
    listener.transport.add_hook(Growing())
    listener.transport.send_ping(b"small")
    assert (await peer.rest())[2:4] == WSCloseCode.INTERNAL_ERROR.to_bytes(2, "big")


async def test_hooks_come_and_go_while_frames_flow(plain_net: Net) -> None:
    """A dispatch that is under way finishes with the hooks that it began with."""

    class Passing(TransportHook):
        def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame:
            transport.remove_hook(self)
            transport.add_hook(Marking(b"+"))
            return frame

        def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage:
            if message.payload == b"begin":
                transport.send(WSMsgType.TEXT, "nested")
            return message

    listener, peer = await plain_net.server_and_peer()
    transport = listener.transport
    transport.add_hook(Passing())
    transport.send(WSMsgType.TEXT, "begin")
    assert [await peer.frame() for _ in range(2)] == [(0x81, b"nested"), (0x81, b"begin")]
    await peer.send(client_frame(1, b"a") + client_frame(1, b"b"))
    assert [(await listener.frame()).get_payload_as_bytes() for _ in range(2)] == [b"a", b"b+"]
    transport.send(WSMsgType.TEXT, "end")
    assert await peer.frame() == (0x81, b"end+")


async def test_on_send_ends_the_connection(plain_net: Net) -> None:
    class Ending(TransportHook):
        def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage:
            transport.disconnect(graceful=False)
            transport.remove_hook(self)
            return message._replace(payload=b"to nobody")

    listener, peer = await plain_net.server_and_peer()
    listener.transport.add_hook(Ending())
    listener.transport.send(WSMsgType.TEXT, "x")
    await listener.event("disconnected")
    peer.close()
    assert listener.transport.stats.frames_out == 0


def test_a_frame_of_nobody() -> None:
    """No Python code may crash the interpreter."""
    frame = WSFrame.__new__(WSFrame)
    assert frame.replace(fin=True).payload_size == 0
    assert bytes(frame.replace(payload=b"x")) == b"x"


async def test_replace(plain_net: Net) -> None:
    listener, peer = await plain_net.server_and_peer()
    await peer.send(client_frame(1, b"one") + client_frame(1, b"two"))
    frame = await listener.frame()
    assert (frame.last_in_buffer, frame.tail_size) == (False, 9)
    same = frame.replace()
    for copied in (same, frame.replace(payload=b"another")):
        assert (copied.last_in_buffer, copied.tail_size) == (False, 9)
    assert (same.msg_type, same.fin, bytes(same)) == (WSMsgType.TEXT, True, b"one")
    other = frame.replace(payload=memoryview(b"other"), msg_type=2, fin=False, rsv1=True, rsv2=True, rsv3=True)
    assert (other.msg_type, other.fin, other.rsv1, other.rsv2, other.rsv3) == (
        WSMsgType.BINARY,
        False,
        True,
        True,
        True,
    )
    assert bytes(other) == b"other"
    assert other.replace(rsv2=False).rsv2 is False
    for wrong in ({"payload": "text"}, {"payload": 5}):
        with pytest.raises(TypeError):
            frame.replace(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="7"):
        frame.replace(msg_type=7)
    assert bytes(frame) == b"one"
    assert frame_bytes(1, b"one")[2:] == bytes(frame)


async def test_the_payload_that_is_checked_is_the_payload_that_is_sent(plain_net: Net) -> None:
    """A property may answer differently each time: what was no bytes object was once read as one."""
    answers: list[Any] = [b"first"]

    class Changing(WSMessage):
        @property
        def payload(self) -> Any:  # type: ignore[override]
            return answers.pop(0) if answers else 12345

    class Sending(TransportHook):
        def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage:
            return Changing(message.msg_type, b"")

    listener, peer = await plain_net.server_and_peer()
    listener.transport.add_hook(Sending())
    listener.transport.send(WSMsgType.TEXT, "x")
    assert await peer.frame() == (0x81, b"first")


@pytest.mark.parametrize(
    ("opcodes", "error"),
    [
        (WSMsgType.TEXT, TypeError),  # the comma was forgotten
        (None, TypeError),
        ((-1,), ValueError),
        ((17,), ValueError),
        ((2**70,), ValueError),
        ((1.0,), ValueError),
        (("1",), ValueError),
    ],
)
async def test_opcodes_that_are_none(one_net: Net, opcodes: Any, error: Any) -> None:
    """17 is not TEXT with another bit set."""

    class Wrong(Dropping):
        pass

    Wrong.opcodes = opcodes
    listener, _ = await one_net.server_and_peer()
    with pytest.raises(error, match=r"Wrong\.opcodes must be"):
        listener.transport.add_hook(Wrong())


async def test_an_object_may_have_a_method_of_its_own(plain_net: Net) -> None:
    """As a listener may."""
    hook = TransportHookWithDict()
    hook.on_send = lambda transport, message: message._replace(payload=b"its own")  # type: ignore[method-assign]
    listener, peer = await plain_net.server_and_peer()
    listener.transport.add_hook(hook)
    listener.transport.send(WSMsgType.TEXT, "x")
    assert await peer.frame() == (0x81, b"its own")


class TransportHookWithDict(TransportHook):
    pass


async def test_on_close_of_all_hooks_and_an_exception_that_is_false(one_net: Net) -> None:
    class Quiet(Exception):
        def __bool__(self) -> bool:
            return False

    class Raising(TransportHook):
        def __init__(self, exc: Exception) -> None:
            self.exc = exc

        def on_close(self, transport: WSTransport) -> None:
            raise self.exc

    _, client = await one_net.pair()
    client.transport.add_hook(Raising(Quiet()))
    client.transport.add_hook(Raising(ValueError()))
    client.transport.disconnect()
    with pytest.raises(Quiet):
        await within(client.transport.wait_disconnected())


async def test_a_hook_that_sends_what_it_sees_ends_its_connection_only(plain_net: Net) -> None:
    """Recursion without an end is an error as any other."""

    class Endless(TransportHook):
        def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage:
            transport.send(WSMsgType.TEXT, "again")
            return message

    listener, peer = await plain_net.server_and_peer()
    listener.transport.add_hook(Endless())
    listener.transport.send(WSMsgType.TEXT, "x")
    assert await peer.frame() == (0x88, WSCloseCode.INTERNAL_ERROR.to_bytes(2, "big"))
    assert "RecursionError" in listener.transport.disconnect_reason.message
