"""``python -m ws_core`` and ``python -m ws_core.bench``, as a shell and as a person would run them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib.util
import itertools
import json
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import AsyncIterator
from typing import Any

import pytest

from harness import Echo, Net, Recorder, certificate_authority, until, within
from ws_core import WSCloseCode, WSFrame, WSMsgType, WSTransport
from ws_core._cli.histogram import Histogram
from ws_core._cli.screen import harmless

ENV = {**os.environ, "TERM": "xterm", "NO_COLOR": "", "COLUMNS": "100"}
TALK, BENCH = "ws_core", "ws_core.bench"


async def command(*arguments: object, stdin: bytes = b"", module: str = TALK) -> tuple[int, bytes, str]:
    """Exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-W", "error", "-m", module, *map(str, arguments)],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=ENV,
    )
    try:
        out, err = await within(process.communicate(stdin))
    finally:
        if process.returncode is None:
            process.kill()
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out, err.decode()


class Sends(Recorder):
    """A server's listener that says something by itself, then closes."""

    what: tuple[tuple[WSMsgType, Any], ...] = ()
    close: tuple[Any, ...] = (WSCloseCode.OK,)

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        for kind, message in self.what:
            transport.send(kind, message)
        transport.send_close(*self.close)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


# ------------------------------------------------------------------ in a pipe


async def test_lines_are_messages(net: Net) -> None:
    """Also a last one without an end, an empty one, and one longer than any read."""
    server = await net.serve(lambda request: Echo())
    long = "ö" * 200_000
    with certificates(net) as trust:
        code, out, err = await command(net.url(server), *trust, stdin=f"hello\n\r\n\n{long}\nlast".encode())
    assert (code, out.decode()) == (0, f"hello\n\n\n{long}\nlast\n"), err
    assert "closed: 1000" in err


@contextlib.contextmanager
def certificates(net: Net) -> Any:
    """Arguments that make the command trust the server."""
    if not net.tls:
        yield ()
        return
    with certificate_authority().cert_pem.tempfile() as file:
        yield ("--ca", file)


async def test_bytes_go_both_ways_as_they_are(one_net: Net) -> None:
    server = await one_net.serve(lambda request: Echo())
    data = os.urandom(300_000)
    code, out, _ = await command(one_net.url(server), "--binary", stdin=data)
    assert (code, out == data) == (0, True)


async def test_what_a_server_says(one_net: Net) -> None:
    class Talks(Sends):
        what = (
            (WSMsgType.TEXT, '{"a": [1, "ü"]}'),
            (WSMsgType.TEXT, "{no json"),
            (WSMsgType.TEXT, "7"),
            (WSMsgType.BINARY, b"\x00\xff"),
        )

    server = await one_net.serve(lambda request: Talks())
    # The input never ends: it is the server who does.
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", TALK, one_net.url(server), "--json"],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    out = await within(process.stdout.read())
    assert await within(process.wait()) == 0
    assert out.decode() == '{\n  "a": [\n    1,\n    "ü"\n  ]\n}\n{no json\n7\n00 ff\n'
    await process.communicate()


async def test_a_message_in_fragments_is_one_line(one_net: Net) -> None:
    class Talks(Sends):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, "ö".encode()[:1], fin=False)
            transport.send_ping()
            transport.send(WSMsgType.CONTINUATION, "ö".encode()[1:])
            super().on_ws_connected(transport)

    server = await one_net.serve(lambda request: Talks())
    assert (await command(one_net.url(server)))[:2] == (0, "ö\n".encode())


@pytest.mark.parametrize(
    ("close", "code", "said"),
    [
        ((WSCloseCode.GOING_AWAY, "later"), 0, "closed: 1001 later"),
        ((), 0, "closed: without a code"),
        ((WSCloseCode.POLICY_VIOLATION, "not you"), 3, "closed: 1008 not you"),
    ],
)
async def test_how_it_ended(one_net: Net, close: tuple[Any, ...], code: int, said: str) -> None:
    server = await one_net.serve(lambda request: type("Talks", (Sends,), {"close": close})())
    found, _, err = await command(one_net.url(server))
    assert found == code
    assert said in err


async def test_a_connection_that_breaks(one_net: Net) -> None:
    class Breaks(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            transport.disconnect(graceful=False)

    server = await one_net.serve(lambda request: Breaks())
    code, out, err = await command(one_net.url(server), stdin=b"x\n" * 1000)
    assert (code, out) == (3, b"")
    assert "ended: " in err


async def test_a_message_that_is_too_large(one_net: Net) -> None:
    class Talks(Sends):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, "x" * 600, fin=False)
            transport.send(WSMsgType.CONTINUATION, "x" * 600)

    server = await one_net.serve(lambda request: Talks())
    code, out, _ = await command(one_net.url(server), "--max-size", 1000)
    assert (code, out) == (3, b"")


