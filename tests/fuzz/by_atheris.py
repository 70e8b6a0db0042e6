"""Fuzz the Python targets by atheris: mutations that are led by coverage.

    python by_atheris.py [--seconds 60] [--keep] [target ...]

Seconds are for each target; --keep writes its corpus anew. Each runs in a process of its own, which is this file again
with `--run`: libFuzzer ends the process that it runs in. Exit code 0 only if all targets ran and none failed.
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ws_core", "ws_proxy", "urllib.parse"]):
    import corpus
    from python_targets import TARGETS, WORDS

MAX_BYTES = 1500
SAYS = ("stat::number_of_executed_units", "cov:")


def run(target: str, options: list[str]) -> None:
    # As the shell shall start this again: so does libFuzzer, to merge.
    again = shlex.join([sys.executable, __file__, "--run", target])
    atheris.Setup([again, *options], TARGETS[target])
    atheris.Fuzz()


def command(target: str, *options: str) -> list[str]:
    return [sys.executable, __file__, "--run", target, f"-max_len={MAX_BYTES}", "-timeout=60", *options]


def fuzz(target: str, seconds: int, to: Path) -> bool:
    """Leaves its inputs in `to`/target."""
    inputs, words = to / target, to / f"{target}.dict"
    inputs.mkdir()
    for data in corpus.read(target):
        (inputs / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in WORDS[target])
    words.write_text("".join(f'"{word}"\n' for word in quoted))
    options = [f"-max_total_time={seconds}", f"-dict={words}", f"-artifact_prefix={to / target}-failed-"]
    done = subprocess.run(
        command(target, *options, "-print_final_stats=1", str(inputs)), capture_output=True, text=True, errors="replace"
    )
    said = (done.stdout + done.stderr).splitlines()
    if done.returncode == 0:
        last = [next((line for line in reversed(said) if what in line), "") for what in SAYS]
        print(f"{target}: {'; '.join(last)}", flush=True)
        return True
    print("\n".join(line for line in said if not line.startswith(("#", "INFO: ", "WARNING: "))), flush=True)
    for failed in sorted(to.glob(f"{target}-failed-*")):
        print(f"For corpus/{target}.txt, above its second half:\n{failed.read_bytes()!r}", flush=True)
    return False


def keep(target: str, to: Path) -> None:
    """As few of the inputs as have the same coverage; those written by hand stay where they are."""
    few = to / f"{target}-few"
    few.mkdir()
    subprocess.run(command(target, "-merge=1", str(few), str(to / target)), check=True, capture_output=True)
    inputs = {path.read_bytes() for path in few.iterdir()} - {b""}
    corpus.write(target, sorted(inputs, key=lambda data: (len(data), data)))
    print(f"{target}: {len(inputs)} inputs kept", flush=True)


def main() -> int:
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", action="store_true", help="write the corpus anew")
    parser.add_argument("targets", nargs="*", default=[], help=", ".join(TARGETS))
    args = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        for target in args.targets or TARGETS:
            if not fuzz(target, args.seconds, Path(temporary)):
                failed.append(target)
            elif args.keep:
                keep(target, Path(temporary))
    if failed:
        print(f"FAILED: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
