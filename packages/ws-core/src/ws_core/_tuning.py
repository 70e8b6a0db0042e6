"""Socket options that every connection gets. Knows sockets only."""

from __future__ import annotations

import socket


def tune(sock: socket.socket) -> None:
    """No Nagle, and acknowledge at once where the platform lets one ask for it. Only where it means something."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_QUICKACK"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    except OSError:
        pass  # the peer has gone already; the first read or write will say so
