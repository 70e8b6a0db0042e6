"""WSFrame: what it says of a frame, and that it may be kept."""

from __future__ import annotations

import ctypes
import gc
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from harness import Echo, Net, Recorder, client_frame, frame_bytes, random_bytes, until, within
from ws_core import WSCloseCode, WSFrame, WSMsgType, WSTransport


async def received(net: Net, *frames: bytes, **kwargs: object) -> list[WSFrame]:
    """What a server's listener gets when a raw client sends `frames` in one segment."""
    made: list[Recorder] = []

    def factory(request: object) -> Recorder:
        made.append(Recorder())
        return made[-1]

    server = await net.serve(factory, **kwargs)
    peer = await net.raw(server)
    await peer.send(b"".join(frames))
    return [await made[0].frame() for _ in frames]


async def test_fields(plain_net: Net) -> None:
    text, first, last = await received(
        plain_net,
        client_frame(WSMsgType.TEXT, "grün".encode()),
        client_frame(WSMsgType.BINARY, b"\x00\xff", fin=False),
        client_frame(WSMsgType.CONTINUATION, b""),
    )
    assert text.msg_type is WSMsgType.TEXT
    assert text.fin is True
    assert text.payload_size == len(text) == 5
    assert text.get_payload_as_utf8_text() == "grün"
    assert text.get_payload_as_bytes() == "grün".encode()
    with pytest.raises(UnicodeDecodeError):
        text.get_payload_as_ascii_text()
    assert first.fin is False
    assert first.msg_type is WSMsgType.BINARY
    with pytest.raises(UnicodeDecodeError):
        first.get_payload_as_utf8_text()
    assert last.msg_type is WSMsgType.CONTINUATION
    assert last.fin is True
    assert last.get_payload_as_bytes() == b""
    # What stands behind a frame in the same read, and which one is the last.
    assert [frame.last_in_buffer for frame in (text, first, last)] == [False, False, True]
    assert text.tail_size == len(client_frame(2, b"xx")) + len(client_frame(0, b""))
    assert last.tail_size == 0
    assert str(text) == (
        "WSFrame(TEXT, fin=True, rsv1=False, rsv2=False, rsv3=False, last_in_buffer=False, payload_size=5, "
        f"tail_size={text.tail_size})"
    )


@pytest.mark.parametrize(
    ("rsv", "expected"), [(4, (True, False, False)), (2, (False, True, False)), (1, (False, False, True))]
)
async def test_reserved_bits(one_net: Net, rsv: int, expected: tuple[bool, ...]) -> None:
    (frame,) = await received(one_net, client_frame(2, b"x", rsv=rsv), strict=False)
    assert (frame.rsv1, frame.rsv2, frame.rsv3) == expected


async def test_a_half_frame_behind_the_last_one_does_not_count(one_net: Net) -> None:
    made: list[Recorder] = []
    server = await one_net.serve(lambda request: made.append(Recorder()) or made[-1])
    peer = await one_net.raw(server)
    await peer.send(client_frame(2, b"one") + client_frame(2, b"two")[:4])
    frame = await made[0].frame()
    assert frame.last_in_buffer
    assert frame.tail_size == 4


async def test_text_of_all_lengths(one_net: Net) -> None:
    """ASCII is copied by whole registers, anything else is decoded: the border may lie anywhere."""
    plain = "".join(chr(32 + index % 95) for index in range(300))
    texts = [plain[:length] for length in (*range(140), 255, 256, 257)]
    texts += [
        plain[:place] + "é€𝄞"[place % 3] + plain[place:length] for length in (130, 200) for place in range(length)
    ]
    frames = await received(one_net, *(client_frame(1, text.encode()) for text in texts))
    for text, frame in zip(texts, frames, strict=True):
        assert frame.get_payload_as_utf8_text() == text
        assert frame.get_payload_as_utf8_text().isascii() is text.isascii()
    (broken,) = await received(one_net, client_frame(1, plain.encode() + b"\xff"), strict=False)
    with pytest.raises(UnicodeDecodeError, match="position 300"):
        broken.get_payload_as_utf8_text()


