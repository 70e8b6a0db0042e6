# Internal: what a server does with its plain sockets.
import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

class _Counting(Protocol):
    def attach(self) -> None: ...
    def detach(self) -> None: ...

def accept_waiting(
    listening: socket.socket,
    loop: asyncio.AbstractEventLoop,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    server: _Counting,
    most: int,
) -> None: ...
