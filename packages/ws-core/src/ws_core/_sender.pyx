# From messages to bytes in the kernel: the send side of one connection.
#
# Header and payload are put together in one place and leave with one send(2).
# What the kernel does not take goes to the underlying asyncio transport, which
# owns backlog and watermarks; from then on everything goes there until it is
# empty again, so bytes leave in the order of the calls. While the connection
# is corked, frames gather in a buffer of GATHER_SIZE bytes and leave together.
#
# This file knows no listener and no closing: those are WSTransport, which
# derives from Sender.

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.pythread cimport PyThread_get_thread_ident
from libc.string cimport memcpy
from ws_core._buffer cimport GATHER_SIZE, SCRATCH_SIZE, loop_state
from ws_core._wire cimport (
    WL_CONTROL_PAYLOAD_MAX, WL_HEADER_MAX, WL_OPCODE_CONTROL, wl_entropy_next, wl_header_size, wl_header_write, wl_mask,
    wl_mask_init, wl_mask_rotate,
)

cdef extern from *:
    """
    #include "../_sys.h"

    /* A failure of any kind counts as "took nothing": the asyncio transport, which gets the rest, meets the same error
     * and knows how to end the connection. */
    static Py_ssize_t ws_send(int fd, const void *data, Py_ssize_t size)
    {
        ssize_t n = ws_sys_send(fd, data, (size_t)size);
        return n < 0 ? 0 : n;
    }

    static Py_ssize_t ws_send2(int fd, const void *a, Py_ssize_t a_size, const void *b, Py_ssize_t b_size)
    {
        struct iovec parts[2] = {{(void *)a, (size_t)a_size}, {(void *)b, (size_t)b_size}};
        ssize_t n = ws_sys_sendv(fd, parts, 2);
        return n < 0 ? 0 : n;
    }
    """
    Py_ssize_t ws_send(int fd, const void *data, Py_ssize_t size) nogil
    Py_ssize_t ws_send2(int fd, const void *a, Py_ssize_t a_size, const void *b, Py_ssize_t b_size) nogil

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

from asyncio import _get_running_loop

wl_mask_init()


@cython.final
cdef class Config:
    """What the connections of one ws_connect call or of one server have in common. Internal."""

    # __cinit__, not __init__: an object without these must not exist, whoever makes it.
    def __cinit__(self, loop, logger, *, is_client_side, disconnect_on_exception, enable_auto_pong, strict, cork,
                  max_frame_size, read_buffer_init_size, max_write_backlog, busy_poll_us, debug,
                  resets):
        self.loop = loop
        self.logger = logger
        self.is_client_side = is_client_side
        self.disconnect_on_exception = disconnect_on_exception
        self.enable_auto_pong = enable_auto_pong
        self.strict = strict
        self.cork = cork
        self.max_frame_size = max_frame_size
        self.read_buffer_init_size = read_buffer_init_size
        self.max_write_backlog = -1 if max_write_backlog is None else max_write_backlog
        self.busy_poll_us = busy_poll_us
        self.debug = debug
        self.resets = resets
        self.shared = loop_state(loop)
        self.thread_id = PyThread_get_thread_ident()

    cpdef int check_thread(self, str what) except -1:
        """RuntimeError, which names `what` was called, unless this is the thread that runs the event loop."""
        cdef unsigned long thread_id = PyThread_get_thread_ident()
        if self.thread_id != thread_id:
            # asyncio lets a loop that has stopped go on in another thread.
            if _get_running_loop() is not self.loop:
                raise RuntimeError(
                    f"{what} was used in a thread that does not run its event loop: "
                    f"hand it over by loop.call_soon_threadsafe(), a coroutine by asyncio.run_coroutine_threadsafe()"
                )
            self.thread_id = thread_id
        return 0


cdef inline int _send(Sender self, uint8_t first, const uint8_t *payload, Py_ssize_t size, object owner) except -1:
    if self.wr_hooked >> (first & 0x0F) & 1:
        return self.emit(first, payload, size, owner)
    return self.send_frame(first, payload, size, owner)


cdef inline Py_ssize_t _build(
        Sender self, uint8_t *out, uint8_t first, const uint8_t *payload, Py_ssize_t size) except -1:
    """Write header and payload to `out`; returns their size."""
    cdef size_t header_size
    cdef uint32_t key
    if self.is_client_side:
        self.next_key(&key)
        header_size = wl_header_write(out, first, size, &key)
        wl_mask(out + header_size, payload, size, key)
    else:
        header_size = wl_header_write(out, first, size, NULL)
        if size:
            memcpy(out + header_size, payload, size)
    return header_size + size


