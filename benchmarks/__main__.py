"""The command line: ``python -m benchmarks NAME [--quick] [--json FILE]`` from the root of the repository.

A new benchmark is a module with add_options(parser) and run(options) -> Report, and a name in BENCHMARKS.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

BENCHMARKS = (
    *("rtt", "tls", "large", "busy", "pipelined", "feed", "broadcast", "many", "handshake", "idle"),
    *("imports", "hooks", "strict", "autoping", "proxy", "instructions", "syscalls", "gate", "chart"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Peers are measured in the same run.")
    commands = parser.add_subparsers(dest="name", required=True, metavar="|".join(BENCHMARKS))
    for name in BENCHMARKS:
        module = importlib.import_module(f"benchmarks.{name}")
        command = commands.add_parser(name, help=(module.__doc__ or "").splitlines()[0], description=module.__doc__)
        command.add_argument("--quick", action="store_true", help="under a minute, with wider quartiles")
        command.add_argument("--json", type=Path, metavar="FILE", help="write the result there, too")
        command.add_argument(
            "--only", metavar="WORDS", help="who takes part: labels that hold a word, e.g. ws_core,picows"
        )
        text = "take part as a second ws_core, imported from FOLDER: a change beside what is installed"
        command.add_argument("--also", metavar="FOLDER", action="append", default=[], help=text)
        module.add_options(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args()
    report = options.run(options)
    if report is None:
        return 0
    report.print()
    if options.json is not None:
        report.save(options.json)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
