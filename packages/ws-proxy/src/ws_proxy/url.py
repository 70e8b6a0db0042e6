"""Proxy URLs: taken apart, checked, and shown without their password.

No error here quotes what it could not understand: a password may be in it.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass, field

from ws_core import WSParsedURL

__all__ = ["ProxyURL", "parse_proxy_url"]

#: The schemes, and the port of each where the URL has none.
DEFAULT_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}

_USER_LIMIT = 255  # bytes; RFC 1929 section 2
# host, or [IPv6 address], and perhaps a port
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/?#@\s]+))(?::([0-9]*))?")
# Lone surrogates stand for bytes that are no UTF-8, of an environment variable.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
# RFC 3986 reg-name, but percent-encoded bytes; or an IPv6 address.
_HOST = re.compile(r"[0-9a-z\-._~!$&'()*+,;=:]+")


@dataclass(frozen=True)
class ProxyURL:
    """One proxy. Its str and repr show no password."""

    scheme: str
    #: In lower case; IPv6 without brackets.
    host: str
    port: int
    #: Percent-decoded, each byte a character of Latin-1; None if the URL has none.
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def netloc(self) -> str:
        """Host and port, as errors show them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        user = "" if self.username is None else urllib.parse.quote(self.username.encode("latin-1"), safe="")
        secret = "" if self.password is None else ":***"
        return f"{self.scheme}://{user}{secret}{'@' if self.username is not None else ''}{self.netloc}"

    def as_parsed_url(self) -> WSParsedURL:
        """For socket_factory. User name and password are left out."""
        return WSParsedURL(
            url=f"{self.scheme}://{self.netloc}",
            scheme=self.scheme,
            is_secure=self.scheme == "https",
            netloc=self.netloc,
            host=self.host,
            port=self.port,
            path="",
            query="",
        )


def parse_proxy_url(url: str) -> ProxyURL:
    """Take `url` apart. TypeError if it is no str; ValueError says what is wrong with it, without quoting it."""
    if not isinstance(url, str):
        raise TypeError(f"proxy must be a URL, or a list of URLs, not {type(url).__name__}")
    if _FORBIDDEN.search(url):
        raise ValueError(
            "the proxy URL contains a space, a control character or half a surrogate pair: percent-encode it"
        )
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in DEFAULT_PORTS:
        known = ", ".join(f"{name}://" for name in DEFAULT_PORTS)
        raise ValueError(f"the proxy URL must begin with one of {known}")
    user_info, at, rest = rest.rpartition("@")
    authority, _, path = rest.partition("/")
    if path or "?" in authority or "#" in authority:
        raise ValueError(
            f"the {scheme}:// proxy URL has more than a host and a port: no path, no query; "
            f"percent-encode what belongs to user name or password"
        )
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise ValueError(f"the host or the port of the {scheme}:// proxy URL makes no sense")
    host = _host(match[1] or match[2], scheme)
    port = int(match[3]) if match[3] else DEFAULT_PORTS[scheme]
    if not 0 < port < 65536:
        raise ValueError(f"the port of the {scheme}:// proxy URL is not between 1 and 65535")
    if not at:
        return ProxyURL(scheme, host, port)
    if any(character in user_info for character in "/?#@"):
        raise ValueError(f"user name and password in the {scheme}:// proxy URL must be percent-encoded")
    name, colon, secret = user_info.partition(":")
    proxy = ProxyURL(scheme, host, port, _decode(name), _decode(secret) if colon else None)
    _check_credentials(proxy)
    return proxy


def _host(host: str, scheme: str) -> str:
    if host.isascii():
        host = host.lower()
    else:
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise ValueError(f"the host name of the {scheme}:// proxy URL cannot be encoded") from None
    if not _HOST.fullmatch(host):
        raise ValueError(f"the host name of the {scheme}:// proxy URL has a character that none can have")
    return host


def _decode(text: str) -> str:
    # The bytes that the user means: python-socks encodes them as Latin-1 again,
    # so that a name of UTF-8 characters reaches an HTTP proxy as UTF-8.
    return urllib.parse.unquote_to_bytes(text).decode("latin-1")


def _check_credentials(proxy: ProxyURL) -> None:
    """What the proxy's protocol cannot carry is said now, not in the middle of a connection."""
    user, secret = proxy.username or "", proxy.password or ""
    if not user:
        raise ValueError(f"the {proxy.scheme}:// proxy URL has a password, or an @, but no user name")
    if proxy.scheme.startswith("http"):
        if ":" in user:
            raise ValueError("a user name for an HTTP proxy must not contain a colon (RFC 7617 section 2)")
        return
    if not user.isascii() or not secret.isascii():
        raise ValueError(f"user name and password for a {proxy.scheme}:// proxy must be ASCII")
    if proxy.scheme.startswith("socks4"):
        if "\0" in user:
            raise ValueError("a user name for a SOCKS4 proxy must not contain NUL")
        return  # SOCKS4 has no passwords: one in the URL is not sent
    if not secret:
        raise ValueError("a SOCKS5 proxy wants a password with the user name (RFC 1929)")
    if len(user) > _USER_LIMIT or len(secret) > _USER_LIMIT:
        raise ValueError("user name and password for a SOCKS5 proxy are limited to 255 bytes each (RFC 1929)")
