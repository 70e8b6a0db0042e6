# Who owns received bytes, and what the connections of one loop share.
#
# Block      memory that frames point into. A WSFrame holds its Block, a
#            memoryview holds its WSFrame: what a user keeps stays as it is.
# LoopState  one per event loop: the window that every connection without a
#            half frame reads into, the scratch space of the send side, the
#            random pool.
#
# A block counts the frames that point into it. After a batch nobody has kept
# one: the window starts at its beginning again. Somebody has: the window moves
# behind the bytes of this batch, so that many small frames that are kept share
# one block, and a fresh block is taken when little is left.
#
# This file knows no frames, no protocol and no sockets.

from cpython.mem cimport PyMem_RawMalloc, PyMem_RawFree
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.buffer cimport PyBuffer_FillInfo

import threading
from weakref import WeakKeyDictionary

cimport cython

cdef extern from "../_memory.h":
    void *ws_memory_new(Py_ssize_t size)
    void ws_memory_free(void *data, Py_ssize_t size)
    void *ws_memory_grow(void *data, Py_ssize_t size, Py_ssize_t more)

cdef enum:
    WINDOW_SIZE = 128 * 1024        # bytes of a shared block; what one read can bring
    SPARE_MOST = 4 * 1024 * 1024    # bytes; a larger block is not kept for the next half frame
    WINDOW_LEAST = 16 * 1024        # a window smaller than this costs too many reads


@cython.final
@cython.no_gc
cdef class Block:
    """Raw memory of a fixed size. Internal: only its views are seen from outside."""

    def __dealloc__(self):
        ws_memory_free(self.data, self.size)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.data + self.window, self.size - self.window, 0, flags)
        ws_count_add(self.views)

    def __releasebuffer__(self, Py_buffer *view):
        ws_count_sub(self.views)

    cdef bint grow(self, Py_ssize_t size):
        """Have room for `size` bytes, the same content, perhaps elsewhere. False: only a new block could, by a copy."""
        cdef void *data
        if ws_count_get(self.frames) or ws_count_get(self.views):
            return False    # somebody knows where it is
        data = ws_memory_grow(self.data, self.size, size)
        if data == NULL:
            return False
        self.data = <uint8_t *>data
        self.size = size
        return True


cdef Block new_block(Py_ssize_t size):
    cdef Block block = <Block>Block.__new__(Block)
    block.data = <uint8_t *>ws_memory_new(size)
    if block.data == NULL:
        raise MemoryError(f"cannot allocate {size} bytes to receive into")
    block.size = size
    return block


@cython.final
cdef class LoopState:
    """What the connections of one event loop share. Belongs to the thread that runs the loop."""

    def __cinit__(self):
        self.wr_scratch = <uint8_t *>PyMem_RawMalloc(SCRATCH_SIZE)
        if self.wr_scratch == NULL:
            raise MemoryError("cannot allocate the send buffer of an event loop")

    def __dealloc__(self):
        PyMem_RawFree(self.wr_scratch)
        PyMem_RawFree(self.wr_spare)

    cdef int ask_room(self, void *reader) except -1:
        """See to it that rd_view is a window that `reader` may read into now."""
        if self.rd_block is None or self.rd_in_batch:
            # In a batch: somebody reads while another connection's frames are
            # dispatched. The batch holds its own reference to its block.
            self.rd_view = None
            self.rd_block = new_block(WINDOW_SIZE)
            self.rd_start = 0
            self.rd_in_batch = False
            self.rd_view = PyMemoryView_FromObject(self.rd_block)
        self.rd_reader = reader
        return 0

    cdef Block begin_batch(self, void *reader, Py_ssize_t nbytes):
        """`nbytes` were read into the window: hand out the block to dispatch from."""
        if self.rd_reader != reader or nbytes > self.rd_block.size - self.rd_start:
            raise RuntimeError(
                "buffer_updated() does not belong to the last get_buffer(): the transport must "
                "fill the buffer and report it before it asks for another one"
            )
        self.rd_reader = NULL
        self.rd_in_batch = True
        return self.rd_block

    cdef int end_batch(self, Block block, Py_ssize_t nbytes) except -1:
        """Everything in `block` up to rd_start + nbytes was dispatched."""
        if self.rd_block is not block:
            return 0    # replaced meanwhile: it goes with its last frame
        self.rd_in_batch = False
        if ws_count_get(block.frames) == 0:
            if self.rd_start:
                self._move_window(0)
        else:
            self._move_window((self.rd_start + nbytes + CACHE_LINE - 1) & -<Py_ssize_t>CACHE_LINE)
        return 0

    cdef int _move_window(self, Py_ssize_t start) except -1:
        self.rd_view = None
        if self.rd_block.size - start < WINDOW_LEAST:
            self.rd_block = None
            self.rd_start = 0
            return 0
        self.rd_start = start
        self.rd_block.window = start
        self.rd_view = PyMemoryView_FromObject(self.rd_block)
        return 0

    cdef Block take_block(self, Py_ssize_t size):
        """A block of at least `size` bytes: the spare one, whose pages are there already, or a new one."""
        cdef Block block = self.rd_spare
        if block is not None and block.size >= size:
            self.rd_spare = None
            return block
        return new_block(size)

    cdef int give_block(self, Block block) except -1:
        """`block` has done its work. Unless somebody kept a frame, it may serve the next half frame."""
        if ws_count_get(block.frames) == 0 and block.size <= SPARE_MOST and (
                self.rd_spare is None or self.rd_spare.size < block.size):
            self.rd_spare = block
        return 0

    cdef uint8_t *take_gather(self) except NULL:
        cdef uint8_t *gather = self.wr_spare
        if gather != NULL:
            self.wr_spare = NULL
            return gather
        gather = <uint8_t *>PyMem_RawMalloc(GATHER_SIZE)
        if gather == NULL:
            raise MemoryError("cannot allocate a buffer to gather messages in")
        return gather

    cdef void give_gather(self, uint8_t *gather) noexcept:
        if self.wr_spare == NULL:
            self.wr_spare = gather
        else:
            PyMem_RawFree(gather)


cdef object _states = WeakKeyDictionary()
cdef object _states_lock = threading.Lock()


cdef LoopState loop_state(object loop):
    """The state of a loop, made when its first connection asks for it."""
    cdef LoopState state
    with _states_lock:
        state = _states.get(loop)
        if state is None:
            state = <LoopState>LoopState.__new__(LoopState)
            _states[loop] = state
    return state
