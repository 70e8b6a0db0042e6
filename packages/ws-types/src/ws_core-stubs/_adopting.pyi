# Internal: plain sockets that we drive ourselves.
import asyncio
import socket
from collections.abc import Callable

from ws_core._accepting import SocketServer

def drive(
    sock: socket.socket, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol
) -> asyncio.Transport: ...
def accept_waiting(
    listening: socket.socket,
    loop: asyncio.AbstractEventLoop,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    server: SocketServer,
    most: int,
) -> None: ...
