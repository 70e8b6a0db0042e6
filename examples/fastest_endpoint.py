"""Of several endpoints, be connected to the one that is nearest now (pip install wirelark-ws-autoping).

python fastest_endpoint.py                                          # three servers of its own, one of which slows down
python fastest_endpoint.py wss://a.example.org wss://b.example.org  # any servers

Each is measured before every connection. While connected, auto-pings keep measuring; when the smoothed round-trip time
rises above --limit the client leaves, and reconnecting() asks anew which endpoint is the nearest.
"""

from __future__ import annotations

import argparse
import asyncio
import functools

from ws_autoping import RTTStats, measure_roundtrip_time
from ws_core import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSServer,
    WSTransport,
    WSUpgradeRequest,
    reconnecting,
    ws_connect,
    ws_create_server,
)


class Client(WSListener):
    def on_rtt(self, transport: WSTransport, stats: RTTStats) -> None:
        # Without this method the connection would just end: rtt_threshold alone is enough.
        print(f"too slow: smoothed {stats.smoothed * 1e3:.0f} ms, last {stats.last * 1e3:.0f} ms")
        transport.send_close(WSCloseCode.GOING_AWAY)
        transport.disconnect()


async def distance(url: str) -> float:
    """The shortest of three round trips, in seconds."""
    transport, _ = await ws_connect(WSListener, url)
    try:
        return min(await measure_roundtrip_time(transport, 3, timeout=2.0))
    finally:
        transport.disconnect()


async def nearest(names: dict[str, str]) -> str:
    """The URL that answers soonest. OSError if none does, which reconnecting() takes for a reason to try again."""
    urls = list(names)
    distances = await asyncio.gather(*map(distance, urls), return_exceptions=True)
    reached = {url: found for url, found in zip(urls, distances, strict=True) if isinstance(found, float)}
    if not reached:
        raise OSError("no endpoint answers")
    print(", ".join(f"{names[url]} {found * 1e3:.0f} ms" for url, found in reached.items()))
    return min(reached, key=reached.__getitem__)


async def stay_near(names: dict[str, str], limit: float, connected: asyncio.Queue[WSTransport] | None = None) -> None:
    """`names`: of each URL. Each new connection is put in `connected`."""
    connections = reconnecting(
        Client,
        functools.partial(nearest, names),
        backoff_min=0.01,
        enable_auto_ping=True,
        auto_ping_idle_timeout=0.3,
        rtt_threshold=limit,
    )
    async with connections:
        async for transport in connections:
            if connected is not None:
                connected.put_nowait(transport)
            else:
                print("connected:", transport)


class SlowServer(WSListener):
    """Answers each PING after a while; its server has enable_auto_pong=False."""

    def __init__(self, delays: dict[str, float], name: str, request: WSUpgradeRequest) -> None:
        self.delays, self.name = delays, name

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.PING:
            loop = asyncio.get_running_loop()
            loop.call_later(self.delays[self.name], transport.send_pong, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


async def show(limit: float) -> None:
    """Three servers; the nearest one slows down as soon as the client is there."""
    delays = {"A": 0.08, "B": 0.01, "C": 0.16}  # seconds
    servers: list[WSServer] = []
    names: dict[str, str] = {}
    for name in delays:
        factory = functools.partial(SlowServer, delays, name)
        server = await ws_create_server(factory, "127.0.0.1", 0, enable_auto_pong=False)
        names[f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"] = name
        servers.append(server)
    connected: asyncio.Queue[WSTransport] = asyncio.Queue()
    client = asyncio.create_task(stay_near(names, limit, connected))
    for _ in range(2):
        transport = await connected.get()
        assert transport.request is not None
        name = names[f"ws://{transport.request.headers['Host']}/"]
        print("connected to", name)
        delays[name] = 0.28
    client.cancel()
    await asyncio.wait({client})
    for server in servers:
        await server.shutdown()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="*", help="ws:// or wss://; without them: servers of its own")
    parser.add_argument("--limit", type=float, default=0.06, help="seconds")
    args = parser.parse_args()
    if args.urls:
        await stay_near({url: url for url in args.urls}, args.limit)
    else:
        await show(args.limit)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
