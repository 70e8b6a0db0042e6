"""mypy, basedpyright and pyrefly, each run on files: what they say, as (file name, line, rule)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
LIB = ROOT / "tests/lib"
BIN = Path(sys.executable).parent
#: The oldest Python that the family runs on: stubs must not need a newer one.
PYTHON_VERSION = "3.10"
PATIENCE_S = 300


class Complaint(NamedTuple):
    file: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: [{self.rule}] {self.message}"


def run(*command: object, cwd: Path | None = None, **env: object) -> str:
    """The standard output of one of this environment's programs; an error if it could not work."""
    name, *arguments = map(str, command)
    environment = {**os.environ, **{key: str(value) for key, value in env.items()}}
    done = subprocess.run(
        [BIN / name, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, cwd=cwd, env=environment
    )
    # 1: it has found something.
    assert done.returncode == 0 or (done.returncode == 1 and done.stdout), f"{name} has failed:\n{done.stderr}"
    return done.stdout


def mypy(
    paths: Iterable[Path], cache: Path, python: str = sys.executable, options: Iterable[str] = ("--strict",)
) -> list[Complaint]:
    """mypy, with nothing but `options`; the installed packages are those of `python`."""
    command = ["mypy", "--config-file=", *options, f"--python-version={PYTHON_VERSION}", f"--cache-dir={cache}"]
    output = run(*command, f"--python-executable={python}", "--output=json", "--", *paths, cwd=LIB, MYPYPATH=LIB)
    found = [json.loads(line) for line in output.splitlines() if line]
    return [
        Complaint(Path(each["file"]).name, each["line"], each["code"], each["message"])
        for each in found
        if each["severity"] == "error"
    ]


def basedpyright(
    paths: Iterable[Path], config: Path, mode: str, python: str = sys.executable, search: Iterable[Path] = ()
) -> list[Complaint]:
    """basedpyright in one of its modes; `config` is a folder to put its settings in."""
    settings = {
        "include": [str(path) for path in paths],
        "exclude": [],
        "extraPaths": [str(LIB), *map(str, search)],
        "typeCheckingMode": mode,
        "pythonVersion": PYTHON_VERSION,
    }
    (config / "pyrightconfig.json").write_text(json.dumps(settings))
    found = json.loads(run("basedpyright", "-p", config, "--pythonpath", python, "--outputjson"))
    assert found["summary"]["filesAnalyzed"] > 0, found
    return [
        Complaint(
            Path(each["file"]).name, each["range"]["start"]["line"] + 1, each.get("rule", "syntax"), each["message"]
        )
        for each in found["generalDiagnostics"]
        if each["severity"] == "error"
    ]


def known_types(package: str) -> dict[str, str]:
    """Public names of an installed package: "" where basedpyright knows the type for certain, else what it lacks."""
    environment = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": sys.prefix}
    output = run("basedpyright", "--verifytypes", package, "--ignoreexternal", "--outputjson", **environment)
    completeness = json.loads(output)["typeCompleteness"]
    assert completeness["symbols"], output
    return {
        each["name"]: " ".join(found["message"] for found in each["diagnostics"]) or "a part of it is not known"
        if each["isTypeAmbiguous"] or not each["isTypeKnown"]
        else ""
        for each in completeness["symbols"]
        if each["isExported"]
    }


def pyrefly(paths: Iterable[Path], python: str = sys.executable) -> list[Complaint]:
    """pyrefly in its strictest preset."""
    output = run(
        *("pyrefly", "check", "--preset=strict", f"--python-version={PYTHON_VERSION}", "--output-format=json"),
        *(f"--python-interpreter-path={python}", f"--search-path={LIB}"),
        *paths,
        cwd=LIB,
    )
    return [
        Complaint(Path(each["path"]).name, each["line"], each["name"], each["description"])
        for each in json.loads(output)["errors"]
        if each["severity"] == "error"
    ]


def stubtest(allowlist: Path, *packages: str) -> str:
    """What stubtest says of installed packages and their stubs: nothing if they fit."""
    return re.sub(r"\x1b\[\d*m", "", run("stubtest", "--concise", "--allowlist", allowlist, *packages))
