from libc.stdint cimport uint8_t
from ws_core._receiver cimport Receiver


cdef enum:
    PEER_SIZE = 28                # of a sockaddr_in6: the largest address that is kept
    HIGH_WATER = 64 * 1024        # bytes; asyncio's default


cdef class SocketTransport:
    cdef:
        object loop
        object protocol
        Receiver receiver            # the protocol, if it can be called in C; else None
        object server                # what counts its connections, or None
        object sock                  # a socket.socket, once somebody has asked for one; it owns the descriptor then
        object waiting               # deque of bytes and views of bytes that the kernel did not take; None: empty
        object __weakref__
        unsigned long thread_id
        Py_ssize_t waiting_size      # bytes in it, without what has left of the first
        Py_ssize_t first_sent        # bytes of the first that have left
        Py_ssize_t high, low         # bytes: watermarks of waiting_size
        bint fd_given                # to `sock`, which closes it
        bint is_read                 # the loop tells us when there is something to read
        bint is_written              # the same for room to write
        bint paused                  # by pause_reading()
        bint pausing                 # pause_writing() was called, resume_writing() is owed
        bint closing
        bint ending                  # connection_lost() is on its way
        bint eof_asked               # write_eof()
        uint8_t peer[PEER_SIZE]
        int peer_size                # bytes of it; 0: a unix socket
        int family

    cdef readonly int fd             # -1: closed

    cdef int start(self, object protocol) except -1
    cdef int check_thread(self, str method) except -1
    cdef int use(self, object protocol) except -1
    cdef int watch_reading(self, bint wanted) except -1
    cdef int put(self, object data) except -1
    cdef int watch_writing(self, bint wanted) except -1
    cdef int read_python(self) except -1
    cdef int at_end(self) except -1
    cdef Py_ssize_t send_waiting(self) except? -1
    cdef int too_much(self) except -1
    cdef int little_left(self) except -1
    cdef int end(self, exc) except -1
    cdef int fail(self, exc, str what) except -1
    cdef int report(self, exc, str what) except -1
    cdef int shut_down(self) except -1
    cdef object own_socket(self)
