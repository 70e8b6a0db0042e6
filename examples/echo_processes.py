"""One port, several processes: each has a loop and a server of its own, and the kernel deals out the connections.

python echo_processes.py --processes 4

reuse_port=True lets several sockets listen on one port. On Linux a hash of the addresses decides who gets a connection;
on other systems one of them may get them all. Ctrl-C, or SIGTERM, to the first process ends all of them, each with a
CLOSE to its clients.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import signal
import socket
from multiprocessing.synchronize import Barrier

from echo_server import Echo

from ws_core import WSTransport, ws_create_server


class NamedEcho(Echo):
    def __init__(self, name: str) -> None:
        self.name = name

    def on_ws_connected(self, transport: WSTransport) -> None:
        print(f"{self.name} has a connection", flush=True)


async def serve(host: str, port: int, name: str, ready: Barrier) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C reaches all processes: the parent decides
    server = await ws_create_server(lambda request: NamedEcho(name), host, port, reuse_port=True)
    async with server:  # its end says goodbye to every client
        ready.wait(30)
        await stop.wait()


def run(host: str, port: int, name: str, ready: Barrier) -> None:
    asyncio.run(serve(host, port, name, ready))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001, help="0: a free one")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()

    # Bound here and never listening: it keeps the port for the others, and a port that is taken is an error at once.
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind((args.host, args.port))
        port = keeper.getsockname()[1]
        context = multiprocessing.get_context("spawn")
        ready = context.Barrier(args.processes + 1)
        names = [f"process {number}" for number in range(args.processes)]
        processes = [context.Process(target=run, args=(args.host, port, name, ready)) for name in names]
        for process in processes:
            process.start()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            ready.wait(30)
            print(f"{args.processes} processes, listening on port {port}", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()


if __name__ == "__main__":
    main()
