"""The numbers of RFC 6455 that users compare with, as IntEnums."""

from __future__ import annotations

from enum import Enum, EnumMeta, IntEnum
from typing import TypeVar

__all__ = ["WSAutoPingStrategy", "WSCloseCode", "WSMsgType"]

E = TypeVar("E", bound=type[Enum])


class FastEnumMeta(EnumMeta):
    """Internal: enums whose members are found as fast as any attribute of a class, by _frame.pyx."""


def _members_in_class_dict(enum: E) -> E:
    """Make ``Enum.MEMBER`` an ordinary class attribute: until Python 3.12 it is a descriptor, written in Python."""
    for name, member in enum.__members__.items():
        type.__setattr__(enum, name, member)
    return enum


@_members_in_class_dict
class WSMsgType(IntEnum, metaclass=FastEnumMeta):
    """Frame opcodes (RFC 6455 section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


@_members_in_class_dict
class WSCloseCode(IntEnum, metaclass=FastEnumMeta):
    """Status codes of a CLOSE frame (RFC 6455 section 7.4).

    ``NO_INFO`` stands for a CLOSE without a status code and is never put on
    the wire; neither is ``ABNORMAL_CLOSURE``.
    """

    NO_INFO = 0
    OK = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    ABNORMAL_CLOSURE = 1006
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


@_members_in_class_dict
class WSAutoPingStrategy(IntEnum, metaclass=FastEnumMeta):
    """When ws-autoping sends its pings."""

    PING_WHEN_IDLE = 1
    PING_PERIODICALLY = 2
