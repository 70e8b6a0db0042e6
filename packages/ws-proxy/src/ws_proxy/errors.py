"""What can go wrong with a proxy."""

from __future__ import annotations

from typing import Any

from ws_core import WSError

__all__ = ["WSProxyError"]


class WSProxyError(WSError):
    """
    A proxy refused, closed the connection or does not speak its protocol. No text in it shows a password.

    What the system reports (a refused connection, a name that does not resolve, a TLS failure) is raised as it is,
    with the proxy and the step in its text.
    """

    #: The proxy's URL, its password replaced.
    proxy: str
    #: What was being done: a part of a sentence, such as ``asking for example.org:443``.
    step: str
    #: The HTTP status or SOCKS reply code that the proxy answered; None if there was none.
    code: int | None

    def __init__(
        self, message: str, proxy: str, step: str, code: int | None = None, is_temporary: bool = False
    ) -> None:
        super().__init__(message)
        self.proxy = proxy
        self.step = step
        self.code = code
        self._is_temporary = is_temporary

    def __reduce__(self) -> tuple[Any, ...]:
        # So that it may cross to another process.
        return type(self), (str(self), self.proxy, self.step, self.code, self._is_temporary)

    @property
    def is_temporary(self) -> bool:
        """Whether it may go well later: the proxy has closed the connection, or could not reach the other end."""
        return self._is_temporary
