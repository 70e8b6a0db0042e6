# WSProtocol: the receive side of a connection and its life.
#
# The event loop asks for room (get_buffer) and says how much came
# (buffer_updated). One pass over what arrived: the reader checks and unmasks
# in place, a WSFrame points into the buffer, hooks and the listener are
# called. No copy, no queue, no task. What was valid before an error is
# delivered before the error acts. A half frame moves to a buffer of the
# connection's own, which grows with what has arrived and goes with the frame.
#
# A callback may do anything meanwhile: disconnect, drop the last reference to
# the transport, run the collector, close the loop. Whatever is needed after a
# callback is held by a local variable or asked for again.
#
# HTTP is not known here: until the upgrade is done, bytes go to a handshake
# object (client.py, server.py), which calls opened() at its end.

cimport cython
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.time cimport monotonic
from libc.string cimport memcpy
from ws_core._buffer cimport new_block
from ws_core._frame cimport new_frame
from ws_core._hooks cimport HookChain
from ws_core._listener cimport CALL_PYTHON, CALL_VTABLE, how_to_call
from ws_core._wire cimport (
    WL_BIT_FIN, WL_ERROR, WL_FRAME, WL_OP_CLOSE, WL_OP_PING, WL_OP_PONG, WL_OPCODE_CONTROL, WL_OPCODE_MASK,
    wl_error, wl_error_close_code, wl_error_text, wl_mask_init, wl_reader_init, wl_reader_next,
)

import asyncio
import sys


from ws_core._tuning import tune
from ws_core.closing import WSDisconnectKind
from ws_core.enums import WSCloseCode
from ws_core.errors import WSProtocolError

wl_mask_init()

# Transports whose socket we may write to ourselves, beside them: they own a plain
# stream socket, keep it open until connection_lost, and an empty
# get_write_buffer_size() means that nothing waits. Not uvloop's own: loop.close()
# closes its descriptors without connection_lost, and then they are somebody else's.
cdef tuple _DIRECT_MODULES = ("asyncio.selector_events", "aiofastnet.selector_transport")

# asyncio's TLS transport until Python 3.10 calls itself unclosed when its peer closed it.
cdef bint _TLS_WANTS_CLOSE = sys.version_info < (3, 11)

cdef enum:
    OWN_LEAST = 256    # bytes


cdef class WSProtocolBase:
    """asyncio looks for BufferedProtocol among the bases; a cdef class cannot have a Python class as its first one."""


