"""``python -m ws_core.bench``."""

from __future__ import annotations

import itertools
import json

import pytest

from commands import BENCH, Sends, Silent, at_a_terminal, certificates, command
from harness import Echo, Net, Recorder, within
from ws_core import WSFrame, WSMsgType, WSTransport
from ws_core._cli.histogram import Histogram


async def test_a_benchmark(net: Net) -> None:
    server = await net.serve(lambda request: Echo())
    with certificates(net) as trust:
        arguments = ("--duration", 0.2, "--warm-up", 0.05, "--connections", 3, "--in-flight", 4, "--size", 70_000)
        code, out, err = await command(net.url(server), *trust, *arguments, "--json", module=BENCH)
    assert code == 0, err
    result = json.loads(out)
    assert (result["connections"], result["in_flight"], result["size"]) == (3, 4, 70_000)
    assert result["messages"] >= 12
    times = list(result["round_trip_s"].values())
    assert times == sorted(times)
    assert times[0] > 0


async def test_a_benchmark_for_a_person(one_net: Net) -> None:
    server = await one_net.serve(lambda request: Echo())
    arguments = ("--duration", 0.2, "--warm-up", 0, "--text", "--size", 0)
    code, out, _ = await command(one_net.url(server), *arguments, module=BENCH)
    assert code == 0
    head, rate, percentiles, *rows = out.decode().splitlines()
    assert "messages of 0 B in 0.2 s, 1 connection, 1 in flight on each:" in head
    assert "a second" in rate
    assert "p99.9" in percentiles
    shown = sum(int(row.split()[-1].replace(",", "")) for row in rows)
    # The last one was on its way when the time was over.
    assert shown - int(head.split()[0].replace(",", "")) in (0, 1)
    assert shown > 0


async def test_a_benchmark_of_no_echo_server(one_net: Net) -> None:
    class Talks(Sends):
        def on_ws_connected(self, transport: WSTransport) -> None:
            pass

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            transport.send(WSMsgType.TEXT, "hello")

    server = await one_net.serve(lambda request: Talks())
    code, out, err = await command(one_net.url(server), module=BENCH)
    assert (code, out) == (2, b"")
    assert "not an echo server: it answers 256 bytes by 5" in err


async def test_a_benchmark_of_a_server_that_says_nothing(one_net: Net) -> None:
    server = await one_net.serve(lambda request: Silent(), enable_auto_pong=True)
    arguments = ("--timeout", 0.3, "--duration", 60)
    code, out, err = await command(one_net.url(server), *arguments, module=BENCH)
    assert (code, out) == (1, b"")
    assert "no answer within 0.3 seconds" in err


async def test_answers_that_come_after_the_end_are_not_in_the_rate(one_net: Net) -> None:
    server = await one_net.serve(lambda request: Echo())
    arguments = ("--duration", 1e-6, "--warm-up", 0, "--in-flight", 100, "--json")
    code, out, _ = await command(one_net.url(server), *arguments, module=BENCH)
    result = json.loads(out)
    assert (code, result["messages"], result["messages_per_s"]) == (0, 0, 0)
    assert result["round_trip_s"]["min"] > 0


@pytest.mark.parametrize("columns", [100, 30])
async def test_progress(one_net: Net, columns: int) -> None:
    """In a narrow window, too, it stays on one line; no terminal needs to know more than how to begin that again."""
    server = await one_net.serve(lambda request: Echo())
    arguments = ("--duration", 0.5, "--warm-up", 0)
    dumb = {"TERM": "dumb"}
    async with at_a_terminal(one_net.url(server), *arguments, module="bench", env=dumb, columns=columns) as person:
        await person.sees("connecting, 0 of 1")
        await person.sees("[#")
        await person.sees("messages of 256 B")
        await person.sees("p99.9")
        await within(person.process.wait())
    assert person.process.returncode == 0
    assert "\x1b" not in person.everything
    progress = person.everything.partition(" messages of")[0].split("\r")[:-1]
    assert max(map(len, progress)) < columns


async def test_a_benchmark_whose_server_goes(one_net: Net) -> None:
    class Goes(Recorder):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            transport.disconnect(graceful=False)

    server = await one_net.serve(lambda request: Goes())
    code, out, err = await command(one_net.url(server), module=BENCH)
    assert (code, out) == (1, b"")
    assert "the connection ended: " in err


def test_durations_are_counted_to_three_percent() -> None:
    histogram = Histogram()
    durations = [1, 31, 32, 33, 63, 64, 65, 1000, 10**6, 10**9, 3_600 * 10**9]
    for ns in durations:
        one = Histogram()
        one.add(ns)
        ((start, end, number),) = one.rows(16)
        assert (start < ns <= end, number) == (True, 1)
        assert end - start <= max(1, ns / 31)
        assert one.percentile(50) == ns
        histogram.add(ns)
    assert (histogram.count, histogram.least, histogram.most) == (len(durations), 1, durations[-1])
    for index, ns in enumerate(durations, 1):
        assert ns <= histogram.percentile(100 * index / len(durations)) <= ns * 1.04
    rows = list(histogram.rows(10))
    assert len(rows) <= 10
    assert sum(number for _, _, number in rows) == len(durations)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(rows))
    assert list(Histogram().rows(10)) == []
