"""proxy: time to connect, and one message there and back, through proxies and directly.

The proxies are those of the tests: what is installed of PyPI and Debian takes part (`nox -s proxies` installs them).
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness.children import ROOT, Answer, Child, Family, two_cores
from benchmarks.harness.contenders import FLOOR, Contender, contenders, reference
from benchmarks.harness.figures import figure, paired_ratio
from benchmarks.harness.programs import programs
from benchmarks.harness.report import Report, ratio, spread
from benchmarks.harness.rounds import Lane, interleave

sys.path.append(str(ROOT / "tests/lib"))  # where it is kept for both
import proxies

BUDGET_S = {"quick": 50, "full": 240}
DIRECT = "direct"
WAYS = (
    DIRECT,
    *("tinyproxy http", "squid http", "squid http auth", "privoxy http", "danted socks4", "danted socks5"),
    *("microsocks socks5", "microsocks socks5 auth", "haproxy https", "proxy.py http", "pproxy socks5"),
)
TITLES = {"dial": "client, from ws_connect to an open connection", "rtt": "client, echo of {size} B, one at a time"}
COLUMNS = ["way", "contender", "wall µs", "x direct", "x picows", "CPU µs", "CPU: x direct", "x picows", "rounds"]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, default=256, help="payload size in bytes (256)")
    parser.add_argument("--ways", default=",".join(WAYS), help=f"with commas, of: {', '.join(WAYS)}")


def run(options: argparse.Namespace) -> Report:
    ways = [way for way in options.ways.split(",") if way == DIRECT or _is_there(way.split()[0])]
    report = Report("proxy", {"size": options.size, "ways": ways, "quick": options.quick})
    entrants = [each for each in contenders(options, ("ws_core", "picows")) if each != FLOOR]
    cores = two_cores()
    with (
        programs() as built,
        _park(cores.peer) as park,
        Family(built, cores, env={"BENCH_CA": park.authority}) as family,
    ):
        port = family.peer("server").greeting["port"]
        urls = {way: "-" if way == DIRECT else park.url(way) for way in ways}
        children = {each: family.measured("client", each.library, each.loop) for each in entrants}
        for what, title in TITLES.items():
            lanes = {
                (way, each): Lane(f"{way}, {each.label}", _work(what, child, port, url, options.size), "cpu")
                for way, url in urls.items()
                for each, child in children.items()
            }
            interleave(list(lanes.values()), BUDGET_S["quick" if options.quick else "full"] / len(TITLES))
            _add_table(report, what, title.format(size=options.size), lanes)
    return report


def _is_there(program: str) -> bool:
    if program in proxies.PYPI:
        return importlib.util.find_spec(program.removesuffix(".py").replace("-", "_")) is not None
    return proxies.find(str(proxies.DEBIAN[program].executable)) is not None


class _Park(proxies.Park):
    """The proxies of the tests, and the file of the authority that certifies those with TLS."""

    authority: str


@contextmanager
def _park(core: int | None) -> Iterator[_Park]:
    """Proxies on the peers' core: they inherit it from this process."""
    import trustme

    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    park = _Park(b"".join(blob.bytes() for blob in issued.cert_chain_pems), issued.private_key_pem.bytes())
    park.authority = str(Path(park.folder, "authority.pem"))
    authority.cert_pem.write_to_path(park.authority)
    allowed = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield park
    finally:
        os.sched_setaffinity(0, allowed)
        park.close()


def _work(what: str, child: Child, port: int, proxy: str, size: int) -> Any:
    if what == "dial":
        return functools.partial(_dial, child, port, proxy)
    number = child.ask(f"connect {port} rtt {proxy}")["id"]
    return functools.partial(_round_trips, child, number, size)


def _dial(child: Child, port: int, proxy: str, count: int) -> Answer:
    return child.ask(f"dial {port} {proxy} {count}")


def _round_trips(child: Child, number: int, size: int, count: int) -> Answer:
    return child.ask(f"run {number} {count} {size} 1 0")


def _add_table(report: Report, what: str, title: str, lanes: dict[tuple[str, Contender], Lane]) -> None:
    table = report.table(title, COLUMNS)
    for (way, contender), lane in lanes.items():
        direct = lanes.get((DIRECT, contender))
        peer = lanes.get((way, reference(contender)))
        cells: list[str] = []
        row: dict[str, Any] = {}
        for clock, digits in (("wall_ns", 1), ("cpu_ns", 1)):
            samples = getattr(lane, clock)
            over = {
                name: None if other is None else paired_ratio(samples, getattr(other, clock))
                for name, other in (("direct", direct), ("picows", peer))
            }
            cells += [spread(figure(samples).scaled(1e-3), digits), ratio(over["direct"]), ratio(over["picows"])]
            row[clock] = figure(samples)._asdict()
            row |= {f"{clock}_over_{name}": value and value._asdict() for name, value in over.items()}
            row[f"{clock}_samples"] = samples
        table.rows.append([way, contender.label, *cells, str(len(lane.wall_ns))])
        report.row(what=what, way=way, library=contender.library, loop=contender.loop, **row)
