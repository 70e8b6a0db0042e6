"""The table: frame vector -> verdict, for what Autobahn does not try. Each function is a family of cases.

A case says what is delivered, and what is then: the connection is open, or waits for the rest of a frame, or is failed
with a status code as soon as so many bytes are there, or is gone. Rules are those of RFC 6455, written down once more
where a family has a case for everything; nothing is asked of the library.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import product

from vectors import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEAF,
    DROPPED,
    OPEN,
    PING,
    PONG,
    TEXT,
    WAITING,
    Case,
    Frame,
    Verdict,
    bad,
    first_byte,
    fragments,
    good,
    header,
    illegal,
    last_byte,
    payload_byte,
    second_byte,
)

KNOWN = (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)
BEGUN = Frame(BINARY, b"a", fin=False)
#: max_frame_size takes no more.
HIGHEST_LIMIT = 2**62


def in_message(frame: Frame) -> tuple[Frame, ...]:
    """What must come before a frame of this opcode, and itself."""
    return (BEGUN, frame) if frame.opcode == CONTINUATION else (frame,)


# ------------------------------------------------------------------ the header


def lengths() -> Iterator[Case]:
    """Each edge of the three encodings, and those that are too long (section 5.2)."""
    for opcode, size in product((TEXT, BINARY, CONTINUATION), (0, 1, 124, 125, 126, 127, 65534, 65535, 65536, 65537)):
        yield good(f"{size} bytes, opcode {opcode}", *in_message(Frame(opcode, b"x" * size)))
    for opcode, size in product((PING, PONG), (0, 1, 124, 125)):
        yield good(f"{size} bytes, opcode {opcode}", Frame(opcode, b"x" * size))

    too_long = [(2, size) for size in (0, 1, 124, 125)] + [(8, size) for size in (0, 125, 126, 127, 65534, 65535)]
    for (length_bytes, size), opcode in product(too_long, (TEXT, BINARY, CONTINUATION)):
        frames = in_message(Frame(opcode, extra={"length": size, "length_bytes": length_bytes}))
        yield bad(f"{size} in {length_bytes} bytes, opcode {opcode}", len(frames) - 1, 1002, header, *frames)
    # Of a control frame, the second byte says enough (section 5.5).
    for (length_bytes, size), opcode in product([*too_long, (2, 126), (8, 65536), (8, 2**63)], (CLOSE, PING, PONG)):
        frame = Frame(opcode, extra={"length": size, "length_bytes": length_bytes})
        yield bad(f"{size} in {length_bytes} bytes, opcode {opcode}", 0, 1002, second_byte, frame)

    large = (10 * 2**20 + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**62 + 1, 2**63 - 14, 2**63 - 1)
    for size, opcode in product(large, (TEXT, BINARY, CONTINUATION)):
        frames = in_message(Frame(opcode, b"xyz", extra={"length": size}))
        before = len(frames) - 1
        name = f"{size} bytes announced, opcode {opcode}"
        yield bad(name, before, 1009, header, *frames)
        if size > HIGHEST_LIMIT:
            yield bad(f"{name}, more than can be allowed", before, 1009, header, *frames, max_frame_size=HIGHEST_LIMIT)
        else:
            waiting = Verdict(before, WAITING)
            yield Case(f"{name} and allowed", frames, waiting, waiting, {"max_frame_size": size})
    for size, opcode in product((2**63, 2**63 + 1, 2**63 + 2**31, 2**64 - 14, 2**64 - 1), (TEXT, BINARY, CONTINUATION)):
        frames = in_message(Frame(opcode, b"xyz", extra={"length": size}))
        name = f"{size} bytes announced, opcode {opcode}"
        yield bad(name, len(frames) - 1, 1002, header, *frames)
        yield bad(f"{name}, no limit", len(frames) - 1, 1002, header, *frames, max_frame_size=HIGHEST_LIMIT)


def limits() -> Iterator[Case]:
    """max_frame_size is for one data frame, not for messages, and not for control frames."""
    for limit in (0, 1, 2, 124, 125, 126, 127, 65535, 65536):
        full = Frame(BINARY, b"x" * limit)
        yield good(f"{limit} bytes, and no more allowed", full, max_frame_size=limit)
        yield good(f"PING with {limit} bytes allowed", Frame(PING, b"x" * 125), max_frame_size=limit)
        message = fragments(BINARY, full.payload, full.payload, full.payload)
        yield good(f"{limit} bytes in each of 3 fragments", *message, max_frame_size=limit)
        for opcode in (TEXT, BINARY):
            frame = Frame(opcode, b"x" * (limit + 1))
            yield bad(
                f"{limit + 1} bytes, {limit} allowed, opcode {opcode}", 0, 1009, header, frame, max_frame_size=limit
            )
        frames = (full._replace(fin=False), Frame(CONTINUATION, b"x" * (limit + 1)))
        yield bad(f"{limit + 1} bytes of a fragment, {limit} allowed", 1, 1009, header, *frames, max_frame_size=limit)


def first_bytes() -> Iterator[Case]:
    """All 256 of them, with and without a message that is open: reserved bits, opcodes, FIN, order."""
    for byte, is_open in product(range(256), (False, True)):
        opcode, fin, rsv = byte & 15, bool(byte & 128), byte >> 4 & 7
        frame = Frame(opcode, b"\x0c\x41", fin, rsv)  # as a CLOSE: code 3137
        frames = (BEGUN, frame) if is_open else (frame,)
        makes_no_sense = opcode not in KNOWN or (opcode >= CLOSE and not fin)
        out_of_order = opcode < CLOSE and is_open != (opcode == CONTINUATION)
        name = f"{byte:#04x} {'in' if is_open else 'outside of'} a message"
        if makes_no_sense:
            yield bad(name, len(frames) - 1, 1002, first_byte, *frames)
        elif rsv or out_of_order:
            yield illegal(name, len(frames) - 1, 1002, first_byte, *frames)
        elif opcode == CLOSE:
            yield Case(name, frames, Verdict(len(frames), DEAF), Verdict(len(frames), OPEN))
        else:
            yield good(name, *frames)


def masks() -> Iterator[Case]:
    """A client masks, a server does not (section 5.1); any key will do."""
    for opcode, size in product(KNOWN, (0, 2, 125, 126, 65536)):
        if opcode < CLOSE or size <= 125:
            frames = in_message(
                Frame(opcode, b"\x0c\x41" + b"x" * (size - 2) if size else b"", extra={"wrong_mask": True})
            )
            yield bad(
                f"wrong side's masking, opcode {opcode}, {size} bytes", len(frames) - 1, 1002, second_byte, *frames
            )
    some = random.Random(6455)
    for size in (*range(20), 63, 64, 65, 127, 128, 129):
        for key in (bytes(4), b"\xff" * 4, b"\x00\x00\x00\x01", some.randbytes(4)):
            name = f"{size} bytes masked by {key.hex()}"
            yield good(name, Frame(BINARY, some.randbytes(size), extra={"mask": key}), Frame(TEXT, b"behind it"))


# ------------------------------------------------------------------ the order of frames


def orders() -> Iterator[Case]:
    """Every row of one, two or three frames of these kinds (sections 5.4 and 5.5.1)."""
    kinds = {
        "text": Frame(TEXT, b"t"),
        "text-": Frame(TEXT, b"T", fin=False),
        "binary-": Frame(BINARY, b"\xff", fin=False),
        "continuation": Frame(CONTINUATION, b"c"),
        "continuation-": Frame(CONTINUATION, fin=False),
        "ping": Frame(PING),
        "close": Frame(CLOSE),
    }
    for names in (names for count in (1, 2, 3) for names in product(kinds, repeat=count)):
        frames = tuple(kinds[name] for name in names)
        yield Case(", ".join(names), frames, _in_order(frames), Verdict(len(frames), OPEN))


def _in_order(frames: tuple[Frame, ...]) -> Verdict:
    is_open = False
    for index, frame in enumerate(frames):
        if frame.opcode == CLOSE:
            return Verdict(index + 1, DEAF)
        if frame.opcode < CLOSE:
            if is_open != (frame.opcode == CONTINUATION):
                return Verdict(index, 1002, first_byte)
            is_open = not frame.fin
    return Verdict(len(frames), OPEN)


def control_frames_inside() -> Iterator[Case]:
    """Between the fragments of a message, between the bytes of a character, any number of them."""
    signs = SIGNS.encode()
    for at in range(len(signs) + 1):
        begin, end = fragments(TEXT, signs[:at], signs[at:])
        for between in ((Frame(PING, b"?"),), (Frame(PONG, b"\xff"),), (Frame(PING),) * 5, (Frame(PING, b"x" * 125),)):
            what = f"{len(between)} of {between[0].opcode} with {between[0].payload[:1]!r}"
            yield good(f"{what} behind {at} bytes", begin, *between, end)
        frames = (begin, Frame(CLOSE, b"\x03\xe8"), end)
        yield Case(f"CLOSE behind {at} bytes", frames, Verdict(2, DEAF), Verdict(3, OPEN))
        yield bad(f"PING in fragments behind {at} bytes", 1, 1002, first_byte, begin, Frame(PING, fin=False), end)


# ------------------------------------------------------------------ CLOSE


def is_close_code(code: int) -> bool:
    """Section 7.4 and the registry of IANA: 1012 to 1014 came later."""
    return code in {1000, 1001, 1002, 1003, *range(1007, 1015)} or 3000 <= code < 5000


def close_of(code: int, reason: bytes = b"") -> Case:
    frames = (Frame(CLOSE, code.to_bytes(2, "big") + reason),)
    strict = Verdict(1, DEAF) if is_close_code(code) else Verdict(0, 1002, last_byte)
    return Case(f"CLOSE {code} {reason!r}", frames, strict, Verdict(1, OPEN))


def close_codes() -> Iterator[Case]:
    edges = {0, 1, 255, 256, 2**15 - 1, 2**15, 2**16 - 1, *range(990, 1030)}
    for edge in (1100, 2000, 3000, 4000, 5000):
        edges |= {edge - 2, edge - 1, edge, edge + 1}
    for code in sorted(edges):
        yield close_of(code)
        yield close_of(code, b"why")


def closes() -> Iterator[Case]:
    """Bodies of a CLOSE (section 5.5.1), and what stands behind one."""
    frames: tuple[Frame, ...] = (Frame(CLOSE),)
    yield Case("CLOSE without a body", frames, Verdict(1, DEAF), Verdict(1, OPEN))
    for byte in (0, 3, 255):
        yield illegal(f"CLOSE of one byte, {byte}", 0, 1002, last_byte, Frame(CLOSE, bytes([byte])))
    for reason in (SIGNS, "x" * 123, "é" * 61, "\0", "\x7f"):
        yield close_of(1000, reason.encode())
    for size in (126, 127, 1000):
        yield bad(f"CLOSE of {size} bytes", 0, 1002, second_byte, Frame(CLOSE, b"\x03\xe8" + b"x" * (size - 2)))
    for wrong in [*NOT_UTF8, *(sign[:at] for sign in CHARACTERS for at in range(1, len(sign)))]:
        for before in b"", b"because ":
            frame = Frame(CLOSE, b"\x03\xe8" + before + wrong)
            yield illegal(f"CLOSE with {(before + wrong)!r}", 0, 1007, last_byte, frame)
    yield illegal("CLOSE, code and reason wrong", 0, 1002, last_byte, Frame(CLOSE, b"\x00\x00\xff"))

    close = Frame(CLOSE, b"\x03\xe8")
    for name, behind, lenient in (
        ("text", Frame(TEXT, b"x"), Verdict(2, OPEN)),
        ("another one", Frame(CLOSE, b"\x03\xe9"), Verdict(2, OPEN)),
        ("PING", Frame(PING), Verdict(2, OPEN)),
        ("not UTF-8", Frame(TEXT, b"\xff"), Verdict(2, OPEN)),
        ("no such opcode", Frame(15), Verdict(1, 1002, first_byte)),
        ("the wrong side's masking", Frame(TEXT, extra={"wrong_mask": True}), Verdict(1, 1002, second_byte)),
        ("half a frame", Frame(TEXT, b"x", extra={"length": 5}), Verdict(1, WAITING)),
        ("a frame that is too large", Frame(TEXT, extra={"length": 2**40}), Verdict(1, 1009, header)),
    ):
        yield Case(f"CLOSE, and behind it {name}", (close, behind), Verdict(1, DEAF), lenient)


# ------------------------------------------------------------------ UTF-8

SIGNS = "aé€𝄞\x7f\u0080\u07ff\u0800\ud7ff\ue000\ufffe\uffff\U00010000\U0010fffe\U0010ffff\0"
CHARACTERS = [sign.encode() for sign in "é€𝄞\U0010ffff"]
#: What is none, and its byte by which that is known.
NOT_UTF8 = {
    b"\x80": 1,
    b"\xbf": 1,
    b"\xc0\x80": 1,  # too long for what they say: two bytes for U+0000, ...
    b"\xc1\xbf": 1,
    b"\xe0\x80\x80": 2,
    b"\xe0\x9f\xbf": 2,
    b"\xf0\x80\x80\x80": 2,
    b"\xf0\x8f\xbf\xbf": 2,
    b"\xed\xa0\x80": 2,  # surrogates
    b"\xed\xad\xbf": 2,
    b"\xed\xbf\xbf": 2,
    b"\xf4\x90\x80\x80": 2,  # above U+10FFFF
    b"\xf5\x80\x80\x80": 1,
    b"\xf7\xbf\xbf\xbf": 1,
    b"\xf8\x88\x80\x80\x80": 1,  # five bytes, six bytes
    b"\xfc\x84\x80\x80\x80\x80": 1,
    b"\xfe": 1,
    b"\xff": 1,
    b"\xc3\x41": 2,  # something else where the character should go on
    b"\xc3\xc3": 2,
    b"\xe2\x41\x80": 2,
    b"\xe2\x82\x41": 3,
    b"\xf0\x9f\x41\x80": 3,
    b"\xf0\x9f\x98\x41": 4,
    b"\xf0\x9f\x98\xf0": 4,
}


def texts() -> Iterator[Case]:
    """UTF-8 that is right, cut by fragments at every byte (section 8.1)."""
    signs = SIGNS.encode()
    for at in range(len(signs) + 1):
        yield good(f"fragments of {at} bytes and the rest", *fragments(TEXT, signs[:at], signs[at:]))
        yield good(f"and an empty one behind {at} bytes", *fragments(TEXT, signs[:at], b"", signs[at:], b""))
    yield good("fragments of one byte", *fragments(TEXT, *(bytes([byte]) for byte in signs)))
    for sign in SIGNS:
        yield good(f"U+{ord(sign):04X}", Frame(TEXT, sign.encode()))
    for wrong in NOT_UTF8:
        yield good(
            f"{wrong!r} that is no text", Frame(BINARY, wrong), *fragments(BINARY, wrong, wrong), Frame(PING, wrong)
        )


def not_texts() -> Iterator[Case]:
    """What is not UTF-8 fails when its byte comes, in a whole frame and in half a one that never ends."""
    for wrong, at in NOT_UTF8.items():
        for before in b"", "é".encode(), b"0123456789abcdef", SIGNS.encode():
            text, byte = before + wrong, payload_byte(len(before) + at)
            yield illegal(f"{text!r}", 0, 1007, byte, Frame(TEXT, text))
            frames = (Frame(TEXT, text + b"...", extra={"length": 5000}),)
            yield Case(f"{text!r} in half a frame", frames, Verdict(0, 1007, byte), Verdict(0, WAITING))


def not_texts_in_fragments() -> Iterator[Case]:
    """The same, where a frame ends in the middle of it, or a message does."""
    for wrong, at in NOT_UTF8.items():
        frames = (Frame(TEXT, b"ok", fin=False), Frame(PING), Frame(CONTINUATION, b"ok" + wrong))
        yield illegal(f"{wrong!r} in a fragment", 2, 1007, payload_byte(2 + at), *frames)
        for cut in range(1, len(wrong)):
            begin, end = fragments(TEXT, wrong[:cut], wrong[cut:])
            if at <= cut:
                yield illegal(f"{wrong!r}, {cut} bytes of it in a fragment", 0, 1007, payload_byte(at), begin, end)
            else:
                yield illegal(f"{wrong!r}, cut behind {cut}", 1, 1007, payload_byte(at - cut), begin, end)
    for character in CHARACTERS:
        for cut in range(1, len(character)):
            half, rest = character[:cut], character[cut:]
            yield illegal(f"{half!r} and no more", 0, 1007, last_byte, Frame(TEXT, half))
            yield illegal(f"{half!r} and no more, behind text", 0, 1007, last_byte, Frame(TEXT, SIGNS.encode() + half))
            yield illegal(f"{half!r} and an empty fragment", 1, 1007, last_byte, *fragments(TEXT, half, b""))
            yield illegal(
                f"{half!r} goes on in another message", 0, 1007, last_byte, Frame(TEXT, half), Frame(TEXT, rest)
            )
            frames = (Frame(TEXT, half, fin=False), Frame(CONTINUATION, b"\xc3"))
            yield illegal(f"{half!r} and another character", 1, 1007, payload_byte(1), *frames)


# ------------------------------------------------------------------ the end of the stream


def ends() -> Iterator[Case]:
    """The other side is gone, wherever it was: what is whole is delivered, and no CLOSE is sent."""
    text = Frame(TEXT, SIGNS.encode())
    for name, *frames in (
        ("at once",),
        ("behind a frame", text),
        ("behind a fragment", BEGUN),
        ("behind a PING in a message", BEGUN, Frame(PING)),
    ):
        verdict = Verdict(len(frames), DROPPED)
        yield Case(f"the end {name}", tuple(frames), verdict, verdict, ends=True)
    for announced in (1, 125, 126, 65536):
        frames = [text, Frame(BINARY, extra={"length": announced})]
        yield Case(f"the end before {announced} bytes", tuple(frames), *[Verdict(1, DROPPED)] * 2, ends=True)
    half = Frame(TEXT, b"\xf0\x9f", extra={"length": 4})
    yield Case("the end in a character", (text, half), *[Verdict(1, DROPPED)] * 2, ends=True)
    yield Case("the end behind a CLOSE", (text, Frame(CLOSE)), *[Verdict(2, DROPPED)] * 2, ends=True)


FAMILIES: tuple[Callable[[], Iterator[Case]], ...] = (
    *(lengths, limits, first_bytes, masks),
    *(orders, control_frames_inside),
    *(close_codes, closes),
    *(texts, not_texts, not_texts_in_fragments),
    ends,
)
