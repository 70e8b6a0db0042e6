from ws_core import WSListener

class FastEcho(WSListener):
    @property
    def total_size(self) -> int: ...
