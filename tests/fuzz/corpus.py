"""The inputs of the Python fuzz targets that are kept: `corpus/<target>.txt`, an input a line, as a literal of bytes.

A line that begins with # is a comment. What stands above the line BY_ATHERIS was written by hand: seeds, and what once
failed. What stands below it is by_atheris.py's, which writes it anew.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
BY_ATHERIS = "# Below: kept by by_atheris.py --keep."


@functools.lru_cache
def read(target: str) -> list[bytes]:
    lines = (FOLDER / f"{target}.txt").read_text().splitlines()
    return [ast.literal_eval(line) for line in lines if line and not line.startswith("#")]


def write(target: str, inputs: list[bytes]) -> None:
    path = FOLDER / f"{target}.txt"
    by_hand = path.read_text().partition(BY_ATHERIS)[0].rstrip("\n")
    path.write_text("\n".join([by_hand, "", BY_ATHERIS, *map(repr, inputs)]) + "\n")
