"""Figures for Prometheus: frames, bytes, backlog, round trips, and why connections ended.

python metrics.py                         # pip install prometheus_client wirelark-ws-autoping
curl http://127.0.0.1:9001/metrics
python echo_client.py hello

Core counts frames and bytes anyway, so nothing is done for a frame here: connections are looked at when Prometheus
asks. A hook hears of each connection twice, when it opens and when it has ended; of requests that did not become one it
does not hear. Several processes that share a port would each answer with their own figures: give /metrics of each a
port of its own.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

from echo_server import Echo
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ws_autoping import rtt_stats
from ws_core import (
    Extension,
    TransportHook,
    WSDisconnectKind,
    WSListener,
    WSStats,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)


class Connections(TransportHook, Collector):
    """The connections of a server or of a client: one hook for all of them."""

    opcodes = ()  # no frame passes through here

    def __init__(self) -> None:
        self._open: set[WSTransport] = set()
        self._opened = 0
        # All there can be, from the start: a counter that appears with 1 has not increased for Prometheus.
        self._ended: Counter[str] = Counter({kind.value: 0 for kind in WSDisconnectKind})
        self._past = (0, 0, 0, 0)  # what those that have ended had carried

    def on_open(self, transport: WSTransport) -> None:
        self._open.add(transport)
        self._opened += 1

    def on_close(self, transport: WSTransport) -> None:
        self._open.discard(transport)
        assert transport.disconnect_reason is not None  # it has ended
        self._ended[transport.disconnect_reason.kind.value] += 1
        self._past = _sum(self._past, transport.stats)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus wants to know, as of now. On the thread of the connections' loop."""
        total = self._past
        for transport in self._open:
            total = _sum(total, transport.stats)
        frames_in, bytes_in, frames_out, bytes_out = total
        yield CounterMetricFamily("websocket_connections", "Opened so far", self._opened)
        yield GaugeMetricFamily("websocket_connections_open", "Open now", len(self._open))
        yield _labelled("websocket_frames", "Frames", "direction", {"in": frames_in, "out": frames_out})
        yield _labelled("websocket_bytes", "Bytes of frames", "direction", {"in": bytes_in, "out": bytes_out})
        yield _labelled("websocket_disconnects", "Connections that ended", "reason", self._ended)
        backlog = [transport.write_backlog_size for transport in self._open]
        yield GaugeMetricFamily("websocket_backlog_bytes", "Wait for slow peers", sum(backlog))
        yield GaugeMetricFamily("websocket_backlog_bytes_most", "For the slowest one", max(backlog, default=0))
        times = [rtt.smoothed for rtt in map(rtt_stats, self._open) if rtt.count]
        if times:  # keepalive has measured some
            mean = sum(times) / len(times)
            yield GaugeMetricFamily("websocket_round_trip_seconds", "Mean over connections, each smoothed", mean)
            yield GaugeMetricFamily("websocket_round_trip_seconds_most", "The farthest", max(times))


def _sum(total: tuple[int, int, int, int], stats: WSStats) -> tuple[int, int, int, int]:
    return (
        total[0] + stats.frames_in,
        total[1] + stats.bytes_in,
        total[2] + stats.frames_out,
        total[3] + stats.bytes_out,
    )


def _labelled(name: str, text: str, label: str, values: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


class Metrics(Extension):
    """Goes into ``extensions=`` of ws_create_server, ws_connect or reconnecting."""

    name = "metrics"

    def __init__(self, connections: Connections) -> None:
        self.connections = connections

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook | None:
        return self.connections


class Site:
    """The metrics are on the port of the WebSocket, so they are collected on its thread."""

    def __init__(self) -> None:
        self.connections = Connections()
        self._registry = CollectorRegistry()
        self._registry.register(self.connections)

    def extensions(self) -> list[Extension]:
        return [Metrics(self.connections)]

    def answer(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
        if request.path.partition(b"?")[0] == b"/metrics":
            body, headers = generate_latest(self._registry), {"Content-Type": CONTENT_TYPE_LATEST}
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(body, headers), None)
        return Echo()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001, help="0: a free one")
    parser.add_argument("--ping", type=float, default=10.0, help="seconds of silence after which a peer is asked")
    args = parser.parse_args()

    site = Site()
    server = await ws_create_server(
        site.answer,
        args.host,
        args.port,
        extensions=site.extensions(),
        enable_auto_ping=True,
        auto_ping_idle_timeout=args.ping,
    )
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
