from libc.stdint cimport uint8_t, uint32_t
from ws_core._frame cimport WSFrame

cdef extern from "Python.h":
    ctypedef struct PyObject:
        pass

cdef enum hook_verdict:
    HOOK_PASS = 0        # the frame goes on as it is
    HOOK_CONSUME = 1     # nobody behind this hook sees the frame
    HOOK_REPLACE = 2     # *replacement goes on in its place

# A message on its way to the wire. A hook that replaces the payload sets
# `owner` to a new reference to whatever keeps it alive until it is framed.
# It is the ws_message of include/ws_core.h.
cdef struct Outgoing:
    uint8_t first                    # fin, reserved bits, opcode
    const uint8_t *payload
    Py_ssize_t size
    PyObject *owner                  # or NULL

# What the core dispatches: C function pointers and a context. A callback that
# a hook lacks is NULL and costs one test. Errors: -1 with an exception set.
# `except *`: a hook in C that forgets the exception must not take us down, and
# one that forgets the -1 must not leave its exception to whoever comes next.
# They are those of ws_hook_calls in include/ws_core.h.
cdef struct HookCalls:
    uint32_t opcodes     # bit n: on_frame and on_send want to see opcode n
    int (*on_open)(void *context, object transport) except *
    int (*on_frame)(void *context, object transport, WSFrame frame, PyObject **replacement) except *
    int (*on_send)(void *context, object transport, Outgoing *message) except *
    int (*on_user_pong)(void *context, object transport) except *
    int (*on_close)(void *context, object transport) except *
    void (*release)(void *context) noexcept

cdef class Hook:
    cdef:
        HookCalls calls
        void *context


cdef class HookChain:
    cdef:
        tuple hooks
        uint32_t opcodes               # what the on_frame of any hook of the chain wants to see
        uint32_t send_opcodes          # the same of on_send

    cdef WSFrame on_frame(self, object transport, WSFrame frame)
    cdef int on_send(self, object transport, Outgoing *message) except -1
    cdef int on_open(self, object transport) except -1
    cdef int on_user_pong(self, object transport) except -1
    cdef int on_close(self, object transport) except -1


cdef Hook wrap_hook(object hook)
cdef bint wraps(Hook link, object hook)
cdef bint wraps_python(Hook link)
cdef HookChain new_chain(list hooks)
