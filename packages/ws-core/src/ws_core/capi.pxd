# The C API for Cython: the names of include/ws_core.h, which has the contract
# of each one. Compile with `include_dirs=[ws_core.get_include()]`.
#
# A module that cimports from here alone runs on every later core of the same
# ABI major. One that cimports from ws_core itself gets the cdef classes, too,
# and belongs to the build of ws_core that it was compiled against.

from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "ws_core.h":
    enum:
        WS_CORE_ABI_MAJOR
        WS_CORE_ABI_MINOR

    enum:
        WS_OP_CONTINUATION
        WS_OP_TEXT
        WS_OP_BINARY
        WS_OP_CLOSE
        WS_OP_PING
        WS_OP_PONG
        WS_OP_MASK
        WS_BIT_FIN
        WS_BIT_RSV1
        WS_BIT_RSV2
        WS_BIT_RSV3

    enum:
        WS_HEADER_MAX
        WS_CONTROL_MAX

    enum:
        WS_HOOK_PASS
        WS_HOOK_CONSUME
        WS_HOOK_REPLACE

    ctypedef struct ws_message:
        uint8_t first
        const uint8_t *payload
        Py_ssize_t size
        PyObject *owner

    ctypedef struct ws_listener_calls:
        size_t struct_size
        int (*on_connected)(void *context, object transport) except? -1
        int (*on_frame)(void *context, object transport, object frame) except? -1
        int (*on_disconnected)(void *context, object transport) except? -1
        int (*pause_writing)(void *context) except? -1
        int (*resume_writing)(void *context) except? -1
        int (*on_write_backlog)(void *context, object transport) except? -1
        void (*release)(void *context) noexcept

    ctypedef struct ws_hook_calls:
        size_t struct_size
        uint32_t opcodes
        int (*on_open)(void *context, object transport) except? -1
        int (*on_frame)(void *context, object transport, object frame, PyObject **replacement) except? -1
        int (*on_send)(void *context, object transport, ws_message *message) except? -1
        int (*on_user_pong)(void *context, object transport) except? -1
        int (*on_close)(void *context, object transport) except? -1
        void (*release)(void *context) noexcept

    ctypedef struct ws_core_api:
        uint32_t abi_major
        uint32_t abi_minor
        size_t size
        void *state
        PyTypeObject *transport_type
        PyTypeObject *frame_type
        PyTypeObject *listener_type

        const uint8_t *(*frame_payload)(object frame) except NULL
        Py_ssize_t (*frame_size)(object frame) except -1
        int (*frame_first)(object frame) except -1
        int (*frame_is_last)(object frame) except -1
        object (*frame_replace)(object frame, int first, const void *payload, Py_ssize_t size)

        int (*send)(object transport, int first, const void *payload, Py_ssize_t size) except -1
        int (*send_in_place)(object transport, int first, void *payload, Py_ssize_t size) except -1
        int (*send_ping)(object transport, const void *payload, Py_ssize_t size) except -1
        int (*send_pong)(object transport, const void *payload, Py_ssize_t size) except -1
        int (*send_close)(object transport, int code, const char *reason, Py_ssize_t size) except -1
        int (*disconnect)(object transport, int graceful) except -1
        Py_ssize_t (*write_backlog_size)(object transport) except -1
        int (*cork)(object transport) except -1
        int (*uncork)(object transport) except -1

        object (*new_listener)(const ws_listener_calls *calls, void *context)
        object (*new_hook)(const ws_hook_calls *calls, void *context)
        int (*add_hook)(object transport, object hook) except -1
        int (*remove_hook)(object transport, object hook) except -1
        void *(*context)(object listener_or_hook) except? NULL
        object (*user_data)(object transport)

        void (*mask)(void *dst, const void *src, size_t size, uint32_t key) noexcept nogil
        size_t (*header_size)(uint64_t payload_size, int masked) noexcept nogil
        size_t (*header_write)(
            uint8_t *out, uint8_t first, uint64_t payload_size, const uint32_t *mask_key) noexcept nogil

    const ws_core_api *ws_core_import() except NULL
