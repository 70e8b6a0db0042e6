"""What a proxy has said, as an error shows it: on one line, short, and without credentials that it may repeat."""

from __future__ import annotations

import base64
import html
import re
import urllib.parse
from collections.abc import Iterable

from ws_proxy.url import ProxyURL

__all__ = ["quote"]

#: Characters of an answer that an error shows.
_LIMIT = 200
#: Of a secret that is cut off where the answer ends, so many characters may be seen.
_HARMLESS = 2


def quote(data: bytes, proxies: Iterable[ProxyURL]) -> str:
    """`data` for people; neither the passwords of `proxies` nor a part of one at its end."""
    secrets = sorted({secret for proxy in proxies for secret in _secrets(proxy)}, key=len, reverse=True)
    text = _without(secrets, data).decode(errors="replace")
    if text.lstrip().startswith("<"):  # HTML, whose head would be all that is left
        text = html.unescape(re.sub(r"(?is)<(style|script)\b.*?(</\1>|$)|<[^>]*(>|$)", " ", text))
        text = _without(secrets, text.encode()).decode(errors="replace")
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return text if len(text) <= _LIMIT else text[:_LIMIT] + "..."


def _without(secrets: Iterable[bytes], data: bytes) -> bytes:
    """`secrets` are longest first: one may hold another one."""
    for secret in secrets:
        data = data.replace(secret, b"***")
    for secret in secrets:
        for length in range(len(secret) - 1, _HARMLESS, -1):
            if data.endswith(secret[:length]):
                return data[:-length] + b"***"
    return data


def _secrets(proxy: ProxyURL) -> set[bytes]:
    """The password of a proxy in all the ways in which it is sent, or repeated by those who mean well."""
    if not proxy.password:
        return set()
    password = proxy.password.encode("latin-1")
    pair = base64.b64encode(f"{proxy.username}:{proxy.password}".encode("latin-1"))
    quoted = urllib.parse.quote(password, safe="")
    forms = {password, pair, pair.rstrip(b"="), base64.b64encode(password)}
    forms |= {form.encode() for form in (quoted, re.sub("%..", lambda match: match[0].lower(), quoted))}
    forms |= {urllib.parse.quote(password).encode(), urllib.parse.quote_plus(password).encode()}
    forms |= {repr(password)[2:-1].encode(), password.decode("latin-1").encode()}
    return forms | {html.escape(form.decode("latin-1")).encode("latin-1") for form in (password, pair)}
