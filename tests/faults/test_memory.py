"""What malloc has in use before and after many connections: memory that neither Python nor its collector knows of."""

from __future__ import annotations

import ctypes
import gc

import pytest

from harness import Net, until, within
from ws_core import WSMsgType

CONNECTIONS = 60
ROUNDS = 8
#: Bytes, of all of them together: a few have not gone quite yet, or Python has made a list longer.
ALLOWED = 200 * CONNECTIONS
WAYS = ("close", "abort", "the peer aborts")


FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class Mallinfo(ctypes.Structure):
    """mallinfo2(3)."""

    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]


mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)

pytestmark = pytest.mark.skipif(mallinfo2 is None, reason="needs the C library of GNU, 2.33 or newer")


def in_use() -> int:
    gc.collect()
    assert mallinfo2 is not None
    mallinfo2.restype = Mallinfo
    found = mallinfo2()
    return int(found.uordblks + found.hblkhd)  # in its heaps; mapped


async def test_connections_leave_no_memory(net: Net) -> None:
    server = await net.serve()

    async def come_and_go(way: str) -> None:
        transport, listener = await net.connect(server)
        for size in (16, 1000, 100_000):
            transport.send(WSMsgType.BINARY, bytes(size))
            await listener.frame()
        if way == "close":
            await within(transport.close())
        elif way == "abort":
            transport.disconnect(graceful=False)
        else:
            server.abort_clients()
        await within(transport.wait_disconnected())
        await until(lambda: not server.connections)
        net._transports.clear()

    before = in_use()
    growth = []
    for _ in range(ROUNDS):  # what the layers below keep for the next connection is there after some
        for number in range(CONNECTIONS):
            await come_and_go(WAYS[number % len(WAYS)])
        before, last = in_use(), before
        growth.append(before - last)
        if growth[-1] < ALLOWED:
            return
    pytest.fail(f"{CONNECTIONS} connections after the other, bytes in use grow, again and again, by {growth}")
