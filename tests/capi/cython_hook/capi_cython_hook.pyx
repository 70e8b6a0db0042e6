# A hook in Cython by way of the C API: it counts frames, reverses what is sent
# and drops what is empty. Only ws_core.capi is cimported, so the module runs on
# later cores, too.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.string cimport memset
from ws_core.capi cimport (
    WS_HOOK_CONSUME, WS_HOOK_PASS, WS_HOOK_REPLACE, WS_OP_BINARY, ws_core_api, ws_core_import, ws_hook_calls,
    ws_message,
)

cdef const ws_core_api *ws = ws_core_import()
cdef int _lookups = 0


def lookups():
    return _lookups


cdef class Counter:
    cdef:
        public Py_ssize_t frames, size
        public bint closed

    def __getattribute__(self, name):
        global _lookups
        _lookups += 1
        return object.__getattribute__(self, name)


cdef int _on_frame(void *context, object transport, object frame, PyObject **replacement) except? -1:
    cdef Counter counter = <Counter>context
    counter.frames += 1
    counter.size += ws.frame_size(frame)
    return WS_HOOK_PASS if ws.frame_size(frame) else WS_HOOK_CONSUME


cdef int _on_send(void *context, object transport, ws_message *message) except? -1:
    cdef Py_ssize_t i
    cdef char *out
    turned = PyBytes_FromStringAndSize(NULL, message.size)
    out = PyBytes_AS_STRING(turned)
    for i in range(message.size):
        out[i] = <char>message.payload[message.size - 1 - i]
    Py_INCREF(turned)
    message.owner = <PyObject *>turned
    message.payload = <const unsigned char *>out
    return WS_HOOK_REPLACE


cdef int _on_close(void *context, object transport) except? -1:
    (<Counter>context).closed = True
    return 0


cdef void _release(void *context) noexcept:
    Py_DECREF(<object>context)


def counting_hook():
    """A hook and its Counter."""
    cdef Counter counter = Counter()
    cdef ws_hook_calls calls
    memset(&calls, 0, sizeof(calls))
    calls.struct_size = sizeof(calls)
    calls.opcodes = 1 << WS_OP_BINARY
    calls.on_frame = _on_frame
    calls.on_send = _on_send
    calls.on_close = _on_close
    calls.release = _release
    Py_INCREF(counter)
    return ws.new_hook(&calls, <void *>counter), counter
