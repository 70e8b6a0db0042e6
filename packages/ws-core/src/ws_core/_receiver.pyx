# From bytes to callbacks: the receive side of a connection.
#
# Who reads asks for room (get_buffer) and says how much came
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
# object. The life of the connection is _protocol.pyx, which derives from this.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.time cimport monotonic
from libc.errno cimport EAGAIN
from libc.stdint cimport uint8_t
from libc.string cimport memcpy
from ws_core._buffer cimport CACHE_LINE, new_block
from ws_core._frame cimport give_frame, take_frame, ws_only_ours
from ws_core._hooks cimport HookChain
from ws_core._listener cimport CALL_PYTHON, CALL_VTABLE, how_to_call
from ws_core._sender cimport Config
from ws_core._sys cimport ws_sys_recv
from ws_core._wire cimport (
    WL_BIT_FIN, WL_ERROR, WL_FRAME, WL_OP_CLOSE, WL_OP_PING, WL_OP_PONG, WL_OPCODE_CONTROL, WL_OPCODE_MASK,
    wl_error, wl_error_close_code, wl_error_text, wl_mask_init, wl_reader_init, wl_reader_next,
)

import os

from ws_core.closing import WSDisconnectKind
from ws_core.enums import WSCloseCode
from ws_core.errors import WSProtocolError

wl_mask_init()

cdef enum:
    OWN_LEAST = 256         # bytes
    POLLS_MOST = 64         # batches that one busy poll may bring: the loop has others to serve


cdef inline int _deliver(Receiver self, WSTransport transport, WSFrame frame) except -1:
    """Show one frame to the hooks and to the listener."""
    cdef HookChain hooks
    cdef WSListener listener
    cdef uint8_t opcode = frame.first & WL_OPCODE_MASK
    if opcode & WL_OPCODE_CONTROL and opcode == WL_OP_CLOSE:
        transport.close_received(frame)
    if transport.hooks is not None and transport.hooks.opcodes >> opcode & 1:
        hooks = transport.hooks
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
        listener = self.listener    # held: a callback may end the connection, which lets go of it
        listener.on_ws_frame(transport, frame)
    return 0


cdef int send_pong(WSTransport transport, const uint8_t *payload, Py_ssize_t size) except -1:
    if transport.wr_hooked >> WL_OP_PONG & 1:
        return transport.emit(WL_BIT_FIN | WL_OP_PONG, payload, size, None)
    return transport.send_frame(WL_BIT_FIN | WL_OP_PONG, payload, size, None)


