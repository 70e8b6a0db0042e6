"""Options of the socket: before it connects, by socket_factory, and once it is open, in on_ws_connected.

python socket_options.py

TCP_NODELAY is on already, and TCP_QUICKACK where the platform has it. Options that the kernel needs before the
connection is made, such as a receive buffer whose size the TCP handshake announces, or a local address, are set on a
socket of your own. On a server, options of the listening socket (sock=) are inherited by what it accepts.
"""

from __future__ import annotations

import asyncio
import socket

from echo_server import Echo

from ws_core import WSListener, WSParsedURL, WSTransport, ws_connect, ws_create_server


def make_socket(url: WSParsedURL) -> socket.socket:
    """A socket that is not connected yet: the library connects it, and owns it from then on."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    return made


class Client(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        sock = transport.underlying_transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
        # Linux doubles what it is asked for, to have room for its own book-keeping.
        print(f"SO_RCVBUF {sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)}")
        print(f"SO_SNDBUF {sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)}")
        print(f"SO_KEEPALIVE {sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)}")
        print(f"TCP_NODELAY {sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)}")


async def main() -> None:
    server = await ws_create_server(lambda request: Echo(), "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with server:
        transport, _ = await ws_connect(Client, f"ws://127.0.0.1:{port}/", socket_factory=make_socket)
        await transport.close()


if __name__ == "__main__":
    asyncio.run(main())
