"""Extensions of the protocol: offered, accepted, judged; payloads transformed on both sides (RFC 6455 section 9)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import pytest
from multidict import CIMultiDict

from harness import Net, RawPeer, Recorder, client_frame, request_bytes, until
from ws_core import (
    Extension,
    TransportHook,
    WSCloseCode,
    WSFrame,
    WSHandshakeError,
    WSInvalidHeaderError,
    WSInvalidStatusError,
    WSMessage,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    broadcast,
)
from ws_core.negotiation import format_extension, parse_extensions

HEADER = "Sec-WebSocket-Extensions"


class Squeeze(Extension):
    """Deflates each message by itself: what permessage-deflate is without context, for unfragmented messages."""

    name = "squeeze"

    def __init__(self, level: int = 6) -> None:
        self.level = level

    def offer(self, request: WSUpgradeRequest, options: dict[str, Any]) -> None:
        request.headers.add(HEADER, format_extension("x-squeeze", {"level": self.level}))

    def accept(self, request: WSUpgradeRequest, response: WSUpgradeResponse, options: dict[str, Any]) -> Iterable[int]:
        offered = dict(parse_extensions(request.headers))
        if not options["is_client_side"] and "x-squeeze" in offered:
            response.headers.add(HEADER, "x-squeeze")
        if "x-squeeze" not in dict(parse_extensions(response.headers)):
            return ()
        options["level"] = int(offered["x-squeeze"]["level"] or 6)
        return (1,)

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook | None:
        return SqueezeHook(options["level"]) if "level" in options else None


class SqueezeHook(TransportHook):
    opcodes = (WSMsgType.TEXT, WSMsgType.BINARY)

    def __init__(self, level: int) -> None:
        self.level = level

    def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame:
        if not frame.rsv1:
            return frame
        return frame.replace(payload=zlib.decompress(frame), rsv1=False)

    def on_send(self, transport: WSTransport, message: WSMessage) -> WSMessage:
        return message._replace(payload=zlib.compress(message.payload, self.level), rsv1=True)


async def test_a_negotiated_extension_transforms_both_ways(net: Net) -> None:
    recorder = Recorder()
    server = await net.serve(lambda request: recorder, extensions=[Squeeze()])
    transport, listener = await net.connect(server, extensions=[Squeeze(level=9)])
    assert transport.request.headers[HEADER] == "x-squeeze; level=9"
    assert transport.response.headers[HEADER] == "x-squeeze"
    await recorder.event("connected")
    for here, there in ((transport, recorder), (recorder.transport, listener)):
        sent = here.stats.bytes_out
        here.send(WSMsgType.TEXT, "grüße" * 20_000)
        assert here.stats.bytes_out - sent < 2000
        here.send(WSMsgType.BINARY, bytearray(100_000))
        here.send_reuse_external_bytearray(WSMsgType.BINARY, bytearray(14) + b"in place", 14)
        assert broadcast([here], WSMsgType.BINARY, "broadcast") == 1
        here.send(WSMsgType.TEXT, None)
        assert (await there.frame()).get_payload_as_utf8_text() == "grüße" * 20_000
        frame = await there.frame()
        assert (frame.msg_type, frame.rsv1, bytes(frame)) == (WSMsgType.BINARY, False, bytes(100_000))
        assert (await there.frame()).get_payload_as_bytes() == b"in place"
        assert (await there.frame()).get_payload_as_bytes() == b"broadcast"
        assert (await there.frame()).get_payload_as_bytes() == b""


async def test_it_is_left_out_where_one_side_lacks_it(net: Net) -> None:
    plain = await net.serve()
    transport, listener = await net.connect(plain, extensions=[Squeeze()])
    transport.send(WSMsgType.TEXT, "as it is")
    assert (await listener.frame()).get_payload_as_bytes() == b"as it is"
    squeezing = await net.serve(extensions=[Squeeze()])
    transport, listener = await net.connect(squeezing)
    assert HEADER not in transport.response.headers
    transport.send(WSMsgType.TEXT, "as it is")
    assert (await listener.frame()).get_payload_as_bytes() == b"as it is"


async def squeezed(net: Net) -> tuple[Recorder, RawPeer]:
    recorder = Recorder()
    peer = await net.raw(await net.serve(lambda request: recorder, extensions=[Squeeze()]), upgrade=False)
    await peer.send(request_bytes(headers={HEADER: "x-other, x-squeeze; level=1"}))
    head = await peer.head()
    assert b"\r\nSec-WebSocket-Extensions: x-squeeze\r\n" in head
    return recorder, peer


@pytest.mark.parametrize(
    ("frame", "allowed"),
    [
        (client_frame(1, zlib.compress(b"text"), rsv=4), True),
        (client_frame(1, b"plain"), True),
        (client_frame(1, b"x", rsv=2), False),
        (client_frame(1, b"x", rsv=6), False),
        (client_frame(9, b"x", rsv=4), False),
        (client_frame(8, b"\x03\xe8", rsv=4), False),
    ],
)
async def test_only_owned_bits_and_only_on_messages(plain_net: Net, frame: bytes, allowed: bool) -> None:
    recorder, peer = await squeezed(plain_net)
    await peer.send(frame)
    if allowed:
        await recorder.frame()
        return
    assert await peer.frame() == (0x88, WSCloseCode.PROTOCOL_ERROR.to_bytes(2, "big") + await reason_of(recorder))


async def reason_of(recorder: Recorder) -> bytes:
    await until(lambda: recorder.transport.close_handshake)
    return str(recorder.transport.close_handshake.sent.reason).encode()


async def test_text_is_checked_unless_it_is_transformed(plain_net: Net) -> None:
    recorder, peer = await squeezed(plain_net)
    await peer.send(client_frame(1, zlib.compress(b"\xff"), rsv=4) + client_frame(1, b"\xff"))
    assert (await peer.frame())[1][:2] == WSCloseCode.INVALID_TEXT.to_bytes(2, "big")
    assert [bytes(frame) for frame in recorder.frames] == [b"\xff"]  # the hook's business


async def test_a_hook_that_cannot_transform_fails_the_connection(plain_net: Net) -> None:
    recorder, peer = await squeezed(plain_net)
    await peer.send(client_frame(1, b"not deflated", rsv=4))
    assert (await peer.frame())[1][:2] == WSCloseCode.INTERNAL_ERROR.to_bytes(2, "big")
    peer.close()
    await recorder.event("disconnected")
    assert isinstance(recorder.transport.disconnect_reason.exception, zlib.error)


@pytest.mark.parametrize(
    "answer", ["x-other", "x-squeeze, x-other", "x-squeeze;", "x-squeeze; a=", "=", "x-squeeze; a=1; a=2"]
)
async def test_the_server_accepts_what_was_not_offered(plain_net: Net, answer: str) -> None:
    async def serve(peer: RawPeer) -> None:
        await plain_net.accept_upgrade(peer, f"{HEADER}: {answer}\r\n")
        await peer.rest()

    class Offering(Extension):
        name = "offering"

        def offer(self, request: WSUpgradeRequest, options: dict[str, Any]) -> None:
            request.headers.add(HEADER, "x-squeeze")

    port = await plain_net.raw_server(serve)
    with pytest.raises(WSInvalidHeaderError, match=HEADER) as caught:
        await plain_net.connect(port, extensions=[Offering()])
    assert caught.value.name == HEADER
    assert caught.value.value == answer
    assert caught.value.raw_header is not None
    with pytest.raises(WSInvalidHeaderError, match=HEADER):
        await plain_net.connect(port)


class Refusing(Extension):
    name = "refusing"

    def __init__(self, exception: Exception | None = None, bits: Any = ()) -> None:
        self.exception = exception
        self.bits = bits

    def accept(self, request: WSUpgradeRequest, response: WSUpgradeResponse, options: dict[str, Any]) -> Iterable[int]:
        if self.exception is not None:
            raise self.exception
        return self.bits


@pytest.mark.parametrize(
    ("extensions", "status"),
    [
        ([Refusing(WSHandshakeError("level is missing"))], 400),
        ([Refusing(WSHandshakeError("level is missing \udc80"))], 400),
        ([Refusing(KeyError("level"))], 500),
        ([Refusing(bits=[4])], 500),
        ([Refusing(bits=None)], 500),
        ([Refusing(bits=[2]), Refusing(bits=[1, 2])], 400),
    ],
)
async def test_accept_refuses(plain_net: Net, extensions: list[Extension], status: int) -> None:
    server = await plain_net.serve(extensions=extensions)
    with pytest.raises(WSInvalidStatusError) as caught:
        await plain_net.connect(server)
    assert caught.value.response.status == status
    assert (b"level is missing" in (caught.value.raw_body or b"")) == (
        isinstance(extensions[0].exception, WSHandshakeError)
    )
    assert not server.connections
    ours = await plain_net.serve()
    with pytest.raises((WSHandshakeError, KeyError, ValueError, TypeError)) as raised:
        await plain_net.connect(ours, extensions=extensions)
    if extensions[0].exception is not None:
        assert raised.value is extensions[0].exception
    await until(lambda: not ours.connections)


async def test_an_offer_that_raises(plain_net: Net) -> None:
    class Broken(Extension):
        name = "broken"

        def offer(self, request: WSUpgradeRequest, options: dict[str, Any]) -> None:
            raise LookupError("no offer")

    server = await plain_net.serve()
    with pytest.raises(LookupError, match="no offer"):
        await plain_net.connect(server, extensions=[Broken()])


async def test_what_was_agreed_on_belongs_to_one_connection(plain_net: Net) -> None:
    seen: list[dict[str, Any]] = []

    class Noting(Extension):
        name = "noting"
        options = {"note": None}

        def accept(
            self, request: WSUpgradeRequest, response: WSUpgradeResponse, options: dict[str, Any]
        ) -> Iterable[int]:
            assert "path" not in options
            options["path"] = request.path
            return ()

        def attach(self, transport: WSTransport, options: dict[str, Any]) -> None:
            seen.append(options)

    server = await plain_net.serve(extensions=[Noting()], note=7)
    for path in ("/a", "/b"):
        await plain_net.connect(plain_net.url(server, path))
    assert [options["path"] for options in seen] == [b"/a", b"/b"]
    assert [options["note"] for options in seen] == [7, 7]


def test_parse_extensions() -> None:
    headers: CIMultiDict[str] = CIMultiDict()
    assert parse_extensions(headers) == []
    headers.add(HEADER, 'a, b; x=1;y ; z="q \\" \\\\ ;,",b')
    headers.add(HEADER.lower(), " c ;d = e ")
    assert parse_extensions(headers) == [
        ("a", {}),
        ("b", {"x": "1", "y": None, "z": 'q " \\ ;,'}),
        ("b", {}),
        ("c", {"d": "e"}),
    ]


@pytest.mark.parametrize("value", [";", "a b", "a;", "a,,b", "a; =1", 'a; x="', "a; x=1 2", "a; x=1; x=2", "\x00"])
def test_parse_extensions_of_nonsense(value: str) -> None:
    with pytest.raises(ValueError, match=HEADER):
        parse_extensions(CIMultiDict({HEADER: value}))


def test_format_extension() -> None:
    assert format_extension("a") == "a"
    assert format_extension("a", {"b": None, "c": 15, "d": "e"}) == "a; b; c=15; d=e"
    wrong = [("", {}), ("a b", {}), ("a", {"b": "c\r\nd"}), ("a", {"b;c": None})]
    # Of which the pieces are tokens.
    wrong += [("a; b", {}), ("a=b", {}), ("a", {"b": "c; d"}), ("a", {"b=c": None}), ("a", {"b; c": "d"})]
    for name, parameters in wrong:
        with pytest.raises(ValueError, match="not a token"):
            format_extension(name, parameters)


async def test_an_offer_that_cannot_be_sent(one_net: Net) -> None:
    """It is raised before anything is open, and nobody waits for an answer to what was never asked."""

    class Broken(Extension):
        name = "broken"

        def offer(self, request: WSUpgradeRequest, options: dict[str, Any]) -> None:
            request.headers["X-Broken"] = "two\r\nlines"

    server = await one_net.serve()
    with pytest.raises(ValueError, match="X-Broken"):
        await one_net.connect(server, extensions=[Broken()], websocket_handshake_timeout=None)
    assert not server.connections
