"""measure_roundtrip_time and rtt_stats over real sockets."""

from __future__ import annotations

import asyncio
import math

import pytest

from harness import Net, RawPeer, frame_bytes, until, within
from jumps import Jumps
from ws_autoping import RTTStats, measure_roundtrip_time, rtt_stats
from ws_core import WSFrame, WSListener, WSMsgType, WSTransport


async def test_rounds(net: Net) -> None:
    server = await net.serve()
    transport, listener = await net.connect(server)
    times = await within(transport.measure_roundtrip_time(5))
    assert len(times) == 5
    assert all(0 < time_s < 5 for time_s in times)
    stats = rtt_stats(transport)
    assert (stats.count, stats.last, stats.min) == (5, times[-1], min(times))
    assert stats.mean == pytest.approx(sum(times) / 5)
    assert listener.frames == []


async def test_many_callers_beside_auto_ping(net: Net, clock: Jumps) -> None:
    server = await net.serve()
    transport, _ = await net.connect(
        server,
        enable_auto_ping=True,
        auto_ping_idle_timeout=100,
        auto_ping_reply_timeout=50,
        auto_ping_strategy=2,
    )
    callers = asyncio.gather(*(measure_roundtrip_time(transport, n) for n in range(1, 21)))
    await until(lambda: transport.stats.frames_out >= 20)
    clock.jump(101)
    results = await within(callers)
    assert [len(times) for times in results] == list(range(1, 21))
    await until(lambda: rtt_stats(transport).count > 210)  # auto-ping's own
    assert not transport.is_disconnected


async def test_on_a_server_side_connection(plain_net: Net) -> None:
    server, _ = await plain_net.pair()
    assert len(await within(server.transport.measure_roundtrip_time(3))) == 3


async def test_answers_are_matched_by_id(plain_net: Net) -> None:
    """PONGs that nobody asked for, and those of others, are no answers."""

    async def handler(peer: RawPeer) -> None:
        await plain_net.accept_upgrade(peer)
        _, first = await peer.frame()
        _, second = await peer.frame()
        await peer.send(frame_bytes(WSMsgType.PONG, b"") + frame_bytes(WSMsgType.PONG, first[:-1]))
        await asyncio.sleep(0.05)
        await peer.send(frame_bytes(WSMsgType.PONG, second))
        await asyncio.sleep(0.05)
        await peer.send(frame_bytes(WSMsgType.PONG, first))
        await peer.rest()

    port = await plain_net.raw_server(handler)
    transport, listener = await plain_net.connect(port)
    first, second = await within(
        asyncio.gather(transport.measure_roundtrip_time(1), transport.measure_roundtrip_time(1))
    )
    assert first[0] >= 0.09
    assert 0.04 <= second[0] < first[0]
    assert [frame.payload_size for frame in listener.frames] == [0]


async def test_a_round_has_a_timeout(plain_net: Net) -> None:
    late: list[bytes] = []

    async def handler(peer: RawPeer) -> None:
        await plain_net.accept_upgrade(peer)
        late.append((await peer.frame())[1])
        _, second = await peer.frame()
        # The late answer belongs to nobody any more; the second is another's.
        await peer.send(frame_bytes(WSMsgType.PONG, late[0]) + frame_bytes(WSMsgType.PONG, second))
        await peer.rest()

    port = await plain_net.raw_server(handler)
    transport, listener = await plain_net.connect(port)
    with pytest.raises(asyncio.TimeoutError, match="round 1 of 3"):
        await within(measure_roundtrip_time(transport, 3, timeout=0.05))
    assert len(await within(measure_roundtrip_time(transport, 1))) == 1
    assert listener.frames == []
    assert rtt_stats(transport).count == 1


async def test_the_connection_goes_down_meanwhile(net: Net) -> None:
    server = await net.serve(lambda request: WSListener(), enable_auto_pong=False)
    transport, _ = await net.connect(server)
    measuring = asyncio.ensure_future(transport.measure_roundtrip_time(1))
    await until(lambda: transport.stats.frames_out)
    transport.disconnect()
    with pytest.raises(ConnectionResetError):
        await within(measuring)
    with pytest.raises(ConnectionResetError):
        await within(transport.measure_roundtrip_time(1))


async def test_after_the_close_frame(plain_net: Net) -> None:
    server = await plain_net.serve()
    transport, _ = await plain_net.connect(server)
    transport.send_close()
    with pytest.raises(ConnectionResetError, match="closed"):
        await within(transport.measure_roundtrip_time(1))


async def test_cancelling_leaves_nothing(plain_net: Net) -> None:
    server = await plain_net.serve(lambda request: WSListener(), enable_auto_pong=False)
    transport, _ = await plain_net.connect(server)
    measuring = asyncio.ensure_future(transport.measure_roundtrip_time(1))
    await until(lambda: transport.stats.frames_out)
    measuring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await measuring
    assert not transport.user_data["ws_autoping"]._open


@pytest.mark.parametrize("rounds", [0, -1, True, 1.5, "3"])
async def test_wrong_rounds(rounds: object) -> None:
    net = Net(tls=False, fast=True)
    server = await net.serve()
    transport, _ = await net.connect(server)
    with pytest.raises((TypeError, ValueError), match="rounds"):
        await transport.measure_roundtrip_time(rounds)
    await net.aclose()


async def test_stats_of_auto_pings(net: Net, clock: Jumps) -> None:
    server = await net.serve()
    transport, _ = await net.connect(
        server, enable_auto_ping=True, auto_ping_idle_timeout=100, auto_ping_reply_timeout=50
    )
    stats = rtt_stats(transport)
    assert isinstance(stats, RTTStats)
    assert stats.count == 0
    assert math.isnan(stats.smoothed)
    for count in (1, 2):
        clock.jump(101)
        await until(lambda count=count: rtt_stats(transport).count == count)
    stats = rtt_stats(transport)
    assert 0 < stats.min <= stats.p50 <= stats.p99 < 50
    transport.disconnect()
    await within(transport.wait_disconnected())
    assert rtt_stats(transport).count >= 2  # also after the end


async def test_stats_of_pings_of_the_users_making(plain_net: Net, clock: Jumps) -> None:
    class TextPings(WSListener):
        def send_user_specific_ping(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, b"ping")

        def is_user_specific_pong(self, frame: WSFrame) -> bool:
            return frame.msg_type == WSMsgType.TEXT

    server = await plain_net.serve()
    transport, _ = await plain_net.connect(
        server, TextPings, enable_auto_ping=True, auto_ping_idle_timeout=100, auto_ping_reply_timeout=50
    )
    for count in (1, 2):
        clock.jump(101)
        await until(lambda count=count: rtt_stats(transport).count == count)
    assert 0 < rtt_stats(transport).last < 50
