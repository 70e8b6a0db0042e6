from ws_core._frame cimport WSFrame
from ws_core._sender cimport Sender


cdef class Ending(Sender):
    cdef:
        object exception                   # what wait_disconnected raises
        object lost_waiter                 # Future, made when somebody waits
        object close_waiter                # Future of close(): done when the peer's CLOSE is in
        object lingering                   # Linger, while the end is under way
        bint asking_listener               # on_write_backlog is running: what it sends does not ask again
        bint finished                      # on_ws_disconnected has returned

    cdef readonly:
        object listener                    # None before it is attached and after on_ws_disconnected
        object close_handshake
        object disconnect_reason

    cpdef send_close(self, int close_code=*, close_message=*)
    cpdef disconnect(self, bint graceful=*)

    # For the protocol (and for what else is compiled in this package).
    cdef object lost_future(self)
    cdef int linger(self) except -1
    cdef int close_with(self, int code, object reason) except -1
    cdef int set_reason(self, kind, str message, exc) except -1
    cdef int begin_close_handshake(self) except -1
    cdef int set_listener(self, listener) except -1
    cdef int close_received(self, WSFrame frame) except -1
    cdef int callback_error(self, object exc, str where) except -1
    cdef int lost(self) except -1
