"""One port, several threads: each has an event loop and a server of its own, and the kernel deals out the connections.

python echo_threads.py --threads 4

reuse_port=True lets several sockets listen on one port (Linux, macOS, BSD). A connection belongs to the thread that
accepted it, and so does its transport: any other thread gets a RuntimeError. While Python has its global lock, only one
thread runs Python code at a time; processes with one server each can share a port in the same way, each by
ws_create_server(..., reuse_port=True).
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import threading

from echo_server import Echo

from ws_core import WSTransport, ws_create_server


class ThreadedEcho(Echo):
    def on_ws_connected(self, transport: WSTransport) -> None:
        print(f"{threading.current_thread().name} has a connection", flush=True)


async def serve(listening: socket.socket, stop: threading.Event) -> None:
    server = await ws_create_server(lambda request: ThreadedEcho(), sock=listening)
    async with server:  # its end says goodbye to every client
        await asyncio.to_thread(stop.wait)


def run(listening: socket.socket, stop: threading.Event) -> None:
    asyncio.run(serve(listening, stop))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001, help="0: a free one")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    # Made here, so that a port that is taken is an error before any thread runs.
    port, stop, threads = args.port, threading.Event(), []
    for number in range(args.threads):
        listening = socket.create_server((args.host, port), reuse_port=True)
        port = listening.getsockname()[1]
        threads.append(threading.Thread(target=run, args=(listening, stop), name=f"thread {number}"))
    for thread in threads:
        thread.start()
    print(f"{args.threads} threads, listening on port {port}", flush=True)
    try:
        stop.wait()
    except KeyboardInterrupt:
        pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
