/*
 * ws_core.h - the C API of ws_core: listeners and hooks in C or C++, sending without Python.
 *
 *     static const ws_core_api *ws;
 *
 *     PyMODINIT_FUNC PyInit_mine(void)
 *     {
 *         ws = ws_core_import();
 *         if (ws == NULL)
 *             return NULL;
 *         ...
 *
 * Then ws->send(transport, WS_BIT_FIN | WS_OP_TEXT, "hello", 5), and so on. Compile with -I `ws_core.get_include()`;
 * nothing is linked.
 *
 * Rules that hold for every function and every callback, unless its comment says otherwise:
 *
 * Errors     as in CPython: -1 or NULL with an exception set. A wrong type is a TypeError.
 * Threads    only on the thread of the connection's event loop, with the GIL held (on a free-threaded Python: with an
 *            attached thread state). Another thread gets a RuntimeError: use loop.call_soon_threadsafe().
 * Ownership  PyObject * arguments are borrowed and must not be NULL. Memory that is passed in is not referred to any
 *            more when the call returns.
 * Re-entry   a function that sends or ends may call back (pause_writing, hooks) before it returns.
 *
 * The table only grows: what is in it never moves and never changes its meaning as long as the major stays. A module
 * runs on the core that it was compiled against and on every later one of the same major. Structs that the client
 * fills in begin with their size, so that they can grow, too; structs that core makes may grow at their end.
 */
#ifndef WS_CORE_H
#define WS_CORE_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WS_CORE_ABI_MAJOR 0u /* another one: nothing is promised */
#define WS_CORE_ABI_MINOR 1u /* grows when something is appended */

/* The first byte of a frame, as on the wire (RFC 6455 section 5.2): an opcode and bits. */
enum {
    WS_OP_CONTINUATION = 0x0,
    WS_OP_TEXT = 0x1,
    WS_OP_BINARY = 0x2,
    WS_OP_CLOSE = 0x8,
    WS_OP_PING = 0x9,
    WS_OP_PONG = 0xA,
    WS_OP_MASK = 0x0F,  /* first & WS_OP_MASK is the opcode */
    WS_BIT_FIN = 0x80,  /* the last, or only, frame of its message */
    WS_BIT_RSV1 = 0x40, /* reserved bits: only for extensions of the protocol that were negotiated */
    WS_BIT_RSV2 = 0x20,
    WS_BIT_RSV3 = 0x10
};

enum {
    WS_HEADER_MAX = 14,  /* bytes that a frame header takes at most */
    WS_CONTROL_MAX = 125 /* payload bytes of a control frame at most (RFC 6455 section 5.5) */
};

/* What a hook's on_frame and on_send return; -1 with an exception set ends the connection. */
enum {
    WS_HOOK_PASS = 0,    /* it goes on as it is */
    WS_HOOK_CONSUME = 1, /* it goes no further */
    WS_HOOK_REPLACE = 2  /* something else goes on in its place */
};

/* A message on its way to the wire, for on_send. Core makes it; a hook may write to it and returns WS_HOOK_REPLACE. */
typedef struct ws_message {
    uint8_t first;          /* opcode and bits; the kind, data or control, must stay */
    const uint8_t *payload; /* not to be written to; valid during the call */
    Py_ssize_t size;        /* bytes */
    PyObject *owner;        /* NULL on entry. Whoever sets another `payload` sets `owner` to a NEW reference to what
                               keeps it alive: a bytes object that it is the inside of, or any other object */
} ws_message;

/* A listener made of functions. A NULL function is not called. See WSListener for when each one is.
 * Each but release returns 0, or -1 with an exception set, which ends the connection as a listener's exception does.
 * `context` is what new_listener() was given. */
typedef struct ws_listener_calls {
    size_t struct_size; /* sizeof(ws_listener_calls) */
    int (*on_connected)(void *context, PyObject *transport);
    int (*on_frame)(void *context, PyObject *transport, PyObject *frame); /* `frame` may be kept: Py_INCREF it */
    int (*on_disconnected)(void *context, PyObject *transport);           /* last of all, exactly once */
    int (*pause_writing)(void *context);
    int (*resume_writing)(void *context);
    int (*on_write_backlog)(void *context, PyObject *transport); /* NULL: the connection is cut */
    void (*release)(void *context); /* the listener object goes; any thread that holds the GIL, no exception */
} ws_listener_calls;