@cython.no_gc_clear
cdef class WSProtocol(WSProtocolBase, asyncio.BufferedProtocol):
    """
    What the event loop talks to. Internal.

    `handshake` has ``connection_made(protocol, transport)``, ``data_received(bytes)``, ``eof_received()`` and
    ``connection_lost(exc)``, and calls :meth:`opened` when the upgrade is done.
    """

    # __cinit__, not __init__: an object without its config must not exist, whoever makes it.
    def __cinit__(self, Config config not None, handshake):
        self.config = config
        self.shared = config.shared
        self.handshake = handshake
        self.watched = -1

    # ------------------------------------------------------------------ the loop's calls

    def connection_made(self, underlying):
        cdef WSTransport transport
        if self.transport is not None or self.handshake is None or self.state != HANDSHAKE:
            raise RuntimeError("a WSProtocol serves one connection")
        sock = underlying.get_extra_info("socket")
        transport = <WSTransport>WSTransport.__new__(WSTransport)
        transport.config = self.config
        transport.shared = self.shared
        transport.thread_id = PyThread_get_thread_ident()
        transport.underlying_transport = underlying
        transport.is_client_side = self.config.is_client_side
        transport.is_secure = underlying.get_extra_info("sslcontext") is not None
        transport.wr_fd = -1
        transport.wr_backlogged = True    # the handshake writes past us: look before the first send
        transport.last_data_time = monotonic()
        if sock is not None:
            tune(sock)
            if not transport.is_secure and type(underlying).__module__ in _DIRECT_MODULES:
                transport.wr_fd = sock.fileno()
            if self.config.resets is not None:
                self.watched = self.config.resets.add(underlying, sock)
        self.transport = transport
        self.handshake.connection_made(self, underlying)

    def get_buffer(self, Py_ssize_t sizehint):
        if self.rd_own is not None and not self.in_batch:
            return self.rd_own_view
        self.shared.ask_room(<void *>self)
        return self.shared.rd_view

    def buffer_updated(self, Py_ssize_t nbytes):
        cdef Block block
        if nbytes <= 0:
            if nbytes < 0:
                raise ValueError("nbytes must not be negative")
            return
        if self.transport is None:
            if self.state == LOST:
                return
            raise RuntimeError("buffer_updated() was called before connection_made()")
        if self.in_batch:
            # asyncio's TLS reads on inside close(); what comes then is thrown away.
            if self.transport.wr_closed or self.transport.underlying_transport.is_closing():
                self.shared.rd_reader = NULL
                return
            raise RuntimeError("buffer_updated() was called while the frames of the last one are dispatched")
        block = self.rd_own
        self.in_batch = True
        try:
            if block is not None:
                if nbytes > block.size - self.rd_own_used:
                    raise ValueError("more bytes are reported than there was room for")
                nbytes += self.rd_own_used
                self.rd_own_used = nbytes
                self.receive(block, block.data, nbytes)
                if self.rd_own is not block:
                    self.shared.give_block(block)
            else:
                block = self.shared.begin_batch(<void *>self, nbytes)
                try:
                    self.receive(block, block.data + self.shared.rd_start, nbytes)
                finally:
                    self.shared.end_batch(block, nbytes)
        finally:
            self.in_batch = False

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
        elif transport.is_secure:
            # A TLS stream that is cut without close_notify: not every TLS layer reports that as its end.
            transport.set_reason(WSDisconnectKind.PEER, "the peer ended the TLS stream without a CLOSE frame", None)
        else:
            transport.set_reason(WSDisconnectKind.LOCAL, "the underlying transport was closed", None)
        if _TLS_WANTS_CLOSE and transport.is_secure:
            transport.underlying_transport.close()
        if self.config.debug is not None:
            self.config.debug("%r: %s", transport, transport.disconnect_reason)
        try:
            if was_open:
                self.tell_the_end(transport)
        finally:
            # The listener often holds the transport, and loops keep protocols: let go of each other here.
            handshake = self.handshake
            self.handshake = None
            self.transport = None
            self.listener = None
            self.py_on_frame = None
            self.py_on_frames = None
            self.rd_own = None
            self.rd_own_view = None
            transport.listener = None
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
        if transport is None:
            return
        transport.wr_paused = True
        if self.listener is None or transport.wr_closed:
            return
        try:
            self.listener.pause_writing()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            transport.callback_error(exc, "pause_writing")

    def resume_writing(self):
        cdef WSTransport transport = self.transport
        if transport is None:
            return
        transport.wr_paused = False
        transport.wake_drain_waiters(None)
        if self.listener is None or transport.wr_closed:
            return
        try:
            self.listener.resume_writing()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            transport.callback_error(exc, "resume_writing")

    def is_buffered_protocol(self):
        """aiofastnet asks."""
        return True

    # ------------------------------------------------------------------ for the handshake

    def opened(self, listener, request, response, subprotocol, bytes tail, hooks, int rsv=0, int transformed=0):
        """
        The upgrade is done. `tail`: what came behind it. `hooks`: TransportHooks in order. `rsv`: reserved bits that
        negotiated extensions own; `transformed`: those of them whose owner changes payloads.
        """
        cdef WSTransport transport = self.transport
        cdef HookChain chain
        if self.state != HANDSHAKE or transport is None:
            raise RuntimeError("the connection is open or gone, or was not made yet")
        if not isinstance(listener, WSListener):
            raise TypeError(f"a listener must derive from WSListener, {listener!r} does not")
        for hook in hooks:
            transport.add_hook(hook)    # raises for what is no hook, and nothing is open yet
        self.listener = listener
        self.frame_call = how_to_call(self.listener, "on_ws_frame")
        if self.frame_call == CALL_PYTHON:
            self.py_on_frame = listener.on_ws_frame
        self.py_on_frames = getattr(listener, "on_ws_frames", None)
        transport.listener = listener
        transport.request = request
        transport.response = response
        transport.subprotocol = subprotocol
        wl_reader_init(&self.reader, self.config.is_client_side, self.config.strict, self.config.max_frame_size)
        self.reader.allowed_rsv = <uint8_t>rsv
        self.reader.transformed = <uint8_t>transformed
        self.state = OPEN
        try:
            if transport.hooks is not None:
                chain = transport.hooks
                chain.on_open(transport)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            transport.callback_error(exc, "a hook's on_open")
        try:
            self.listener.on_ws_connected(transport)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            transport.callback_error(exc, "on_ws_connected")
        if tail and self.state == OPEN:
            self.feed(tail)

    def feed(self, bytes data):
        """Receive `data` as if it came from the transport now."""
        cdef Block block
        cdef bint nested = self.in_batch
        if self.state != OPEN or not data or self.rd_own is not None:
            return
        block = new_block(len(data))
        memcpy(block.data, <const char *>data, len(data))
        self.in_batch = True
        try:
            self.receive(block, block.data, len(data))
        finally:
            self.in_batch = nested

    # ------------------------------------------------------------------ receiving

    cdef int receive(self, Block block, uint8_t *data, Py_ssize_t size) except -1:
        """`size` bytes at `data`, which lies in `block`, begin with the head of a frame (or with the handshake)."""
        cdef WSTransport transport = self.transport
        cdef Py_ssize_t used
        if self.state == HANDSHAKE:
            if self.handshake is not None:
                self.handshake.data_received(PyBytes_FromStringAndSize(<char *>data, size))
            return 0
        if self.state != OPEN or transport.wr_closed:
            self.rd_own = None      # the end is under way: what comes is thrown away
            self.rd_own_view = None
            return 0
        transport.last_data_time = monotonic()
        if self.config.debug is not None:
            self.config.debug("%r: %d bytes received", transport, size)
        transport.wr_cork += self.config.cork
        try:
            used = self.dispatch(block, data, size)
        except BaseException as exc:
            # KeyboardInterrupt and its like: the place in the stream is lost.
            transport.set_reason(WSDisconnectKind.CALLBACK_ERROR, f"on_ws_frame raised {type(exc).__name__}", exc)
            transport.disconnect(graceful=False)
            raise
        finally:
            transport.wr_direct_next = False
            if self.config.cork:
                transport.uncork()
        if self.state == OPEN and not transport.wr_closed:
            self.keep_rest(block, data + used, size - used)
        else:
            self.rd_own = None
            self.rd_own_view = None
        return 0

    cdef Py_ssize_t dispatch(self, Block block, uint8_t *data, Py_ssize_t size) except -1:
        """Deliver every whole frame; returns how many bytes they took."""
        cdef WSTransport transport = self.transport
        cdef wl_frame current, following
        cdef Py_ssize_t at
        cdef int status = wl_reader_next(&self.reader, data, size, &current)
        cdef int next_status
        if status == WL_ERROR:
            self.protocol_error(transport)
            return 0
        if status != WL_FRAME:
            return size if self.reader.closed else 0
        at = current.size
        while True:
            # One frame ahead: so the one that is delivered knows whether it is
            # the last, and an error of the next one acts after it.
            next_status = wl_reader_next(&self.reader, data + at, size - at, &following)
            transport.wr_direct_next = next_status != WL_FRAME and self.config.cork
            self.deliver(block, &current, size - at, next_status != WL_FRAME)
            if transport.wr_closed or self.state != OPEN:
                break
            if next_status != WL_FRAME:
                break
            current = following
            at += current.size
        if self.rd_frames is not None:
            self.deliver_frames(transport)
        if next_status == WL_ERROR and self.state == OPEN and not transport.wr_closed:
            self.protocol_error(transport)
        return size if self.reader.closed else at

    cdef int deliver(self, Block block, wl_frame *raw, Py_ssize_t tail_size, bint last) except -1:
        """Show one frame to the hooks and to the listener."""
        cdef WSTransport transport = self.transport
        cdef WSFrame frame
        cdef HookChain hooks
        cdef WSListener listener = self.listener
        cdef uint8_t opcode = raw.first & WL_OPCODE_MASK
        transport.frames_in += 1
        transport.bytes_in += raw.size
        frame = new_frame(block, <char *>raw.payload, raw.payload_size, raw.first)
        frame.tail_size = tail_size
        frame.last_in_buffer = last
        try:
            if opcode & WL_OPCODE_CONTROL and opcode == WL_OP_CLOSE:
                transport.close_received(frame)
            hooks = transport.hooks
            if hooks is not None and hooks.opcodes >> opcode & 1:
                frame = hooks.on_frame(transport, frame)
                if frame is None or transport.wr_closed:
                    return 0
                opcode = frame.first & WL_OPCODE_MASK
            if opcode == WL_OP_PING and self.config.enable_auto_pong:
                return self.answer_ping(transport, frame)
            if self.py_on_frames is not None:
                if self.rd_frames is None:
                    self.rd_frames = []
                self.rd_frames.append(frame)
            elif self.frame_call == CALL_PYTHON:
                self.py_on_frame(transport, frame)
            elif self.frame_call == CALL_VTABLE:
                listener.on_ws_frame(transport, frame)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            if self.rd_frames is not None:
                self.deliver_frames(transport)    # they came before
            self.frame_callback_error(transport, exc, "on_ws_frame")
        return 0

    cdef int deliver_frames(self, WSTransport transport) except -1:
        frames = self.rd_frames
        self.rd_frames = None
        if self.py_on_frames is None or transport.wr_closed:
            return 0
        try:
            self.py_on_frames(transport, frames)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            self.frame_callback_error(transport, exc, "on_ws_frames")
        return 0

    cdef int answer_ping(self, WSTransport transport, WSFrame frame) except -1:
        """RFC 6455 section 5.5.3: the PONG carries what the PING carried."""
        return transport.send_frame(
            WL_BIT_FIN | WL_OP_PONG, <uint8_t *>frame.payload_ptr, frame.payload_size, None)

    cdef int keep_rest(self, Block block, uint8_t *data, Py_ssize_t size) except -1:
        """Keep the `size` bytes of a half frame. Its room grows with what has arrived, not with what it announces."""
        cdef Py_ssize_t room
        cdef Block own
        if size == 0:
            if self.rd_own is not None:
                self.rd_own = None
                self.rd_own_view = None
            return 0
        if block is self.rd_own and data == block.data and size < block.size:
            return self.use_own(block, size)    # nothing was consumed and there is room left
        room = max(2 * size, self.config.read_buffer_init_size, OWN_LEAST)
        if self.reader.frame_size and self.reader.frame_size < <size_t>room:
            room = max(<Py_ssize_t>self.reader.frame_size, size + 1)
        own = self.shared.take_block(room)
        memcpy(own.data, data, size)
        return self.use_own(own, size)

    cdef int use_own(self, Block block, Py_ssize_t used) except -1:
        self.rd_own_view = None
        self.rd_own = block
        self.rd_own_used = used
        block.window = used
        self.rd_own_view = PyMemoryView_FromObject(block)
        return 0

    # ------------------------------------------------------------------ failing

    cdef int protocol_error(self, WSTransport transport) except -1:
        """The peer broke a rule: CLOSE with its code, then the end (RFC 6455 section 7.1.7)."""
        cdef wl_error error = <wl_error>self.reader.error
        cdef int code = wl_error_close_code(error)
        text = wl_error_text(error).decode()
        logger = self.config.logger
        exc = WSProtocolError(WSCloseCode(code), text)
        # To a server, clients that break the protocol are everyday: they must not fill the log.
        (logger.warning if self.config.is_client_side else logger.info)("%r: %s", transport, text)
        transport.set_reason(WSDisconnectKind.PROTOCOL_ERROR, text, exc)
        if self.config.is_client_side and transport.exception is None:
            transport.exception = exc
        transport.close_with(code, text)
        return 0

    cdef int frame_callback_error(self, WSTransport transport, object exc, str where) except -1:
        """The callback for frames raised: the one exception that may be survived, see disconnect_on_exception."""
        if self.config.disconnect_on_exception or isinstance(exc, WSProtocolError):
            return transport.callback_error(exc, where)
        self.config.logger.error("%r: %s raised, the connection stays open", transport, where, exc_info=exc)
        return 0
