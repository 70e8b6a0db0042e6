"""check(assert_type(value, T), T): type checkers hold the value to T, and so does the test when it runs."""

from __future__ import annotations

import collections.abc
import types
import typing
from typing import Any, TypeVar

_T = TypeVar("_T")


def check(value: _T, kind: object) -> _T:
    """AssertionError if `value` is not of type `kind`; for that, containers are looked into. Returns `value`."""
    assert fits(value, kind), f"{value!r} is a {type(value).__name__}, not {kind}"
    return value


def fits(value: object, kind: Any) -> bool:
    """Whether `value` is of type `kind`: a class, None, Any, a union, a literal, or a container of such."""
    if kind is Any:
        return True
    if kind is None:
        return value is None
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is None:
        return isinstance(value, (int, float) if kind is float else kind)
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return any(type(value) is type(argument) and value == argument for argument in arguments)
    if origin is type:
        return isinstance(value, type) and issubclass(value, arguments[0])
    if not isinstance(value, origin):
        return False
    if origin is tuple and arguments[-1:] != (...,):
        pairs = zip(typing.cast("tuple[object, ...]", value), arguments, strict=True)
        return all(fits(each, argument) for each, argument in pairs)
    if isinstance(value, collections.abc.Mapping):
        return all(fits(key, arguments[0]) and fits(each, arguments[1]) for key, each in value.items())
    if isinstance(value, collections.abc.Collection):
        return all(fits(each, arguments[0]) for each in value)
    return True  # a coroutine, a context manager: what it gives is not known yet
