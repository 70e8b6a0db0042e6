/* A C consumer: the functions of the table that send, each callable from a test, and the rest of the table. */
#define PY_SSIZE_T_CLEAN
#include "ws_core.h"

#include <string.h>

static const ws_core_api *ws;

static PyObject *done(int result)
{
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *send(PyObject *module, PyObject *args)
{
    PyObject *transport;
    int first;
    const char *data;
    Py_ssize_t size;
    (void)module;
    if (!PyArg_ParseTuple(args, "Oiz#", &transport, &first, &data, &size))
        return NULL;
    return done(ws->send(transport, first, data, size));
}

/* The same buffer again and again: header and mask are written into it. */
static PyObject *send_in_place(PyObject *module, PyObject *args)
{
    static uint8_t buffer[WS_HEADER_MAX + (1 << 20)];
    PyObject *transport;
    int first;
    const char *data;
    Py_ssize_t size;
    (void)module;
    if (!PyArg_ParseTuple(args, "Oiy#", &transport, &first, &data, &size))
        return NULL;
    if (size > (1 << 20)) {
        PyErr_SetString(PyExc_ValueError, "too large for the buffer");
        return NULL;
    }
    memcpy(buffer + WS_HEADER_MAX, data, (size_t)size);
    return done(ws->send_in_place(transport, first, buffer + WS_HEADER_MAX, size));
}

static PyObject *ping_and_pong(PyObject *module, PyObject *args)
{
    PyObject *transport;
    const char *data;
    Py_ssize_t size;
    (void)module;
    if (!PyArg_ParseTuple(args, "Oy#", &transport, &data, &size))
        return NULL;
    if (ws->send_ping(transport, data, size) < 0)
        return NULL;
    return done(ws->send_pong(transport, data, size));
}

static PyObject *send_close(PyObject *module, PyObject *args)
{
    PyObject *transport;
    int code;
    const char *reason;
    Py_ssize_t size;
    (void)module;
    if (!PyArg_ParseTuple(args, "Oiz#", &transport, &code, &reason, &size))
        return NULL;
    return done(ws->send_close(transport, code, reason, size));
}

/* Cork, send three messages, return what waits, uncork. */
static PyObject *gather(PyObject *module, PyObject *transport)
{
    Py_ssize_t waiting;
    int i;
    (void)module;
    if (ws->cork(transport) < 0)
        return NULL;
    for (i = 0; i < 3; i++) {
        if (ws->send(transport, WS_BIT_FIN | WS_OP_TEXT, "gathered", 8) < 0) {
            ws->uncork(transport);
            return NULL;
        }
    }
    waiting = ws->write_backlog_size(transport);
    if (ws->uncork(transport) < 0 || waiting < 0)
        return NULL;
    return PyLong_FromSsize_t(waiting);
}

static PyObject *uncork(PyObject *module, PyObject *transport)
{
    (void)module;
    return done(ws->uncork(transport));
}

static PyObject *disconnect(PyObject *module, PyObject *transport)
{
    (void)module;
    return done(ws->disconnect(transport, 0));
}

static PyObject *backlog(PyObject *module, PyObject *transport)
{
    const Py_ssize_t size = ws->write_backlog_size(transport);
    (void)module;
    return size < 0 ? NULL : PyLong_FromSsize_t(size);
}

static PyObject *user_data(PyObject *module, PyObject *transport)
{
    (void)module;
    return ws->user_data(transport);
}

static PyObject *add_hook(PyObject *module, PyObject *args)
{
    PyObject *transport, *hook;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO", &transport, &hook))
        return NULL;
    return done(ws->add_hook(transport, hook));
}

static PyObject *remove_hook(PyObject *module, PyObject *args)
{
    PyObject *transport, *hook;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO", &transport, &hook))
        return NULL;
    return done(ws->remove_hook(transport, hook));
}

static PyObject *frame_fields(PyObject *module, PyObject *frame)
{
    const uint8_t *payload = ws->frame_payload(frame);
    const Py_ssize_t size = payload == NULL ? -1 : ws->frame_size(frame);
    (void)module;
    if (size < 0)
        return NULL;
    return Py_BuildValue("iy#i", ws->frame_first(frame), (const char *)payload, size, ws->frame_is_last(frame));
}

static PyObject *frame_replace(PyObject *module, PyObject *args)
{
    PyObject *frame;
    int first;
    const char *data;
    Py_ssize_t size;
    (void)module;
    if (!PyArg_ParseTuple(args, "Oiz#n", &frame, &first, &data, &size, &size))
        return NULL;
    return ws->frame_replace(frame, first, data, size);
}

/* A frame as bytes, by the functions that need no connection. */
static PyObject *frame_bytes(PyObject *module, PyObject *args)
{
    uint8_t header[WS_HEADER_MAX];
    const char *data, *key;
    Py_ssize_t size, key_size;
    size_t header_size;
    uint32_t mask_key = 0;
    PyObject *frame;
    char *out;
    (void)module;
    if (!PyArg_ParseTuple(args, "y#z#", &data, &size, &key, &key_size))
        return NULL;
    if (key != NULL)
        memcpy(&mask_key, key, 4);
    header_size = ws->header_write(header, WS_BIT_FIN | WS_OP_BINARY, (uint64_t)size, key == NULL ? NULL : &mask_key);
    if (header_size != ws->header_size((uint64_t)size, key != NULL)) {
        PyErr_SetString(PyExc_AssertionError, "header_size and header_write differ");
        return NULL;
    }
    frame = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)header_size + size);
    if (frame == NULL)
        return NULL;
    out = PyBytes_AS_STRING(frame);
    memcpy(out, header, header_size);
    ws->mask(out + header_size, data, (size_t)size, mask_key);
    return frame;
}

