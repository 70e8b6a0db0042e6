from libc.stdint cimport uint64_t
from ws_core._frame cimport WSFrame
from ws_core._hooks cimport HookChain
from ws_core._sender cimport Sender


cdef class WSTransport(Sender):
    cdef:
        object __weakref__
        HookChain hooks
        dict _user_data

        list wr_drain_waiters

        # Counters, see WSStats.
        uint64_t frames_in, bytes_in
        double last_data_time              # seconds on the loop's clock

        # The end of the connection.
        object exception                   # what wait_disconnected raises
        object lost_waiter                 # Future, made when somebody waits
        object close_waiter                # Future of close(): done when the peer's CLOSE is in
        object lingering                   # Linger, while the end is under way
        bint finished                      # on_ws_disconnected has returned

    cdef readonly:
        object listener                    # None before it is attached and after on_ws_disconnected
        object request
        object response
        object subprotocol
        bint is_secure
        bint is_disconnected
        object close_handshake
        object disconnect_reason

    cdef int send_reuse_external_buffer(self, int msg_type, char *msg_ptr, Py_ssize_t msg_size,
                                        bint fin=*, bint rsv1=*, bint rsv2=*, bint rsv3=*) except -1
    cpdef send(self, int msg_type, message, bint fin=*, bint rsv1=*, bint rsv2=*, bint rsv3=*)
    cpdef send_reuse_external_bytearray(self, int msg_type, bytearray buffer, Py_ssize_t msg_offset,
                                        bint fin=*, bint rsv1=*, bint rsv2=*, bint rsv3=*)
    cpdef send_ping(self, message=*)
    cpdef send_pong(self, message=*)
    cpdef send_close(self, int close_code=*, close_message=*)
    cpdef disconnect(self, bint graceful=*)
    cpdef notify_user_specific_pong_received(self)

    # For the protocol (and for what else is compiled in this package).
    cdef object lost_future(self)
    cdef int linger(self) except -1
    cdef int close_with(self, int code, object reason) except -1
    cdef int set_reason(self, kind, str message, exc) except -1
    cdef int close_received(self, WSFrame frame) except -1
    cdef int wake_drain_waiters(self, exc) except -1
    cdef int lost(self) except -1
