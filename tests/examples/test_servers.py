"""Examples that serve until Ctrl-C: the test is their client, and is connected when they end."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import socket
import sys
from pathlib import Path

import pytest
from example import Example, output_of, run_example

from harness import Net, RawPeer, Recorder, certificate_authority, request_bytes, until, within
from ws_core import WSCloseCode, WSFrame, WSInvalidStatusError, WSMsgType, WSParsedURL, WSTransport


class Guest(Recorder):
    """Answers a CLOSE."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        super().on_ws_frame(transport, frame)
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    def say(self, text: str) -> None:
        assert self.transport is not None
        self.transport.send(WSMsgType.TEXT, text)

    async def text(self) -> str:
        frame = await self.frame()
        assert frame.msg_type == WSMsgType.TEXT
        return str(frame.get_payload_as_utf8_text())

    async def goodbye(self) -> WSCloseCode | int:
        """The code that the server closes with."""
        code: WSCloseCode | int = (await self.frame()).get_close_code()
        await self.event("disconnected")
        return code


async def guest_of(net: Net, port: int) -> Guest:
    _, guest = await net.connect(port, Guest)
    assert isinstance(guest, Guest)
    return guest


async def check_echo(net: Net, example: Example, port: int) -> None:
    guest = await guest_of(net, port)
    for message in ("", "hällo", "x" * 100_000):
        guest.say(message)
        assert await guest.text() == message
    await example_says_goodbye(example, guest)


async def example_says_goodbye(example: Example, *guests: Guest) -> list[str]:
    """Ctrl-C reaches the clients as a CLOSE; returns what the example still had to print."""
    lines = await example.interrupt()
    for guest in guests:
        # Python 3.10 raises KeyboardInterrupt wherever it is just then. If that is a callback, its connection is lost.
        if sys.version_info >= (3, 11):
            assert await guest.goodbye() == WSCloseCode.GOING_AWAY
        await guest.event("disconnected")
    return lines


async def test_echo_server(one_net: Net) -> None:
    async with run_example("echo_server.py", "--port", 0) as example:
        await check_echo(one_net, example, await example.port())


async def test_echo_server_over_tls(tmp_path: Path) -> None:
    pem = str(tmp_path / "chain.pem")
    certificate_authority().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
    async with run_example("echo_server.py", "--port", 0, "--cert", pem) as example:
        await check_echo(Net(tls=True, fast=True), example, await example.port())


@pytest.mark.parametrize(
    ("name", "option", "kind"),
    [("echo_threads.py", "--threads", "thread"), ("echo_processes.py", "--processes", "process")],
)
async def test_one_port_for_several(one_net: Net, name: str, option: str, kind: str) -> None:
    guests, names = [], set()
    async with run_example(name, "--port", 0, option, 2) as example:
        port = await example.port()
        for _ in range(200):  # the kernel deals them out by chance
            guests.append(await guest_of(one_net, port))
            guests[-1].say("hello")
            assert await guests[-1].text() == "hello"
            names.add(await example.line())
            if len(names) == 2:
                break
        assert names == {f"{kind} 0 has a connection", f"{kind} 1 has a connection"}
        assert await example_says_goodbye(example, *guests) == []


async def test_async_callbacks(one_net: Net) -> None:
    if sys.version_info < (3, 12):
        assert await output_of("async_callbacks.py") == ["eager tasks need Python 3.12 or newer"]
        return
    async with run_example("async_callbacks.py", "--port", 0) as example:
        port = await example.port()
        guest, other = await guest_of(one_net, port), await guest_of(one_net, port)
        assert guest.transport is not None
        with guest.transport.cork():  # in one read, so it is known which of them waits for the other
            guest.say("coffee")
            guest.say("tea")
        assert await guest.text() == "tea: 33.33"
        assert await guest.text() == "coffee: 16.67"
        guest.say("coffee")
        assert await guest.text() == "coffee: 16.67"
        guest.say("")  # raises, when the answer has been waited for
        assert await guest.goodbye() == WSCloseCode.INTERNAL_ERROR
        other.say("a handler that is cancelled by the end of its connection")
        assert other.transport is not None
        other.transport.send_close()
        await other.event("disconnected")
        assert await example.interrupt(log="ZeroDivisionError") == []


async def test_broadcast(one_net: Net) -> None:
    async with run_example("broadcast.py", "--port", 0) as example:
        port = await example.port()
        first = await guest_of(one_net, port)
        assert await first.text() == "1 in the room"
        second = await guest_of(one_net, port)
        assert await first.text() == await second.text() == "2 in the room"
        first.say("hällo")
        assert await first.text() == await second.text() == "hällo"
        assert await example.line() == "6 bytes to 2 members"
        assert second.transport is not None
        second.transport.send_close()
        assert await first.text() == "1 in the room"
        assert await example_says_goodbye(example, first) == []


async def http(port: int, path: str, method: str = "GET") -> bytes:
    """The answer to a request that asks for no upgrade."""
    reader, writer = await within(asyncio.open_connection("127.0.0.1", port))
    peer = RawPeer(reader, writer)
    no_upgrade = dict.fromkeys(("Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"))
    await peer.send(request_bytes(path, no_upgrade, method))
    try:
        return await peer.rest()
    finally:
        peer.close()


async def test_health_check(one_net: Net) -> None:
    async with run_example("health_check.py", "--port", 0) as example:
        port = await example.port()
        guest = await guest_of(one_net, port)
        answer = await http(port, "/health?verbose")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\nok, 1 connections\n")
        assert (await http(port, "/health", "HEAD")).endswith(b"\r\n\r\n")
        assert (await http(port, "/nothing")).startswith(b"HTTP/1.1 404 ")
        with pytest.raises(WSInvalidStatusError, match="401"):
            await one_net.connect(one_net.url(port, "/members"))
        _, member = await one_net.connect(f"ws://me:secret@127.0.0.1:{port}/members", Guest)
        member.say("hello")
        assert await member.text() == "hello"
        assert await example_says_goodbye(example, guest, member) == []


