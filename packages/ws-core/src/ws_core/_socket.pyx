# A plain TCP or unix socket, driven by loop.add_reader and add_writer. To its
# users it is an asyncio transport like any other; a protocol that is ours is
# called in C, and what arrives is received into its room.
#
# It owns the descriptor and closes it after connection_lost(). There is no
# socket object until somebody asks for one: an idle connection is this object,
# its protocol, and what the loop needs to watch a descriptor.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromObject, PyMemoryView_GET_BUFFER
from cpython.pythread cimport PyThread_get_thread_ident
from libc.errno cimport EAGAIN
from libc.string cimport memcpy
from libc.stdint cimport uint8_t, uint32_t
from ws_core._sys cimport iovec, ws_sys_close, ws_sys_recv, ws_sys_send, ws_sys_sendv, ws_sys_tune

import asyncio
import os
import socket
import sys
import warnings
from collections import deque

cdef enum:
    READS_MOST = 16              # reads in one turn of the loop: others have their turn, too
    PARTS_MOST = 64              # pieces that one sendmsg(2) takes
    PYTHON_READ = 256 * 1024     # bytes; room for protocols that are not ours

# C variables: the names of a module are gone when the last objects go.
cdef object _is_finalizing = sys.is_finalizing
cdef int _INET = socket.AF_INET
cdef int _INET6 = getattr(socket, "AF_INET6", -1)


