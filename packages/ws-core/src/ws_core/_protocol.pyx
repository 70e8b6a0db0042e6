# WSProtocol: what the event loop talks to, and the life of a connection.
#
# How bytes become callbacks is _receiver.pyx, from which it derives. HTTP is
# not known here: until the upgrade is done, bytes go to a handshake object
# (client.py, server.py), which calls opened() at its end.

cimport cython
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.time cimport monotonic
from ws_core._hooks cimport HookChain
from ws_core._listener cimport WSListener
from ws_core._receiver cimport HANDSHAKE, LOST, OPEN, Receiver
from ws_core._socket cimport SocketTransport
from ws_core._transport cimport WSTransport

import asyncio
import sys

from ws_core._tuning import tune
from ws_core.closing import WSDisconnectKind

# Transports whose socket we may write to ourselves, beside them: they own a plain
# stream socket, keep it open until connection_lost, and an empty
# get_write_buffer_size() means that nothing waits. Not uvloop's own: loop.close()
# closes its descriptors without connection_lost, and then they are somebody else's.
cdef tuple _DIRECT_MODULES = ("asyncio.selector_events", "aiofastnet.selector_transport")

# asyncio's TLS transport until Python 3.10 calls itself unclosed when its peer closed it.
cdef bint _TLS_WANTS_CLOSE = sys.version_info < (3, 11)


