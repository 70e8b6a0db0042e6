"""``proxy="system"``: which proxy the environment, or else the platform, wants for an endpoint.

Where the settings come from is the standard library's business; which of them
counts is decided here, by functions of their arguments alone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import urllib.request
from collections.abc import Mapping

from ws_core import WSParsedURL
from ws_proxy.url import ProxyURL, parse_proxy_url

__all__ = ["choose", "is_exempt", "system_proxy"]

#: The settings that are looked at, in this order. The names are those of urllib.request.getproxies(): of a variable
#: WSS_PROXY it is "wss"; "socks" is macOS's.
_NAMES = {"ws": ("ws", "http", "all", "socks"), "wss": ("wss", "https", "all", "socks")}


async def system_proxy(endpoint: WSParsedURL) -> ProxyURL | None:
    """The proxy for `endpoint`; None: connect directly. ValueError names the setting that makes no sense."""
    # Any variable replaces the platform's settings, as in the standard library. Lower case wins, and an empty lower
    # case variable takes the other one away. In a CGI script HTTP_PROXY is a header of the request: not looked at.
    environment = urllib.request.getproxies_environment()
    if environment:
        if is_exempt(endpoint.host, endpoint.port, environment.get("no", "")):
            return None
        return choose(endpoint.scheme, environment)
    if urllib.request.getproxies is urllib.request.getproxies_environment:
        return None  # this platform has nothing else
    # Not on the loop's thread: to compare addresses, macOS and Windows look up the host's.
    return await asyncio.to_thread(_of_platform, endpoint.scheme, endpoint.host)


def _of_platform(scheme: str, host: str) -> ProxyURL | None:
    # Its list of exceptions is another one than NO_PROXY, and the standard library knows it.
    return None if urllib.request.proxy_bypass(host) else choose(scheme, urllib.request.getproxies())


def choose(scheme: str, settings: Mapping[str, str]) -> ProxyURL | None:
    """The proxy for an endpoint of `scheme` ("ws" or "wss") by settings as urllib.request.getproxies() gives them."""
    for name in _NAMES[scheme]:
        url = settings.get(name, "").strip()
        if url:
            try:
                return parse_proxy_url(_complete(name, url))
            except ValueError as exc:
                raise ValueError(f'proxy="system": {name.upper()}_PROXY, or the setting of that name: {exc}') from None
    return None


def _complete(name: str, url: str) -> str:
    """A URL, where people write less, or something else than they mean."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return f"http://{url}"
    # "socks://" is what desktops export. macOS calls its SOCKS proxies http://.
    if scheme.lower() == "socks" or name == "socks":
        return f"socks5h://{rest}"
    return url


def is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """
    Whether NO_PROXY says to connect to `host` directly.

    :param host: as in WSParsedURL: lower case, IDNA-encoded, IPv6 without brackets. It is never looked up: only an
        address is compared with addresses
    :param no_proxy: entries with commas or spaces between them. ``*``: everything. ``example.com`` and
        ``.example.com``: that name and all below it; ``*.example.com``: all below it. ``10.1.2.3``, ``::1``,
        ``[::1]``: that address; ``10.0.0.0/8``, ``fd00::/8``: a network. A name or an address may have a port,
        ``example.com:8443``, ``[::1]:8080``: only that port. What makes no sense exempts nothing
    """
    address = _address(host)
    return any(_matches(entry, host, address, port) for entry in re.split(r"[\s,]+", no_proxy) if entry)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _matches(entry: str, host: str, address: _Address | None, port: int) -> bool:
    if entry == "*":
        return True
    # A port: behind brackets, or behind the only colon. More colons without brackets are an IPv6 address.
    match = re.fullmatch(r"\[([^\]]*)\](?::(\d{1,5}))?|([^:]*):(\d{1,5})", entry)
    if match is not None:
        wanted = match[2] or match[4]
        if wanted is not None and int(wanted) != port:
            return False
        entry = match[1] or match[3] or ""
    if address is not None:
        return _is_in(address, entry)
    if _address(entry) is not None:
        return False
    name = _encode(entry)
    below = name.removeprefix("*").lstrip(".")
    if not below:
        return False
    host = host.rstrip(".")
    return host.endswith("." + below) or (host == below and not name.startswith("*"))


def _is_in(address: _Address, entry: str) -> bool:
    try:
        network = ipaddress.ip_network(entry, strict=False)  # an address is a network of one
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address in network or (mapped is not None and mapped in network)


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _encode(name: str) -> str:
    """As WSParsedURL has it."""
    name = name.rstrip(".").lower()
    if name.isascii():
        return name
    labels = name.lstrip("*.")
    try:
        return name[: len(name) - len(labels)] + labels.encode("idna").decode()
    except UnicodeError:
        return ""