# The collector may clear it, unlike the protocol and the WSTransport that it forms a cycle with: one has to give.
@cython.final
cdef class SocketTransport:
    """A connected stream socket. Internal; what asyncio.Transport has, and nothing else."""

    def __cinit__(self):
        self.fd = -1

    def __init__(self):
        raise TypeError("a SocketTransport is made by accept_waiting() and drive()")

    def __del__(self):
        # Not while the interpreter ends: what warnings need may be gone, and the process takes all its sockets with it.
        if self.fd >= 0 and not _is_finalizing():
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, source=self)

    def __dealloc__(self):
        # What a loop that was closed under it has left behind.
        if self.fd >= 0 and not self.fd_given:
            ws_sys_close(self.fd)

    cdef int start(self, object protocol) except -1:
        """Begin to talk to `protocol`."""
        self.use(protocol)
        ws_sys_tune(self.fd, self.family)
        protocol.connection_made(self)
        if not self.closing and not self.paused:
            self.watch_reading(True)
        return 0

    cdef int check_thread(self, str method) except -1:
        if self.loop is None:
            raise TypeError("a SocketTransport is made by accept_waiting() and drive()")
        if self.thread_id != PyThread_get_thread_ident():
            # asyncio lets a loop that has stopped go on in another thread.
            if asyncio._get_running_loop() is not self.loop:
                raise RuntimeError(f"{method}() of a transport was called in a thread that does not run its event loop")
            self.thread_id = PyThread_get_thread_ident()
        return 0

    # ------------------------------------------------------------------ the protocol

    cdef int use(self, object protocol) except -1:
        self.protocol = protocol
        self.receiver = <Receiver>protocol if isinstance(protocol, Receiver) else None
        return 0

    def set_protocol(self, protocol):
        self.use(protocol)

    def get_protocol(self):
        return self.protocol

    # ------------------------------------------------------------------ reading

    cdef int watch_reading(self, bint wanted) except -1:
        if self.is_read != wanted:
            self.is_read = wanted
            if wanted:
                self.loop.add_reader(self.fd, self._readable)
            elif not self.loop.is_closed():
                self.loop.remove_reader(self.fd)
        return 0

    def _readable(self):
        """For the loop."""
        cdef uint8_t *room
        cdef Py_ssize_t size, nbytes
        cdef Receiver receiver
        cdef int _turn
        try:
            for _turn in range(READS_MOST):
                if self.closing or self.paused or not self.is_read:
                    return
                receiver = self.receiver
                if receiver is None:
                    self.read_python()
                    return
                receiver.room(&room, &size)
                nbytes = ws_sys_recv(self.fd, room, size)
                if nbytes > 0:
                    receiver.came(nbytes)
                    if nbytes < size:
                        return
                elif nbytes == 0:
                    self.at_end()
                    return
                elif nbytes == -EAGAIN:
                    return
                else:
                    raise OSError(-nbytes, os.strerror(-nbytes))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            self.fail(exc, "reading failed")

    cdef int read_python(self) except -1:
        """One read for a protocol that is not ours."""
        cdef Py_ssize_t nbytes
        protocol = self.protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            room = memoryview(protocol.get_buffer(-1)).cast("B")
        else:
            room = memoryview(bytearray(PYTHON_READ))
        if not len(room):
            raise RuntimeError("get_buffer() returned an empty buffer")
        if room.readonly:
            raise BufferError("get_buffer() returned a buffer that must not be written to")
        nbytes = ws_sys_recv(self.fd, PyMemoryView_GET_BUFFER(room).buf, len(room))
        if nbytes == 0:
            self.at_end()
        elif nbytes > 0:
            if isinstance(protocol, asyncio.BufferedProtocol):
                protocol.buffer_updated(nbytes)
            else:
                protocol.data_received(bytes(room[:nbytes]))
        elif nbytes != -EAGAIN:
            raise OSError(-nbytes, os.strerror(-nbytes))
        return 0

    cdef int at_end(self) except -1:
        """The peer's end of the stream."""
        if self.protocol.eof_received():
            self.watch_reading(False)    # the protocol keeps the write side open
        else:
            self.close()
        return 0

    def pause_reading(self):
        self.check_thread("pause_reading")
        if not self.closing and not self.paused:
            self.paused = True
            self.watch_reading(False)

    def resume_reading(self):
        self.check_thread("resume_reading")
        if not self.closing and self.paused:
            self.paused = False
            self.watch_reading(True)

    def is_reading(self):
        return not self.closing and not self.paused

    # ------------------------------------------------------------------ writing

    def write(self, data):
        """Send `data`, or let it wait. What can change is copied before this returns."""
        self.check_thread("write")
        self.put(data)
        self.too_much()

    def writelines(self, list_of_data):
        self.write(b"".join(list_of_data))    # all or nothing, in one system call

    cdef int put(self, object data) except -1:
        cdef Py_ssize_t size
        cdef Py_ssize_t sent = 0
        if self.eof_asked:
            raise RuntimeError("write() after write_eof()")
        if not PyBytes_CheckExact(data):
            data = _immutable(data)
        size = len(data)
        if self.closing or size == 0:
            return 0
        if self.waiting is None:
            if PyBytes_CheckExact(data):
                sent = ws_sys_send(self.fd, PyBytes_AS_STRING(data), size)
            else:
                sent = ws_sys_send(self.fd, PyMemoryView_GET_BUFFER(data).buf, size)
            if sent == size:
                return 0
            if sent < 0:
                if sent != -EAGAIN:
                    return self.fail(OSError(-sent, os.strerror(-sent)), "writing failed")
                sent = 0
            self.waiting = deque()
            self.first_sent = sent
            self.watch_writing(True)
        self.waiting.append(data)
        self.waiting_size += size - sent
        return 0

    cdef int watch_writing(self, bint wanted) except -1:
        if self.is_written != wanted:
            self.is_written = wanted
            if wanted:
                self.loop.add_writer(self.fd, self._writable)
            elif not self.loop.is_closed():
                self.loop.remove_writer(self.fd)
        return 0

    def _writable(self):
        """For the loop."""
        cdef Py_ssize_t sent
        if self.waiting is None or self.ending:
            return
        sent = self.send_waiting()
        if sent == -EAGAIN:
            return
        if sent < 0:
            self.fail(OSError(-sent, os.strerror(-sent)), "writing failed")
            return
        self.waiting_size -= sent
        self.first_sent += sent
        while self.waiting and self.first_sent >= len(self.waiting[0]):
            self.first_sent -= len(self.waiting.popleft())
        if not self.waiting:
            self.waiting = None
            self.watch_writing(False)
        try:
            self.little_left()
        finally:
            # Not before resume_writing(), which may have written more.
            if self.waiting is None and not self.ending:
                if self.closing:
                    self.end(None)
                elif self.eof_asked:
                    self.shut_down()

    cdef Py_ssize_t send_waiting(self) except? -1:
        """One sendmsg(2) of what waits: bytes taken, or a negative errno."""
        cdef iovec parts[PARTS_MOST]
        cdef int count = 0
        for data in self.waiting:
            if PyBytes_CheckExact(data):
                parts[count].iov_base = PyBytes_AS_STRING(data)
            else:
                parts[count].iov_base = PyMemoryView_GET_BUFFER(data).buf
            parts[count].iov_len = len(data)
            count += 1
            if count == PARTS_MOST:
                break
        parts[0].iov_base = <char *>parts[0].iov_base + self.first_sent
        parts[0].iov_len -= self.first_sent
        return ws_sys_sendv(self.fd, parts, count)

    def get_write_buffer_size(self):
        return self.waiting_size

    def get_write_buffer_limits(self):
        return self.low, self.high

    def set_write_buffer_limits(self, high=None, low=None):
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self.high = high
        self.low = low
        self.too_much()

    cdef int too_much(self) except -1:
        if self.waiting_size > self.high and not self.pausing:
            self.pausing = True
            try:
                self.protocol.pause_writing()
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exc:
                self.report(exc, "pause_writing() failed")
        return 0

    cdef int little_left(self) except -1:
        if self.pausing and self.waiting_size <= self.low:
            self.pausing = False
            try:
                self.protocol.resume_writing()
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exc:
                self.report(exc, "resume_writing() failed")
        return 0

    def can_write_eof(self):
        return True

    def write_eof(self):
        """End our side of the stream, behind what waits."""
        self.check_thread("write_eof")
        if self.closing or self.eof_asked:
            return
        self.eof_asked = True
        if self.waiting is None:
            self.shut_down()

    cdef int shut_down(self) except -1:
        try:
            self.own_socket().shutdown(socket.SHUT_WR)
        except OSError:
            pass    # the peer has reset it: the next read says so
        return 0

    # ------------------------------------------------------------------ the end

    def is_closing(self):
        return self.closing

    def close(self):
        """Send what waits, then end."""
        self.check_thread("close")
        if self.closing:
            return
        self.closing = True
        self.watch_reading(False)
        if self.waiting is None:
            self.end(None)

    def abort(self):
        """End now; what waits is lost."""
        self.check_thread("abort")
        self.end(None)

    cdef int end(self, exc) except -1:
        """Let connection_lost(exc) come soon."""
        if self.ending:
            return 0
        self.ending = self.closing = True
        if self.waiting is not None:
            self.shut_down()    # WSTransport writes beside us: nothing may follow what is lost
        self.waiting = None
        self.waiting_size = 0
        self.watch_writing(False)
        self.watch_reading(False)
        self.loop.call_soon(self._lost, exc)
        return 0

    def _lost(self, exc):
        protocol, server = self.protocol, self.server
        try:
            protocol.connection_lost(exc)
        finally:
            self.protocol = None
            self.receiver = None
            self.server = None
            fd, self.fd = self.fd, -1
            if self.sock is not None:
                self.sock.close()
            elif fd >= 0 and not self.fd_given:
                os.close(fd)
            if server is not None:
                server.detach()

    cdef int fail(self, exc, str what) except -1:
        if not isinstance(exc, OSError):
            self.report(exc, what)
        return self.end(exc)

    cdef int report(self, exc, str what) except -1:
        self.loop.call_exception_handler(
            {"message": what, "exception": exc, "transport": self, "protocol": self.protocol})
        return 0

    # ------------------------------------------------------------------ what it is

    cdef object own_socket(self):
        """Our descriptor as a socket object, which owns it from now on."""
        if self.sock is None:
            if self.fd < 0:
                raise OSError("the transport is closed")
            self.sock = socket.socket(fileno=self.fd)
            self.fd_given = True
        return self.sock

    def get_extra_info(self, name, default=None):
        """``socket``, ``peername``, ``sockname``; all else is `default`."""
        if name == "peername":
            return "" if self.peer_size == 0 else _address(self.family, self.peer)    # nothing: a unix socket
        if name == "socket":
            return default if self.fd < 0 else asyncio.trsock.TransportSocket(self.own_socket())
        if name == "sockname":
            return default if self.fd < 0 else self.own_socket().getsockname()
        return default

    def __repr__(self):
        state = "closed" if self.fd < 0 else "closing" if self.closing else "open"
        return f"<SocketTransport {state} fd={self.fd} waiting={self.waiting_size}>"


cdef object _immutable(data):
    """`data` as bytes or as a view of bytes, so that nobody can change it while it waits."""
    cdef object view
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data must be a bytes-like object, not {type(data).__name__}")
    view = PyMemoryView_FromObject(data)
    if view.contiguous and type(view.obj) is bytes and view.itemsize == 1 and view.ndim == 1:
        return view
    return bytes(view)


cdef object _address(int family, const uint8_t *raw):
    """A sockaddr_in or sockaddr_in6 as socket.getpeername() gives it."""
    cdef int port = raw[2] << 8 | raw[3]
    cdef uint32_t scope
    if family == _INET:
        return socket.inet_ntop(family, PyBytes_FromStringAndSize(<char *>raw + 4, 4)), port
    memcpy(&scope, raw + 24, 4)
    flow = int.from_bytes(raw[4:8], "big")
    return socket.inet_ntop(family, PyBytes_FromStringAndSize(<char *>raw + 8, 16)), port, flow, scope
