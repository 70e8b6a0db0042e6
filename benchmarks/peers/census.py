"""Which Python objects a process holds: ``[[type, number, bytes], ...]`` as JSON, largest first.

The collector knows containers; strings, numbers and the like are found through them.
"""

from __future__ import annotations

import gc
import json
import sys
from collections import defaultdict
from typing import Any

LARGEST = 40


def census() -> str:
    seen: dict[int, Any] = {}
    for thing in gc.get_objects():
        seen[id(thing)] = thing
        for inner in gc.get_referents(thing):
            seen.setdefault(id(inner), inner)
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for thing in seen.values():
        cls = type(thing)
        entry = totals[f"{cls.__module__}.{cls.__qualname__}"]
        entry[0] += 1
        try:
            entry[1] += sys.getsizeof(thing)
        except TypeError:
            pass  # a __sizeof__ of somebody's own, on a class
    largest = sorted(([name, *entry] for name, entry in totals.items()), key=lambda row: -int(row[2]))
    return json.dumps(largest[:LARGEST])
