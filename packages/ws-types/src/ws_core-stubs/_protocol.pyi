# Internal: what core's own pure modules use of the compiled protocol.
import asyncio
from typing import Any

from ws_core._listener import WSListener
from ws_core._sender import Config
from ws_core._transport import WSTransport
from ws_core.upgrade import WSUpgradeRequest, WSUpgradeResponse

class WSProtocol(asyncio.BufferedProtocol):
    def __init__(self, config: Config, handshake: Any) -> None: ...
    @property
    def transport(self) -> WSTransport: ...
    def opened(
        self,
        listener: WSListener | None,
        request: WSUpgradeRequest,
        response: WSUpgradeResponse,
        subprotocol: str | None,
        tail: bytes,
        *,
        is_secure: bool | None = None,
        rsv: int = 0,
    ) -> None: ...
    def feed(self, data: bytes) -> None: ...
    def is_buffered_protocol(self) -> bool: ...
