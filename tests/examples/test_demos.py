"""Examples that show both sides in one process and end by themselves."""

from __future__ import annotations

import re

from example import output_of, run_example

from harness import Net


async def test_demo() -> None:
    lines = await output_of("demo.py", "--seconds", 0.01)
    rows = [line.split()[:3] for line in lines if re.match(r"wss? ", line)]
    assert rows == [[scheme, *size.split()] for scheme in ("ws", "wss") for size in ("32 B", "1 KiB", "64 KiB")]


async def test_echo_tls() -> None:
    assert await output_of("echo_tls.py") == ["connected by TLSv1.3", "echo: hello", "echo: TLS"]


async def test_async_iteration() -> None:
    (line,) = await output_of("async_iteration.py")
    match = re.fullmatch(r"200 messages, in order: True, at most (\d+) waited", line)
    assert match
    # All 200 are under way at once; the limit of 16 may be passed by what stands in one read, 256 KiB.
    assert int(match[1]) <= 16 + 17


async def test_fastest_endpoint() -> None:
    measured, first, left, measured_again, second = await output_of("fastest_endpoint.py")
    assert re.fullmatch(r"A \d+ ms, B \d+ ms, C \d+ ms", measured)
    assert first == "connected to B"
    assert re.fullmatch(r"too slow: smoothed \d+ ms, last \d+ ms", left)
    assert re.fullmatch(r"A \d+ ms, B \d+ ms, C \d+ ms", measured_again)
    assert second == "connected to A"


async def test_fastest_endpoint_of_others(one_net: Net) -> None:
    server = await one_net.serve()
    async with run_example("fastest_endpoint.py", one_net.url(server), "ws://127.0.0.1:1/") as example:
        assert re.fullmatch(rf"{re.escape(one_net.url(server))} \d+ ms", await example.line())
        assert (await example.line()).startswith("connected: <WSTransport client open ")
        assert await example.interrupt() == []


async def test_fragmented_messages() -> None:
    assert await output_of("fragmented_messages.py") == [
        r"TEXT b'f\xc3\xbcn' fin=False",
        r"CONTINUATION b'f \xc3\x84' fin=False",
        r"CONTINUATION b'pfel' fin=True",
        "the message: fünf Äpfel",
    ]


async def test_slow_client() -> None:
    server, client = await output_of("slow_client.py")
    assert client == "client: 1000 of 1000 messages arrived"
    match = re.fullmatch(r"server: paused (\d+) times, at most (\d+) KiB waited", server)
    assert match
    assert int(match[1]) > 0
    assert 64 <= int(match[2]) <= 64 + 17  # the high-water mark and the message that passes it


async def test_subprotocols() -> None:
    refused = "  closed by the server: greeting.json and greeting.text are spoken here"
    assert await output_of("subprotocols.py") == [
        *["offering greeting.text", "  greeting.text: hello"],
        *["offering greeting.text, greeting.json", '  greeting.json: {"greeting": "hello"}'],
        *["offering greeting.xml", refused],
        *["offering nothing", refused],
    ]


async def test_socket_options() -> None:
    options = dict(line.split() for line in await output_of("socket_options.py"))
    # Linux says twice what was asked for, macOS what was.
    assert int(options["SO_RCVBUF"]) in (64 * 1024, 128 * 1024)
    assert int(options["SO_SNDBUF"]) in (32 * 1024, 64 * 1024)
    assert int(options["SO_KEEPALIVE"]) != 0
    assert int(options["TCP_NODELAY"]) != 0


async def test_exceptions() -> None:
    lines = await output_of("exceptions.py")
    logged = [line for line in lines if line.startswith("log: ")]
    assert len(logged) == 2
    assert all(line.startswith("log: ws_core.server") and line.endswith("on_ws_frame raised") for line in logged)
    assert [line for line in lines if line.startswith(("sent", "elsewhere", "after"))] == [
        "sent 'seven': the server closes with <WSCloseCode.POLICY_VIOLATION: 1008>, seven is no number",
        "sent '0': the server closes with <WSCloseCode.INTERNAL_ERROR: 1011>, None",
        "sent '8': wait_disconnected raised LookupError('nobody wants 12.5')",
        "elsewhere: the server refused the upgrade with HTTP status 404: b'Not Found'",
        "after the end: ConnectionRefusedError",
    ]


async def test_debug_logs() -> None:
    lines = await output_of("debug_logs.py")
    logged = [line for line in lines if line != "echo: hello"]
    assert all(line.startswith("ws_core.client 9 ") for line in logged)
    assert "first=0x81 size=5" in "".join(logged)  # the frame with "hello" in it
    assert len(lines) == len(logged) + 1


async def test_keepalive() -> None:
    reason = "timeout: no byte came within 0.25 seconds after a ping"
    lines = await output_of("keepalive.py", "--idle", 0.25, "--reply", 0.25, log=reason)
    assert sorted(lines) == [f"{name}: 3 pings sent, {reason}" for name in ("Client", "TextClient")]