async def test_close_frames(one_net: Net) -> None:
    for payload, code, message, reason in [
        (b"", WSCloseCode.NO_INFO, None, None),
        (b"\x03\xe8", WSCloseCode.OK, None, None),
        (b"\x03\xe9bye", WSCloseCode.GOING_AWAY, b"bye", "bye"),
        (b"\x0f\xa0" + "ö".encode(), 4000, "ö".encode(), "ö"),
    ]:
        (frame,) = await received(one_net, client_frame(8, payload))
        assert frame.get_close_code() == code
        assert isinstance(frame.get_close_code(), WSCloseCode) == (code != 4000)
        assert frame.get_close_message() == message
        assert frame.get_close_reason() == reason
    (data,) = await received(one_net, client_frame(2, b"\x03\xe8"))
    for method in (data.get_close_code, data.get_close_message, data.get_close_reason):
        with pytest.raises(ValueError, match="only a CLOSE frame"):
            method()


async def test_a_view_is_read_only_and_has_the_bytes(plain_net: Net) -> None:
    (frame,) = await received(plain_net, client_frame(2, b"market data"))
    view = frame.get_payload_as_memoryview()
    assert view.readonly
    assert view == b"market data"
    assert bytes(frame) == b"market data"
    with pytest.raises(TypeError):
        view[0] = 0
    with pytest.raises(TypeError, match="not writable"):
        ctypes.c_char.from_buffer(frame)


async def test_kept_frames_and_views_stay_what_they_were(net: Net) -> None:
    """Through reads of every size, many times the size of the window that connections share."""
    server = await net.serve()
    transport, listener = await net.connect(server)
    messages = [random_bytes(size) for size in (1, 20, 300, 5_000, 70_000, 16, 200_000, 3) * 12]
    views = []
    for message in messages:
        transport.send(WSMsgType.BINARY, message)
        frame = await listener.frame()
        views.append(frame.get_payload_as_memoryview())
    # Some go and some stay: memory of those that go may be used again.
    for index in range(0, len(messages), 3):
        views[index].release()
        listener.frames[index] = None
    for message in messages:
        transport.send(WSMsgType.BINARY, message)
    for _ in messages:
        await listener.frame()
    for index, message in enumerate(messages):
        if index % 3:
            assert views[index] == message
        assert listener.frames[len(messages) + index].get_payload_as_bytes() == message
    transport.disconnect(graceful=False)
    await within(transport.wait_disconnected())
    del transport, listener.transport
    gc.collect()
    assert views[1] == messages[1]


async def test_a_burst_of_kept_frames(net: Net) -> None:
    """Many frames of one read, all kept, then a burst that must not touch them."""
    server = await net.serve()
    transport, listener = await net.connect(server)
    first = [random_bytes(index % 400) for index in range(2_000)]
    second = [random_bytes(index % 400) for index in range(2_000)]
    for messages in (first, second):
        with transport.cork():
            for message in messages:
                transport.send(WSMsgType.BINARY, message)
        for _ in messages:
            await listener.frame()
    assert [bytes(frame) for frame in listener.frames] == first + second