/* A transport hook made of functions. A NULL function costs nothing. See TransportHook for when each one is called. */
typedef struct ws_hook_calls {
    size_t struct_size; /* sizeof(ws_hook_calls) */
    uint32_t opcodes;   /* bit n: on_frame and on_send want to see opcode n, such as 1u << WS_OP_TEXT */
    int (*on_open)(void *context, PyObject *transport);
    /* A WS_HOOK_ value. With WS_HOOK_REPLACE, *replacement is a NEW reference to the frame to go on with, which
     * frame_replace() makes. */
    int (*on_frame)(void *context, PyObject *transport, PyObject *frame, PyObject **replacement);
    /* A WS_HOOK_ value. CLOSE frames do not pass here. What is sent from within passes all hooks. */
    int (*on_send)(void *context, PyObject *transport, ws_message *message);
    int (*on_user_pong)(void *context, PyObject *transport);
    int (*on_close)(void *context, PyObject *transport);
    void (*release)(void *context); /* the hook object goes; any thread that holds the GIL, no exception */
} ws_hook_calls;

typedef struct ws_core_api {
    uint32_t abi_major;
    uint32_t abi_minor;
    size_t size; /* of this table, in bytes */
    void *state; /* core's own */

    /* The types, for PyObject_TypeCheck(). Borrowed, and valid as long as the process. */
    PyTypeObject *transport_type; /* ws_core.WSTransport */
    PyTypeObject *frame_type;     /* ws_core.WSFrame */
    PyTypeObject *listener_type;  /* ws_core.WSListener */

    /* ---- Frames. Any thread that holds the GIL. */

    /* The payload: never NULL but for an error. Read-only; valid as long as `frame` is kept. */
    const uint8_t *(*frame_payload)(PyObject *frame);

    /* Bytes of payload; -1 with TypeError. */
    Py_ssize_t (*frame_size)(PyObject *frame);

    /* Opcode and bits, 0 to 255; -1 with TypeError. */
    int (*frame_first)(PyObject *frame);

    /* Whether no other whole frame follows in what was read: 0 or 1; -1 with TypeError. */
    int (*frame_is_last)(PyObject *frame);

    /* A NEW reference to another frame, for a hook's on_frame to go on with: its first byte is `first`, its payload a
     * copy of the `size` bytes at `payload`, the rest as in `frame`. ValueError: a first byte or size that cannot be. */
    PyObject *(*frame_replace)(PyObject *frame, int first, const void *payload, Py_ssize_t size);

    /* ---- Sending. After a CLOSE or disconnect() nothing is sent and 0 is returned. */

    /* Send one frame with a copy of the `size` bytes at `payload` (NULL if 0). `first` is WS_BIT_FIN | WS_OP_TEXT for
     * a whole text message. ValueError: no such opcode, WS_OP_CLOSE (use send_close), a control frame that is
     * fragmented or over 125 bytes. */
    int (*send)(PyObject *transport, int first, const void *payload, Py_ssize_t size);

    /* The same without a copy where that is possible. The WS_HEADER_MAX bytes before `payload` must be writable: the
     * header goes there, and a client masks the payload in place. All of it may be filled again after the call. */
    int (*send_in_place)(PyObject *transport, int first, void *payload, Py_ssize_t size);

    /* Send a PING or PONG with at most 125 bytes of payload, else ValueError. */
    int (*send_ping)(PyObject *transport, const void *payload, Py_ssize_t size);
    int (*send_pong)(PyObject *transport, const void *payload, Py_ssize_t size);

    /* Send a CLOSE with a status code (0: none) and a reason of `size` bytes of UTF-8 (at most 123). The connection
     * stays open, see disconnect(). ValueError: a code that must not be on the wire (RFC 6455 section 7.4), a reason
     * that is too long, not UTF-8, or has no code. */
    int (*send_close)(PyObject *transport, int code, const char *reason, Py_ssize_t size);

    /* End the connection. graceful: what waits is sent first; else it is dropped. May be called again. */
    int (*disconnect)(PyObject *transport, int graceful);

    /* Bytes that were sent by us and not yet taken by the operating system. */
    Py_ssize_t (*write_backlog_size)(PyObject *transport);

    /* Between these two, what is sent gathers and leaves together (or whenever 64 KiB have gathered). They nest; each
     * cork() needs its uncork(), also after an error. uncork() without cork(): RuntimeError. */
    int (*cork)(PyObject *transport);
    int (*uncork)(PyObject *transport);

    /* ---- Listeners, hooks, and what belongs to a connection. */

    /* A NEW reference to a listener, for the factory of ws_connect or ws_create_server to return. `calls` is copied.
     * `context` is the listener's: release() is called with it, unless this fails. ValueError: calls->struct_size. */
    PyObject *(*new_listener)(const ws_listener_calls *calls, void *context);

    /* A NEW reference to a hook, for add_hook() or for Extension.attach() to return. `calls` is copied. `context` is
     * the hook's: release() is called with it, unless this fails. ValueError: calls->struct_size. */
    PyObject *(*new_hook)(const ws_hook_calls *calls, void *context);

    /* Attach a hook, or any TransportHook, behind those that are there; detach it again. RuntimeError: the connection
     * is gone. ValueError: it is not attached. The connection holds a reference meanwhile. */
    int (*add_hook)(PyObject *transport, PyObject *hook);
    int (*remove_hook)(PyObject *transport, PyObject *hook);

    /* What new_listener() or new_hook() was given for this object. TypeError for any other object. A context of NULL
     * gives NULL, too: PyErr_Occurred() tells. Any thread that holds the GIL. */
    void *(*context)(PyObject *listener_or_hook);

    /* A NEW reference to transport.user_data: a dict for whatever extensions want to keep with the connection. */
    PyObject *(*user_data)(PyObject *transport);

    /* ---- Bytes only: any thread, no GIL, no errors. */

    /* dst[i] = src[i] ^ key byte (i mod 4) (RFC 6455 section 5.3). dst == src masks in place; any other overlap is not
     * allowed. `key` is in memory order: memcpy from the four bytes of a header. */
    void (*mask)(void *dst, const void *src, size_t size, uint32_t key);

    /* Bytes of the header in front of `payload_size` bytes, which must be below 2^63. */
    size_t (*header_size)(uint64_t payload_size, int masked);

    /* Write a header to `out`, which has room for WS_HEADER_MAX bytes; returns its size. `mask_key` points to the key
     * in memory order, or is NULL for no mask. */
    size_t (*header_write)(uint8_t *out, uint8_t first, uint64_t payload_size, const uint32_t *mask_key);

    /* ---- ABI 0.1 ends here. Append below, bump WS_CORE_ABI_MINOR, freeze the header (tests/capi/frozen). */
} ws_core_api;

