"""What can go wrong that is WebSocket's own. System errors (ConnectionResetError, ssl.SSLError) are not wrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ws_core.upgrade import WSUpgradeResponse

__all__ = [
    "WSError",
    "WSHandshakeError",
    "WSInvalidHeaderError",
    "WSInvalidMessageError",
    "WSInvalidStatusError",
    "WSInvalidURL",
    "WSInvalidUpgradeError",
    "WSMissingExtension",
    "WSProtocolError",
]


class WSError(Exception):
    """Base of all errors that are specific to WebSocket."""

    @property
    def is_temporary(self) -> bool:
        """Whether the same may go well later with nothing changed on this side: :func:`reconnecting` goes by it."""
        return False


class WSHandshakeError(WSError):
    """The upgrade failed. What the server answered stands in the attributes, as far as it came."""

    #: Status line and headers as received; None if there was no answer.
    raw_header: bytes | None
    #: The answer's body, up to its length or 64 KiB: servers say there why they refuse.
    raw_body: bytes | None
    #: The parsed answer; None if it could not be parsed.
    response: WSUpgradeResponse | None

    def __init__(
        self,
        description: str,
        raw_header: bytes | None = None,
        raw_body: bytes | None = None,
        response: WSUpgradeResponse | None = None,
    ) -> None:
        super().__init__(description)
        self.raw_header = raw_header
        self.raw_body = raw_body
        self.response = response


class WSInvalidMessageError(WSHandshakeError):
    """The answer is not HTTP, too large, or ends too early."""

    @property
    def is_temporary(self) -> bool:
        """True: so answers what is just being started, or is going down."""
        return True


class WSInvalidStatusError(WSHandshakeError):
    """The server answered with a status other than 101."""

    @property
    def is_temporary(self) -> bool:
        """For 408, 425, 429 and 5xx: the others mean this request, and will mean it again."""
        return self.response is not None and (self.response.status >= 500 or self.response.status in (408, 425, 429))


class WSInvalidHeaderError(WSHandshakeError):
    """A header of the answer is missing or wrong."""

    #: The header's name.
    name: str
    #: Its value; None if it is missing.
    value: str | None

    def __init__(
        self,
        description: str,
        name: str,
        value: str | None = None,
        raw_header: bytes | None = None,
        raw_body: bytes | None = None,
        response: WSUpgradeResponse | None = None,
    ) -> None:
        super().__init__(description, raw_header, raw_body, response)
        self.name = name
        self.value = value


class WSInvalidUpgradeError(WSInvalidHeaderError):
    """The Upgrade or Connection header of the answer is missing or wrong."""


class WSProtocolError(WSError):
    """
    The peer broke RFC 6455 or a limit; raised by ``transport.wait_disconnected()`` of a client.

    A listener may raise it in any callback to choose code and reason of the CLOSE frame that ends the connection.
    """

    #: A WSCloseCode, or 3000 to 4999.
    code: int
    #: What was wrong; the reason in the CLOSE frame.
    message: str

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    @property
    def is_temporary(self) -> bool:
        """True: the next connection may lead to a peer that keeps to it."""
        return True

    def __str__(self) -> str:
        return str(self.args[1])


class WSInvalidURL(WSError):
    """The URL is not a WebSocket URL (RFC 6455 section 3). A password in it is not shown."""

    #: The URL, its password replaced.
    url: str

    def __init__(self, url: str, message: str) -> None:
        super().__init__(f"{url} is not a valid URL: {message}")
        self.url = url


class WSMissingExtension(WSError):
    """An option, or a method, comes with a distribution that is not installed."""

    def __init__(self, what: str, distribution: str, extra: str) -> None:
        super().__init__(f"{what} comes with {distribution}: pip install 'wirelark-ws-core[{extra}]'")
        #: The distribution that gives it.
        self.distribution = distribution
