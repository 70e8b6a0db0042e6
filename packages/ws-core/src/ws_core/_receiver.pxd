from libc.stdint cimport uint8_t
from ws_core._buffer cimport Block, LoopState
from ws_core._frame cimport WSFrame
from ws_core._listener cimport WSListener, listener_call
from ws_core._sender cimport Config
from ws_core._transport cimport WSTransport
from ws_core._wire cimport wl_frame, wl_reader


cdef enum protocol_state:
    HANDSHAKE        # bytes go to the handshake object
    OPEN             # bytes go to the reader
    LOST


# What was read and is not delivered yet: the reader is one frame ahead.
cdef struct Ahead:
    uint8_t *data        # the bytes of this batch
    Py_ssize_t size
    Py_ssize_t at        # of them, what the frames before `frame` took
    wl_frame frame       # behind them, if `status` says so
    int status           # what the reader said: a wl_status


cdef class Receiver:
    cdef:
        Config config
        LoopState shared
        protocol_state state
        object handshake                 # see WSProtocol; None once it is done
        bint in_batch

        wl_reader reader
        Block rd_own                     # holds a half frame; None: there is none
        Py_ssize_t rd_own_start          # where in rd_own its head is
        object rd_own_view               # what the transport reads into rd_own through; None until it asks
        Py_ssize_t rd_own_used           # where in rd_own the next read goes
        object rd_frames                 # list, while a listener wants all frames of a read at once

        WSListener listener
        listener_call frame_call
        object py_on_frame               # bound method, for CALL_PYTHON
        object py_on_frames              # bound method of the optional batch callback
        bytes pong_owed                  # payload of the newest PING, while the peer does not read; or None

    cdef readonly WSTransport transport

    cdef int begin(self, object listener, int rsv) except -1
    cdef int end(self) except -1
    cdef int room(self, uint8_t **data, Py_ssize_t *size) except -1
    cdef int came(self, Py_ssize_t nbytes) except -1
    cdef int batch(self, Py_ssize_t nbytes) except -1
    cdef int busy_poll(self) except -1
    cdef int receive(self, Block block, uint8_t *data, Py_ssize_t size) except -1
    cdef Py_ssize_t dispatch(self, Block block, uint8_t *data, Py_ssize_t size) except -1
    cdef int deliver_ahead(self, Block block, Ahead *ahead) except -1
    cdef int deliver_frames(self, WSTransport transport) except -1
    cdef int answer_ping(self, WSTransport transport, WSFrame frame) except -1
    cdef int pay_pong(self, WSTransport transport) except -1
    cdef int keep_rest(self, Block block, uint8_t *data, Py_ssize_t size) except -1
    cdef int use_own(self, Block block, Py_ssize_t start, Py_ssize_t used) except -1
    cdef int protocol_error(self, WSTransport transport) except -1
    cdef int frame_callback_error(self, WSTransport transport, object exc, str where) except -1
