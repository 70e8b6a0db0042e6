"""``python -m ws_core`` in a pipe; what both commands make of their arguments."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from typing import Any

import pytest

from commands import BENCH, TALK, Sends, certificates, command
from harness import Echo, Net, Recorder, until, within
from ws_core import WSCloseCode, WSFrame, WSMsgType, WSTransport, __version__
from ws_core._cli.arguments import hide_password


async def test_lines_are_messages(net: Net) -> None:
    """Also a last one without an end, an empty one, and one longer than any read."""
    server = await net.serve(lambda request: Echo())
    long = "ö" * 200_000
    with certificates(net) as trust:
        code, out, err = await command(net.url(server), *trust, stdin=f"hello\n\r\n\n{long}\nlast".encode())
    assert (code, out.decode()) == (0, f"hello\n\n\n{long}\nlast\n"), err
    assert "closed: 1000" in err


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


async def test_a_message_in_very_many_fragments(one_net: Net) -> None:
    """What has come is not counted again with each of them: that took minutes for as many as these."""

    class Talks(Sends):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, "x", fin=False)
            with transport.cork():
                for _ in range(60_000):
                    transport.send(WSMsgType.CONTINUATION, "x", fin=False)
            transport.send(WSMsgType.CONTINUATION, "x")
            super().on_ws_connected(transport)

    server = await one_net.serve(lambda request: Talks())
    assert (await command(one_net.url(server)))[:2] == (0, b"x" * 60_002 + b"\n")


async def test_json_stays_what_it_was(one_net: Net) -> None:
    """Numbers that a float cannot hold, keys that are there twice, half a surrogate pair."""
    message = '{"a":1.10,"a":[1e400,{},[ ]],"b":"\\ud800 \\" ]ü"}'

    class Talks(Sends):
        what = ((WSMsgType.TEXT, message), (WSMsgType.TEXT, "[" * 500 + "]" * 500))

    server = await one_net.serve(lambda request: Talks())
    code, out, _ = await command(one_net.url(server), "--json")
    assert code == 0
    lines = out.decode().splitlines()
    assert lines.pop() == "[" * 500 + "]" * 500  # it would be indented by more than anybody can read
    assert [line.strip() for line in lines] == [
        *["{", '"a": 1.10,', '"a": [', "1e400,", "{},", "[]", "],", '"b": "\\ud800 \\" ]ü"', "}"]
    ]


async def test_a_password_is_not_shown(one_net: Net) -> None:
    server = await one_net.serve(lambda request: Echo())
    url = one_net.url(server).replace("//", "//me:secret@")
    _, _, err = await command(url)
    assert "connected to ws://me:***@" in err
    _, out, err = await command(url, "--duration", 0.05, "--warm-up", 0, "--json", module=BENCH)
    assert json.loads(out)["url"].startswith("ws://me:***@")
    assert hide_password("ws://me:p@ss@host/?a=b:c@d") == "ws://me:***@host/?a=b:c@d"
    assert hide_password("ws://host:1/?a=b:c@d") == "ws://host:1/?a=b:c@d"


@pytest.mark.parametrize("how", ["<&-", ">&-", "<&- >&-"])
async def test_closed_descriptors(one_net: Net, how: str) -> None:
    """What a shell closes: nothing is read of what has got its number, and nothing fails."""
    server = await one_net.serve(lambda request: Echo())
    shell = f'exec "$@" {how}'
    process = await asyncio.create_subprocess_exec(
        *["/bin/sh", "-c", shell, "sh", sys.executable, "-m", TALK, one_net.url(server)],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await within(process.communicate(b"x\n"))
    assert (process.returncode, err.decode().splitlines()[1:]) == (0, ["closed: 1000"])


async def test_nobody_reads(one_net: Net) -> None:
    """As in `... | head -1`: the end of it, without a word."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", TALK, one_net.url(await one_net.serve(lambda request: Echo()))],
        stdin=asyncio.subprocess.PIPE,
        stdout=(pipe := os.pipe())[1],
        stderr=asyncio.subprocess.PIPE,
    )
    for end in pipe:
        os.close(end)
    assert process.stdin is not None
    process.stdin.write(b"x\n")
    assert process.stderr is not None
    err = await within(process.stderr.read())
    assert (await within(process.wait()), err.decode().splitlines()[1:]) == (3, [])
    process.stdin.close()


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_in_a_pipe(one_net: Net, number: signal.Signals) -> None:
    """The connection is closed properly all the same."""
    ends: list[Any] = []

    class Server(Echo):
        def on_ws_disconnected(self, transport: WSTransport) -> None:
            ends.append(transport.close_handshake)

    server = await one_net.serve(lambda request: Server())
    process = await asyncio.create_subprocess_exec(
        *[
            sys.executable,
            "-c",
            INTERRUPTED_IN_A_CALLBACK.replace("SIGINT)\n ", f"{number.name})\n "),
            one_net.url(server),
        ],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b"hello\n")
    assert await within(process.wait()) == 128 + number
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
        (["ws://127.0.0.1:1/", "--max-size", "0"], 2, "1 or more"),
        (["http://\x1b[2J/"], 1, "\\x1b[2J"),
        ([], 2, "url"),
    ],
)
@pytest.mark.parametrize("module", [TALK, BENCH])
async def test_what_cannot_be(arguments: list[str], code: int, said: str, module: str) -> None:
    found, out, err = await command(*arguments, module=module)
    assert (found, out) == (code, b"")
    assert said.lower() in err.lower()


@pytest.mark.parametrize(
    ("module", "arguments"),
    [(TALK, ["--linger", "-1"]), (TALK, ["--linger", "nan"]), (BENCH, ["--warm-up", "-1"]), (BENCH, ["--size", "-1"])],
)
async def test_numbers_that_cannot_be(module: str, arguments: list[str]) -> None:
    code, _, err = await command("ws://127.0.0.1:1/", *arguments, module=module)
    assert (code, "must be 0 or more" in err) == (2, True)


@pytest.mark.parametrize("module", [TALK, BENCH])
async def test_the_version(module: str) -> None:
    assert await command("--version", module=module) == (0, f"wirelark-ws-core {__version__}\n".encode(), "")


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
