from libc.stdint cimport uint8_t
from ws_core._wire cimport wl_entropy


cdef extern from *:
    """
    #ifndef WS_COUNT
    #define WS_COUNT
    /* Frames may be dropped in another thread than the one that receives. */
    #define ws_count_add(count) ((void)__atomic_fetch_add(&(count), 1, __ATOMIC_RELAXED))
    #define ws_count_sub(count) ((void)__atomic_fetch_sub(&(count), 1, __ATOMIC_RELEASE))
    #define ws_count_get(count) __atomic_load_n(&(count), __ATOMIC_ACQUIRE)
    #endif
    """
    void ws_count_add(long count) noexcept nogil
    void ws_count_sub(long count) noexcept nogil
    long ws_count_get(long count) noexcept nogil


cdef class Block:
    cdef:
        uint8_t *data
        Py_ssize_t size
        Py_ssize_t window    # offset of what the buffer protocol exports
        long frames          # how many WSFrames point into it; see ws_count_*
        long views           # how many exports of the buffer protocol do

    cdef bint grow(self, Py_ssize_t size)


cdef class LoopState:
    cdef:
        # Receive: the window that every connection without a half frame reads into.
        Block rd_block
        object rd_view           # memoryview of rd_block from rd_start on
        Py_ssize_t rd_start
        bint rd_in_batch         # rd_block is being dispatched from
        Block rd_spare           # one free block for half frames, or None
        void *rd_reader          # who asked for the window last (borrowed, only compared)
        object rd_frame          # a WSFrame that points nowhere and is nobody's, for the next batch; or None

        # Send: where header and payload are put together before send(2).
        uint8_t *wr_scratch
        uint8_t *wr_spare        # one free gather buffer, or NULL
        wl_entropy entropy

        object __weakref__

    cdef int ask_room(self, void *reader) except -1
    cdef Block begin_batch(self, void *reader, Py_ssize_t nbytes)
    cdef int end_batch(self, Block block, Py_ssize_t nbytes) except -1
    cdef int _move_window(self, Py_ssize_t start) except -1
    cdef Block take_block(self, Py_ssize_t size)
    cdef int give_block(self, Block block) except -1
    cdef uint8_t *take_gather(self) except NULL
    cdef void give_gather(self, uint8_t *gather) noexcept


cdef enum:
    CACHE_LINE = 64                      # bytes; what _memory.h aligns blocks to
    GATHER_SIZE = 64 * 1024              # bytes
    SCRATCH_SIZE = 1024 * 1024 + 16      # of wr_scratch: a header and 1 MiB of payload leave in one send(2)

cdef Block new_block(Py_ssize_t size)
cdef LoopState loop_state(object loop)
