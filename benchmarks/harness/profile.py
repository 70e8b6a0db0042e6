"""Reads what callgrind dumped: how many instructions each function took, and who called whom how often.

The format is described in valgrind's manual ("Callgrind Format Specification"). Names are written once, with a number
that stands for them from then on.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_NAME = re.compile(r"(c?(?:ob|fn|fl|fi|fe))=\((\d+)\)(?: (.*))?$")
_RECURSION = re.compile(r"'\d+$")  # f'2: f that was called below f


class Function(NamedTuple):
    object: str  # the file that it was loaded from
    name: str


class Call(NamedTuple):
    caller: Function
    callee: Function


@dataclass
class Profile:
    """One dump."""

    own: Counter[Function] = field(default_factory=Counter)  # instructions of the function itself
    calls: Counter[Call] = field(default_factory=Counter)  # how often

    @property
    def instructions(self) -> int:
        return self.own.total()

    def own_of(self, part: str) -> Counter[str]:
        """Instructions of the functions of all objects whose path contains `part`."""
        found: Counter[str] = Counter()
        for function, cost in self.own.items():
            if part in function.object:
                found[function.name] += cost
        return found

    def calls_out_of(self, part: str) -> Counter[str]:
        """How often functions of other objects were called from there."""
        found: Counter[str] = Counter()
        for (caller, callee), count in self.calls.items():
            if part in caller.object and part not in callee.object:
                found[callee.name] += count
        return found


def read(path: Path) -> Profile:
    profile = Profile()
    known: dict[tuple[str, str], str] = {}
    at = {"ob": "", "fn": "", "cob": "", "cfn": ""}
    called = 0
    for line in path.read_text().splitlines():
        if match := _NAME.match(line):
            kind, number, name = match.groups()
            space = kind[-2:] if kind[-2:] in ("ob", "fn") else "file"
            if name is not None:
                known[space, number] = name
            if space != "file":
                at[kind] = known[space, number]
        elif line.startswith("calls="):
            called = int(line[6:].split()[0])
        elif line[:1].isdigit() or line[:1] in ("+", "-", "*"):  # a line of source, and its cost
            caller = Function(at["ob"], _RECURSION.sub("", at["fn"]))
            if called:  # the cost is that of the calls, and so somebody else's
                callee = Function(at["cob"] or at["ob"], _RECURSION.sub("", at["cfn"]))
                profile.calls[Call(caller, callee)] += called
                called, at["cob"] = 0, ""
            else:
                profile.own[caller] += int(line.split()[1])
    return profile
