from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from ws_core._buffer cimport LoopState
from ws_core._frame cimport WSFrame
from ws_core._hooks cimport HookChain


cdef class Config:
    # What all connections of one ws_connect call or one server share.
    cdef readonly:
        object loop
        object logger
        bint is_client_side
        bint disconnect_on_exception
        bint enable_auto_pong
        bint strict
        bint cork
        Py_ssize_t max_frame_size          # bytes
        Py_ssize_t read_buffer_init_size   # bytes
        Py_ssize_t max_write_backlog       # bytes; -1: no limit
        object debug                       # a LoggerAdapter-like `log`, or None: debug level is off
    cdef LoopState shared


cdef class WSTransport:
    cdef:
        object __weakref__
        Config config
        LoopState shared
        unsigned long thread_id
        object listener                    # None before it is attached and after on_ws_disconnected
        HookChain hooks
        dict _user_data

        # The send side.
        int wr_fd                          # for send(2); -1: only through underlying_transport
        bint wr_backlogged                 # bytes were handed over that may still wait there
        bint wr_closed                     # nothing can be sent any more
        bint wr_paused                     # between pause_writing and resume_writing
        bint wr_direct_next                # corked, but the next frame may leave at once
        int wr_cork                        # depth; > 0: gather
        uint8_t *wr_gather                 # GATHER_SIZE bytes, or NULL
        Py_ssize_t wr_gather_size          # bytes in it
        list wr_drain_waiters

        # Counters, see WSStats.
        uint64_t frames_in, bytes_in, frames_out, bytes_out
        double last_data_time              # seconds on the loop's clock

        # The end of the connection.
        object exception                   # what wait_disconnected raises
        object lost_waiter                 # Future, made when somebody waits
        object close_waiter                # Future of close(): done when the peer's CLOSE is in
        object lingering                   # Linger, while the end is under way
        bint finished                      # on_ws_disconnected has returned

    cdef readonly:
        object underlying_transport
        object request
        object response
        object subprotocol
        bint is_client_side
        bint is_secure
        bint is_close_frame_sent
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
    cdef int check_thread(self, str method) except -1
    cdef int send_message(self, uint8_t first, object message) except -1
    cdef int send_frame(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, object owner) except -1
    cdef int gather_frame(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, Py_ssize_t total) except -1
    cdef int write_frame(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, Py_ssize_t total,
                         object owner) except -1
    cdef Py_ssize_t build(self, uint8_t *out, uint8_t first, const uint8_t *payload, Py_ssize_t size) except -1
    cdef int next_key(self, uint32_t *key) except -1
    cdef bint may_write_directly(self) except -1
    cdef int write_bytes(self, const uint8_t *data, Py_ssize_t size) except -1
    cdef int write_masked(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, Py_ssize_t total) except -1
    cdef int write_unmasked(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, object owner) except -1
    cdef Py_ssize_t backlog(self) except -1
    cdef int hand_over(self, object data) except -1
    cdef int flush(self) except -1
    cdef int uncork(self) except -1
    cdef int drop_gathered(self) except -1
    cdef int close_with(self, int code, object reason) except -1
    cdef int set_reason(self, kind, str message, exc) except -1
    cdef int close_received(self, WSFrame frame) except -1
    cdef int wake_drain_waiters(self, exc) except -1
    cdef int lost(self) except -1
