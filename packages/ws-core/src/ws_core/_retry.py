"""When to connect again, and after how long (RFC 6455 section 7.2.3): what may pass by itself, and backoff with jitter.

Knows errors and seconds, no connections: those are _reconnecting.py.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import ssl
import time

from ws_core.errors import WSError, WSInvalidStatusError

# Not the module's own generator: a program that seeds it would send all its instances back at the same moments.
_uniform = random.SystemRandom().uniform


def may_pass(exc: Exception) -> bool:
    """Whether an attempt that failed with `exc` may go well later, without anybody changing anything on this side."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return False  # an OSError like the others, but who speaks there is not who should
    if isinstance(exc, WSError):
        return exc.is_temporary
    return isinstance(exc, (OSError, asyncio.TimeoutError))


def asked_pause_s(exc: Exception) -> float:
    """The seconds that a refusal asks to wait by Retry-After (RFC 9110 section 10.2.3); 0 if it does not."""
    response = exc.response if isinstance(exc, WSInvalidStatusError) else None
    value = None if response is None else response.headers.get("Retry-After")
    if response is None or value is None:
        return 0.0
    if value.isascii() and value.isdigit():
        return float(value)
    then = _timestamp(value)
    if then is None:
        return 0.0
    # By the server's clock, where it says what time it has: ours may be wrong.
    now = _timestamp(response.headers.get("Date", ""))
    return max(0.0, then - (time.time() if now is None else now))


def _timestamp(date: str) -> float | None:
    """Of an HTTP date; None if it is none."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


class Backoff:
    """
    Pauses between attempts, in seconds: each is a random part of a ceiling that grows from pause to pause.

    From 0 to the ceiling ("full jitter"), so that the clients of a server that fails do not come back together.
    """

    def __init__(self, least_s: float, cap_s: float, factor: float) -> None:
        self._least_s = least_s
        self._cap_s = cap_s
        self._factor = factor
        self._ceiling_s = least_s

    def reset(self) -> None:
        """Begin again with the shortest pauses."""
        self._ceiling_s = self._least_s

    def next_pause_s(self, asked_s: float = 0.0) -> float:
        """The next pause: not less than `asked_s`, as far as the cap allows."""
        jitter_s = _uniform(0.0, self._ceiling_s)
        self._ceiling_s = min(self._cap_s, self._ceiling_s * self._factor)
        return min(self._cap_s, asked_s + jitter_s)