async def test_headers_and_subprotocols(one_net: Net) -> None:
    requests: list[Any] = []
    server = await one_net.serve(lambda request: requests.append(request) or Echo(), subprotocols=["b"])
    arguments = ("-H", "X-One: 1", "--header", "X-Two:2:3", "--subprotocol", "a", "--subprotocol", "b")
    code, _, err = await command(one_net.url(server), *arguments)
    assert code == 0
    assert err.splitlines()[0].endswith(", b")
    assert (requests[0].headers["X-One"], requests[0].headers["X-Two"]) == ("1", "2:3")


async def test_round_trips_are_shown(one_net: Net) -> None:
    server = await one_net.serve(lambda request: Echo())
    code, _, err = await command(one_net.url(server), "--ping", 30)
    assert code == 0
    assert len(re.findall(r"round trip \d+\.\d+ ms", err)) == 1


#: Ctrl-C comes while a callback runs, which is not where it may act: in front of Python 3.11 it did.
INTERRUPTED_IN_A_CALLBACK = """
import os, signal, sys
from ws_core._cli import screen, talk

class Pipe(screen.Pipe):
    def show_text(self, text):
        os.kill(os.getpid(), signal.SIGINT)
        super().show_text(text)

signal.signal(signal.SIGINT, signal.default_int_handler)
talk.Pipe = Pipe
sys.exit(talk.main())
"""


async def test_ctrl_c_in_a_pipe(one_net: Net) -> None:
    """The connection is closed properly all the same."""
    ends: list[Any] = []

    class Server(Echo):
        def on_ws_disconnected(self, transport: WSTransport) -> None:
            ends.append(transport.close_handshake)

    server = await one_net.serve(lambda request: Server())
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", INTERRUPTED_IN_A_CALLBACK, one_net.url(server)],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b"hello\n")
    assert await within(process.wait()) == 130
    out, err = await process.communicate()
    assert (out, b"Traceback" in err) == (b"hello\n", False)
    await until(lambda: ends)
    assert ends[0] is not None
    assert ends[0].recv.code == WSCloseCode.OK


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["http://127.0.0.1/"], 1, "scheme"),
        (["ws://127.0.0.1:1/"], 1, "refused"),
        (["ws://127.0.0.1:1/", "-H", "x"], 2, "not NAME:VALUE"),
        (["ws://127.0.0.1:1/", "-H", "x: a\nb"], 2, "line break"),
        (["ws://127.0.0.1:1/", "--timeout", "0"], 2, "more than 0"),
        (["wss://127.0.0.1:1/", "--ca", "/nowhere"], 1, "No such file"),
        ([], 2, "url"),
    ],
)
@pytest.mark.parametrize("module", [TALK, BENCH])
async def test_what_cannot_be(arguments: list[str], code: int, said: str, module: str) -> None:
    found, out, err = await command(*arguments, module=module)
    assert (found, out) == (code, b"")
    assert said.lower() in err.lower()


async def test_text_that_is_none(one_net: Net) -> None:
    server = await one_net.serve(lambda request: Echo())
    code, _, err = await command(one_net.url(server), stdin=b"\xff\n")
    assert code == 2
    assert "--binary" in err


async def test_a_certificate_that_nobody_trusts() -> None:
    net = Net(tls=True, fast=None)
    server = await net.serve(lambda request: Echo())
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    code, _, err = await command(net.url(server))
    assert (code, "certificate" in err.lower()) == (1, True)
    assert set(complaints) <= {"SSL handshake failed"}  # the server's, of a client that hung up
    assert (await command(net.url(server), "--insecure", stdin=b"x"))[:2] == (0, b"x\n")
    await within(server.shutdown())


# ------------------------------------------------------------------ in a terminal


class Person:
    """Somebody at a terminal."""

    def __init__(self, process: asyncio.subprocess.Process, fd: int) -> None:
        self.process = process
        self.fd = fd
        self.seen = ""
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        if data:
            # A terminal answers when it is asked where the cursor is.
            if b"\x1b[6n" in data:
                os.write(self.fd, b"\x1b[1;1R")
            self.seen += re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", data.decode(errors="replace"))
        else:
            asyncio.get_running_loop().remove_reader(self.fd)
        self._more.set()

    async def sees(self, text: str) -> None:
        """Wait until `text` has been shown, and go on behind it."""

        async def look() -> None:
            while text not in self.seen:
                self._more.clear()
                await self._more.wait()
            self.seen = self.seen.partition(text)[2]

        try:
            await within(look())
        except asyncio.TimeoutError:
            raise AssertionError(f"{text!r} is not in {self.seen!r}") from None

    def types(self, text: str) -> None:
        os.write(self.fd, text.encode())


@contextlib.asynccontextmanager
async def at_a_terminal(*arguments: object, without: tuple[str, ...] = ()) -> AsyncIterator[Person]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    hide = "".join(f"sys.modules[{name!r}] = None; " for name in without)
    run = f"import sys; {hide}from ws_core._cli.talk import main; sys.exit(main())"
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", run, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=ENV
    )
    os.close(theirs)
    try:
        yield Person(process, ours)
        await within(process.wait())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


