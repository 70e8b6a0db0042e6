"""Autobahn's 301 cases without compression, on both our sides: each must come out as it stands in golden.txt.

    python tests/conformance/autobahn.py [--original] [--full] [--update]

By kosoku, on both event loops with the default transports; --full: with all of them. --original: by autobahntestsuite,
which needs a Python 2.7, and to be root. --update writes golden.txt. README.md says more.

Owns the list of what is run, and what counts as success.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

import judges
import testee
from namespaces import leave_the_network

#: One result for all: both sides, loops, kinds of transports and judges.
GOLDEN = Path(__file__).with_name("golden.txt")
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
#: What use_aiofastnet is.
TRANSPORTS = {"default": None, "aiofastnet": True, "native": False}

Result = dict[str, str]  # by case: behavior, behaviorClose, status code of our CLOSE


def variants(full: bool) -> list[tuple[str, str, str]]:
    """Side, transports, loop."""
    kinds = list(TRANSPORTS) if full else ["default"]
    return [(side, kind, loop_name) for side in ("server", "client") for kind in kinds for loop_name in LOOPS]


def run(judge: Any, side: str, transports: str, loop_name: str, reports: Path) -> Result:
    """All cases on one side, with one kind of transport and one event loop."""
    use_aiofastnet = TRANSPORTS[transports]

    async def main() -> None:
        if side == "server":
            async with testee.serving(use_aiofastnet) as port:
                await judge.fuzz_server(port, reports)
        else:
            await judge.fuzz_clients(lambda url: testee.take_cases(url, use_aiofastnet), reports)

    loop = LOOPS[loop_name]()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    if complaints:
        raise SystemExit(f"the event loop was told of errors: {complaints}")
    return {
        case: f"{says['behavior']} {says['behaviorClose']} {says['remoteCloseCode']}"
        for case, says in judges.report(reports).items()
    }


def read_golden() -> Result:
    lines = [line for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


def write_golden(result: Result) -> None:
    head = "# Case, behavior, behaviorClose, status code of our CLOSE. See README.md.\n"
    cases = sorted(result, key=lambda case: [int(part) for part in case.split(".")])
    GOLDEN.write_text(head + "".join(f"{case} {result[case]}\n" for case in cases))


def differences(result: Result, expected: Result) -> list[str]:
    cases = sorted(result.keys() | expected.keys())
    found = [(case, expected.get(case, "not there"), result.get(case, "not there")) for case in cases]
    return [f"case {case}: {now}; expected was {then}" for case, then, now in found if now != then]


WHAT_TO_DO = """
{count} results are not those of tests/conformance/golden.txt.
A case that got worse is a defect of ours: its report, in {reports},
has what was expected and every byte. One that got better, or another release of the judge: `nox -s conformance --
{update}` writes the new result; look at it with `git diff`, and say in the commit why it is another one."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--original", action="store_true", help="autobahntestsuite, under Python 2.7, as root")
    parser.add_argument("--full", action="store_true", help="every kind of transport, and not the default only")
    parser.add_argument("--update", action="store_true", help="write golden.txt")
    parser.add_argument("--reports", type=Path, default=Path(".nox/autobahn"), help="folder, by default %(default)s")
    arguments = parser.parse_args()
    logging.getLogger("ws_core").setLevel(logging.ERROR)  # peers that break the protocol are what we are here for
    judge: Any = judges.Kosoku()
    if arguments.original:
        judge = judges.Original(arguments.reports / "autobahntestsuite")
        leave_the_network()

    expected = None if arguments.update else read_golden()
    folder = (arguments.reports / judge.name).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    wrong = 0
    for side, transports, loop_name in variants(arguments.full):
        start = time.monotonic()
        result = run(judge, side, transports, loop_name, folder / f"{side}-{transports}-{loop_name}")
        counts = Counter(says.rpartition(" ")[0] for says in result.values()).most_common()
        said = ", ".join(f"{count} {says}" for says, count in counts)
        print(f"{judge.name}: {side}, {transports}, {loop_name}: {said} ({time.monotonic() - start:.0f} s)", flush=True)
        expected = expected or result  # a new golden result is the first one; all others must be as it is
        found = differences(result, expected)
        if found:
            # The judges' timers are of a second or so: a machine that stood still for that long is no defect of ours.
            print("\n".join(f"  {line}; all of it again" for line in found), flush=True)
            result = run(judge, side, transports, loop_name, folder / f"{side}-{transports}-{loop_name}-again")
            found = differences(result, expected)
            print("\n".join(f"  {line}, the second time, too" for line in found) or "  now as it should be", flush=True)
        wrong += len(found)
    if wrong:
        update = "--original --update" if arguments.original else "--update"
        print(WHAT_TO_DO.format(count=wrong, reports=folder, update=update))
        return 1
    if arguments.update and expected:
        write_golden(expected)
    return 0


if __name__ == "__main__":
    sys.exit(main())