@cython.no_gc_clear
cdef class WSProtocol(Receiver, asyncio.BufferedProtocol):
    """
    What the event loop talks to. Internal.

    `handshake` has ``connection_made(protocol, transport)``, ``data_received(bytes)``, ``eof_received()`` and
    ``connection_lost(exc)``, and calls :meth:`opened` when the upgrade is done.
    """

    def __cinit__(self):
        self.watched = -1

    # ------------------------------------------------------------------ the loop's calls

    def connection_made(self, underlying):
        cdef WSTransport transport
        cdef int fd = -1
        if self.transport is not None or self.handshake is None or self.state != HANDSHAKE:
            raise RuntimeError("a WSProtocol serves one connection")
        transport = <WSTransport>WSTransport.__new__(WSTransport)
        transport.config = self.config
        transport.shared = self.shared
        transport.thread_id = PyThread_get_thread_ident()
        transport.underlying_transport = underlying
        transport.is_client_side = self.config.is_client_side
        transport.wr_fd = -1
        transport.wr_cork = 1    # until opened(): what an extension's attach() sends stays behind the upgrade
        transport.wr_backlogged = True    # the handshake writes past us: look before the first send
        transport.last_data_time = monotonic()
        if isinstance(underlying, SocketTransport):
            transport.wr_fd = fd = (<SocketTransport>underlying).fd
        else:
            # Elsewhere writelines() joins its parts, or forgets to pause its protocol (CPython gh-127655).
            transport.wr_in_parts = type(underlying).__module__.startswith("uvloop.")
            self.over_tls = transport.is_secure = underlying.get_extra_info("sslcontext") is not None
            sock = underlying.get_extra_info("socket")
            if sock is not None:
                tune(sock)
                fd = sock.fileno()
                if not self.over_tls and type(underlying).__module__ in _DIRECT_MODULES:
                    transport.wr_fd = fd
        if self.config.resets is not None and fd >= 0:
            self.watched = self.config.resets.add(underlying, fd)
        self.transport = transport
        self.handshake.connection_made(self, underlying)

    def eof_received(self):
        cdef WSTransport transport = self.transport
        if self.state == HANDSHAKE and self.handshake is not None:
            self.handshake.eof_received()
        elif self.state == OPEN and transport is not None:
            transport.set_reason(WSDisconnectKind.PEER, "the peer ended the stream without a CLOSE frame", None)
            transport.flush()    # the peer may still read
            transport.wr_closed = True
            transport.linger()
        return False    # the transport sends what waits and closes itself

    def connection_lost(self, exc):
        cdef WSTransport transport = self.transport
        was_open = self.listener is not None
        if self.state == LOST or transport is None:
            return
        self.state = LOST
        transport.lost()
        if self.watched >= 0:
            self.config.resets.remove(self.watched)
        if exc is not None:
            transport.set_reason(WSDisconnectKind.NETWORK_ERROR, f"{type(exc).__name__}: {exc}", exc)
        elif self.over_tls:
            # A TLS stream that is cut without close_notify: not every TLS layer reports that as its end.
            transport.set_reason(WSDisconnectKind.PEER, "the peer ended the TLS stream without a CLOSE frame", None)
        else:
            transport.set_reason(WSDisconnectKind.LOCAL, "the underlying transport was closed", None)
        if _TLS_WANTS_CLOSE and self.over_tls:
            transport.underlying_transport.close()
        if self.config.debug is not None:
            self.config.debug("%r: %s", transport, transport.disconnect_reason)
        try:
            if was_open:
                self.tell_the_end(transport)
        finally:
            # The listener often holds the transport, and loops keep protocols: let go of each other here.
            handshake = self.handshake
            self.end()
            transport.set_listener(None)
            transport.hooks = None
            transport.finished = True
            if transport.lost_waiter is not None and not transport.lost_waiter.done():
                transport.lost_waiter.set_result(None)
            if handshake is not None:
                handshake.connection_lost(transport, exc)

    cdef int tell_the_end(self, WSTransport transport) except -1:
        """The last callbacks. Whatever one of them raises, the others are called."""
        cdef HookChain hooks = transport.hooks
        cdef WSListener listener = self.listener
        try:
            if hooks is not None:
                try:
                    hooks.on_close(transport)
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException as error:
                    transport.callback_error(error, "a hook's on_close")
        finally:
            try:
                listener.on_ws_disconnected(transport)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                transport.callback_error(error, "on_ws_disconnected")
        return 0

    def pause_writing(self):
        cdef WSTransport transport = self.transport
        cdef WSListener listener = self.listener    # held: the connection may be lost meanwhile, and lets go of it
        if transport is None:
            return
        transport.wr_paused = True
        if listener is None or transport.wr_closed:
            return
        try:
            listener.pause_writing()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            transport.callback_error(exc, "pause_writing")

    def resume_writing(self):
        cdef WSTransport transport = self.transport
        cdef WSListener listener = self.listener
        if transport is None:
            return
        transport.wr_paused = False
        if self.pong_owed is not None:
            self.pay_pong(transport)
        transport.wake_drain_waiters(None)
        if listener is None or transport.wr_closed:
            return
        try:
            listener.resume_writing()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            transport.callback_error(exc, "resume_writing")

    def is_buffered_protocol(self):
        """aiofastnet asks."""
        return True

    # ------------------------------------------------------------------ for the handshake

    def opened(self, listener, request, response, subprotocol, bytes tail, *, is_secure=None, int rsv=0):
        """
        The upgrade is done. `response`: None for the usual answer to `request` (upgrade.py). `tail`: what came behind
        it. `is_secure`: whether the URL says so; None: as the transport is, which may be TLS to a proxy. `rsv`:
        reserved bits that negotiated extensions own, as in a frame's first byte.
        """
        cdef WSTransport transport = self.transport
        if self.state != HANDSHAKE or transport is None:
            raise RuntimeError("the connection is open or gone, or was not made yet")
        if not isinstance(listener, WSListener):
            raise TypeError(f"a listener must derive from WSListener, {listener!r} does not")
        transport.set_listener(listener)
        transport.request = request
        transport._response = response
        transport.subprotocol = subprotocol
        if is_secure is not None:
            transport.is_secure = is_secure
        try:
            self.tell_the_begin(transport, rsv)
        except BaseException as exc:
            # KeyboardInterrupt and its like: `tail` is lost, and with it the place in the stream.
            transport.set_reason(WSDisconnectKind.CALLBACK_ERROR, f"a callback raised {type(exc).__name__}", exc)
            transport.disconnect(graceful=False)
            raise
        if tail and self.state == OPEN:
            self.feed(tail)

    cdef int tell_the_begin(self, WSTransport transport, int rsv) except -1:
        """The first callbacks."""
        cdef HookChain chain
        cdef WSListener listener = transport.listener
        try:
            self.begin(listener, rsv)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            transport.callback_error(exc, "looking up the listener's methods")
        transport.uncork()
        try:
            if transport.hooks is not None:
                chain = transport.hooks
                chain.on_open(transport)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            transport.callback_error(exc, "a hook's on_open")
        if self.state == LOST:    # on_open may do anything: the listener was told of the end already
            return 0
        try:
            listener.on_ws_connected(transport)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            transport.callback_error(exc, "on_ws_connected")
        return 0