@pytest.mark.parametrize("without", [(), ("rich", "prompt_toolkit")], ids=["cli extra", "nothing else"])
async def test_a_person_talks(one_net: Net, without: tuple[str, ...]) -> None:
    assert importlib.util.find_spec("rich")
    assert importlib.util.find_spec("prompt_toolkit")
    server = await one_net.serve(lambda request: Echo())
    async with at_a_terminal(one_net.url(server), without=without) as person:
        await person.sees("connected to ws://")
        for typed, answer in (
            ("hello", "< hello"),
            ('{"a":[1]}', '"a": ['),
            ("//slash", "< /slash"),
            ("/binary 01 ff", "< 2 bytes: 01 ff"),
            ("/binary xyz", "/binary: non-hexadecimal"),
            ("/ping there", "round trip "),
            ("/stats", "sent 5 frames"),
            ("/help", "Ctrl-D ends"),
            ("/close 1000 bye", "closed: 1000 bye"),
        ):
            person.types(typed + "\r")
            await person.sees(answer)
    assert person.process.returncode == 0


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
async def test_a_person_leaves(one_net: Net, key: str) -> None:
    server = await one_net.serve(lambda request: Echo())
    async with at_a_terminal(one_net.url(server)) as person:
        await person.sees(">")
        person.types(key)
        await person.sees("closed: 1000")
    assert person.process.returncode == 0


async def test_a_server_cannot_reach_the_terminal(one_net: Net) -> None:
    class Talks(Sends):
        what = (
            (WSMsgType.TEXT, "\x1b]0;title\x07 \x9b31m"),
            (WSMsgType.TEXT, '{"a": "\x1b[31m"}'.replace("\x1b", "\\u001b")),
        )
        close = (WSCloseCode.OK, "\x1b[2J")

    server = await one_net.serve(lambda request: Talks())
    async with at_a_terminal(one_net.url(server)) as person:
        await person.sees("< \\x1b]0;title\\x07 \\x9b31m")
        await person.sees("\\u001b[31m")
        await person.sees("closed: 1000 \\x1b[2J")
    assert harmless("a\tb\nc\x7f") == "a\tb\nc\\x7f"


# ------------------------------------------------------------------ the benchmark


async def test_a_benchmark(net: Net) -> None:
    server = await net.serve(lambda request: Echo())
    with certificates(net) as trust:
        arguments = ("--duration", 0.2, "--warm-up", 0.05, "--connections", 3, "--in-flight", 4, "--size", 70_000)
        code, out, err = await command(net.url(server), *trust, *arguments, "--json", module=BENCH)
    assert code == 0, err
    result = json.loads(out)
    assert (result["connections"], result["in_flight"], result["size"]) == (3, 4, 70_000)
    assert result["messages"] >= 12
    times = list(result["round_trip_s"].values())
    assert times == sorted(times)
    assert times[0] > 0


async def test_a_benchmark_for_a_person(one_net: Net) -> None:
    server = await one_net.serve(lambda request: Echo())
    arguments = ("--duration", 0.2, "--warm-up", 0, "--text", "--size", 0)
    code, out, _ = await command(one_net.url(server), *arguments, module=BENCH)
    assert code == 0
    head, rate, percentiles, *rows = out.decode().splitlines()
    assert "messages of 0 B in 0.2 s, 1 connection, 1 in flight on each:" in head
    assert "a second" in rate
    assert "p99.9" in percentiles
    shown = sum(int(row.split()[-1].replace(",", "")) for row in rows)
    assert shown == int(head.split()[0].replace(",", "")) > 0


async def test_a_benchmark_of_no_echo_server(one_net: Net) -> None:
    class Talks(Sends):
        def on_ws_connected(self, transport: WSTransport) -> None:
            pass

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            transport.send(WSMsgType.TEXT, "hello")

    server = await one_net.serve(lambda request: Talks())
    code, out, err = await command(one_net.url(server), module=BENCH)
    assert (code, out) == (2, b"")
    assert "not an echo server: it answers 256 bytes by 5" in err


async def test_a_benchmark_whose_server_goes(one_net: Net) -> None:
    class Goes(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            transport.disconnect(graceful=False)

    server = await one_net.serve(lambda request: Goes())
    code, out, err = await command(one_net.url(server), module=BENCH)
    assert (code, out) == (1, b"")
    assert "the connection ended: " in err


def test_durations_are_counted_to_three_percent() -> None:
    histogram = Histogram()
    durations = [1, 31, 32, 33, 63, 64, 65, 1000, 10**6, 10**9, 3_600 * 10**9]
    for ns in durations:
        one = Histogram()
        one.add(ns)
        ((start, end, number),) = one.rows(16)
        assert (start < ns <= end, number) == (True, 1)
        assert end - start <= max(1, ns / 31)
        assert one.percentile(50) == ns
        histogram.add(ns)
    assert (histogram.count, histogram.least, histogram.most) == (len(durations), 1, durations[-1])
    for index, ns in enumerate(durations, 1):
        assert ns <= histogram.percentile(100 * index / len(durations)) <= ns * 1.04
    rows = list(histogram.rows(10))
    assert len(rows) <= 10
    assert sum(number for _, _, number in rows) == len(durations)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(rows))
    assert list(Histogram().rows(10)) == []
