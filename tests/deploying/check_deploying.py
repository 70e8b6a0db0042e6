"""The configurations of docs/guides/deploying.md, run: nginx and HAProxy in front of two servers. `nox -s deploying`.

Not test_...: the daemons come by apt-get, and not every machine that runs the tests has it.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from pages import ROOT, blocks

from harness import Echo, Recorder, certificate_authority, client_ssl_context, until, within
from proxies import find, free_port, listens
from ws_core import (
    WSCloseCode,
    WSInvalidStatusError,
    WSListener,
    WSMsgType,
    WSServer,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_connect,
    ws_create_server,
)

PAGE = ROOT / "docs/guides/deploying.md"
ATTEMPTS = 5
PORTS = ("9001", "9002")
DAEMONS = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}


def answer(request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
    if request.path == b"/health":
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(b"ok\n"), None)
    return Echo() if request.path == b"/" else None


def configuration(name: str, port: int, servers: list[WSServer], folder: Path) -> Path:
    """What the page shows, with ports and paths of this machine."""
    (text,) = (block.code for block in blocks(PAGE) if block.file == name)
    certificate = certificate_authority().issue_cert("127.0.0.1")
    chain, key = folder / "chain.pem", folder / "key.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(chain))
    certificate.private_key_pem.write_to_path(str(key))
    changes = {
        r"\blisten 443\b": f"listen 127.0.0.1:{port}",
        r"\bbind :443\b": f"bind 127.0.0.1:{port}",
        r"/etc/ssl/example\.org\.pem": str(chain),
        r"/etc/ssl/example\.org\.key": str(key),
        r"^http \{$": f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;",
    }
    for old, server in zip(PORTS, servers, strict=True):
        changes[rf"\b127\.0\.0\.1:{old}\b"] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for old, new in changes.items():
        text = re.sub(old, new, text, flags=re.M)
    assert not re.search(r"\b443\b|/etc/|:900", text), text
    path = folder / name
    path.write_text(text)
    return path


def command(daemon: str, path: Path) -> list[str]:
    executable = find(daemon)
    assert executable is not None, f"{daemon} is not installed"
    if daemon == "haproxy":
        return [executable, "-db", "-f", str(path)]
    user = "user root; " if os.geteuid() == 0 else ""  # its workers may read our folder then
    directives = f"daemon off; {user}pid {path.parent}/nginx.pid; error_log stderr warn;"
    return [executable, "-p", str(path.parent), "-c", str(path), "-g", directives]


@contextmanager
def running(daemon: str, servers: list[WSServer], folder: Path) -> Iterator[int]:
    """The daemon with the page's configuration; gives its port."""
    log = folder / "log"
    for _ in range(ATTEMPTS):
        port = free_port()
        path = configuration(DAEMONS[daemon], port, servers, folder)
        with log.open("wb") as output:
            process = subprocess.Popen(command(daemon, path), stdout=output, stderr=output)
        try:
            if listens(process, port):
                yield port
                return
        finally:
            process.terminate()
            process.wait()
    raise AssertionError(f"{daemon} does not start: {log.read_text()}")


@asynccontextmanager
async def two_servers() -> AsyncIterator[list[WSServer]]:
    servers = [await ws_create_server(answer, "127.0.0.1") for _ in PORTS]
    try:
        yield servers
    finally:
        for server in servers:
            await within(server.shutdown())


@pytest.mark.parametrize("daemon", DAEMONS)
async def test_in_front_of_two_servers(daemon: str, tmp_path: Path) -> None:
    async with two_servers() as servers:
        # Their start is waited for in a thread: HAProxy asks for /health meanwhile.
        daemon_runs = running(daemon, servers, tmp_path)
        port = await asyncio.to_thread(daemon_runs.__enter__)
        try:
            await check(f"127.0.0.1:{port}", servers)
        finally:
            await asyncio.to_thread(daemon_runs.__exit__, None, None, None)


async def check(place: str, servers: list[WSServer]) -> None:
    context = client_ssl_context()
    assert await within(asyncio.to_thread(get, f"https://{place}/health", context)) == (200, b"ok\n")
    with pytest.raises(WSInvalidStatusError, match="404"):
        await within(ws_connect(WSListener, f"wss://{place}/nothing", ssl_context=context))
    pairs = [await within(ws_connect(Recorder, f"wss://{place}/", ssl_context=context)) for _ in range(4)]
    assert [len(server.connections) for server in servers] == [2, 2]
    for transport, client in pairs:
        for message in (b"", b"hello", bytes(1024 * 1024)):
            transport.send(WSMsgType.BINARY, message)
            assert (await client.frame()).get_payload_as_bytes() == message
    behind = next(iter(servers[0].connections))
    assert behind.request.headers["X-Forwarded-For"] == "127.0.0.1"
    assert not behind.is_secure

    (first, listener), *others = pairs
    await within(first.close(4001, "enough"))
    assert first.close_handshake is not None
    assert first.close_handshake.recv == (4001, "enough")
    assert listener.events[-1] == "disconnected"
    for server in servers:
        await within(server.shutdown(WSCloseCode.SERVICE_RESTART, timeout=0.1))
    for transport, client in others:
        assert (await client.frame()).get_close_code() == WSCloseCode.SERVICE_RESTART
        await until(lambda transport=transport: transport.is_disconnected)


def get(url: str, context: ssl.SSLContext) -> tuple[int, bytes]:
    from urllib.request import urlopen

    with urlopen(url, context=context, timeout=10) as response:
        return response.status, response.read()
