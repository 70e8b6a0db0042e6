"""Proxies for ws_core. Installed, the options `proxy` and `proxy_ssl_context` of ws_connect work."""

from ws_proxy._version import __version__
from ws_proxy.errors import WSProxyError

__all__ = ["WSProxyError", "__version__"]
