"""The fuzz targets in Python by name, with the words that mutations are made of."""

from __future__ import annotations

from collections.abc import Callable

import upgrade_targets
import url_targets

TARGETS: dict[str, Callable[[bytes], None]] = {
    "request": upgrade_targets.request,
    "response": upgrade_targets.response,
    "extensions": upgrade_targets.extensions,
    "url": url_targets.url,
    "proxy_url": url_targets.proxy_url,
    "no_proxy": url_targets.no_proxy,
}


def words(*lines: str) -> list[bytes]:
    """What stands between bars."""
    return [word.encode() for line in lines for word in line.split("|")]


BYTES = [b"\x7f", b"\xff", b"\xc3", *words('\0|\r|\n|\r\n|\r\n\r\n| |\t|,|:|=|;|"|\\|é')]
HTTP = BYTES + words(
    "GET |HEAD |POST |PRI * HTTP/2.0| HTTP/1.1| HTTP/1.0|HTTP/1.1 |RTSP/1.1|ICE/1.1|Host: h\r\n",
    "Connection: |Upgrade: |websocket|Upgrade|keep-alive|close|h2c|TLS/1.0|Origin: http://h|Location: ",
    f"Sec-WebSocket-Key: |{upgrade_targets.KEY}|Sec-WebSocket-Accept: |{upgrade_targets.ACCEPT.decode()}",
    "Sec-WebSocket-Version: |13|Sec-WebSocket-Protocol: a\r\n|Sec-WebSocket-Extensions: ",
    "Content-Length: |Transfer-Encoding: |chunked|identity|0\r\n\r\n|5\r\nhello\r\n|Trailer: x",
    "099 |100 Continue|101 |200 OK|302 Found|426 ",
)
URL = BYTES + words(
    "ws://|wss://|http://|https://|socks4://|socks5h://|//|/|?|#|@|%|*|.|[|]|..|/../",
    "user:pw@|[::1]|[::1%25eth0]|[::ffff:1.2.3.4]|[v1.a]|127.0.0.1|10.0.0.0/8|fd00::/8|example.com",
    ":80|:443|:0|:65536|:+1|%2e|%00|%0d%0a|%3a|%40|%C3%BC|%ff|xn--|xn--a",
    # Full width, ideographic, nothing, and a letter that is three: what IDNA makes something else of.
    "\uff0f|\uff0e|\uff11|\uff3d|\u3002|\u200d|\u00ad|\u2100|ß",
    f"{'a' * 63}|{'b' * 64}",
)
EXTENSIONS = BYTES + words('permessage-deflate|client_max_window_bits|; |"a b"|"\\""|15|a=b')

WORDS: dict[str, list[bytes]] = {
    "request": HTTP,
    "response": HTTP + URL,
    "extensions": EXTENSIONS,
    "url": URL,
    "proxy_url": URL,
    "no_proxy": URL,
}
