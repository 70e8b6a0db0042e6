from libc.stdint cimport uint8_t
from ws_core._wire cimport wl_entropy


cdef class Block:
    cdef:
        uint8_t *data
        Py_ssize_t size
        Py_ssize_t window    # offset of what the buffer protocol exports


cdef class LoopState:
    cdef:
        # Receive: the window that every connection without a half frame reads into.
        Block rd_block
        object rd_view           # memoryview of rd_block from rd_start on
        Py_ssize_t rd_start
        bint rd_in_batch         # rd_block is being dispatched from
        void *rd_reader          # who asked for the window last (borrowed, only compared)

        # Send: where header and payload are put together before send(2).
        uint8_t *wr_scratch
        uint8_t *wr_spare        # one free gather buffer, or NULL
        wl_entropy entropy

        unsigned long thread_id
        object __weakref__

    cdef int ask_room(self, void *reader) except -1
    cdef Block begin_batch(self, void *reader, Py_ssize_t nbytes)
    cdef int end_batch(self, Block block, Py_ssize_t nbytes) except -1
    cdef int _move_window(self, Py_ssize_t start) except -1
    cdef uint8_t *take_gather(self) except NULL
    cdef void give_gather(self, uint8_t *gather) noexcept


cdef enum:
    GATHER_SIZE = 64 * 1024      # bytes; also the size of wr_scratch

cdef Block new_block(Py_ssize_t size)
cdef LoopState loop_state(object loop)
