"""Fuzz _wire by libFuzzer, under AddressSanitizer and UBSan. Needs clang with its runtime.

    python fuzz.py [--seconds 60] [--keep] [--cc clang] [--build-dir DIR] [target ...]

Owns: how a target is built for libFuzzer, and the corpus: `corpus/<target>.hex` is written by `--keep` (whatever of the
old inputs and the new ones adds coverage), `corpus/<target>-by-hand.hex` by people: seeds, and what once failed, with a
comment. Seconds are for each target ("mask", "reader", ...). An input that fails is printed as a line for the latter.
Exit code 0 only if all targets ran and none failed.
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
WIRE = HERE.parents[2] / "src" / "ws_core" / "_wire"
CORPUS = HERE / "corpus"

FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-pthread", "-fno-omit-frame-pointer"]
FLAGS += ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
LIBFUZZER = ["-timeout=60", "-print_final_stats=1", "-use_value_profile=1"]
MAX_BYTES = {"header": 64, "utf8": 400}
MAX_BYTES_OTHERS = 2048
SAYS = ("stat::number_of_executed_units", "cov:")


def read(path: Path) -> list[bytes]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [bytes.fromhex(line) for line in lines if line and not line.startswith("#")]


def unpack(target: str, to: Path) -> None:
    """An input a file, named by its content as libFuzzer does."""
    to.mkdir()
    for data in [*read(CORPUS / f"{target}.hex"), *read(CORPUS / f"{target}-by-hand.hex")]:
        (to / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)


def keep(target: str, program: Path, found: Path) -> None:
    """Of all inputs as few as have the same coverage, into the corpus."""
    few = found.with_name(f"{target}-few")
    few.mkdir()
    subprocess.run([program, "-merge=1", str(few), str(found)], check=True, capture_output=True)
    inputs = sorted((path.read_bytes() for path in few.iterdir()), key=lambda data: (len(data), data))
    head = "# Written by fuzz.py --keep: an input a line.\n"
    (CORPUS / f"{target}.hex").write_text(head + "".join(f"{data.hex()}\n" for data in inputs if data))
    print(f"{target}: {len(inputs)} inputs kept", flush=True)


def fuzz(target: str, cc: list[str], to: Path, seconds: int) -> tuple[Path, Path] | None:
    """Build and run one; gives the program and where its inputs lie, or None if it failed."""
    program, inputs = to / f"fuzz_{target}", to / target
    sources = [*sorted(WIRE.glob("*.c")), HERE / f"fuzz_{target}.c"]
    subprocess.run([*cc, *FLAGS, f"-I{WIRE}", *map(str, sources), "-o", str(program)], check=True)
    shutil.rmtree(inputs, ignore_errors=True)
    unpack(target, inputs)
    options = [*LIBFUZZER, f"-max_total_time={seconds}", f"-max_len={MAX_BYTES.get(target, MAX_BYTES_OTHERS)}"]
    options += [f"-artifact_prefix={to / target}-failed-"]
    done = subprocess.run([str(program), *options, str(inputs)], stderr=subprocess.PIPE, text=True, errors="replace")
    said = done.stderr.splitlines()
    if done.returncode == 0:
        last = [next((line for line in reversed(said) if what in line), "") for what in SAYS]
        print(f"{target}: {'; '.join(last)}", flush=True)
        return program, inputs
    print("\n".join(line for line in said if not line.startswith("#")), flush=True)
    for failed in sorted(to.glob(f"{target}-failed-*")):
        print(f"For {CORPUS / target}-by-hand.hex, with a comment:\n{failed.read_bytes().hex()}", flush=True)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cc", default=next(filter(shutil.which, ("clang-19", "clang")), "clang"))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", action="store_true", help="write the corpus anew")
    parser.add_argument("--build-dir", type=Path, help="keep programs, inputs and what failed here")
    parser.add_argument("targets", nargs="*")
    args = parser.parse_args()

    targets = args.targets or [path.stem.removeprefix("fuzz_") for path in sorted(HERE.glob("fuzz_*.c"))]
    failed = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        to = (args.build_dir or Path(temporary)).resolve()
        to.mkdir(parents=True, exist_ok=True)
        for target in targets:
            done = fuzz(target, shlex.split(args.cc), to, args.seconds)
            if done is None:
                failed.append(target)
            elif args.keep:
                keep(target, *done)
    if failed:
        print(f"FAILED: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
