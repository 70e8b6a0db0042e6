"""How a connection ended: what stands in its CLOSE frames, and who ended it and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ws_core.enums import WSCloseCode

__all__ = ["WSCloseHandshake", "WSCloseInfo", "WSDisconnectKind", "WSDisconnectReason"]


class WSCloseInfo(NamedTuple):
    """The body of a CLOSE frame (RFC 6455 section 5.5.1)."""

    #: ``NO_INFO`` if the frame had no code; an int where no name stands for it.
    code: WSCloseCode | int
    #: None if the frame had none.
    reason: str | None


@dataclass
class WSCloseHandshake:
    """The closing handshake as far as it has come (RFC 6455 section 7.1.2)."""

    #: The first CLOSE that the peer sent.
    recv: WSCloseInfo | None = None
    #: The CLOSE that we sent.
    sent: WSCloseInfo | None = None
    #: Whether the peer began.
    recv_then_sent: bool = False


class WSDisconnectKind(Enum):
    """Who, or what, ended a connection."""

    #: disconnect() or close() was called on this side, or the loop's transport was closed, where it is not TLS: of the
    #: end of a TLS stream nobody can say who began, so it is the peer's.
    LOCAL = "local"
    #: The peer closed: with a CLOSE frame, or by ending the stream.
    PEER = "peer"
    #: The peer did not answer in time: the closing handshake, or a keepalive.
    TIMEOUT = "timeout"
    #: The peer broke RFC 6455 or a limit.
    PROTOCOL_ERROR = "protocol error"
    #: A callback of the listener, or of a hook, raised.
    CALLBACK_ERROR = "callback error"
    #: The network or the TLS layer failed.
    NETWORK_ERROR = "network error"


@dataclass(frozen=True)
class WSDisconnectReason:
    """Who ended a connection and why. The first cause counts; what follows from it does not change it."""

    kind: WSDisconnectKind
    #: A sentence for a person.
    message: str
    #: What was raised, where something was.
    exception: BaseException | None = None

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.message}"
