from libc.stdint cimport uint8_t, uint32_t, uint64_t
from ws_core._buffer cimport LoopState


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
        int busy_poll_us                   # microseconds; 0: off
        object debug                       # a LoggerAdapter-like `log`, or None: debug level is off
        object resets                      # a ResetWatch, or None: the loop needs none
    cdef:
        LoopState shared
        unsigned long thread_id            # of the loop

    cpdef int check_thread(self, str what) except -1


cdef class Sender:
    cdef:
        Config config
        LoopState shared
        unsigned long thread_id            # of the loop
        int wr_fd                          # for send(2); -1: only through underlying_transport
        bint wr_in_parts                   # writelines() of the underlying transport copies nothing, and is atomic
        bint wr_backlogged                 # bytes were handed over that may still wait there
        bint wr_closed                     # nothing can be sent any more
        bint wr_paused                     # between pause_writing and resume_writing
        list wr_drain_waiters
        bint wr_direct_next                # corked, but the next frame may leave at once
        int wr_cork                        # depth; > 0: gather
        uint32_t wr_hooked                 # bit n: a hook has an on_send for opcode n, see emit()
        uint8_t *wr_gather                 # GATHER_SIZE bytes, or NULL
        Py_ssize_t wr_gather_size          # bytes in it
        uint64_t frames_out, bytes_out     # headers included

    cdef readonly:
        object underlying_transport
        bint is_client_side
        bint is_close_frame_sent
        bint is_disconnected

    cdef int check_thread(self, str method) except -1
    cdef int send_message(self, uint8_t first, object message) except -1
    cdef int emit(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, object owner) except -1
    cdef int send_last_frame(self, uint8_t first, bytes payload) except -1
    cdef bint flush_before(self, Py_ssize_t count, Py_ssize_t size) except -1
    cdef int send_frame(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, object owner) except -1
    cdef int send_built(self, bytes frames, Py_ssize_t count) except -1
    cdef int gather_frame(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, Py_ssize_t total) except -1
    cdef int write_frame(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, Py_ssize_t total,
                         object owner) except -1
    cdef int next_key(self, uint32_t *key) except -1
    cdef bint may_write_directly(self) except -1
    cdef int write_bytes(self, const uint8_t *data, Py_ssize_t size) except -1
    cdef int write_masked(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, Py_ssize_t total) except -1
    cdef int write_unmasked(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, object owner) except -1
    cdef Py_ssize_t backlog(self) except -1
    cdef int wake_drain_waiters(self, exc) except -1
    cdef bytes room_for_rest(self, Py_ssize_t size)
    cdef int hand_over_copy(self, const uint8_t *data, Py_ssize_t size) except -1
    cdef int hand_over(self, object data) except -1
    cdef int torn(self, object exc) except -1
    cdef int backlog_exceeded(self) except -1
    cdef int flush(self) except -1
    cdef int uncork(self) except -1
    cdef int drop_gathered(self) except -1


cdef class Cork:
    cdef Sender sender
    cdef int entered
