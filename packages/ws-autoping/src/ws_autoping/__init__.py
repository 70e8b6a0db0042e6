"""Keepalive and round-trip times for ws_core. Installed, its auto-ping options work."""

from ws_autoping._version import __version__
from ws_autoping.pings import measure_roundtrip_time, rtt_stats
from ws_autoping.rtt import RTTStats
from ws_core import WSAutoPingStrategy

__all__ = ["RTTStats", "WSAutoPingStrategy", "__version__", "measure_roundtrip_time", "rtt_stats"]
