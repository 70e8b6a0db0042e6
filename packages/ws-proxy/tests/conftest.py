"""Real proxies from PyPI, each a process of its own on loopback, started when a test first asks for it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import certificate_authority

USER = "us er"
PASSWORD = "s3:cr/et"
USER_INFO = "us%20er:s3%3Acr%2Fet@"

# pproxy's own command line cannot say which port it got.
PPROXY = """
import asyncio, sys
import pproxy

async def main():
    uri, certificate, key, port_file = sys.argv[1:]
    server = pproxy.Server(uri)
    if certificate:
        server.sslserver.load_cert_chain(certificate, key)
    # authtime: an address that has authenticated once would need no password for a month.
    started = await server.start_server({"rserver": [pproxy.Connection("direct://")], "authtime": 0})
    with open(port_file + ".part", "w") as file:
        file.write(str(started.sockets[0].getsockname()[1]))
    import os
    os.rename(port_file + ".part", port_file)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Park:
    """Starts proxies and keeps them until the end of the run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._urls: dict[tuple[str, bool, bool], int] = {}
        self._certificate = folder / "certificate.pem"
        self._key = folder / "key.pem"
        issued = certificate_authority().issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(str(self._key))
        for blob in issued.cert_chain_pems:
            blob.write_to_path(str(self._certificate), append=True)

    def url(self, which: str) -> str:
        """The URL of a proxy: its program, its scheme and perhaps "auth", as in "pproxy socks5 auth"."""
        program, scheme, *auth = which.split()
        port = self._port(program, scheme == "https", bool(auth))
        return f"{scheme}://{USER_INFO if auth else ''}127.0.0.1:{port}"

    def _port(self, program: str, tls: bool, auth: bool) -> int:
        key = (program, tls, auth)
        if key not in self._urls:
            port_file = self._folder / f"port-{len(self._urls)}"
            make = self._pproxy if program == "pproxy" else self._proxy_py
            process = subprocess.Popen(make(tls, auth, port_file), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            self._processes.append(process)
            end = time.monotonic() + 30
            while not port_file.exists() or not port_file.read_text().strip():
                assert process.poll() is None, f"{program} ended with {process.returncode}"
                assert time.monotonic() < end, f"{program} did not start"
                time.sleep(0.02)
            self._urls[key] = int(port_file.read_text())
        return self._urls[key]

    def _pproxy(self, tls: bool, auth: bool, port_file: Path) -> list[str]:
        uri = f"{'http+ssl' if tls else 'http+socks4+socks5'}://127.0.0.1:0"
        if auth:
            uri += f"#{USER}:{PASSWORD}"
        files = [str(self._certificate), str(self._key)] if tls else ["", ""]
        return [sys.executable, "-W", "ignore", "-c", PPROXY, uri, *files, str(port_file)]

    def _proxy_py(self, tls: bool, auth: bool, port_file: Path) -> list[str]:
        command = [sys.executable, "-W", "ignore", "-m", "proxy", "--hostname", "127.0.0.1", "--port", "0"]
        command += ["--port-file", str(port_file), "--num-acceptors", "1", "--num-workers", "1"]
        command += ["--data-dir", str(self._folder / "proxy.py"), "--log-level", "CRITICAL"]
        if tls:
            command += ["--cert-file", str(self._certificate), "--key-file", str(self._key)]
        if auth:
            command += ["--basic-auth", f"{USER}:{PASSWORD}"]
        return command

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def park(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Park]:
    park = Park(tmp_path_factory.mktemp("proxies"))
    yield park
    park.close()
