# Internal: what a server does with its plain sockets.
import asyncio
import socket
from collections.abc import Callable

from ws_core._accepting import SocketServer

def accept_waiting(
    listening: socket.socket,
    loop: asyncio.AbstractEventLoop,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    server: SocketServer,
    most: int,
) -> None: ...
