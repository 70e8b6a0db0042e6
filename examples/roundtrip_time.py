"""How far away is the peer? Round-trip times by PING and PONG (pip install wirelark-ws-autoping).

python roundtrip_time.py --rounds 10              # of echo_server.py; any other server does as well
python roundtrip_time.py --limit 0.001            # exit code 1 if the median is longer than 1 ms

A program that has the choice between several servers can measure each and keep the nearest.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys

from ws_autoping import rtt_stats
from ws_core import WSListener, ws_connect


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--tls", action="store_true", help="wss:// instead of ws://")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=1.0, help="seconds")
    args = parser.parse_args()

    transport, _ = await ws_connect(WSListener, f"{'wss' if args.tls else 'ws'}://{args.host}:{args.port}/")
    times = await transport.measure_roundtrip_time(args.rounds)
    print("round trips:", ", ".join(f"{seconds * 1e6:.0f} us" for seconds in times))

    # The connection keeps what it has learned, also from auto-pings.
    stats = rtt_stats(transport)
    print(f"{stats.count} measured, shortest {stats.min * 1e6:.0f} us, smoothed {stats.smoothed * 1e6:.0f} us")
    await transport.close()
    return 0 if statistics.median(times) <= args.limit else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        pass
