"""What connections may leave behind: descriptors, tasks, timers, objects. Whoever counts before and after knows."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import ws_core
from harness import TIMEOUT_S
from ws_core._protocol import WSProtocol

#: Of each connection. Frames are not known to the collector; the listeners that keep them are.
KINDS = (ws_core.WSTransport, WSProtocol, ws_core.WSListener)
#: AddressSanitizer does, to know who uses it: resident_bytes() tells nothing.
KEEPS_WHAT_IS_FREED = "libasan" in os.environ.get("LD_PRELOAD", "")


def held() -> Counter[str]:
    """What this process and its running loop hold now. Timers are asyncio's: uvloop does not show its own."""
    loop = asyncio.get_running_loop()
    timers = [each for each in getattr(loop, "_scheduled", ()) if not each.cancelled()]
    found = Counter(each.__name__ for each in KINDS for object_ in gc.get_objects() if isinstance(object_, each))
    return found + Counter(descriptors=descriptors(), tasks=len(asyncio.all_tasks()), timers=len(timers))


def descriptors(process: int | str = "self") -> int:
    """How many a process has."""
    return len(os.listdir(f"/proc/{process}/fd"))


def resident_bytes(process: int | str = "self") -> int:
    """The memory that a process has."""
    pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """At the end of the block there is no more of anything than there was before it, soon."""
    gc.collect()
    before = held()
    yield
    loop = asyncio.get_running_loop()
    end = loop.time() + TIMEOUT_S
    while more := held() - before:
        assert loop.time() < end, f"left behind: {dict(more)}"
        gc.collect()
        await asyncio.sleep(0.002)
