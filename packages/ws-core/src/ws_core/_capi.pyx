# The C API: the functions behind the table of include/ws_core.h, which has the
# contract of each one, and the capsule that the table travels in.
#
# Everything here is a thin wrapper. Arguments come from strangers: types are
# checked, and a struct of theirs is read no further than it says it goes.

cimport cython
from cpython.exc cimport PyErr_Occurred
from cpython.object cimport PyTypeObject
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from ws_core._buffer cimport Block, new_block
from ws_core._frame cimport WSFrame, new_frame
from ws_core._hooks cimport Hook, Outgoing, PyObject as CorePyObject, wraps_python
from ws_core._listener cimport WSListener
from ws_core._transport cimport WSTransport
from ws_core._wire cimport (
    WL_BIT_FIN, WL_BIT_RSV1, WL_BIT_RSV2, WL_BIT_RSV3, WL_OP_BINARY, WL_OP_CLOSE, WL_OP_PING, WL_OP_PONG,
    WL_OPCODE_CONTROL, WL_OPCODE_MASK, wl_header_size, wl_header_write, wl_mask, wl_mask_init,
)
from ws_core.capi cimport (
    WS_CORE_ABI_MAJOR, WS_CORE_ABI_MINOR, ws_core_api, ws_hook_calls, ws_listener_calls,
)

import os.path

cdef extern from *:
    """
    #ifndef WS_CORE_LAYOUT
    #error "WS_CORE_LAYOUT is given by setup.py"
    #endif
    /* What the first version of each struct had: a client that says it has less is wrong. */
    #define WS_LISTENER_CALLS_LEAST (offsetof(ws_listener_calls, release) + sizeof(void (*)(void)))
    #define WS_HOOK_CALLS_LEAST (offsetof(ws_hook_calls, release) + sizeof(void (*)(void)))
    """
    unsigned WS_CORE_LAYOUT
    size_t WS_LISTENER_CALLS_LEAST
    size_t WS_HOOK_CALLS_LEAST

cdef enum:
    CALLS_MOST = 4096      # bytes; no struct of callbacks will be larger: a size beyond it was never set

# The same functions, as core sees them.
ctypedef int (*transport_call)(void *, object) except *
ctypedef int (*on_frame_call)(void *, object, WSFrame, CorePyObject **) except *
ctypedef int (*on_send_call)(void *, object, Outgoing *) except *

wl_mask_init()

cdef ws_core_api _table

layout = WS_CORE_LAYOUT     # see _layout.py
abi_version = WS_CORE_ABI_MAJOR << 16 | WS_CORE_ABI_MINOR


def get_include():
    """The folder of ``ws_core.h``, for a compiler's include path: for C and for Cython modules that use ws_core."""
    return os.path.join(os.path.dirname(__file__), "include")


# ---------------------------------------------------------------------- frames

cdef const uint8_t *_frame_payload(object frame) except NULL:
    return <const uint8_t *>(<WSFrame?>frame).payload_ptr

cdef Py_ssize_t _frame_size(object frame) except -1:
    return (<WSFrame?>frame).payload_size

cdef int _frame_first(object frame) except -1:
    return (<WSFrame?>frame).first

cdef int _frame_is_last(object frame) except -1:
    return (<WSFrame?>frame).last_in_buffer

cdef object _frame_replace(object frame, int first, const void *payload, Py_ssize_t size):
    cdef WSFrame old = <WSFrame?>frame
    cdef WSFrame new
    cdef Block block
    _check_opcode(first)
    _check_memory(payload, size)
    block = new_block(size)
    if size:
        memcpy(block.data, payload, size)
    new = new_frame(block, <char *>block.data, size, <uint8_t>first)
    new.tail_size = old.tail_size
    new.last_in_buffer = old.last_in_buffer
    return new


# --------------------------------------------------------------------- sending

cdef int _check_memory(const void *payload, Py_ssize_t size) except -1:
    if size < 0:
        raise ValueError(f"the size of a payload must not be negative, it is {size}")
    if payload == NULL and size:
        raise ValueError(f"the payload of {size} bytes is NULL")
    return 0

cdef int _check_opcode(int first) except -1:
    cdef int opcode = first & WL_OPCODE_MASK
    if first < 0 or first > 255 or opcode > WL_OP_PONG or WL_OP_BINARY < opcode < WL_OP_CLOSE:
        raise ValueError(f"{first:#x} is not the first byte of a frame: opcode and bits (RFC 6455 5.2)")
    return 0

