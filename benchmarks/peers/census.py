"""Which Python objects a process holds: ``{type: [number, bytes], ...}`` as JSON.

The collector knows containers; strings, numbers and the like are found through them.
"""

from __future__ import annotations

import gc
import json
import sys
from collections import defaultdict
from typing import Any


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
    return json.dumps(totals)