/* Import ws_core and its table, and check that this module can use it. Borrowed, and valid as long as the process.
 * NULL with ImportError that says which package to upgrade or rebuild. Call it in PyInit_..., with the GIL held. */
static inline const ws_core_api *ws_core_import(void)
{
    const ws_core_api *api = NULL;
    PyObject *module, *version = NULL;

    /* The package first: PyCapsule_Import imports no more than that, and its errors are about attributes. */
    module = PyImport_ImportModule("ws_core");
    if (module == NULL)
        return NULL;
    version = PyObject_GetAttrString(module, "__version__");
    Py_DECREF(module);
    if (version == NULL)
        return NULL;
    if (!PyUnicode_Check(version)) {
        PyErr_SetString(PyExc_ImportError, "ws_core.__version__ is no str: this is not the ws_core of wirelark-ws-core");
        goto done;
    }
    api = (const ws_core_api *)PyCapsule_Import("ws_core._capi.table", 0);
    if (api == NULL) {
        PyErr_Clear();
        PyErr_Format(PyExc_ImportError,
                     "this module needs the C API %u.%u of ws_core, and the installed ws_core %U has none: "
                     "pip install --upgrade wirelark-ws-core",
                     WS_CORE_ABI_MAJOR, WS_CORE_ABI_MINOR, version);
    } else if (api->abi_major != WS_CORE_ABI_MAJOR) {
        PyErr_Format(PyExc_ImportError,
                     "this module was compiled for the C API %u.%u of ws_core, and the installed ws_core %U has %u.%u, "
                     "which is incompatible: %s",
                     WS_CORE_ABI_MAJOR, WS_CORE_ABI_MINOR, version, (unsigned)api->abi_major,
                     (unsigned)api->abi_minor,
                     (int)api->abi_major - (int)WS_CORE_ABI_MAJOR < 0
                         ? "pip install --upgrade wirelark-ws-core"
                         : "upgrade this module, or rebuild it against that ws_core");
        api = NULL;
    } else if (api->abi_minor < WS_CORE_ABI_MINOR || api->size < sizeof(ws_core_api)) {
        PyErr_Format(PyExc_ImportError,
                     "this module needs the C API %u.%u of ws_core, and the installed ws_core %U is older and has "
                     "%u.%u: pip install --upgrade wirelark-ws-core",
                     WS_CORE_ABI_MAJOR, WS_CORE_ABI_MINOR, version, (unsigned)api->abi_major,
                     (unsigned)api->abi_minor);
        api = NULL;
    }
done:
    Py_DECREF(version);
    return api;
}

#ifdef __cplusplus
}
#endif
#endif