async def test_whatever_holds_a_frame_keeps_it(net: Net) -> None:
    """A frame that nobody holds is used again. Some ways of holding one are not a reference that anybody wrote down."""
    kept: list[Any] = []

    def generator(frame: WSFrame) -> Iterator[bytes]:
        yield b""
        yield frame.get_payload_as_bytes()

    class Listener(Echo):
        count = 0

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            self.count += 1
            if self.count % 7 == 1:
                kept.append(memoryview(frame))
            elif self.count % 7 == 2:
                kept.append(frame.get_payload_as_memoryview()[1:3])
            elif self.count % 7 == 3:
                kept.append(generator(frame))
                next(kept[-1])
            elif self.count % 7 == 4:
                kept.append(lambda: frame)
            elif self.count % 7 == 5:
                kept.append(frame.get_payload_as_bytes)
            elif self.count % 7 == 6:
                raise ZeroDivisionError  # whose traceback holds it
            # and one that nobody keeps

    errors: list[BaseException] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert record.exc_info is not None
            errors.append(record.exc_info[1])  # type: ignore[arg-type]

    logger = logging.Logger("kept", logging.ERROR)
    logger.addHandler(Handler())
    server = await net.serve(lambda request: Listener(), disconnect_on_exception=False, logger_name=logger)
    peer = await net.raw(server)
    messages = [bytes([65 + n % 50]) * 4 for n in range(70)]
    for start, end in ((0, 30), (30, 31), (31, 70)):
        await peer.send(b"".join(client_frame(2, message) for message in messages[start:end]))
        await until(lambda: len(kept) + len(errors) == sum(n % 7 != 6 for n in range(end)))  # noqa: B023
    for n, message in enumerate(messages):
        if n % 7 == 5:
            traceback = errors.pop(0).__traceback__
            while traceback is not None and "frame" not in traceback.tb_frame.f_locals:
                traceback = traceback.tb_next
            assert traceback is not None
            assert traceback.tb_frame.f_locals["frame"].get_payload_as_bytes() == message
        elif n % 7 != 6:
            holder = kept.pop(0)
            if n % 7 == 0:
                assert holder == message
            elif n % 7 == 1:
                assert holder == message[1:3]
            elif n % 7 == 2:
                assert next(holder) == message
            elif n % 7 == 3:
                assert holder().get_payload_as_bytes() == message
            else:
                assert holder() == message
    assert not kept
    assert not errors


async def test_frames_are_not_kept_by_the_library(plain_net: Net) -> None:
    """What nobody keeps is given back: the same memory serves the next read."""
    addresses = set()

    def address_of(view: memoryview) -> int:
        """Where the bytes of a read-only view are."""
        pybuffer = (ctypes.c_void_p * 16)()
        ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), pybuffer, 0)
        address = int(pybuffer[0])
        ctypes.pythonapi.PyBuffer_Release(pybuffer)
        return address

    class Listener(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            view = frame.get_payload_as_memoryview()
            addresses.add(address_of(view))
            self._note("frame")

    server = await plain_net.serve()
    transport, listener = await plain_net.connect(server, Listener)
    for count in range(1, 50):
        transport.send(WSMsgType.BINARY, b"x" * 100)
        await listener.event("frame", count)
    assert len(addresses) < 5


async def test_a_frame_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError, match="made by the transport"):
        WSFrame()
    empty = WSFrame.__new__(WSFrame)
    assert bytes(empty) == b""
    assert empty.get_payload_as_utf8_text() == ""
    assert empty.get_payload_as_memoryview() == b""
    with pytest.raises(ValueError, match="only a CLOSE frame"):
        empty.get_close_code()
    with pytest.raises(TypeError):
        type("Frame", (WSFrame,), {})


async def test_a_relay_of_views(plain_net: Net) -> None:
    """A frame goes out again as it is, as a view and as bytes."""
    server = await plain_net.serve(lambda request: Echo())
    transport, listener = await plain_net.connect(server)
    transport.send(WSMsgType.BINARY, b"abc")
    frame = await listener.frame()
    for message in (frame, frame.get_payload_as_memoryview(), frame.get_payload_as_memoryview()[1:], bytes(frame)):
        transport.send(WSMsgType.BINARY, message)
        assert bytes(await listener.frame()) == bytes(message)


def test_harness_frames() -> None:
    """The harness builds what RFC 6455 section 5.7 shows."""
    assert frame_bytes(1, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert frame_bytes(1, b"Hello", mask=bytes.fromhex("37fa213d")) == bytes.fromhex("818537fa213d7f9f4d5158")
