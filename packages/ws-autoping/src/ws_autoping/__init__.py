"""Keepalive and round-trip times for ws_core. Installed, the auto-ping options of ws_connect and ws_create_server work."""

from ws_core import WSAutoPingStrategy

from ws_autoping._version import __version__
from ws_autoping.pings import measure_roundtrip_time, rtt_stats
from ws_autoping.rtt import RTTStats

__all__ = ["RTTStats", "WSAutoPingStrategy", "__version__", "measure_roundtrip_time", "rtt_stats"]
