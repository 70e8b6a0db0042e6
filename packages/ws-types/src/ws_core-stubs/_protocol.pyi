# Internal: what core's own pure modules use of the compiled protocol.
import asyncio
from typing import Any

from typing_extensions import Self, disjoint_base

from ws_core._listener import WSListener
from ws_core._sender import Config
from ws_core._transport import WSTransport
from ws_core.upgrade import WSUpgradeRequest, WSUpgradeResponse

@disjoint_base
class WSProtocol(asyncio.BufferedProtocol):
    def __new__(cls, config: Config, handshake: Any) -> Self: ...
    @property
    def transport(self) -> WSTransport: ...
    def opened(
        self,
        listener: WSListener | None,
        request: WSUpgradeRequest,
        response: WSUpgradeResponse | None,
        subprotocol: str | None,
        tail: bytes,
        *,
        is_secure: bool | None = None,
        rsv: int = 0,
    ) -> None: ...
    def feed(self, data: bytes) -> None: ...
    def is_buffered_protocol(self) -> bool: ...