/* Make a listener or a hook whose struct says that it has another size, with something behind its end or not. */
static PyObject *with_struct_size(PyObject *module, PyObject *args)
{
    union {
        ws_listener_calls listener;
        ws_hook_calls hook;
        unsigned char bytes[256];
    } calls;
    int of_hook, difference, extra;
    size_t size;
    (void)module;
    if (!PyArg_ParseTuple(args, "ppi", &of_hook, &extra, &difference))
        return NULL;
    memset(&calls, 0, sizeof(calls));
    size = of_hook ? sizeof(calls.hook) : sizeof(calls.listener);
    if (extra)
        calls.bytes[size] = 1;
    size += (size_t)difference;
    if (of_hook) {
        calls.hook.struct_size = size;
        return ws->new_hook(&calls.hook, NULL);
    }
    calls.listener.struct_size = size;
    return ws->new_listener(&calls.listener, NULL);
}

/* A hook that gives every message the first byte that it was made with. */
static int name_anew(void *context, PyObject *transport, ws_message *message)
{
    (void)transport;
    message->first = (uint8_t)(uintptr_t)context;
    return WS_HOOK_REPLACE;
}

static PyObject *renaming_hook(PyObject *module, PyObject *first)
{
    const ws_hook_calls calls = {
        .struct_size = sizeof(calls),
        .opcodes = 1u << WS_OP_TEXT,
        .on_send = name_anew,
    };
    const long value = PyLong_AsLong(first);
    (void)module;
    if (value == -1 && PyErr_Occurred())
        return NULL;
    return ws->new_hook(&calls, (void *)(uintptr_t)value);
}

static PyObject *types(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
    return Py_BuildValue("OOO", ws->transport_type, ws->frame_type, ws->listener_type);
}

static PyObject *context_is_null(PyObject *module, PyObject *object)
{
    void *context = ws->context(object);
    (void)module;
    if (context == NULL && PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(context == NULL);
}

static PyMethodDef methods[] = {
    {"send", send, METH_VARARGS, NULL},
    {"send_in_place", send_in_place, METH_VARARGS, NULL},
    {"ping_and_pong", ping_and_pong, METH_VARARGS, NULL},
    {"send_close", send_close, METH_VARARGS, NULL},
    {"gather", gather, METH_O, NULL},
    {"uncork", uncork, METH_O, NULL},
    {"disconnect", disconnect, METH_O, NULL},
    {"backlog", backlog, METH_O, NULL},
    {"user_data", user_data, METH_O, NULL},
    {"add_hook", add_hook, METH_VARARGS, NULL},
    {"remove_hook", remove_hook, METH_VARARGS, NULL},
    {"frame_fields", frame_fields, METH_O, NULL},
    {"frame_replace", frame_replace, METH_VARARGS, NULL},
    {"frame_bytes", frame_bytes, METH_VARARGS, NULL},
    {"with_struct_size", with_struct_size, METH_VARARGS, NULL},
    {"renaming_hook", renaming_hook, METH_O, NULL},
    {"types", types, METH_NOARGS, NULL},
    {"context_is_null", context_is_null, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "capi_c_sender", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_capi_c_sender(void)
{
    ws = ws_core_import();
    if (ws == NULL)
        return NULL;
    return PyModule_Create(&definition);
}
