"""WebSockets for asyncio: a client and a server whose data path is Cython and C. What stands here is the public API."""

from typing import TYPE_CHECKING

from ws_core._broadcast import broadcast
from ws_core._capi import abi_version, get_include
from ws_core._frame import WSFrame
from ws_core._options import WS_DEBUG_LL, WSLoggerLike
from ws_core._transport import WSTransport
from ws_core._upgrading import WSServerListenerFactory
from ws_core._version import __version__
from ws_core.client import WSListenerFactory, ws_connect
from ws_core.closing import WSCloseHandshake, WSCloseInfo, WSDisconnectKind, WSDisconnectReason
from ws_core.enums import WSAutoPingStrategy, WSCloseCode, WSMsgType
from ws_core.errors import (
    WSError,
    WSHandshakeError,
    WSInvalidHeaderError,
    WSInvalidMessageError,
    WSInvalidStatusError,
    WSInvalidUpgradeError,
    WSInvalidURL,
    WSMissingExtension,
    WSProtocolError,
)
from ws_core.extension import Extension, TransportHook, WSMessage, register_extension, registered_extensions
from ws_core.server import WSServer, ws_create_server
from ws_core.stats import WSStats
from ws_core.upgrade import WSHeadersLike, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener
from ws_core.url import WSParsedURL

if TYPE_CHECKING:
    from ws_core._reconnecting import WSReconnecting, reconnecting
    from ws_core._typing import WSListener
else:
    from ws_core._listener import WSListener

    # Loaded when somebody asks for it: most programs do not, and `import ws_core` is to be quick.
    _LATER = {"WSReconnecting": "_reconnecting", "reconnecting": "_reconnecting"}

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LATER})


__all__ = [
    "WS_DEBUG_LL",
    "Extension",
    "TransportHook",
    "WSAutoPingStrategy",
    "WSCloseCode",
    "WSCloseHandshake",
    "WSCloseInfo",
    "WSDisconnectKind",
    "WSDisconnectReason",
    "WSError",
    "WSFrame",
    "WSHandshakeError",
    "WSHeadersLike",
    "WSInvalidHeaderError",
    "WSInvalidMessageError",
    "WSInvalidStatusError",
    "WSInvalidURL",
    "WSInvalidUpgradeError",
    "WSListener",
    "WSListenerFactory",
    "WSLoggerLike",
    "WSMessage",
    "WSMissingExtension",
    "WSMsgType",
    "WSParsedURL",
    "WSProtocolError",
    "WSReconnecting",
    "WSServer",
    "WSServerListenerFactory",
    "WSStats",
    "WSTransport",
    "WSUpgradeRequest",
    "WSUpgradeResponse",
    "WSUpgradeResponseWithListener",
    "__version__",
    "abi_version",
    "broadcast",
    "get_include",
    "reconnecting",
    "register_extension",
    "registered_extensions",
    "ws_connect",
    "ws_create_server",
]
