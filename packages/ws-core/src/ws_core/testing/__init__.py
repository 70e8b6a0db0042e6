"""For tests: a client and a server connected in memory, without sockets, ports or TLS. See docs/guides/testing.md.

Both sides are the real thing; only the transports below them are in memory, and the wire between those does what a test
asks for. `import ws_core` does not import this.
"""

from ws_core.testing._direction import Direction, Pieces
from ws_core.testing._frames import frame_bytes
from ws_core.testing._pair import Pair, connected_pair
from ws_core.testing._recorder import Recorder
from ws_core.testing._transport import MemoryTransport
from ws_core.testing._wire import Wire

__all__ = ["Direction", "MemoryTransport", "Pair", "Pieces", "Recorder", "Wire", "connected_pair", "frame_bytes"]
