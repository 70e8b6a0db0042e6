"""Checks of arguments that several parts of this package share."""

from __future__ import annotations

import math

__all__ = ["seconds"]

#: Seconds: some thirty years, which is for ever. What is longer, loops cannot wait for.
_LIMIT = 1e9


def seconds(name: str, value: object, least: float = 0.0) -> float:
    """`value` as a number of seconds, which the argument `name` must be; less than `least` counts as that. TypeError,
    ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be a finite number of seconds above 0, it is {value!r}")
    return min(max(number, least), _LIMIT)