async def test_a_slow_viewer_gets_the_newest_state(one_net: Net) -> None:
    class Viewer(Guest):
        """Keeps the numbers of the states that it has seen."""

        def on_ws_connected(self, transport: WSTransport) -> None:
            super().on_ws_connected(transport)
            self.numbers: list[int] = []

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                self.numbers.append(json.loads(frame.get_payload_as_bytes())["number"])
            else:
                super().on_ws_frame(transport, frame)

    def small(url: WSParsedURL) -> socket.socket:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return made

    async with run_example("dashboard/serve_book.py", "--port", 0, "--rate", 1000) as example:
        port = await example.port()
        url = one_net.url(port, "/book")
        assert b"<title>Order book</title>" in await http(port, "/")
        _, fast = await one_net.connect(url, Viewer)
        _, slow = await one_net.connect(url, Viewer, socket_factory=small)
        slow.transport.underlying_transport.pause_reading()
        before = len(slow.numbers)
        await until(lambda: len(fast.numbers) > 600)
        newest = fast.numbers[-1]
        slow.transport.underlying_transport.resume_reading()
        await until(lambda: slow.numbers and slow.numbers[-1] > newest)
        assert slow.numbers == sorted(set(slow.numbers))
        assert fast.numbers == list(range(fast.numbers[0], fast.numbers[-1] + 1))
        # What it has missed: all but what the kernels held.
        assert max(late - early for early, late in itertools.pairwise(slow.numbers[before:])) > 300
        assert await example_says_goodbye(example, fast, slow) == []


@pytest.mark.parametrize("said", ["null", '{"rate": 1e400}', "[" * 1000, '{"rate": [1]}', '{"rate"'])
async def test_a_viewer_who_says_nonsense(one_net: Net, said: str) -> None:
    async with run_example("dashboard/serve_book.py", "--port", 0, "--rate", 0) as example:
        _, viewer = await one_net.connect(one_net.url(await example.port(), "/book"), Guest)
        assert json.loads(await viewer.text())["rate"] == 1  # 0 would be for ever
        viewer.say(said)
        frame = await viewer.frame()
        while frame.msg_type == WSMsgType.TEXT:
            frame = await viewer.frame()
        assert frame.get_close_code() == WSCloseCode.UNSUPPORTED_DATA
        await viewer.event("disconnected")
        assert await example.interrupt() == []


async def test_a_viewer_who_asks_and_does_not_read_is_cut(one_net: Net) -> None:
    async with run_example("dashboard/serve_book.py", "--port", 0) as example:
        transport, _ = await one_net.connect(one_net.url(await example.port(), "/book"), Guest)
        transport.underlying_transport.pause_reading()
        question = json.dumps({"sent": "x" * 1000})
        for _ in range(100_000):
            transport.send(WSMsgType.TEXT, question)
            await asyncio.sleep(0)
            if transport.is_disconnected:
                break
        transport.underlying_transport.resume_reading()
        await within(transport.wait_disconnected())
        assert await example.interrupt() == []


async def test_metrics(one_net: Net) -> None:
    async def metrics() -> dict[str, float]:
        head, _, body = (await http(port, "/metrics?name=value")).decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 ")
        assert "Content-Type: text/plain; version=" in head
        lines = [line for line in body.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    async with run_example("metrics.py", "--port", 0, "--ping", 0.05) as example:
        port = await example.port()
        found = await metrics()
        assert found["websocket_connections_total"] == 0
        assert found['websocket_disconnects_total{reason="peer"}'] == 0
        assert "websocket_round_trip_seconds" not in found  # a NaN would make every mean over servers one
        guest, broken = await guest_of(one_net, port), await guest_of(one_net, port)
        guest.say("hello")
        assert await guest.text() == "hello"
        broken.transport.disconnect(graceful=False)
        found = await metrics()
        while found["websocket_connections_open"] != 1 or "websocket_round_trip_seconds" not in found:
            found = await metrics()
        assert found["websocket_connections_total"] == 2
        assert found['websocket_disconnects_total{reason="peer"}'] == 1
        assert found['websocket_frames_total{direction="out"}'] >= 2  # the echo, and the PING that was answered
        assert found['websocket_bytes_total{direction="in"}'] >= 11
        assert found["websocket_backlog_bytes"] == 0
        assert found["websocket_round_trip_seconds_most"] >= found["websocket_round_trip_seconds"] > 0
        assert await example_says_goodbye(example, guest) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
async def test_graceful_shutdown(one_net: Net, sent: signal.Signals) -> None:
    async with run_example("graceful_shutdown.py", "--port", 0, "--patience", 0.1) as example:
        port = await example.port()
        leaving, staying = await guest_of(one_net, port), await guest_of(one_net, port)
        _, deaf = await one_net.connect(port)  # never answers a CLOSE
        staying.say("hello")
        assert await staying.text() == "hello"

        assert leaving.transport is not None
        leaving.transport.send_close(4001, "enough")
        assert await leaving.goodbye() == 4001
        assert await example.line() == "a connection ended, peer: the peer sent CLOSE 4001 enough"

        first, *ended = await example.interrupt(sent)
        assert first == "closing 2 connections"
        assert sorted(ended) == [
            "a connection ended, local: the peer answered the CLOSE of this side",
            "a connection ended, timeout: the closing handshake took longer than 0.1 seconds",
        ]
        for guest in (staying, deaf):
            closing = await guest.frame()
            assert (closing.get_close_code(), closing.get_close_reason()) == (1001, "back in a minute")
