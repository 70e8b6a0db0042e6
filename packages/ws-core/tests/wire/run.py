"""Compile and run the C tests of ws_core/_wire, and its fuzz targets on their corpus. Standard library only.

    python run.py [--cc cc] [--sanitize] [--build-dir DIR] [--runner PROGRAM] [name ...]

Owns: how a test program is built (warnings are errors) and what counts as success. Must not know what any test does.
Every _wire/*.c is compiled into one archive, every test_*.c here is linked with it and run; so is every fuzz/fuzz_*.c,
with fuzz/replay.c as its main() and fuzz/corpus as its input (which fuzz/fuzz.py makes, by clang). A name chooses tests
("mask": test_mask and fuzz_mask; "test_mask"; "fuzz_mask.c"). --runner runs the programs under an emulator, for another
architecture: --cc "aarch64-linux-gnu-gcc -static" --runner qemu-aarch64-static. Exit code 0 only if at least one test
ran and everything compiled and passed. Objects go to a temporary directory unless --build-dir names one.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
WIRE = HERE.parents[1] / "src" / "ws_core" / "_wire"
FUZZ = HERE / "fuzz"
REPLAY = FUZZ / "replay.c"

FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-pthread"]
FLAGS += ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
TIMEOUT_S = 120


def run(command: list[str]) -> bool:
    """Run one build step; show what it said only if it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"FAILED: {shlex.join(command)}\n{done.stdout}{done.stderr}", flush=True)
    return done.returncode == 0


def build(cc: list[str], flags: list[str], tests: list[Path], to: Path) -> tuple[dict[Path, Path], bool]:
    """Give the programs that could be built, and whether all could.

    An archive and not a list of objects: a test needs only the files that it calls, so one file that does not compile
    fails the run but does not hide the results of the others.
    """
    wire = sorted(WIRE.glob("*.c"))
    objects = {source: to / f"{source.parent.name}-{source.stem}.o" for source in [*wire, REPLAY, *tests]}

    def compile_one(source: Path) -> bool:
        return run([*cc, *flags, f"-I{WIRE}", f"-I{HERE}", "-c", str(source), "-o", str(objects[source])])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = dict(zip(objects, pool.map(compile_one, objects), strict=True))
        archive = to / "libwire.a"
        archive.unlink(missing_ok=True)
        ok = run([os.environ.get("AR", "ar"), "rcs", str(archive), *(str(objects[s]) for s in wire if compiled[s])])

        def link_one(test: Path) -> bool:
            parts = [objects[test], *([objects[REPLAY]] if test.parent == FUZZ else []), archive]
            return run([*cc, *flags, *map(str, parts), "-o", str(to / test.stem)])

        linkable = [test for test in tests if compiled[test]]
        linked = dict(zip(linkable, pool.map(link_one, linkable), strict=True))
    programs = {test: to / test.stem for test in linkable if linked[test]}
    return programs, ok and all(compiled.values()) and len(programs) == len(tests)


def corpus(test: Path) -> list[Path]:
    """The inputs of a fuzz target: what fuzz.py kept, and what was written by hand."""
    return sorted(FUZZ.glob(f"corpus/{test.stem.removeprefix('fuzz_')}*.hex")) if test.parent == FUZZ else []


def run_tests(programs: dict[Path, Path], runner: list[str]) -> bool:
    passed = True
    for test, program in programs.items():
        command = [*runner, str(program), *map(str, corpus(test))]
        try:
            code = subprocess.run(command, check=False, timeout=TIMEOUT_S).returncode
        except subprocess.TimeoutExpired:
            print(f"{test.stem}: no end after {TIMEOUT_S} s", flush=True)
            code = -1
        if code != 0:
            print(f"{test.stem}: exit code {code}", flush=True)
            passed = False
    return passed


def names_of(test: Path) -> set[str]:
    return {test.stem, test.stem.partition("_")[2]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cc", default=os.environ.get("CC", "cc"), help="the compiler, with options of its own")
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and UBSan")
    parser.add_argument("--build-dir", type=Path, help="keep objects and programs here")
    parser.add_argument("--runner", default="", help="a program that runs the tests (an emulator, valgrind)")
    parser.add_argument("names", nargs="*", help="only these tests")
    args = parser.parse_args()

    wanted = {Path(name).stem for name in args.names}
    tests = [*sorted(HERE.glob("test_*.c")), *sorted(FUZZ.glob("fuzz_*.c"))]
    tests = [test for test in tests if not wanted or wanted & names_of(test)]
    missing = wanted - {name for test in tests for name in names_of(test)}
    if missing or not tests:
        print(f"no such test: {', '.join(sorted(missing)) or 'test_*.c'}", flush=True)
        return 1

    flags = FLAGS + (SANITIZE if args.sanitize else [])
    with tempfile.TemporaryDirectory(prefix="wire-") as temporary:
        to = args.build_dir or Path(temporary)
        to.mkdir(parents=True, exist_ok=True)
        programs, built = build(shlex.split(args.cc), flags, tests, to.resolve())
        passed = run_tests(programs, shlex.split(args.runner))
    return 0 if built and passed else 1


if __name__ == "__main__":
    sys.exit(main())