cdef int _check_first(int first) except -1:
    cdef int opcode = first & WL_OPCODE_MASK
    _check_opcode(first)
    if opcode == WL_OP_CLOSE:
        raise ValueError("a CLOSE is sent by send_close")
    if opcode & WL_OPCODE_CONTROL and not first & WL_BIT_FIN:
        raise ValueError("a control frame cannot be fragmented (RFC 6455 5.5): WS_BIT_FIN is missing")
    return 0

cdef int _send(object transport, int first, const void *payload, Py_ssize_t size) except -1:
    cdef WSTransport connection = <WSTransport?>transport
    connection.check_thread("send")
    _check_first(first)
    _check_memory(payload, size)
    return connection.emit(<uint8_t>first, <const uint8_t *>payload, size, None)

cdef int _send_in_place(object transport, int first, void *payload, Py_ssize_t size) except -1:
    cdef WSTransport connection = <WSTransport?>transport
    _check_first(first)
    if payload == NULL:
        raise ValueError("there must be 14 writable bytes before the payload, and it is NULL")
    return connection.send_reuse_external_buffer(
        first & WL_OPCODE_MASK, <char *>payload, size, (first & WL_BIT_FIN) != 0, (first & WL_BIT_RSV1) != 0,
        (first & WL_BIT_RSV2) != 0, (first & WL_BIT_RSV3) != 0)

cdef int _send_ping(object transport, const void *payload, Py_ssize_t size) except -1:
    return _send(transport, WL_BIT_FIN | WL_OP_PING, payload, size)

cdef int _send_pong(object transport, const void *payload, Py_ssize_t size) except -1:
    return _send(transport, WL_BIT_FIN | WL_OP_PONG, payload, size)

cdef int _send_close(object transport, int code, const char *reason, Py_ssize_t size) except -1:
    cdef WSTransport connection = <WSTransport?>transport
    _check_memory(reason, size)
    connection.send_close(code, reason[:size] if size else None)
    return 0

cdef int _disconnect(object transport, int graceful) except -1:
    (<WSTransport?>transport).disconnect(graceful != 0)
    return 0

cdef Py_ssize_t _write_backlog_size(object transport) except -1:
    return (<WSTransport?>transport).write_backlog_size

cdef int _cork(object transport) except -1:
    cdef WSTransport connection = <WSTransport?>transport
    connection.check_thread("cork")
    connection.capi_corks += 1
    connection.wr_cork += 1
    connection.wr_direct_next = False
    return 0

cdef int _uncork(object transport) except -1:
    cdef WSTransport connection = <WSTransport?>transport
    connection.check_thread("uncork")
    if connection.capi_corks == 0:
        raise RuntimeError("uncork() without a cork()")
    connection.capi_corks -= 1
    return connection.uncork()


# --------------------------------------------------------------- listeners, hooks

@cython.final
cdef class CListener(WSListener):
    """A listener made of C functions and a context: what new_listener() of the C API gives. Internal."""

    cdef:
        ws_listener_calls calls
        void *context

    def __dealloc__(self):
        if self.calls.release != NULL:
            self.calls.release(self.context)

    cpdef on_ws_connected(self, WSTransport transport):
        if self.calls.on_connected != NULL:
            _expect_zero("on_connected", self.calls.on_connected(self.context, transport))

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        if self.calls.on_frame != NULL:
            _expect_zero("on_frame", self.calls.on_frame(self.context, transport, frame))

    cpdef on_ws_disconnected(self, WSTransport transport):
        if self.calls.on_disconnected != NULL:
            _expect_zero("on_disconnected", self.calls.on_disconnected(self.context, transport))

    cpdef pause_writing(self):
        if self.calls.pause_writing != NULL:
            _expect_zero("pause_writing", self.calls.pause_writing(self.context))

    cpdef resume_writing(self):
        if self.calls.resume_writing != NULL:
            _expect_zero("resume_writing", self.calls.resume_writing(self.context))

    cpdef on_write_backlog(self, WSTransport transport):
        if self.calls.on_write_backlog == NULL:
            WSListener.on_write_backlog(self, transport)
        else:
            _expect_zero("on_write_backlog", self.calls.on_write_backlog(self.context, transport))


cdef int _expect_zero(str name, int result) except -1:
    if PyErr_Occurred() != NULL:    # whatever it returned: it must not be left to whoever comes next
        return -1
    if result:
        raise SystemError(f"{name} of a C listener did not return 0 and set no exception")
    return 0


