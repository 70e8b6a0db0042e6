# Hooks in Cython for benchmarks/hooks.py, doing what those of bench_hooks_c.c do.

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.string cimport memset
from ws_core.capi cimport (
    WS_HOOK_PASS, WS_OP_BINARY, WS_OP_TEXT, ws_core_api, ws_core_import, ws_hook_calls, ws_message,
)

cdef const ws_core_api *ws = ws_core_import()


cdef class Counter:
    cdef Py_ssize_t size


cdef int _on_frame(void *context, object transport, object frame, PyObject **replacement) except? -1:
    (<Counter>context).size += ws.frame_size(frame)
    return WS_HOOK_PASS


cdef int _on_send(void *context, object transport, ws_message *message) except? -1:
    (<Counter>context).size += message.size
    return WS_HOOK_PASS


cdef void _release(void *context) noexcept:
    Py_DECREF(<object>context)


cdef object _made(ws_hook_calls *calls):
    cdef Counter counter = Counter()
    calls.struct_size = sizeof(calls[0])
    calls.opcodes = 1 << WS_OP_BINARY | 1 << WS_OP_TEXT
    calls.release = _release
    Py_INCREF(counter)
    return ws.new_hook(calls, <void *>counter)


def receiving():
    cdef ws_hook_calls calls
    memset(&calls, 0, sizeof(calls))
    calls.on_frame = _on_frame
    return _made(&calls)


def sending():
    cdef ws_hook_calls calls
    memset(&calls, 0, sizeof(calls))
    calls.on_send = _on_send
    return _made(&calls)
