"""WebSocket URLs (RFC 6455 section 3).

What takes URLs apart is loaded, and patterns are compiled, with the first URL: a server never sees one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ws_core.errors import WSInvalidURL

__all__ = ["WSParsedURL", "parse_url"]

_DEFAULT_PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443}
# What may stand unquoted in path and query: RFC 3986 pchar, "/", "?" and an existing percent sign.
_SAFE = "/?:@!$&'()*+,;=%-._~"
# Control characters and spaces: where a request could be split in two. Lone surrogates: they have no UTF-8.
_FORBIDDEN = r"[\x00-\x20\x7f\ud800-\udfff]"
# RFC 3986 reg-name, but percent-encoded bytes: no name system knows those.
_HOST = r"[0-9a-z\-._~!$&'()*+,;=]+"
_SCHEME = r"(?:[A-Za-z][A-Za-z0-9+.\-]*:(?=/))?/*"


@dataclass(frozen=True)
class WSParsedURL:
    """The parts of a URL."""

    #: As it was given.
    url: str = field(repr=False)
    scheme: str
    is_secure: bool
    #: What stands in the Host header: host and, unless it is the scheme's own, port.
    netloc: str
    #: In lower case; IDNA-encoded; IPv6 without brackets, with its zone behind a bare percent sign.
    host: str
    port: int
    #: Percent-encoded; may be empty.
    path: str
    #: Percent-encoded; may be empty.
    query: str
    #: Percent-decoded, as is the password.
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def resource_name(self) -> str:
        """What the request line asks for: path and query."""
        return (self.path or "/") + (f"?{self.query}" if self.query else "")

    @property
    def user_info(self) -> tuple[str, str] | None:
        """Name and password, percent-decoded; None if the URL has neither."""
        if self.username is None and self.password is None:
            return None
        return self.username or "", self.password or ""

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials are bound to."""
        return self.scheme, self.host, self.port


def _hide_password(url: str) -> str:
    """For error messages about URLs that are wrong: rather too much is hidden than too little."""
    head, at, rest = url.rpartition("@")
    scheme = re.match(_SCHEME, head)
    colon = head.find(":", scheme.end() if scheme else 0)
    return f"{head[:colon]}:***@{rest}" if at and colon >= 0 else url


def parse_url(url: str, schemes: tuple[str, ...] = ("ws", "wss")) -> WSParsedURL:
    """Take `url` apart. WSInvalidURL says what is wrong with it."""
    import urllib.parse

    if not isinstance(url, str):
        raise TypeError(f"a URL must be str, not {type(url).__name__}")

    def invalid(message: str) -> WSInvalidURL:
        return WSInvalidURL(_hide_password(url), message)

    if re.search(_FORBIDDEN, url):
        raise invalid("it contains a space, a control character or half a surrogate pair; percent-encode it")
    # The standard library's messages may show the password, ours do not.
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        raise invalid("the host is not valid") from None
    try:
        port = parts.port
    except ValueError:
        raise invalid("the port must be a number up to 65535") from None
    if parts.scheme not in schemes:
        raise invalid(f"the scheme must be {' or '.join(schemes)}, not {parts.scheme!r}")
    if not parts.hostname:
        raise invalid("it has no host")
    if parts.fragment or url.endswith("#"):
        raise invalid("a fragment (#) has no meaning here (RFC 6455 3); percent-encode it as %23")

    host = parts.hostname
    if ":" not in host:
        try:
            host = host.encode("idna").decode()
        except UnicodeError as exc:
            raise invalid(f"the host name cannot be encoded: {exc}") from None
        if not re.fullmatch(_HOST, host):
            raise invalid("the host name has a character that none can have")
    else:
        # Until Python 3.11 urlsplit takes anything between brackets.
        import ipaddress

        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise invalid("the host is not a valid IPv6 address") from None
        # RFC 6874 writes %25 before a zone, everybody else a bare percent sign. A name of 25 is taken for a zone's.
        host = re.sub("%25(?=.)", "%", host, count=1)
        if not re.fullmatch(r"[^%]+(%[0-9A-Za-z\-._~%]+)?", host):
            raise invalid("the zone of the IPv6 address has a character that none can have")
    if port == 0:
        raise invalid("port 0 cannot be connected to")
    if ":" in urllib.parse.unquote(parts.username or ""):
        raise invalid("a user name must not contain a colon (RFC 7617 2)")
    default_port = _DEFAULT_PORTS.get(parts.scheme)
    if port is None:
        if default_port is None:
            raise invalid("it needs a port")
        port = default_port
    # Only this machine knows what a zone is (RFC 6874 section 3).
    netloc = f"[{host.partition('%')[0]}]" if ":" in host else host
    if port != default_port:
        netloc += f":{port}"
    return WSParsedURL(
        url=url,
        scheme=parts.scheme,
        is_secure=parts.scheme in ("wss", "https"),
        netloc=netloc,
        host=host,
        port=port,
        path=urllib.parse.quote(parts.path, safe=_SAFE),
        query=urllib.parse.quote(parts.query, safe=_SAFE),
        username=None if parts.username is None else urllib.parse.unquote(parts.username),
        password=None if parts.password is None else urllib.parse.unquote(parts.password),
    )
