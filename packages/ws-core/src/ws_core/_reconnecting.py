"""reconnecting: a connection again and again, for as long as somebody asks for the next one (RFC 6455 section 7.2.3).

One connection at a time, each opened by ws_connect; when to try again, and after how long, is _retry.py.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ws_core._listener import WSListener
from ws_core._options import WSLoggerLike, check_function, resolve_logger
from ws_core._retry import Backoff, asked_pause_s, may_pass
from ws_core._transport import WSTransport
from ws_core.client import WSListenerFactory, ws_connect
from ws_core.errors import WSProtocolError
from ws_core.url import parse_url

__all__ = ["WSReconnecting", "reconnecting"]

#: What is no sensible number of seconds any more (some thirty years), and loops cannot wait for.
_LIMIT = 1e9
# Replaced by tests, which have no time to lose.
_clock = time.monotonic
_sleep = asyncio.sleep


def reconnecting(
    ws_listener_factory: WSListenerFactory[WSListener],
    url: str | Callable[[], str | Awaitable[str]],
    *,
    backoff_min: float = 1.0,
    backoff_max: float = 60.0,
    backoff_factor: float = 2.0,
    healthy_after: float = 10.0,
    max_attempts: int | None = None,
    retry: Callable[[Exception], bool | None] | None = None,
    logger_name: WSLoggerLike = None,
    **options: Any,
) -> WSReconnecting:
    """
    Open a WebSocket connection, and another one whenever it has ended: an async iterator of connected transports.

    ::

        async with reconnecting(Client, "wss://example.org/feed") as connections:
            async for transport in connections:
                transport.send(WSMsgType.TEXT, "subscribe")

    The body of the loop is given each new :class:`WSTransport`; the listener is ``transport.listener``. When the body
    ends, the iteration waits until that connection is gone, and then for a random pause, before it opens the next one.
    What the connection ended with stands in ``transport.disconnect_reason`` and is no error here, with one exception:
    what a callback has raised is raised by the iteration, unless it is a :class:`WSProtocolError`.

    An attempt that fails is repeated if it may go well later: after an OSError (a refused connection, a name that does
    not resolve, a reset), a time-out, an answer that is cut short or is not HTTP, and the HTTP statuses 408, 425, 429
    and 5xx. It is not repeated, and the iteration raises what ws_connect has raised, after any other refusal (401, 403,
    404, ...), after a certificate that is not valid, and after errors of the caller's (a wrong URL or option, a missing
    extension, an exception in the factory).

    :param ws_listener_factory: as for :func:`ws_connect`; called anew for each connection
    :param url: ws:// or wss://; or a plain or async function that returns one and is called before each attempt, for
        servers that take turns or for tokens that expire. An exception in it counts as a failed attempt
    :param backoff_min: seconds; the first pause is a random part of it. The ceiling grows with each pause
    :param backoff_max: seconds; the longest pause. The Retry-After of a refusal is kept to up to here
    :param backoff_factor: by how much the ceiling grows, 1 or more
    :param healthy_after: seconds; a connection that has lasted so long makes the pauses begin with backoff_min again
    :param max_attempts: so many attempts in a row may fail, then the error of the last one is raised. None: no limit
    :param retry: decides otherwise: called with the exception of a failed attempt, or with what a callback has raised.
        True: go on; False: raise it; None: as described above
    :param logger_name: as for :func:`ws_connect`, for each connection, too; None: ``ws_core.reconnecting`` for the one
        line at level INFO before each pause
    :param options: everything else that :func:`ws_connect` takes

    TypeError, ValueError, WSInvalidURL: an argument is wrong; `options` are looked at by the first attempt. The
    iteration is over when it has raised anything, or was cancelled: then nothing is left open, see
    :meth:`WSReconnecting.aclose`.
    """
    check_function("ws_listener_factory", ws_listener_factory)
    if not callable(url):
        parse_url(url)
    if retry is not None and not callable(retry):
        raise TypeError(f"retry must be callable or None, not {retry!r}")
    if max_attempts is not None:
        if isinstance(max_attempts, bool) or not isinstance(max_attempts, int):
            raise TypeError(f"max_attempts must be an int or None, not {max_attempts!r}")
        if max_attempts < 1:
            raise ValueError(f"max_attempts must be 1 or more, or None for no limit; it is {max_attempts}")
    _check_number("backoff_min", backoff_min, 0, "a number of seconds above 0")
    _check_number("backoff_max", backoff_max, 0, "a number of seconds above 0")
    if backoff_max < backoff_min:
        raise ValueError(f"backoff_max must not be less than backoff_min: {backoff_max!r} is less than {backoff_min!r}")
    _check_number("backoff_factor", backoff_factor, 1, "a number from 1 on", including=True)
    _check_number("healthy_after", healthy_after, 0, "a number of seconds from 0 on", including=True)
    return WSReconnecting(
        ws_listener_factory,
        url,
        Backoff(backoff_min, backoff_max, backoff_factor),
        healthy_after,
        max_attempts,
        retry,
        logger_name,
        options,
    )


def _check_number(name: str, value: float, least: float, what: str, *, including: bool = False) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be {what}, not {value!r}")
    if not (least < value <= _LIMIT or (including and value == least)):  # NaN is neither
        raise ValueError(f"{name} must be {what} (up to {_LIMIT:.0f}), it is {value!r}")


class WSReconnecting:
    """
    What :func:`reconnecting` returns: an async iterator of :class:`WSTransport`, for one task at a time.

    ``async with`` closes what is open at its end, and so does :meth:`aclose`. Without them, leaving a loop by ``break``
    leaves the connection open: it is the caller's then, and another ``async for`` goes on where this one has stopped.
    """

    def __init__(
        self,
        factory: WSListenerFactory[WSListener],
        url: str | Callable[[], str | Awaitable[str]],
        backoff: Backoff,
        healthy_after_s: float,
        max_attempts: int | None,
        retry: Callable[[Exception], bool | None] | None,
        logger_name: WSLoggerLike,
        options: dict[str, Any],
    ) -> None:
        self._factory = factory
        self._url = url
        self._backoff = backoff
        self._healthy_after_s = healthy_after_s
        self._max_attempts = max_attempts
        self._retry = retry
        self._logger = resolve_logger(logger_name, "reconnecting")
        self._options = {**options, "logger_name": logger_name}
        self._where = "the server" if callable(url) else _shown(url)
        #: The connection that was handed out last, and since when it is open.
        self._transport: WSTransport | None = None
        self._opened_at_s = 0.0
        #: Attempts that have failed since the last one that did not.
        self._failures = 0
        #: What __anext__ waits for. A task of its own, so that aclose() can end it and not the caller's task.
        self._step: asyncio.Task[WSTransport | None] | None = None
        self._over = False

    def __aiter__(self) -> WSReconnecting:
        return self

    async def __anext__(self) -> WSTransport:
        """
        Wait for the end of the current connection and open the next one.

        RuntimeError if another task waits here already. Cancelling it ends the iteration like :meth:`aclose`.
        """
        if self._step is not None:
            raise RuntimeError("another task waits for the next connection of this iterator already")
        if self._over:
            raise StopAsyncIteration
        step = self._step = asyncio.get_running_loop().create_task(self._next())
        try:
            # Not `await step`, which could not tell a caller who was cancelled from a step that was.
            await asyncio.wait({step})
            transport = None if self._over and step.cancelled() else step.result()
        except BaseException:
            await self.aclose()
            raise
        finally:
            self._step = None
        if transport is None or self._over:
            await self.aclose()  # aclose() may have been called when this connection was open already
            raise StopAsyncIteration
        return transport

    async def aclose(self) -> None:
        """
        End the iteration: close the connection by a closing handshake (see :meth:`WSTransport.close`), drop an attempt
        or a pause that is under way.

        May be called from any task of the loop, any number of times; an ``async for`` that waits ends normally. If it
        is cancelled, the connection is cut.
        """
        step, was_over = self._step, self._over
        self._over = True
        try:
            if step is not None:
                if not was_over:  # once: it may be tidying up
                    step.cancel()
                if step is not asyncio.current_task():
                    await asyncio.wait({step})
                    if not step.cancelled():
                        step.exception()  # looked at: asyncio has nothing to complain of
            if self._transport is not None:
                await self._transport.close()
        except asyncio.CancelledError:
            if self._transport is not None:
                self._transport.disconnect(graceful=False)
            raise

    async def __aenter__(self) -> WSReconnecting:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    # ------------------------------------------------------------- one step

    async def _next(self) -> WSTransport | None:
        """The next connection. None: aclose() was called meanwhile."""
        try:
            pause_s = None if self._transport is None else await self._see_out(self._transport)
            while not self._over:
                if pause_s is not None:
                    await _sleep(pause_s)
                try:
                    return await self._connect()
                except Exception as exc:
                    self._failures += 1
                    if not self._goes_on(exc, may_pass(exc)) or self._failures == self._max_attempts:
                        raise
                    what = f"attempt {self._failures} to connect to {self._where} failed: {_named(exc)}"
                    pause_s = self._announce(what, asked_pause_s(exc))
        except StopAsyncIteration as exc:  # somebody else's: it is not the end of this iteration
            raise RuntimeError("a callback, or the function that gives the URL, raised StopAsyncIteration") from exc
        return None

    async def _see_out(self, transport: WSTransport) -> float:
        """Wait for the end of a connection; returns how long to pause after it."""
        try:
            await transport.wait_disconnected()
        except Exception as exc:
            # A listener that raises will do so again; a peer that breaks the protocol may be another one next time.
            if not self._goes_on(exc, isinstance(exc, WSProtocolError)):
                raise
        self._transport = None
        if _clock() - self._opened_at_s >= self._healthy_after_s:
            self._backoff.reset()
        return self._announce(f"the connection to {self._where} has ended: {transport.disconnect_reason}")

    async def _connect(self) -> WSTransport:
        url = self._url
        if callable(url):
            made = url()
            url = await made if inspect.isawaitable(made) else made
            self._where = _shown(url)
        transport, _ = await ws_connect(self._factory, url, **self._options)
        self._transport = transport
        self._opened_at_s = _clock()
        self._failures = 0
        return transport

    def _goes_on(self, exc: Exception, by_default: bool) -> bool:
        decision = None if self._retry is None else self._retry(exc)
        return by_default if decision is None else bool(decision)

    def _announce(self, what: str, asked_s: float = 0.0) -> float:
        pause_s = self._backoff.next_pause_s(asked_s)
        # The peer's words may be in it: whatever they are, it stays one line.
        line = "".join(character if character.isprintable() else " " for character in what)
        self._logger.info("%s; connecting again in %.2f s", line, pause_s)
        return pause_s


def _shown(url: str) -> str:
    """A URL for the log: without what may be secret, which is all but the server's name."""
    parsed = parse_url(url)
    return f"{parsed.scheme}://{parsed.netloc}"


def _named(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
