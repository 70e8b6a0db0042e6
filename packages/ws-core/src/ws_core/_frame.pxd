from libc.stdint cimport uint8_t, uint64_t
from ws_core._buffer cimport Block, LoopState


# All cdef classes that users know lead here: whoever cimports one past
# ws_core/__init__.pxd is told at once, not by a wrong call after an upgrade.
cdef extern from *:
    """
    #if !defined(WS_CORE_LAYOUT_IS_CHECKED) && !defined(WS_CORE_BUILD)
    #error "cimport WSFrame, WSListener and WSTransport from ws_core and from no module below it: see its C API, Cython"
    #endif
    """


cdef class WSFrame:
    cdef:
        Block _block                       # keeps the memory below alive
        char *payload_ptr                  # not NULL; valid as long as this frame lives
        readonly Py_ssize_t payload_size   # bytes
        readonly Py_ssize_t tail_size      # bytes received behind this frame, not yet dispatched
        uint8_t first                      # fin, reserved bits, opcode, as on the wire
        readonly bint last_in_buffer       # no whole frame follows in what was read

    cdef int _check_close(self) except -1
    cpdef bytes get_payload_as_bytes(self)
    cpdef str get_payload_as_utf8_text(self)
    cpdef str get_payload_as_ascii_text(self)
    cpdef object get_payload_as_memoryview(self)
    cpdef object get_close_code(self)
    cpdef bytes get_close_message(self)
    cpdef str get_close_reason(self)


cdef WSFrame new_frame(Block block, char *payload, Py_ssize_t payload_size, uint8_t first)
cdef WSFrame take_frame(LoopState shared, Block block)
cdef int give_frame(LoopState shared, WSFrame frame) except -1

cdef extern from *:
    """
    /* Whether the caller's reference is the only one. Without a GIL another thread may have dropped its own just now:
     * what it has read of the frame comes before what we write. */
    #ifdef Py_GIL_DISABLED
    #define ws_only_ours(object) (Py_REFCNT(object) == 1 && (__atomic_thread_fence(__ATOMIC_ACQUIRE), 1))
    #else
    #define ws_only_ours(object) (Py_REFCNT(object) == 1)
    #endif
    """
    bint ws_only_ours(WSFrame frame) noexcept
cdef object close_code_object(unsigned code)
