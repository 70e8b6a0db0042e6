"""Extensions of the protocol itself, agreed on in the upgrade (RFC 6455 section 9).

`parse_extensions` and `format_extension` read and write Sec-WebSocket-Extensions; `Negotiation` lets the extensions of
one connection make their offers and judge the answers. Knows no sockets and no frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict

from ws_core.errors import WSHandshakeError, WSInvalidHeaderError
from ws_core.extension import ActiveExtension
from ws_core.upgrade import WSUpgradeRequest, WSUpgradeResponse

if TYPE_CHECKING:
    from ws_core._transport import WSTransport

__all__ = ["format_extension", "parse_extensions"]

_HEADER = "Sec-WebSocket-Extensions"
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(rf'\s*;\s*({_TOKEN})(?:\s*=\s*(?:({_TOKEN})|"((?:[^"\\]|\\.)*)"))?')
_NAME = re.compile(rf"\s*({_TOKEN})")
_END = re.compile(r"\s*(,|$)")


def parse_extensions(headers: CIMultiDict[str]) -> list[tuple[str, dict[str, str | None]]]:
    """
    The offers or the agreed extensions in all Sec-WebSocket-Extensions headers: names with parameters, in order.

    A parameter without a value is None. ValueError if a header does not follow the grammar of RFC 6455 section 9.1, or
    names a parameter twice.
    """
    found: list[tuple[str, dict[str, str | None]]] = []
    for value in headers.getall(_HEADER, []):
        at = 0
        while at < len(value):
            name = _NAME.match(value, at)
            if name is None:
                raise ValueError(f"header {_HEADER} is not a list of extensions: {value!r}")
            at = name.end()
            parameters: dict[str, str | None] = {}
            while (parameter := _PARAMETER.match(value, at)) is not None:
                key, token, quoted = parameter.groups()
                if key in parameters:
                    raise ValueError(f"header {_HEADER} names the parameter {key} twice: {value!r}")
                parameters[key] = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                at = parameter.end()
            end = _END.match(value, at)
            if end is None:
                raise ValueError(f"header {_HEADER} is not a list of extensions: {value!r}")
            at = end.end()
            found.append((name[1], parameters))
    return found


def format_extension(name: str, parameters: Mapping[str, str | int | None] | None = None) -> str:
    """One offer, as it stands in the header. ValueError for what is not a token (RFC 6455 section 9.1)."""
    parts = [name]
    tokens = [name]
    for key, value in (parameters or {}).items():
        parts.append(key if value is None else f"{key}={value}")
        tokens += [key] if value is None else [key, str(value)]
    for token in tokens:
        if not re.fullmatch(_TOKEN, token):
            raise ValueError(f"{token!r} cannot stand in a {_HEADER} header: it is not a token")
    return "; ".join(parts)


class Negotiation:
    """The upgrade of one connection, as its extensions see it. Internal."""

    def __init__(self, active: Iterable[ActiveExtension], is_client_side: bool) -> None:
        # A copy for each connection: an extension may keep there what it has agreed on.
        self._parts = [(each.extension, {**each.options, "is_client_side": is_client_side}) for each in active]
        #: Reserved bits that an extension owns now, as they stand in a frame's first byte.
        self.rsv: int = 0

    def offer(self, request: WSUpgradeRequest) -> None:
        """Client, before the request is sent."""
        for extension, options in self._parts:
            extension.offer(request, options)

    def accept(self, request: WSUpgradeRequest, response: WSUpgradeResponse, raw_header: bytes | None = None) -> None:
        """Both sides: what the extensions make of the answer. Raises whatever they raise, and for what cannot be."""
        owners: dict[int, Any] = {}
        for extension, options in self._parts:
            claimed = extension.accept(request, response, options)
            if not isinstance(claimed, Iterable):
                raise TypeError(
                    f"accept() of {extension!r} must return the reserved bits that it owns, not {claimed!r}"
                )
            for number in claimed:
                if not isinstance(number, int) or number not in (1, 2, 3):
                    raise ValueError(f"{extension!r} claims the reserved bit {number!r}: there are 1, 2 and 3")
                if number in owners:
                    raise WSHandshakeError(f"{owners[number]!r} and {extension!r} both claim reserved bit {number}")
                owners[number] = extension
                self.rsv |= 0x80 >> number
        if _HEADER in response.headers:
            self._check_agreed(request, response, raw_header)

    def _check_agreed(self, request: WSUpgradeRequest, response: WSUpgradeResponse, raw_header: bytes | None) -> None:
        value = ", ".join(response.headers.getall(_HEADER))

        def error(problem: str) -> WSInvalidHeaderError:
            text = f"header {_HEADER} of the server's answer is {value!r}: {problem}"
            return WSInvalidHeaderError(text, _HEADER, value, raw_header, None, response)

        try:
            agreed = {name for name, _ in parse_extensions(response.headers)}
        except ValueError as exc:
            raise error(str(exc)) from exc
        if not agreed <= {name for name, _ in parse_extensions(request.headers)}:
            raise error("it accepts what we did not offer")

    def attach(self, transport: WSTransport) -> None:
        """Attach the hooks of the connection, in order, before it opens. TypeError, ValueError: one that is no hook."""
        hooks = []
        for extension, options in self._parts:
            hook = extension.attach(transport, options)
            if hook is not None:
                hooks.append((extension, hook))
        for extension, hook in hooks:
            try:
                transport.add_hook(hook)
            except (TypeError, ValueError) as exc:
                raise type(exc)(f"what attach() of {extension!r} returned cannot be attached: {exc}") from exc
