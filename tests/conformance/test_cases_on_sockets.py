"""The table over real sockets: each case whole, to our server and to our client, strict and not, on both loops.

The other side is a plain socket. It sends the frames, a PING behind them, and the end of its stream; then it reads up
to the end of ours: there stand the answers to PINGs, and the CLOSE, if there was one.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

import pytest

import cases
from harness import Net, RawPeer, Recorder, accept_key, request_bytes, within
from play import QUIET, delivered, got
from vectors import CLOSE, OPEN, PING, PONG, WAITING, Case, Frame, Verdict

PROBE = Frame(PING, b"still there?")
FIN = 0x80


def table(strict: bool) -> list[Case]:
    """All cases. Those that leave a connection as it was have one together."""
    together: dict[str, tuple[list[Frame], dict[str, Any]]] = {}
    others = []
    for case in (case for family in cases.FAMILIES for case in family()):
        if case.may_be_repeated(strict):
            together.setdefault(str(case.options), ([], case.options))[0].extend(case.frames)
        else:
            others.append(case)
    harmless = [
        cases.good(f"all that does no harm, {options}", *frames, **options) for frames, options in together.values()
    ]
    return harmless + others


class AtServer:
    """Plays cases to our server."""

    masked = True

    def __init__(self, net: Net, strict: bool) -> None:
        self._net = net
        self._strict = strict
        self._ports: dict[str, int] = {}
        self._made: list[Recorder] = []

    def _factory(self, request: object) -> Recorder:
        self._made.append(Recorder())
        return self._made[-1]

    async def open(self, options: dict[str, Any]) -> tuple[Recorder, socket.socket]:
        if str(options) not in self._ports:
            server = await self._net.serve(self._factory, strict=self._strict, logger_name=QUIET, **options)
            self._ports[str(options)] = self._net.port(server)
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", self._ports[str(options)]))
        await loop.sock_sendall(sock, request_bytes())
        assert (await read_head(sock)).startswith(b"HTTP/1.1 101 ")
        return self._made[-1], sock


class AtClient:
    """Plays cases to our client."""

    masked = False

    def __init__(self, net: Net, strict: bool) -> None:
        self._net = net
        self._strict = strict

    async def open(self, options: dict[str, Any]) -> tuple[Recorder, socket.socket]:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            port = listening.getsockname()[1]
            connecting = asyncio.ensure_future(
                self._net.connect(port, strict=self._strict, logger_name=QUIET, **options)
            )
            sock, _ = await loop.sock_accept(listening)
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", await read_head(sock))
        assert key is not None
        answer = "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n"
        await loop.sock_sendall(sock, answer.format(accept_key(key[1].decode())).encode())
        _, listener = await connecting
        return listener, sock


async def read_head(sock: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        part = await asyncio.get_running_loop().sock_recv(sock, 4096)
        assert part, data
        data += part
    return data


async def exchange(sock: socket.socket, data: bytes) -> list[tuple[int, bytes]]:
    """Send it, and the end of the stream; the frames that come, up to the end: first byte, payload."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()

    async def read() -> None:
        while part := await loop.sock_recv(sock, 2**20):
            reader.feed_data(part)
        reader.feed_eof()

    with sock:
        reading = asyncio.ensure_future(read())
        await loop.sock_sendall(sock, data)
        sock.shutdown(socket.SHUT_WR)
        await within(reading)
    peer, frames = RawPeer(reader, None), []  # type: ignore[arg-type]  # it only reads
    while not reader.at_eof():
        frames.append(await peer.frame())
    return frames


async def complaints(side: AtServer | AtClient, case: Case, verdict: Verdict) -> list[str]:
    listener, sock = await side.open(case.options)
    data = case.to_bytes(side.masked)
    if verdict.then != WAITING and not case.ends:
        data += PROBE.to_bytes(side.masked)
    answers = await exchange(sock, data)
    await listener.event("disconnected")
    pings = [frame.payload for frame in case.frames[: verdict.delivered] if frame.opcode == PING]
    if verdict.then == OPEN:
        pings.append(PROBE.payload)
    should = [(FIN | PONG, payload) for payload in pings]
    if isinstance(verdict.then, int):
        should.append((FIN | CLOSE, verdict.then.to_bytes(2, "big")))
    told = [(first, payload[:2] if first == FIN | CLOSE else payload) for first, payload in answers]
    seen = [got(frame) for frame in listener.frames]
    expected = [frame for frame in delivered(case.frames, verdict) if frame[0] != PING]
    events = ["connected", *["frame"] * len(expected), "disconnected"]
    if (seen, told, listener.events) == (expected, should, events):
        return []
    return [f"{case.name}: {seen}, {told}, {listener.events}, and not {expected}, {should}, {events}"]


@pytest.mark.usefixtures("loop_name")
@pytest.mark.parametrize("side", [AtServer, AtClient], ids=["server", "client"])
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])
async def test_cases(one_net: Net, side: type[AtServer] | type[AtClient], strict: bool) -> None:
    player = side(one_net, strict)
    found: list[str] = []
    for case in table(strict):
        if strict or case.strict != case.lenient or case.may_be_repeated(strict):
            found += await complaints(player, case, case.verdict(strict))
    assert not found, "\n".join(found)
