"""Puts contenders on lanes: a measured client against the C server, or a measured server under the C driver."""

from __future__ import annotations

import functools
from collections.abc import Container, Iterable

from benchmarks.harness.children import Answer, Child, Cores, Family
from benchmarks.harness.contenders import Contender
from benchmarks.harness.rounds import Lane
from benchmarks.native import plays


class Clients:
    """Every contender's client, each with its connections to one C server on the peers' core."""

    def __init__(self, family: Family, contenders: Iterable[Contender]):
        self._port = family.peer("server").greeting["port"]
        some = [each for each in contenders if plays(each.library, "client")]
        self._children = {each: family.measured("client", each.library, each.loop) for each in some}

    def lanes(
        self, mode: str, size: int, length: int = 1, only: Container[Contender] | None = None
    ) -> dict[Contender, Lane]:
        """A fresh connection in `mode` for everybody who knows it, or for those of `only`."""
        chosen = [contender for contender in self._children if only is None or contender in only]
        lanes = {contender: self._connect(contender, mode, size, length) for contender in chosen}
        return {contender: lane for contender, lane in lanes.items() if lane is not None}

    def lane(self, contender: Contender, mode: str, size: int, length: int = 1) -> Lane:
        """One more connection of one of them."""
        lane = self._connect(contender, mode, size, length)
        assert lane is not None, f"{contender.label} does not know {mode}"
        return lane

    def _connect(self, contender: Contender, mode: str, size: int, length: int) -> Lane | None:
        child = self._children[contender]
        answer = child.ask(f"connect {self._port} {mode}")
        if "id" not in answer:
            return None  # this one has no such way of receiving
        run = functools.partial(_run, child, answer["id"], size, length, 0)
        return Lane(contender.label, run, "cpu", length)


class Servers:
    """Every contender's echo server on the measured core, and the C driver with a connection to each."""

    def __init__(self, family: Family, contenders: Iterable[Contender]):
        self._driver = family.peer("driver")
        some = [each for each in contenders if plays(each.library, "server")]
        self._children = {each: family.measured("server", each.library, each.loop) for each in some}

    def lanes(self, mode: str, size: int, length: int = 1) -> dict[Contender, Lane]:
        lanes = {}
        for contender, child in self._children.items():
            number = self._driver.ask(f"connect {child.greeting['port']} {mode}")["id"]
            self._driver.ask(f"check {number} {size}")
            run = functools.partial(_run, self._driver, number, size, length, child.pid)
            lanes[contender] = Lane(contender.label, run, "watched", length)
        return lanes


class Pairs:
    """Every contender's client, each with a server of its own kind on the other core."""

    def __init__(self, family: Family, cores: Cores, contenders: Iterable[Contender]):
        self._pairs = {}
        for each in contenders:
            server = family.measured("server", each.library, each.loop)
            server.pin(cores.peer)
            self._pairs[each] = (family.measured("client", each.library, each.loop), server.greeting["port"])

    def lanes(self, mode: str, size: int, length: int = 1) -> dict[Contender, Lane]:
        lanes = {}
        for contender, (client, port) in self._pairs.items():
            number = client.ask(f"connect {port} {mode}")["id"]
            run = functools.partial(_run, client, number, size, length, 0)
            lanes[contender] = Lane(contender.label, run, "cpu", length)
        return lanes


def _run(child: Child, number: int, size: int, length: int, watched: int, count: int) -> Answer:
    return child.ask(f"run {number} {count} {size} {length} {watched}")
