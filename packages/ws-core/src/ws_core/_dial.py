"""A connected TCP socket, by the arguments of loop.create_connection that say how to get one.

The races between addresses are aiohappyeyeballs'. Knows no URL, no TLS and no transport.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from aiohappyeyeballs import AddrInfoType, start_connection

#: The arguments of create_connection that dial() understands.
DIAL_ARGUMENTS = frozenset({"family", "flags", "happy_eyeballs_delay", "interleave", "local_addr", "proto"})


async def dial(
    loop: asyncio.AbstractEventLoop,
    host: str,
    port: int,
    *,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    local_addr: tuple[str, int] | None = None,
    **race: Any,
) -> socket.socket:
    """
    A socket that does not block, connected to `host`, a name or an address.

    The arguments are those of ``loop.create_connection``, `race` being ``happy_eyeballs_delay`` (seconds) and
    ``interleave``.
    OSError, as create_connection raises it: of the only attempt, or one that tells of all.
    """
    found = await _addresses(loop, host, port, family, proto, flags)
    local = None if local_addr is None else await _addresses(loop, *local_addr, family, proto, flags)
    return await start_connection(found, local_addr_infos=local, loop=loop, **race)


async def _addresses(
    loop: asyncio.AbstractEventLoop, host: str, port: int, family: int, proto: int, flags: int
) -> Sequence[AddrInfoType]:
    if not flags and not proto:
        # An address needs no look-up, which would take a thread and ten times as long.
        for of, rest in ((socket.AF_INET, ()), (socket.AF_INET6, (0, 0))):
            try:
                socket.inet_pton(of, host)
            except (OSError, ValueError):
                continue
            if family in (0, of):
                return [(of, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, *rest))]
    found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags)
    if not found:
        raise OSError(f"{host!r} has no address")
    return found
