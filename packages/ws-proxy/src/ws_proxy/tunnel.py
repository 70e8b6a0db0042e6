"""Through one proxy after the other to an endpoint, and what to say where that fails.

SOCKS and CONNECT themselves are python-socks'; each of its Proxy objects is
given a stream that is open already, by its `forward` argument. Errors are made
from what it raises, outside of the except blocks: so neither their text nor
their __cause__ or __context__ shows what python-socks knew.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Sequence
from typing import Any, cast

from python_socks import ProxyError, ProxyTimeoutError, ProxyType
from python_socks.async_.asyncio.v2 import Proxy

from ws_core import WSParsedURL
from ws_proxy.errors import WSProxyError
from ws_proxy.quoting import quote
from ws_proxy.stream import Connector, Stream, StreamClosed, StreamError
from ws_proxy.url import ProxyURL

__all__ = ["open_tunnel"]

_TYPES = {
    "http": ProxyType.HTTP,
    "https": ProxyType.HTTP,
    "socks4": ProxyType.SOCKS4,
    "socks4a": ProxyType.SOCKS4,
    "socks5": ProxyType.SOCKS5,
    "socks5h": ProxyType.SOCKS5,
}
# python-socks has a time-out of its own, of 60 seconds; here the handshake's is the one that counts.
_NO_LIMIT_S = 365 * 86400.0
_NAME_LIMIT = 255  # bytes; RFC 1928 section 5


class _Progress:
    """Where a tunnel has got to."""

    def __init__(self, proxy: ProxyURL) -> None:
        self.proxy = proxy
        self.step = "connecting to it"
        # Between our question and its answer: what goes wrong here that nobody has foreseen is in the answer.
        self.asking = False


class _Opened:
    """Stands where python-socks expects the proxy before: it connects by handing out what is connected."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def connect(self, dest_host: str, dest_port: int) -> Stream:
        return self._stream


async def open_tunnel(
    proxies: Sequence[ProxyURL], endpoint: WSParsedURL, connector: Connector, ssl_context: ssl.SSLContext | None
) -> asyncio.Transport:
    """
    A transport to `endpoint` through all of `proxies`, the first of which is connected to. Paused, and nothing of it
    is read.

    :param ssl_context: for https:// proxies; None: the standard library's default context

    WSProxyError, or OSError with the proxy named in its text. Nothing is left open if it raises or is cancelled.
    """
    stream = Stream()
    progress = _Progress(proxies[0])
    problem: Exception | None = None
    try:
        return await _dig(stream, progress, proxies, endpoint, connector, ssl_context)
    except asyncio.CancelledError as exc:
        stream.abort()
        # It becomes the __cause__ of the TimeoutError, whose own text core does not know.
        if not exc.args:
            exc.args = (f"proxy {progress.proxy}: while {progress.step}",)
        # Without the frames below, whose variables hold the password: some log those, too.
        raise exc.with_traceback(None) from None
    except BaseException as exc:
        stream.abort()
        problem = _explain(exc, progress, proxies, stream.refusal_body)
        if problem is None:
            raise
    raise problem


async def _dig(
    stream: Stream,
    progress: _Progress,
    proxies: Sequence[ProxyURL],
    endpoint: WSParsedURL,
    connector: Connector,
    ssl_context: ssl.SSLContext | None,
) -> asyncio.Transport:
    targets = [(proxy.host, proxy.port) for proxy in proxies[1:]] + [(endpoint.host, endpoint.port)]
    await stream.open(connector, proxies[0].as_parsed_url())
    for proxy, (host, port) in zip(proxies, targets, strict=True):
        progress.proxy = proxy
        if proxy.scheme == "https":
            progress.step = "starting TLS with it"
            await stream.start_tls(connector, ssl_context or ssl.create_default_context(), proxy.host)
        progress.step = f"asking it for {f'[{host}]' if ':' in host else host}:{port}"
        if proxy.scheme == "socks4" and _is_ipv6(host):
            raise StreamError("cannot do that: SOCKS4 knows no IPv6 addresses")
        if proxy.scheme.startswith("socks5") and len(host) > _NAME_LIMIT:
            raise StreamError(f"cannot do that: SOCKS5 knows no names of more than {_NAME_LIMIT} bytes")
        progress.asking = True
        await Proxy(
            proxy_type=_TYPES[proxy.scheme],
            host=proxy.host,
            port=proxy.port,
            username=proxy.username,
            password=proxy.password,
            # Names are the proxy's to resolve. socks4:// alone has no way to say one.
            rdns=proxy.scheme != "socks4",
            forward=cast("Any", _Opened(stream)),
        ).connect(host, port, timeout=_NO_LIMIT_S)
        progress.asking = False
    return stream.hand_over()


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _explain(exc: BaseException, progress: _Progress, proxies: Sequence[ProxyURL], body: bytes) -> Exception | None:
    """The error to raise for `exc`: it names the proxy and the step, and shows no password. None: `exc` itself, which
    comes from the user's socket_factory or from outside."""
    proxy, step = progress.proxy, progress.step
    before = f"proxy {proxy}: {step}: "
    if isinstance(exc, ProxyTimeoutError) and isinstance(exc.__cause__, OSError):
        exc = exc.__cause__  # the system's, which python-socks takes for its own
    if isinstance(exc, OSError):
        return _named(exc, before)
    if isinstance(exc, ProxyError):
        said = quote(str(exc).encode(errors="surrogateescape"), proxies)
        code = None if exc.error_code is None else int(exc.error_code)
        if proxy.scheme.startswith("http"):
            text = quote(body, proxies)
            said += f" ({text})" if text else ""
        elif code is not None:
            said += f" (reply code {code})"
        verb = "answered" if code is None else "refused"  # the former is a wrong password as well as nonsense
        return WSProxyError(f"{before}it {verb}: {said}", str(proxy), step, code, _may_pass(proxy, code))
    if isinstance(exc, StreamError):
        text = f"{before}it {exc}" + (f": {quote(exc.sent, proxies)!r}" if exc.sent else "")
        return WSProxyError(text, str(proxy), step, is_temporary=isinstance(exc, StreamClosed))
    if not progress.asking or not isinstance(exc, Exception):
        return None
    # What python-socks trips over in a broken answer; its text may quote anything.
    return WSProxyError(f"{before}its answer makes no sense ({type(exc).__name__})", str(proxy), step)


def _may_pass(proxy: ProxyURL, code: int | None) -> bool:
    """Whether a refusal may be about the state of the network, and not about who asks for what."""
    if code is None:
        return False
    if proxy.scheme.startswith("http"):
        return code >= 500 or code in (408, 425, 429)
    # SOCKS5: failure, network or host unreachable, connection refused, TTL expired. SOCKS4 has one code for everything.
    return code in (1, 3, 4, 5, 6) if proxy.scheme.startswith("socks5") else code == 0x5B


def _named(exc: OSError, before: str) -> OSError:
    """The same error with the proxy in its text. What the system reports is not wrapped."""
    text = before + (exc.strerror or str(exc) or type(exc).__name__)
    try:
        named = type(exc)(text) if exc.errno is None else type(exc)(exc.errno, text)
    except TypeError:  # a class of somebody's own
        named = OSError(exc.errno, text)
    for name in ("library", "reason", "verify_code", "verify_message"):  # of ssl.SSLError
        if hasattr(exc, name):
            setattr(named, name, getattr(exc, name))
    return named
