"""The table only grows: what a released header declares stands in ws_core.h in the same place and with the same types.

test_refusals.py holds the header to the frozen one of its own minor; this holds it to those of all others, so that a
new minor cannot hide a change.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ws_core
from strangers import HERE

HEADER = Path(ws_core.get_include()) / "ws_core.h"
FROZEN = sorted((HERE / "frozen").glob("ws_core-*.h"))
STRUCTS = ("ws_message", "ws_listener_calls", "ws_hook_calls", "ws_core_api")


def members(text: str, struct: str) -> list[str]:
    """The declarations of a struct, in order."""
    (body,) = re.findall(rf"typedef struct {struct} \{{(.*?)\}} {struct};", without_comments(text), re.S)
    return [" ".join(each.split()) for each in body.split(";") if each.strip()]


def constants(text: str) -> dict[str, int]:
    found = re.findall(r"(?:#define )?\b(WS_\w+)\s+=?\s*(0x[0-9A-F]+|\d+)\b", without_comments(text))
    return {name: int(value, 0) for name, value in found}


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def broken_promises(old: str, new: str) -> list[str]:
    """What a module that was compiled against `old` finds changed on a core with `new`. Empty across majors."""
    if major(old) != major(new):
        return []
    problems = []
    for struct in STRUCTS:
        before, after = members(old, struct), members(new, struct)
        for at, member in enumerate(before):
            if after[at : at + 1] != [member]:
                problems.append(f"{struct} had {member!r} as its member {at}")
                break
    was, now = constants(old), constants(new)
    problems += [f"{name} was {value}" for name, value in was.items() if now.get(name) != value]
    return problems


def major(text: str) -> str:
    (number,) = re.findall(r"#define WS_CORE_ABI_MAJOR (\w+)", text)
    return str(number)


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.stem)
def test_what_was_released_stays_where_it_was(frozen: Path) -> None:
    assert not broken_promises(frozen.read_text(), HEADER.read_text())


def test_what_is_compared_is_there() -> None:
    """The parser above sees all of the header."""
    text = HEADER.read_text()
    assert [len(members(text, struct)) for struct in STRUCTS[:3]] == [4, 8, 8]
    assert len(members(text, "ws_core_api")) >= 30
    assert members(text, "ws_core_api")[-1].startswith("size_t (*header_write)(")
    assert constants(text)["WS_OP_PONG"] == 10
    assert len(constants(text)) >= 16


MUTATIONS = {
    "two of one type change places": (
        "    int (*cork)(PyObject *transport);\n    int (*uncork)(PyObject *transport);\n",
        "    int (*uncork)(PyObject *transport);\n    int (*cork)(PyObject *transport);\n",
    ),
    "one is gone": ("    PyObject *(*user_data)(PyObject *transport);\n", ""),
    "one comes in between": ("    void *state;", "    void *other;\n    void *state;"),
    "a result of another type": ("Py_ssize_t (*frame_size)", "int (*frame_size)"),
    "an argument of another type": (
        "int (*disconnect)(PyObject *transport, int ",
        "int (*disconnect)(PyObject *t, long ",
    ),
    "a callback gone": ("    int (*on_user_pong)(void *context, PyObject *transport);\n", ""),
    "a field of another type": ("uint32_t opcodes;", "uint64_t opcodes;"),
    "a message of another shape": ("uint8_t first;", "uint16_t first;"),
    "a constant": ("WS_HOOK_REPLACE = 2", "WS_HOOK_REPLACE = 3"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_change_would_be_seen(name: str) -> None:
    text = HEADER.read_text()
    old, new = MUTATIONS[name]
    assert text.count(old) == 1
    assert broken_promises(text, text.replace(old, new))


def test_growing_is_allowed() -> None:
    text = HEADER.read_text()
    end = "} ws_core_api;"
    grown = text.replace(end, f"    int (*something_new)(PyObject *transport);\n{end}")
    assert not broken_promises(text, grown)
    assert broken_promises(grown, text)
