"""Event loops in several threads of one process, for tests: each with connections of its own, all at once.

On a free-threaded build they run in parallel, and nothing may bring the GIL back: `nox -s free_threaded`.
WIRELARK_STRESS=n makes n times the work.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import sysconfig
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import uvloop

from harness import TIMEOUT_S, Net, client_ssl_context, server_ssl_context, within

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
STRESS = int(os.environ.get("WIRELARK_STRESS", "1"))
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
LIMIT_S = TIMEOUT_S * 3 * STRESS


class Kind(NamedTuple):
    """What the connections of a test are made of: the fixtures of the same names."""

    loop_name: str
    tls: bool
    fast: bool | None

    def prepared(self) -> Kind:
        """Itself, with what a process has only once made before threads ask for it."""
        if self.tls:
            server_ssl_context(), client_ssl_context()  # one certificate authority
        self.new_loop().close()  # libuv's pipe for signals
        return self

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return LOOPS[self.loop_name]()

    def net(self) -> Net:
        net = Net(tls=self.tls, fast=self.fast)
        Net.live.remove(net)  # closed by the thread that made it
        return net


def run_in_loop(kind: Kind, main: Callable[[Net], Awaitable[None]]) -> None:
    """`main` in an event loop of its own, in this thread. Raises what it raises, and what the loop complains of."""
    loop = kind.new_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))

    async def run() -> None:
        net = kind.net()
        try:
            await within(main(net), LIMIT_S)
        finally:
            await net.aclose()

    try:
        loop.run_until_complete(run())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
    assert not complaints, complaints


def run_at_once(*calls: Callable[[], None]) -> None:
    """Each of `calls` in a thread of its own; raises what one of them raises. Leaves no thread behind."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        start.wait(TIMEOUT_S)
        call()

    before = threading.active_count()
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(run, call) for call in calls]:
            done.result(LIMIT_S)
    assert threading.active_count() == before
    if FREE_THREADED:
        assert not sys._is_gil_enabled(), "something has brought the GIL back"  # type: ignore[attr-defined]


def run_loops(kind: Kind, *mains: Callable[[Net], Awaitable[None]]) -> None:
    """Each of `mains` in a thread and an event loop of its own."""
    run_at_once(*(functools.partial(run_in_loop, kind, main) for main in mains))
