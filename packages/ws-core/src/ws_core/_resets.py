"""Connections that the peer has reset, on an event loop that tells a reader so only once.

uvloop watches descriptors by libuv's uv_poll, which takes one off its epoll set at the first EPOLLERR and calls the
reader a last time. A reader that takes one buffer at each call, as aiofastnet's transports do, gets what came before
the RST, never the RST: the connection would stay open for ever (seen with uvloop 0.23 and aiofastnet 1.2.0).

So there is an epoll set of our own beside the loop's, which wakes up for errors only: a connection without one costs
nothing but its registration. A connection that has one is made to read again and again, until it has ended.
"""

from __future__ import annotations

import asyncio
import select
import weakref
from weakref import WeakKeyDictionary

#: Seconds between two reads of a connection that was reset.
VISIT_S = 0.01


class ResetWatch:
    """The watch of one event loop."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, asyncio.Transport] = {}
        self._broken: dict[int, asyncio.Transport] = {}
        self._visiting = False
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._woken)

    def add(self, transport: asyncio.Transport, fd: int) -> int:
        """Watch a connection. Returns what :meth:`remove` wants, or -1 if there is nothing to watch."""
        if not type(transport).__module__.startswith(("aiofastnet.", "ws_core.")):
            return -1
        try:
            # Errors and hang-ups are always reported; edge-triggered, that is once each.
            self._epoll.register(fd, select.EPOLLET)
        except FileExistsError:
            pass  # the same socket, again
        except OSError:
            return -1
        self._watched[fd] = transport
        return fd

    def remove(self, fd: int) -> None:
        """The connection has ended, its socket is about to be closed: the kernel forgets it then."""
        self._watched.pop(fd, None)

    def _woken(self) -> None:
        for fd, events in self._epoll.poll(0):
            transport = self._watched.get(fd)
            if events & select.EPOLLERR and transport is not None:
                self._broken[fd] = transport
        if self._broken and not self._visiting:
            self._visiting = True
            asyncio.get_running_loop().call_later(VISIT_S, self._visit)

    def _visit(self) -> None:
        for fd, transport in list(self._broken.items()):
            if self._watched.get(fd) is not transport:
                del self._broken[fd]  # it has ended
            elif transport.is_closing():
                transport.abort()  # nothing that it waits for can come
            elif transport.is_reading():
                transport.pause_reading()
                transport.resume_reading()
        self._visiting = bool(self._broken)
        if self._visiting:
            asyncio.get_running_loop().call_later(VISIT_S, self._visit)


# A watch is kept by its connections and by the loop's reader, not from here: its connections know the loop, and a loop
# that was closed under them would stay for good.
_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[ResetWatch]] = WeakKeyDictionary()


def reset_watch() -> ResetWatch | None:
    """The watch of the running loop, if it is one that needs it."""
    loop = asyncio.get_running_loop()
    if not type(loop).__module__.startswith("uvloop") or not hasattr(select, "epoll"):
        return None
    reference = _watches.get(loop)
    watch = None if reference is None else reference()
    if watch is None:
        watch = ResetWatch()
        _watches[loop] = weakref.ref(watch)
    return watch