cdef int _copy_calls(void *to, size_t room, const void *given, size_t least, str name) except -1:
    """Copy a struct that begins with its size: shorter ones are filled up with zeros, longer ones must not ask more."""
    cdef const uint8_t *data = <const uint8_t *>given
    cdef size_t size, at
    if given == NULL:
        raise ValueError(f"{name} is NULL")
    size = (<const size_t *>given)[0]
    if size < least:
        raise ValueError(f"struct_size of {name} is {size}: it must be sizeof({name}), at least {least}")
    if size > CALLS_MOST:
        raise ValueError(f"struct_size of {name} is {size}: it must be sizeof({name})")
    for at in range(room, size):
        if data[at]:
            raise ValueError(f"{name} of {size} bytes asks for what this ws_core does not have yet: upgrade it")
    memset(to, 0, room)
    memcpy(to, given, size if size < room else room)
    return 0


cdef object _new_listener(const ws_listener_calls *calls, void *context):
    cdef ws_listener_calls given
    cdef CListener listener
    _copy_calls(&given, sizeof(given), calls, WS_LISTENER_CALLS_LEAST, "ws_listener_calls")
    listener = <CListener>CListener.__new__(CListener)
    listener.calls = given
    listener.context = context
    return listener


cdef object _new_hook(const ws_hook_calls *calls, void *context):
    cdef ws_hook_calls given
    cdef Hook hook
    _copy_calls(&given, sizeof(given), calls, WS_HOOK_CALLS_LEAST, "ws_hook_calls")
    hook = <Hook>Hook.__new__(Hook)
    hook.calls.opcodes = given.opcodes
    hook.calls.on_open = <transport_call>given.on_open
    hook.calls.on_frame = <on_frame_call>given.on_frame
    hook.calls.on_send = <on_send_call>given.on_send
    hook.calls.on_user_pong = <transport_call>given.on_user_pong
    hook.calls.on_close = <transport_call>given.on_close
    hook.calls.release = given.release
    hook.context = context
    return hook


cdef int _add_hook(object transport, object hook) except -1:
    (<WSTransport?>transport).add_hook(hook)
    return 0

cdef int _remove_hook(object transport, object hook) except -1:
    (<WSTransport?>transport).remove_hook(hook)
    return 0

cdef void *_context(object listener_or_hook) except? NULL:
    if isinstance(listener_or_hook, CListener):
        return (<CListener>listener_or_hook).context
    if isinstance(listener_or_hook, Hook) and not wraps_python(<Hook>listener_or_hook):
        return (<Hook>listener_or_hook).context
    raise TypeError(f"neither a listener nor a hook of the C API: {type(listener_or_hook).__name__}")

cdef object _user_data(object transport):
    return (<WSTransport?>transport).user_data


# ------------------------------------------------------------------- bytes only

cdef void _mask(void *dst, const void *src, size_t size, uint32_t key) noexcept nogil:
    wl_mask(<uint8_t *>dst, <const uint8_t *>src, size, key)

cdef size_t _header_size(uint64_t payload_size, int masked) noexcept nogil:
    return wl_header_size(payload_size, masked != 0)

cdef size_t _header_write(uint8_t *out, uint8_t first, uint64_t payload_size, const uint32_t *key) noexcept nogil:
    return wl_header_write(out, first, payload_size, key)


# -------------------------------------------------------------------- the table

_table.abi_major = WS_CORE_ABI_MAJOR
_table.abi_minor = WS_CORE_ABI_MINOR
_table.size = sizeof(_table)
_table.state = NULL
_table.transport_type = <PyTypeObject *>WSTransport
_table.frame_type = <PyTypeObject *>WSFrame
_table.listener_type = <PyTypeObject *>WSListener
_table.frame_payload = _frame_payload
_table.frame_size = _frame_size
_table.frame_first = _frame_first
_table.frame_is_last = _frame_is_last
_table.frame_replace = _frame_replace
_table.send = _send
_table.send_in_place = _send_in_place
_table.send_ping = _send_ping
_table.send_pong = _send_pong
_table.send_close = _send_close
_table.disconnect = _disconnect
_table.write_backlog_size = _write_backlog_size
_table.cork = _cork
_table.uncork = _uncork
_table.new_listener = _new_listener
_table.new_hook = _new_hook
_table.add_hook = _add_hook
_table.remove_hook = _remove_hook
_table.context = _context
_table.user_data = _user_data
_table.mask = _mask
_table.header_size = _header_size
_table.header_write = _header_write

table = PyCapsule_New(&_table, "ws_core._capi.table", NULL)
