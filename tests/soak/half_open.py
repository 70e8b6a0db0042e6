"""Thousands of connections that never finish their request, at a server in another process.

They cost little, others get in meanwhile, and each is dropped when its time is over.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

from silent import fall_silent, its_end

from crowd import CONNECTING, PATIENCE_S, SOURCES, Crowd
from leftovers import descriptors, resident_bytes

KIB = 1024


async def half_open(server: int, port: int, crowd: Crowd, count: int) -> dict[str, Any]:
    """`server`: the process; `crowd`: of those who do ask. The figures; `wrong` has what should not be."""
    wrong: list[str] = []
    await crowd.come(1)
    before, memory = descriptors(server), resident_bytes(server)
    silent: list[socket.socket] = []
    numbers = iter(range(count))

    async def some() -> None:
        for number in numbers:
            silent.append(await fall_silent(port, number, SOURCES[number % len(SOURCES)]))

    start = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(CONNECTING)))
    came_s = time.perf_counter() - start
    while descriptors(server) < before + count and time.perf_counter() - start < PATIENCE_S / 2:
        await asyncio.sleep(0.1)
    held = descriptors(server) - before
    each_kib = (resident_bytes(server) - memory) / count / KIB
    if held < count:
        wrong.append(f"only {held} of {count} silent connections were open at a time")
    start = time.perf_counter()
    await crowd.come(1)
    asker_s = time.perf_counter() - start
    try:
        await asyncio.wait_for(asyncio.gather(*map(its_end, silent)), 2 * PATIENCE_S)
    except asyncio.TimeoutError:
        wrong.append("silent connections are still open")
    dropped_s = time.perf_counter() - start
    await crowd.go()
    await asyncio.sleep(0.5)
    if (left := descriptors(server)) > before:
        wrong.append(f"the server's descriptors: {before} before, {left} after")
    print(
        f"{held:,} silent connections after {came_s:.1f} s, {each_kib:.2f} KiB each; one who asks is in after "
        f"{1000 * asker_s:.0f} ms; all were dropped after {dropped_s:.0f} s; "
        f"descriptors of the server: {before} before, {left} after",
        flush=True,
    )
    figures = {"held": held, "each_kib": each_kib, "asker_s": asker_s, "dropped_s": dropped_s}
    return {**figures, "wrong": wrong}
