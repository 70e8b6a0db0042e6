"""Examples that are clients: a server of the test's own answers them."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path

import pytest
from example import output_of

from harness import Net, RawPeer, certificate_authority


async def test_echo_client(one_net: Net) -> None:
    port = one_net.port(await one_net.serve())
    assert await output_of("echo_client.py", "--port", port, "hällo", "wörld") == [
        f"connected to ws://127.0.0.1:{port}/",
        "echo: hällo",
        "echo: wörld",
        "ended: local: the peer answered the CLOSE of this side",
    ]


async def test_echo_client_over_tls(tmp_path: Path) -> None:
    net = Net(tls=True, fast=True)
    port = net.port(await net.serve())
    certificate_authority().cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    lines = await output_of("echo_client.py", "--tls", "--port", port, "--ca", tmp_path / "authority.pem", "hello")
    assert lines[:2] == [f"connected to wss://127.0.0.1:{port}/", "echo: hello"]


async def test_roundtrip_time(one_net: Net) -> None:
    port = one_net.port(await one_net.serve())
    times, summary = await output_of("roundtrip_time.py", "--port", port, "--rounds", 3, "--limit", 20)
    assert re.fullmatch(r"round trips: \d+ us, \d+ us, \d+ us", times)
    assert re.fullmatch(r"3 measured, shortest \d+ us, smoothed \d+ us", summary)
    await output_of("roundtrip_time.py", "--port", port, "--limit", 0, code=1)


async def tunnel(peer: RawPeer) -> None:
    """A proxy of the simplest kind (RFC 9110 section 9.3.6)."""
    method, target = (await peer.head()).split()[:2]
    assert method == b"CONNECT"
    host, _, port = target.decode().partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()

    await asyncio.gather(copy(peer.reader, writer), copy(reader, peer.writer))


async def test_proxy(one_net: Net) -> None:
    server = await one_net.serve()
    requests = []

    async def proxy(peer: RawPeer) -> None:
        requests.append(peer)
        await tunnel(peer)

    proxy_port = await one_net.raw_server(proxy)
    port = one_net.port(server)
    lines = await output_of("proxy.py", "--proxy", f"http://127.0.0.1:{proxy_port}", "--port", port)
    assert lines == [f"connected to ws://127.0.0.1:{port}/", "echo: hello", "echo: proxy"]
    assert len(requests) == 1


async def test_a_proxy_that_is_not_there() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        (line,) = await output_of("proxy.py", "--proxy", url, code=1)
    assert line.startswith("no way through the proxy: ")
    assert "refused" in line or "Connect call failed" in line


async def test_proxy_of_the_system(one_net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await one_net.serve()
    for name in ("http_proxy", "no_proxy", "ws_proxy", "WS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{await one_net.raw_server(tunnel)}")
    lines = await output_of("proxy.py", "--proxy", "system", "--host", "localhost", "--port", one_net.port(server))
    assert lines[1:] == ["echo: hello", "echo: proxy"]


async def test_proxy_that_refuses(one_net: Net) -> None:
    async def refuse(peer: RawPeer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    port = await one_net.raw_server(refuse)
    (line,) = await output_of("proxy.py", "--proxy", f"http://127.0.0.1:{port}", code=1)
    assert line.startswith("no way through the proxy: ")
    assert "403" in line
