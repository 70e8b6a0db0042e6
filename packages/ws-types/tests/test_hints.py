"""Annotations of the pure modules are there, and typing.get_type_hints() understands them at run time."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import ws_autoping
import ws_core
import ws_core.testing
import ws_proxy

PACKAGES = (ws_core, ws_proxy, ws_autoping)
# Imports point down (docs/explanation/design.md), so a few annotations name what stands above them.
PUBLIC = {**vars(ws_core), **vars(ws_core.testing)}


def pure_modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        yield package
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            if str(module.__file__).endswith(".py"):
                yield module


def defined_in(module: ModuleType) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_"):
            yield name, value


FUNCTIONS = {
    f"{module.__name__}.{name}": value
    for module in pure_modules()
    for name, value in defined_in(module)
    if inspect.isfunction(value)
}
CLASSES = {
    f"{module.__name__}.{name}": value
    for module in pure_modules()
    for name, value in defined_in(module)
    if inspect.isclass(value)
}


def methods_of(cls: type) -> Iterator[Callable[..., Any]]:
    for value in vars(cls).values():
        function = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if inspect.isfunction(function) and function.__module__ == cls.__module__:
            yield function


def is_annotated(function: Callable[..., Any]) -> bool:
    signature = inspect.signature(function)
    parameters = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
    return all(each.annotation is not each.empty for each in parameters) and (
        signature.return_annotation is not signature.empty
    )


def test_the_modules_are_found() -> None:
    assert {"ws_core.client.ws_connect", "ws_core.server.ws_create_server"} <= FUNCTIONS.keys()
    assert {"ws_core._reconnecting.reconnecting", "ws_autoping.pings.rtt_stats"} <= FUNCTIONS.keys()
    assert {"ws_core.extension.Extension", "ws_proxy.errors.WSProxyError"} <= CLASSES.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    assert is_annotated(FUNCTIONS[name])
    hints = typing.get_type_hints(FUNCTIONS[name])
    assert set(hints) == {*inspect.signature(FUNCTIONS[name]).parameters, "return"}


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name: str) -> None:
    typing.get_type_hints(CLASSES[name], localns=PUBLIC)
    for method in methods_of(CLASSES[name]):
        typing.get_type_hints(method, localns=PUBLIC)


def test_generic_aliases_can_be_subscripted() -> None:
    """As the stubs say: a wrapper of ws_connect annotates with WSListenerFactory[Client]."""

    class Client(ws_core.WSListener):
        pass

    assert Client in typing.get_args(typing.get_args(ws_core.WSListenerFactory[Client])[0])
