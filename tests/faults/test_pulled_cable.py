"""A connection whose peer has gone without a word: keepalive ends it, in bounded time.

In network namespaces, where a cable can be pulled. Where there can't be any, `nox -s tests` leaves this file out and
`nox -s netns` fails; packages/ws-autoping/tests/test_keeper.py has peers that stop answering and stop reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import ssl
import time
from collections.abc import Iterator

import pytest

from harness import Echo, Net, Recorder, certificate_authority, until
from namespaces import Cable, cable, why_not
from ws_core import WSCloseCode, WSDisconnectKind, WSMsgType

KEEPALIVE = {"enable_auto_ping": True, "auto_ping_idle_timeout": 0.2, "auto_ping_reply_timeout": 0.2}
#: Seconds. Idle and reply timeout, two for what cannot be sent any more, and a loaded machine; the kernel alone would
#: take a quarter of an hour.
BOUND_S = 15.0
WAYS = ("pull_there", "pull_here", "lose_packets")
BACKLOG = bytes(16 * 1024 * 1024)
#: All at once, since each of them takes its 2.4 seconds: what is used, how the cable ends, who watches.
CASES = tuple(itertools.product((False, True), (True, False), WAYS, ("client", "client with a backlog", "server")))

MISSING = why_not()
pytestmark = pytest.mark.skipif(
    MISSING is not None and not os.environ.get("WIRELARK_NETNS"), reason=MISSING or "there are namespaces"
)


@pytest.fixture
def cables() -> Iterator[list[Cable]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(cable()) for _ in CASES]


def without_names() -> ssl.SSLContext:
    context = ssl.create_default_context()
    certificate_authority().configure_trust(context)
    context.check_hostname = False
    return context


async def watch(tls: bool, fast: bool, way: str, who: str, wire: Cable) -> None:
    net = Net(tls=tls, fast=fast)
    made: list[Recorder] = []
    on_server, on_client = (KEEPALIVE, {}) if who == "server" else ({}, KEEPALIVE)
    factory = (lambda request: made.append(Recorder()) or made[0]) if who == "server" else (lambda request: Echo())
    server = await net.serve(factory, host=None, sock=wire.there.listening(), **on_server)
    host, port = server.sockets[0].getsockname()
    transport, listener = await net.connect(
        f"{'wss' if tls else 'ws'}://{host}:{port}/",
        socket_factory=lambda url: wire.here.socket(),
        ssl_context=without_names() if tls else None,
        **on_client,
    )
    if who == "server":
        await until(lambda: made and made[0].transport)
        transport, listener = made[0].transport, made[0]
    await until(lambda: transport.stats.frames_in)  # pings are answered
    getattr(wire, way)()
    start = time.monotonic()
    if who == "client with a backlog":
        transport.send(WSMsgType.BINARY, BACKLOG)
    await listener.event("disconnected")
    assert time.monotonic() - start < BOUND_S
    assert transport.disconnect_reason.kind is WSDisconnectKind.TIMEOUT
    assert transport.close_handshake.sent.code is WSCloseCode.GOING_AWAY
    assert listener.events.count("disconnected") == 1


async def test_the_end_comes_in_time(loop_name: str, cables: list[Cable]) -> None:
    results = await asyncio.gather(
        *(watch(*case, wire) for case, wire in zip(CASES, cables, strict=True)), return_exceptions=True
    )
    assert {case: result for case, result in zip(CASES, results, strict=True) if result is not None} == {}