@cython.no_gc_clear
cdef class Receiver:
    """The part of WSProtocol that receives. Internal."""

    # __cinit__, not __init__: an object without its config must not exist, whoever makes it.
    def __cinit__(self, Config config not None, handshake):
        self.config = config
        self.shared = config.shared
        self.handshake = handshake

    # ------------------------------------------------------------------ room, and what came

    def get_buffer(self, Py_ssize_t sizehint):
        if self.rd_own is not None and not self.in_batch:
            if self.rd_own_view is None:
                self.rd_own_view = PyMemoryView_FromObject(self.rd_own)
            return self.rd_own_view
        self.shared.ask_room(<void *>self)
        return self.shared.rd_view

    def buffer_updated(self, Py_ssize_t nbytes):
        if nbytes < 0:
            raise ValueError("nbytes must not be negative")
        if nbytes:
            self.came(nbytes)

    cdef int room(self, uint8_t **data, Py_ssize_t *size) except -1:
        """get_buffer() for who reads in C."""
        if self.rd_own is not None and not self.in_batch:
            data[0] = self.rd_own.data + self.rd_own_used
            size[0] = self.rd_own.size - self.rd_own_used
        else:
            self.shared.ask_room(<void *>self)
            data[0] = self.shared.rd_block.data + self.shared.rd_start
            size[0] = self.shared.rd_block.size - self.shared.rd_start
        return 0

    cdef int came(self, Py_ssize_t nbytes) except -1:
        """buffer_updated() for who reads in C."""
        if self.transport is None:
            if self.state == LOST:
                return 0
            raise RuntimeError("buffer_updated() was called before connection_made()")
        if self.in_batch:
            # asyncio's TLS reads on inside close(); what comes then is thrown away.
            if self.transport.wr_closed or self.transport.underlying_transport.is_closing():
                self.shared.rd_reader = NULL
                return 0
            raise RuntimeError("buffer_updated() was called while the frames of the last one are dispatched")
        self.batch(nbytes)
        if self.config.busy_poll_us and self.state == OPEN:
            self.busy_poll()
        return 0

    cdef int batch(self, Py_ssize_t nbytes) except -1:
        """`nbytes` are in the room that get_buffer() gave."""
        cdef Block block = self.rd_own
        self.in_batch = True
        try:
            if block is not None:
                if nbytes > block.size - self.rd_own_used:
                    raise ValueError("more bytes are reported than there was room for")
                self.rd_own_used += nbytes
                self.receive(block, block.data + self.rd_own_start, self.rd_own_used - self.rd_own_start)
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
        return 0

    cdef int busy_poll(self) except -1:
        """
        Keep reading the socket for busy_poll_us after the last bytes, before the loop goes on.

        Only where we may use the socket beside its transport. The interpreter's lock is kept: to give it away could
        cost thousands of times the window.
        """
        cdef WSTransport transport = self.transport
        cdef double window_s = self.config.busy_poll_us / 1e6
        cdef double end
        cdef Py_ssize_t size, nbytes
        cdef uint8_t *room
        cdef int polls = 0
        while polls < POLLS_MOST:
            if (transport is None or transport.wr_fd < 0 or transport.wr_closed
                    or not transport.underlying_transport.is_reading()):
                return 0
            self.room(&room, &size)
            end = monotonic() + window_s
            while True:
                nbytes = ws_sys_recv(transport.wr_fd, room, size)
                if nbytes != -EAGAIN or monotonic() >= end:
                    break
            if nbytes > 0:
                polls += 1
                self.batch(nbytes)
                transport = self.transport
                continue
            if nbytes < 0 and nbytes != -EAGAIN:
                # The system tells of an error once, and we have heard it.
                error = OSError(-nbytes, os.strerror(-nbytes))
                transport.set_reason(WSDisconnectKind.NETWORK_ERROR, f"{type(error).__name__}: {error}", error)
                transport.underlying_transport.abort()
            return 0
        return 0

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

    cdef int begin(self, object listener, int rsv) except -1:
        """From here on what comes is frames, for `listener`. `rsv`: see WSProtocol.opened."""
        wl_reader_init(&self.reader, self.config.is_client_side, self.config.strict, self.config.max_frame_size)
        self.reader.allowed_rsv = <uint8_t>rsv
        self.reader.transformed = <uint8_t>rsv    # whoever owns a bit changes what it marks: not text yet
        self.listener = listener
        self.state = OPEN
        # Last: a property or __getattr__ of the user's may raise, and the connection is open all the same.
        call = how_to_call(self.listener, "on_ws_frame")
        if call == CALL_PYTHON:
            self.py_on_frame = listener.on_ws_frame    # of an untyped object: the overriding method
        self.py_on_frames = getattr(listener, "on_ws_frames", None)
        self.frame_call = call
        return 0

    cdef int end(self) except -1:
        """The connection is gone: let go of everything."""
        self.handshake = None
        self.transport = None
        self.listener = None
        self.py_on_frame = None
        self.py_on_frames = None
        self.pong_owed = None
        self.rd_own = None
        self.rd_own_view = None
        return 0

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
        cdef Ahead ahead
        ahead.data = data
        ahead.size = size
        ahead.at = 0
        ahead.status = wl_reader_next(&self.reader, data, size, &ahead.frame)
        while ahead.status == WL_FRAME and self.state == OPEN and not transport.wr_closed:
            try:
                self.deliver_ahead(block, &ahead)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exc:
                if self.rd_frames is not None:
                    self.deliver_frames(transport)    # they came before
                self.frame_callback_error(transport, exc, "on_ws_frame")
        if self.rd_frames is not None:
            self.deliver_frames(transport)
        if ahead.status == WL_ERROR and self.state == OPEN and not transport.wr_closed:
            self.protocol_error(transport)
        return size if self.reader.closed else ahead.at

    cdef int deliver_ahead(self, Block block, Ahead *ahead) except -1:
        """
        Deliver frames until the last one that is whole, or until the connection ends.

        The reader is one frame ahead: so the one that is delivered knows whether it is the last, and an error of the
        next one acts after it. An exception of a callback comes out; to go on behind it is to call this again.
        """
        cdef WSTransport transport = self.transport
        cdef WSFrame frame = take_frame(self.shared, block)
        while True:
            if not ws_only_ours(frame):
                frame = take_frame(self.shared, block)    # somebody keeps that one
            frame.payload_ptr = <char *>ahead.frame.payload
            frame.payload_size = ahead.frame.payload_size
            frame.first = ahead.frame.first
            transport.frames_in += 1
            transport.bytes_in += ahead.frame.size
            ahead.at += ahead.frame.size
            frame.tail_size = ahead.size - ahead.at
            ahead.status = wl_reader_next(&self.reader, ahead.data + ahead.at, frame.tail_size, &ahead.frame)
            frame.last_in_buffer = ahead.status != WL_FRAME
            transport.wr_direct_next = frame.last_in_buffer and self.config.cork
            _deliver(self, transport, frame)
            if ahead.status != WL_FRAME or transport.wr_closed or self.state != OPEN:
                return give_frame(self.shared, frame)

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
        """
        RFC 6455 section 5.5.3: the PONG carries what the PING carried.

        While the peer does not read, the newest PING is answered when it does again, and no other: who sends PINGs and
        reads nothing cannot fill our memory with their PONGs.
        """
        if transport.wr_paused:
            self.pong_owed = frame.get_payload_as_bytes()
            return 0
        return send_pong(transport, <uint8_t *>frame.payload_ptr, frame.payload_size)

    cdef int pay_pong(self, WSTransport transport) except -1:
        """The peer reads again."""
        payload, self.pong_owed = self.pong_owed, None
        return send_pong(transport, <const uint8_t *>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))

    cdef int keep_rest(self, Block block, uint8_t *data, Py_ssize_t size) except -1:
        """Keep the `size` bytes of a half frame. Its room grows with what has arrived, not with what it announces."""
        cdef Py_ssize_t room
        cdef Py_ssize_t start = -1
        cdef Block own
        if size == 0:
            if self.rd_own is not None:
                self.rd_own = None
                self.rd_own_view = None
            return 0
        if block is self.rd_own and data == block.data + self.rd_own_start:
            start = self.rd_own_start    # nothing was consumed
            if start + size < block.size:
                return self.use_own(block, start, start + size)
        room = max(2 * size, self.config.read_buffer_init_size, OWN_LEAST)
        if self.reader.frame_size and self.reader.frame_size < <size_t>room:
            room = max(<Py_ssize_t>self.reader.frame_size, size + 1)
        if start >= 0:
            self.rd_own_view = None
            if block.grow(start + room):
                return self.use_own(block, start, start + size)
        start = -size & (CACHE_LINE - 1)    # the next read goes to the beginning of a cache line
        own = self.shared.take_block(start + room)
        memcpy(own.data + start, data, size)
        return self.use_own(own, start, start + size)

    cdef int use_own(self, Block block, Py_ssize_t start, Py_ssize_t used) except -1:
        self.rd_own_view = None
        self.rd_own = block
        self.rd_own_start = start
        self.rd_own_used = used
        block.window = used
        return 0

    # ------------------------------------------------------------------ failing

    cdef int protocol_error(self, WSTransport transport) except -1:
        """The peer broke a rule: CLOSE with its code, then the end (RFC 6455 section 7.1.7)."""
        cdef wl_error error = <wl_error>self.reader.error
        cdef int code = wl_error_close_code(error)
        text = wl_error_text(error).decode()
        logger = self.config.logger
        exc = WSProtocolError(WSCloseCode(code), text)
        transport.set_reason(WSDisconnectKind.PROTOCOL_ERROR, text, exc)
        if self.config.is_client_side and transport.exception is None:
            transport.exception = exc
        try:
            # To a server, clients that break the protocol are everyday: they must not fill the log.
            (logger.warning if self.config.is_client_side else logger.info)("%r: %s", transport, text)
        finally:
            transport.close_with(code, text)
        return 0

    cdef int frame_callback_error(self, WSTransport transport, object exc, str where) except -1:
        """The callback for frames raised: the one exception that may be survived, see disconnect_on_exception."""
        if self.config.disconnect_on_exception or isinstance(exc, WSProtocolError):
            return transport.callback_error(exc, where)
        self.config.logger.error("%r: %s raised, the connection stays open", transport, where, exc_info=exc)
        return 0
