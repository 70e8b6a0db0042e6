"""A pytest plugin: while a test runs, nearly every new object sets off the garbage collector.

Owns: when that is. An object that the collector sees before it is ready, or that its owner does not name in
tp_traverse, dies here. From Python 3.12 on the collector runs between bytecodes only; before, in any allocation, and
so in the middle of compiled code: an older Python finds more.
"""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    before = gc.get_threshold()
    # The middle generation each tenth time, the oldest one now and then: what is old is looked at, too.
    gc.set_threshold(1, 10, 10)
    try:
        return (yield)
    finally:
        gc.set_threshold(*before)


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup() -> None:
    gc.collect()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    gc.collect()
