from libc.stdint cimport uint32_t
from ws_core._frame cimport WSFrame

cdef enum hook_verdict:
    HOOK_PASS = 0        # the frame goes on as it is
    HOOK_CONSUME = 1     # nobody behind this hook sees the frame
    HOOK_REPLACE = 2     # *replacement goes on in its place

# What the core dispatches: C function pointers and a context. A callback that
# a hook lacks is NULL and costs one test. Errors: -1 with an exception set.
cdef struct HookCalls:
    uint32_t opcodes     # bit n: on_frame wants to see frames of opcode n
    int (*on_open)(void *context, object transport) except -1
    int (*on_frame)(void *context, object transport, WSFrame frame, PyObject **replacement) except -1
    int (*on_user_pong)(void *context, object transport) except -1
    int (*on_close)(void *context, object transport) except -1
    void (*release)(void *context) noexcept

cdef extern from "Python.h":
    ctypedef struct PyObject:
        pass


cdef class Hook:
    cdef:
        HookCalls calls
        void *context


cdef class HookChain:
    cdef:
        tuple hooks
        readonly uint32_t opcodes      # what any hook of the chain wants to see

    cdef WSFrame on_frame(self, object transport, WSFrame frame)
    cdef int on_open(self, object transport) except -1
    cdef int on_user_pong(self, object transport) except -1
    cdef int on_close(self, object transport) except -1


cdef Hook wrap_python_hook(object hook)
cdef HookChain new_chain(list hooks)
