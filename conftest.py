"""Coroutine tests, on the event loops and over the networks that their fixtures name.

A test that takes `net` runs on asyncio and uvloop, plain and TLS, on each kind of transport: ten times. One that takes
`plain_net` leaves out TLS, for what TLS cannot change; `one_net` is one variant only. An `async def` test that takes
none of them runs on asyncio.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

import ws_core.extension
from harness import PATIENCE, Net, within

TEST_LIMIT_S = 60.0 * PATIENCE
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def loop_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[None, True, False], ids=["own", "fast", "native"])
def fast(request: pytest.FixtureRequest) -> bool | None:
    """`use_aiofastnet`: the default (our own sockets, where it is plain), aiofastnet's transports, the loop's."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def net(loop_name: str, tls: bool, fast: bool | None) -> Net:
    return Net(tls=tls, fast=fast)


@pytest.fixture
def plain_net(loop_name: str, fast: bool | None) -> Net:
    return Net(tls=False, fast=fast)


@pytest.fixture
def one_net() -> Net:
    """For what no loop and no network can change: asyncio, plain, the default."""
    return Net(tls=False, fast=None)


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Of a unix socket: short, since the system allows 107 bytes and pytest's own folders lie deep in a clone."""
    with tempfile.TemporaryDirectory(prefix="ws-", dir="/tmp") as folder:
        yield Path(folder) / "ws.sock"


@pytest.fixture
def no_extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing registered, and nothing left behind."""
    monkeypatch.setattr(ws_core.extension, "_registered", [])
    monkeypatch.setattr(ws_core.extension, "_entry_points_loaded", True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """TLS is aiofastnet's by default: no need to run that twice."""

    def is_twice(item: pytest.Item) -> bool:
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        return params.get("tls") is True and params.get("fast", 0) is None

    items[:] = [item for item in items if not is_twice(item)]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    loop = LOOPS[pyfuncitem.funcargs.get("loop_name", "asyncio")]()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))

    async def main() -> None:
        try:
            # What hangs is a failure with a traceback, not a gate that never ends.
            await within(pyfuncitem.obj(**arguments), TEST_LIMIT_S)
        finally:
            while Net.live:
                await within(Net.live.pop().aclose(), TEST_LIMIT_S)
            await asyncio.sleep(0)
            handlers = asyncio.all_tasks() - {asyncio.current_task()}  # of raw servers
            for task in handlers:
                task.cancel()
            if handlers:
                await asyncio.wait(handlers, timeout=TEST_LIMIT_S)
            await asyncio.sleep(0)

    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    assert not complaints, f"the event loop was told of errors: {complaints}"
    return True


_tests_run = [0]


def pytest_collection_finish() -> None:
    """What is there before the first test never goes: leave it out of the collections between tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _collect_garbage_between_tests() -> Iterator[None]:
    """So that what a test leaves behind is found in that test: an unclosed socket warns when it is collected."""
    yield
    gc.collect()
    # What is left is pytest's reports, of thousands of tests in the end: they need not be looked at after each. But now
    # and then only, since what is about to go is caught in it, too.
    _tests_run[0] += 1
    if _tests_run[0] % 100 == 0:
        gc.freeze()