cdef inline int _put(Sender self, uint8_t first, const uint8_t *payload, Py_ssize_t size, object owner) except -1:
    """A frame that may be sent: it is gathered, or leaves."""
    cdef Py_ssize_t total = wl_header_size(size, self.is_client_side) + size
    if self.config.debug is not None:
        self.config.debug("%r: send first=0x%02x size=%d", self, first, size)
    self.frames_out += 1
    self.bytes_out += total
    if self.wr_cork:
        if not self.wr_direct_next or self.wr_gather_size:
            return self.gather_frame(first, payload, size, total)
        self.wr_direct_next = False
    return self.write_frame(first, payload, size, total, owner)


@cython.no_gc_clear
cdef class Sender:
    """What WSTransport is made on: it sends frames. Internal."""

    def __dealloc__(self):
        # Not give_gather: the last reference may be dropped in any thread.
        PyMem_RawFree(self.wr_gather)

    cdef int check_thread(self, str method) except -1:
        if self.thread_id != PyThread_get_thread_ident():
            if self.config is None:
                raise RuntimeError("a WSTransport is made by ws_connect and ws_create_server")
            self.config.check_thread("WSTransport." + method)
            self.thread_id = self.config.thread_id
        return 0

    cdef int send_message(self, uint8_t first, object message) except -1:
        cdef Py_buffer view
        cdef Py_ssize_t size
        cdef const char *data
        if PyBytes_CheckExact(message):
            return _send(self, first, <uint8_t *>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), message)
        if isinstance(message, str):
            data = PyUnicode_AsUTF8AndSize(message, &size)
            return _send(self, first, <const uint8_t *>data, size, None)
        if message is None:
            return _send(self, first, NULL, 0, None)
        # The export keeps the memory where it is, whatever a callback does to the object.
        try:
            PyObject_GetBuffer(message, &view, PyBUF_SIMPLE)
        except (TypeError, BufferError) as exc:
            raise TypeError(
                f"a message must be str, None or a contiguous bytes-like object, not {type(message).__name__}"
            ) from exc
        try:
            return _send(self, first, <uint8_t *>view.buf, view.len, None)
        finally:
            PyBuffer_Release(&view)

    cdef int emit(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, object owner) except -1:
        """send_frame for what a hook may want to see (`wr_hooked`): WSTransport asks its hooks first."""
        return self.send_frame(first, payload, size, owner)

    cdef int send_frame(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, object owner) except -1:
        """`owner`: the bytes object that `payload` is the inside of, or None if it must be copied to outlive us."""
        if first & WL_OPCODE_CONTROL and size > <Py_ssize_t>WL_CONTROL_PAYLOAD_MAX:
            raise ValueError(
                f"the payload of a control frame is limited to 125 bytes (RFC 6455 5.5), this one has {size}")
        if self.is_close_frame_sent or self.wr_closed:
            if self.config.debug is not None:
                self.config.debug("%r: nothing is sent after CLOSE or disconnect: frame dropped", self)
            return 0
        return _put(self, first, payload, size, owner)

    cdef int send_last_frame(self, uint8_t first, bytes payload) except -1:
        """The CLOSE. Its write may call pause_writing or on_write_backlog: what they send comes too late already."""
        self.is_close_frame_sent = True
        return _put(self, first, <uint8_t *>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), payload)

    cdef bint flush_before(self, Py_ssize_t count, Py_ssize_t size) except -1:
        """
        Let what has gathered leave before `count` frames of `size` bytes in all, which were counted as sent.

        False: a callback has ended the sending meanwhile, and they must not leave.
        """
        self.flush()
        if not self.is_close_frame_sent and not self.wr_closed:
            return True
        self.frames_out -= count
        self.bytes_out -= size
        return False

    cdef int send_built(self, bytes frames, Py_ssize_t count) except -1:
        """Send `count` frames that were built before, without a mask. The bytes object is shared, not copied."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(frames)
        cdef Py_ssize_t sent = 0
        if self.config.debug is not None:
            self.config.debug("%r: send %d frames, %d bytes in all", self, count, size)
        self.frames_out += count
        self.bytes_out += size
        if self.wr_cork and (not self.wr_direct_next or self.wr_gather_size):
            if size <= GATHER_SIZE - self.wr_gather_size:
                if self.wr_gather == NULL:
                    self.wr_gather = self.shared.take_gather()
                memcpy(self.wr_gather + self.wr_gather_size, PyBytes_AS_STRING(frames), size)
                self.wr_gather_size += size
                return 0
            if not self.flush_before(count, size):
                return 0
        self.wr_direct_next = False
        if self.may_write_directly():
            sent = ws_send(self.wr_fd, PyBytes_AS_STRING(frames), size)
            if sent == size:
                return 0
        return self.hand_over(PyMemoryView_FromObject(frames)[sent:] if sent else frames)

    cdef int gather_frame(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, Py_ssize_t total) except -1:
        cdef uint8_t *full
        cdef uint8_t *fresh
        cdef Py_ssize_t full_size
        if total > GATHER_SIZE:
            if not self.flush_before(1, total):
                return 0
            return self.write_frame(first, payload, size, total, None)
        if self.wr_gather != NULL and self.wr_gather_size + total <= GATHER_SIZE:
            self.wr_gather_size += _build(self, self.wr_gather + self.wr_gather_size, first, payload, size)
            return 0
        # A write may call pause_writing, and that may send: this frame is in its
        # place, in a buffer of its own, before the full one leaves.
        fresh = self.shared.take_gather()
        full, full_size = self.wr_gather, self.wr_gather_size
        self.wr_gather_size = 0
        self.wr_gather = fresh
        try:
            self.wr_gather_size = _build(self, self.wr_gather, first, payload, size)
            if full_size:
                self.write_bytes(full, full_size)
        finally:
            if full != NULL:
                self.shared.give_gather(full)
        return 0

    cdef int write_frame(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, Py_ssize_t total,
                         object owner) except -1:
        cdef object frame
        if not self.may_write_directly():
            if self.wr_in_parts and owner is not None and size > GATHER_SIZE and not self.is_client_side:
                # Bytes that go out as they are: the underlying transport refers to them, nobody copies them.
                frame = PyBytes_FromStringAndSize(NULL, total - size)
                wl_header_write(<uint8_t *>PyBytes_AS_STRING(frame), first, size, NULL)
                return self.hand_over([frame, owner])
            frame = PyBytes_FromStringAndSize(NULL, total)
            _build(self, <uint8_t *>PyBytes_AS_STRING(frame), first, payload, size)
            return self.hand_over(frame)
        if total <= (SCRATCH_SIZE if self.is_client_side else GATHER_SIZE):
            _build(self, self.shared.wr_scratch, first, payload, size)
            return self.write_bytes(self.shared.wr_scratch, total)
        if self.is_client_side:
            return self.write_masked(first, payload, size, total)
        return self.write_unmasked(first, payload, size, owner)

    cdef int next_key(self, uint32_t *key) except -1:
        """A mask key that nobody can predict (RFC 6455 sections 5.3 and 10.3)."""
        if not wl_entropy_next(&self.shared.entropy, key):
            raise OSError("the operating system's random source gave no mask key")
        return 0

    cdef bint may_write_directly(self) except -1:
        """Whether send(2) keeps the order: nothing waits in the underlying transport."""
        if self.wr_fd < 0:
            return False
        if self.wr_backlogged:
            if self.backlog():
                return False
            self.wr_backlogged = False
        return True

    cdef int write_bytes(self, const uint8_t *data, Py_ssize_t size) except -1:
        cdef Py_ssize_t sent = 0
        if self.may_write_directly():
            sent = ws_send(self.wr_fd, data, size)
            if sent == size:
                return 0
        return self.hand_over_copy(data + sent, size - sent)

    cdef int write_masked(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, Py_ssize_t total) except -1:
        """A large frame of a client: masked piece by piece, so that it is never in memory twice unless it must wait."""
        cdef uint8_t *scratch = self.shared.wr_scratch
        cdef uint32_t key
        cdef Py_ssize_t filled, piece, sent
        cdef Py_ssize_t done = 0
        cdef object rest
        cdef uint8_t *out
        self.next_key(&key)
        filled = wl_header_write(scratch, first, size, &key)
        while done < size:
            piece = min(<Py_ssize_t>SCRATCH_SIZE - filled, size - done)
            wl_mask(scratch + filled, payload + done, piece, wl_mask_rotate(key, done & 3))
            done += piece
            filled += piece
            sent = ws_send(self.wr_fd, scratch, filled)
            if sent < filled:
                rest = self.room_for_rest(filled - sent + size - done)
                out = <uint8_t *>PyBytes_AS_STRING(rest)
                memcpy(out, scratch + sent, filled - sent)
                wl_mask(out + filled - sent, payload + done, size - done, wl_mask_rotate(key, done & 3))
                return self.hand_over(rest)
            filled = 0
        return 0

    cdef int write_unmasked(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, object owner) except -1:
        """A large frame of a server: straight from the caller's memory."""
        cdef uint8_t header[WL_HEADER_MAX]
        cdef Py_ssize_t header_size = wl_header_write(header, first, size, NULL)
        cdef Py_ssize_t sent = ws_send2(self.wr_fd, header, header_size, payload, size)
        if sent == header_size + size:
            return 0
        if sent < header_size:
            # Header and payload in one piece: a write may call pause_writing, and that may send.
            rest = self.room_for_rest(header_size - sent + size)
            memcpy(PyBytes_AS_STRING(rest), <char *>header + sent, header_size - sent)
            memcpy(PyBytes_AS_STRING(rest) + header_size - sent, payload, size)
            return self.hand_over(rest)
        sent -= header_size
        if owner is not None:
            return self.hand_over(PyMemoryView_FromObject(owner)[sent:])
        return self.hand_over_copy(payload + sent, size - sent)

    cdef int hand_over_copy(self, const uint8_t *data, Py_ssize_t size) except -1:
        """What the system did not take."""
        cdef bytes rest = self.room_for_rest(size)
        memcpy(PyBytes_AS_STRING(rest), data, size)
        return self.hand_over(rest)

    cdef bytes room_for_rest(self, Py_ssize_t size):
        """Bytes for what the system did not take."""
        try:
            return PyBytes_FromStringAndSize(NULL, size)
        except MemoryError as exc:
            self.torn(exc)
            raise

    cdef Py_ssize_t backlog(self) except -1:
        """Bytes that wait in the underlying transport."""
        try:
            return self.underlying_transport.get_write_buffer_size()
        except AttributeError:
            return 0    # asyncio's TLS transport until Python 3.10, between its end and connection_lost

    async def drain(self):
        """
        Wait until the write backlog is below the low-water mark; at once if it never rose above the high-water mark.
        ConnectionResetError if the connection is, or goes, down.
        """
        self.check_thread("drain")
        if self.is_disconnected:
            raise ConnectionResetError("the connection is lost")
        if not self.wr_paused:
            return
        waiter = self.config.loop.create_future()
        if self.wr_drain_waiters is None:
            self.wr_drain_waiters = []
        self.wr_drain_waiters.append(waiter)
        await waiter

    cdef int wake_drain_waiters(self, exc) except -1:
        if self.wr_drain_waiters is not None:
            waiters = self.wr_drain_waiters
            self.wr_drain_waiters = None
            for waiter in waiters:
                if waiter.done():
                    continue
                if exc is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(exc)
        return 0

    cdef int hand_over(self, object data) except -1:
        """Give `data`, which nobody changes any more, or a list of such parts, to the underlying transport."""
        cdef Py_ssize_t limit = self.config.max_write_backlog
        self.wr_backlogged = True
        try:
            if type(data) is list:
                self.underlying_transport.writelines(data)
            else:
                if len(data) > GATHER_SIZE:
                    # asyncio slices what it could not send, again and again: slices of a view are no copies.
                    data = PyMemoryView_FromObject(data)
                self.underlying_transport.write(data)
        except AttributeError:
            if getattr(self.underlying_transport, "_ssl_protocol", self) is not None:
                raise
            return 0    # asyncio's TLS transport, closed twice by somebody
        except MemoryError as exc:
            self.torn(exc)
            raise
        if limit >= 0 and not self.wr_closed and self.backlog() > limit:
            self.backlog_exceeded()
        return 0

    cdef int torn(self, object exc) except -1:
        """A frame has left in part, and nothing that follows would be understood. WSTransport cuts the connection."""
        return 0

    cdef int backlog_exceeded(self) except -1:
        """More than max_write_backlog bytes wait. WSTransport asks its listener what to do."""
        return 0

    cdef int flush(self) except -1:
        """Let everything that has gathered leave now."""
        cdef uint8_t *gather = self.wr_gather
        cdef Py_ssize_t size = self.wr_gather_size
        if gather == NULL:
            return 0
        # Taken away first: a write may call pause_writing, and that may send.
        self.wr_gather = NULL
        self.wr_gather_size = 0
        try:
            if size and not self.wr_closed:
                self.write_bytes(gather, size)
        finally:
            self.shared.give_gather(gather)
        return 0

    cdef int uncork(self) except -1:
        self.wr_cork -= 1
        if self.wr_cork == 0:
            self.flush()
        return 0

    cdef int drop_gathered(self) except -1:
        self.wr_gather_size = 0
        if self.wr_gather != NULL:
            self.shared.give_gather(self.wr_gather)
            self.wr_gather = NULL
        return 0


@cython.final
cdef class Cork:
    """The context manager of WSTransport.cork()."""

    def __cinit__(self, Sender sender not None):
        self.sender = sender

    def __enter__(self):
        self.sender.check_thread("cork")
        self.entered += 1
        self.sender.wr_cork += 1
        self.sender.wr_direct_next = False    # all of it gathers, also in the callback of a last frame
        return self.sender

    def __exit__(self, *exc_info):
        self.sender.check_thread("cork")
        if not self.entered:
            raise RuntimeError("this cork was not entered, or was left already")
        self.entered -= 1
        self.sender.uncork()
