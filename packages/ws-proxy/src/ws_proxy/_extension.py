"""The extension object that core finds by its entry point: the options `proxy` and `proxy_ssl_context`."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from ws_core import Extension, WSParsedURL
from ws_proxy.system import system_proxy
from ws_proxy.tunnel import open_tunnel
from ws_proxy.url import ProxyURL, parse_proxy_url

__all__ = ["ProxyExtension", "extension"]

#: The value of `proxy` that leaves the choice to the environment and the platform.
SYSTEM = "system"


class ProxyExtension(Extension):
    """Owns the proxy options of ws_connect."""

    name = "wirelark-ws-proxy"
    options = {"proxy": None, "proxy_ssl_context": None}

    def check(self, options: dict[str, Any], is_client_side: bool) -> None:
        value = options["proxy"]
        if value != SYSTEM:
            parse_option(value)
        context = options["proxy_ssl_context"]
        if not is_client_side and (value is not None or context is not None):
            raise TypeError("proxy= and proxy_ssl_context= are for ws_connect: a server goes through no proxy")
        if context is not None and not isinstance(context, ssl.SSLContext):
            raise TypeError(f"proxy_ssl_context must be an ssl.SSLContext or None, not {type(context).__name__}")

    async def open_connection(self, endpoint: WSParsedURL, options: dict[str, Any]) -> asyncio.Transport | None:
        # Asked for each redirect anew: the system may want another way to another host.
        if options["proxy"] == SYSTEM:
            proxy = await system_proxy(endpoint)
            proxies = [] if proxy is None else [proxy]
        else:
            proxies = parse_option(options["proxy"])
        if not proxies:
            return None
        return await open_tunnel(proxies, endpoint, options["connector"], options["proxy_ssl_context"])


def parse_option(value: Any) -> list[ProxyURL]:
    """The proxies of ``proxy=``, in the order in which they are gone through. ValueError, TypeError: see url.py."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("proxy=[] is a chain of no proxies: pass None to go without one")
        return [parse_proxy_url(url) for url in value]
    return [parse_proxy_url(value)]


extension = ProxyExtension()
