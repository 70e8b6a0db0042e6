"""`nox -s demo`: round trips against an echo server in a process of its own, plain and TLS, and the code behind it."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time

import trustme
import uvloop

from ws_core import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

SIZES = {"32 B": 32, "1 KiB": 1024, "64 KiB": 64 * 1024}


class Client(WSListener):
    def __init__(self, payload: bytes, seconds: float) -> None:
        self.payload, self.seconds, self.times = payload, seconds, list[float]()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.end = time.perf_counter() + self.seconds
        self.ping(transport)

    def ping(self, transport: WSTransport) -> None:
        self.sent = time.perf_counter()
        transport.send(WSMsgType.BINARY, self.payload)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        now = time.perf_counter()
        self.times.append(now - self.sent)
        self.ping(transport) if now < self.end else transport.disconnect()


async def measure(url: str, context: ssl.SSLContext | None, size: int, seconds: float) -> list[float]:
    transport, client = await ws_connect(lambda: Client(b"x" * size, seconds), url, ssl_context=context)
    await transport.wait_disconnected()
    assert isinstance(client, Client)
    return sorted(client.times)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.5, help="how long each row is measured")
    args = parser.parse_args()
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    example = pathlib.Path(__file__).with_name("echo_server.py")
    print(f"\n{'':6}{'size':>8}{'count':>10}{'p50':>12}{'p99':>12}{'messages/s':>14}")
    with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(pem.name)
        for scheme, arguments in ("ws", []), ("wss", ["--cert", pem.name]):
            command = [sys.executable, str(example), "--port", "0", *arguments]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                try:
                    assert server.stdout is not None
                    port = int(server.stdout.readline().split()[-1])
                    for name, size in SIZES.items():
                        url = f"{scheme}://127.0.0.1:{port}/"
                        times = await measure(url, context if scheme == "wss" else None, size, args.seconds)
                        p50, p99 = times[len(times) // 2] * 1e6, times[len(times) * 99 // 100] * 1e6
                        rate = len(times) / sum(times)
                        print(f"{scheme:6}{name:>8}{len(times):>10,}{p50:>9.1f} us{p99:>9.1f} us{rate:>14,.0f}")
                finally:
                    server.terminate()
    print(
        f"\nOne message at a time, client and server in a process each, {type(asyncio.get_running_loop()).__module__}."
    )
    print("The client is this, the server is examples/echo_server.py:\n")
    print(inspect.getsource(Client))


if __name__ == "__main__":
    uvloop.run(main())
