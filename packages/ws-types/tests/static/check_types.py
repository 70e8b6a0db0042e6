"""What type checkers say of programs that use the family: nothing where all is well, and the right thing where not.

`nox -s types` runs this: the checkers need not be there where the tests run.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import ws_autoping
import ws_core
import ws_proxy
from checkers import ROOT, Complaint, basedpyright, known_types, mypy, pyrefly, stubtest

HERE = Path(__file__).parent
TYPED = HERE.parent / "typed"
WRONG = TYPED / "wrong.py"
EXAMPLES = ROOT / "examples"
INSTALLED = [Path(package.__file__).parent for package in (ws_core, ws_proxy, ws_autoping)]
SCRIPTS = ("--strict", r"--exclude=/setup\.py$")

Checker = Callable[[Iterable[Path], Path], list[Complaint]]
#: In the order in which wrong.py names their rules.
CHECKERS: dict[str, Checker] = {
    "mypy": lambda paths, folder: mypy(paths, folder),
    # A mode without complaints about what follows from a mistake, but not where there is none.
    "basedpyright": lambda paths, folder: basedpyright(paths, folder, "standard" if WRONG in paths else "strict"),
    "pyrefly": lambda paths, folder: pyrefly(paths),
}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of mypy; the settings of basedpyright are written there, too."""
    return tmp_path_factory.mktemp("cache")


def listed(complaints: Iterable[Complaint]) -> str:
    return "\n".join(map(str, complaints))


@pytest.mark.parametrize("checker", CHECKERS)
def test_what_is_right_is_accepted(checker: str, cache: Path) -> None:
    files = sorted(TYPED.glob("test_*.py"))
    assert len(files) > 5
    complaints = CHECKERS[checker](files, cache)
    assert not complaints, listed(complaints)


def expected(checker: str) -> dict[int, str]:
    """The rule of a checker for each wrong line: it stands in the comment above."""
    index = list(CHECKERS).index(checker)
    lines = enumerate(WRONG.read_text().splitlines(), 1)
    return {number + 1: line.split("#: ")[1].split(" | ")[index] for number, line in lines if "#: " in line}


@pytest.mark.parametrize("checker", CHECKERS)
def test_what_is_wrong_is_refused(checker: str, cache: Path) -> None:
    wanted = expected(checker)
    assert len(wanted) > 80
    found = defaultdict(set)
    for complaint in CHECKERS[checker]([WRONG], cache):
        assert complaint.line in wanted, f"not expected: {complaint}"
        found[complaint.line].add(complaint.rule)
    lines = WRONG.read_text().splitlines()
    for number, rule in wanted.items():
        said = found[number] or "nothing"
        assert rule in found[number], f"{checker} says {said} of line {number}, not {rule}: {lines[number - 1].strip()}"


def test_core_passes_mypy(cache: Path) -> None:
    """By itself: among the sources, its own word on WSListener comes before that of the stubs."""
    complaints = mypy([ROOT / "packages/ws-core/src"], cache)
    assert not complaints, listed(complaints)


def test_extensions_and_examples_pass_mypy(cache: Path) -> None:
    sources = [ROOT / "packages/ws-proxy/src", ROOT / "packages/ws-autoping/src", EXAMPLES]
    complaints = mypy(sources, cache, options=SCRIPTS)
    assert not complaints, listed(complaints)


def test_packages_and_examples_pass_basedpyright(cache: Path) -> None:
    # Not setup.py, which needs setuptools.
    examples = [path for path in EXAMPLES.rglob("*.py*") if path.suffix in (".py", ".pyi") and path.stem != "setup"]
    search = {path.parent for path in examples}
    complaints = basedpyright([*INSTALLED, *examples], cache, "standard", search=search)
    assert not complaints, listed(complaints)


@pytest.mark.parametrize("package", ["ws_core", "ws_proxy", "ws_autoping"])
def test_every_public_type_is_known(package: str) -> None:
    types = known_types(package)
    # basedpyright passes over __version__.
    public = {f"{package}.{name}" for name in sys.modules[package].__all__ if not name.startswith("__")}
    assert public <= types.keys(), f"type checkers do not find {public - types.keys()}"
    # Of core everything that has a public name; authors of extensions look into its modules.
    unknown = {name: why for name, why in types.items() if why and (name in public or package == "ws_core")}
    assert not unknown, unknown


def test_stubtest(tmp_path: Path) -> None:
    text = (HERE / "stubtest_allowlist.txt").read_text()
    if sys.version_info >= (3, 12):
        text = "\n\n".join(part for part in text.split("\n\n") if "(before Python 3.12" not in part)
    allowlist = tmp_path / "allowlist.txt"
    allowlist.write_text(text)
    assert stubtest(allowlist, "ws_core", "ws_proxy", "ws_autoping") == ""
