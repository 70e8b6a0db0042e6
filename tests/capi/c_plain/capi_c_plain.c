/* A listener that echoes and a hook that shouts, in plain C. Both write what happens into a Python list. */
#include "ws_core.h"

#include <ctype.h>
#include <string.h>

static const ws_core_api *ws;

static int note(void *context, const char *text)
{
    PyObject *item = PyUnicode_FromString(text);
    int result = item == NULL ? -1 : PyList_Append((PyObject *)context, item);
    Py_XDECREF(item);
    return result;
}

/* The context of both is the list: a reference of its own, which goes with the listener or the hook. */
static void release(void *context)
{
    if (note(context, "released") < 0)
        PyErr_WriteUnraisable(NULL);
    Py_DECREF((PyObject *)context);
}

static int is(PyObject *frame, const char *text)
{
    const Py_ssize_t size = ws->frame_size(frame);
    return size == (Py_ssize_t)strlen(text) && memcmp(ws->frame_payload(frame), text, (size_t)size) == 0;
}

/* ---- the listener */

static int connected(void *context, PyObject *transport)
{
    (void)transport;
    return note(context, "connected");
}

static int echo(void *context, PyObject *transport, PyObject *frame)
{
    const int first = ws->frame_first(frame);
    (void)context;
    if ((first & WS_OP_MASK) == WS_OP_CLOSE) {
        if (ws->send_close(transport, 1000, "bye", 3) < 0)
            return -1;
        return ws->disconnect(transport, 1);
    }
    if (is(frame, "raise")) {
        PyErr_SetString(PyExc_ValueError, "raised in C");
        return -1;
    }
    if (is(frame, "raise and say 0")) {
        PyErr_SetString(PyExc_ValueError, "raised in C");
        return 0; /* a mistake */
    }
    if (is(frame, "forget"))
        return -1; /* a mistake: no exception */
    return ws->send(transport, first, ws->frame_payload(frame), ws->frame_size(frame));
}

static int disconnected(void *context, PyObject *transport)
{
    (void)transport;
    return note(context, "disconnected");
}

static int paused(void *context)
{
    return note(context, "pause");
}

static int resumed(void *context)
{
    return note(context, "resume");
}

static PyObject *echo_listener(PyObject *module, PyObject *log)
{
    ws_listener_calls calls = {0};
    PyObject *listener;
    (void)module;
    calls.struct_size = sizeof(calls);
    calls.on_connected = connected;
    calls.on_frame = echo;
    calls.on_disconnected = disconnected;
    calls.pause_writing = paused;
    calls.resume_writing = resumed;
    calls.release = release;
    Py_INCREF(log);
    listener = ws->new_listener(&calls, log);
    if (listener == NULL)
        Py_DECREF(log);
    return listener;
}

/* ---- the hook */

static int opened(void *context, PyObject *transport)
{
    (void)transport;
    return note(context, "open");
}

static int shout(void *context, PyObject *transport, PyObject *frame, PyObject **replacement)
{
    const Py_ssize_t size = ws->frame_size(frame);
    const uint8_t *payload = ws->frame_payload(frame);
    char upper[128];
    Py_ssize_t i;
    (void)context;
    (void)transport;
    if (is(frame, "drop"))
        return WS_HOOK_CONSUME;
    if (is(frame, "raise in hook")) {
        PyErr_SetString(PyExc_ValueError, "raised in a hook");
        return -1;
    }
    if (is(frame, "raise and pass")) {
        PyErr_SetString(PyExc_ValueError, "raised in a hook");
        return WS_HOOK_PASS;
    }
    if (is(frame, "forget in hook"))
        return -1;
    if (is(frame, "no frame"))
        return WS_HOOK_REPLACE;
    if (is(frame, "no verdict"))
        return 7;
    if (size > (Py_ssize_t)sizeof(upper))
        return WS_HOOK_PASS;
    for (i = 0; i < size; i++)
        upper[i] = (char)toupper(payload[i]);
    *replacement = ws->frame_replace(frame, ws->frame_first(frame), upper, size);
    return *replacement == NULL ? -1 : WS_HOOK_REPLACE;
}

static int exclaim(void *context, PyObject *transport, ws_message *message)
{
    PyObject *longer;
    (void)context;
    (void)transport;
    if (message->size >= 6 && memcmp(message->payload, "secret", 6) == 0)
        return WS_HOOK_CONSUME;
    longer = PyBytes_FromStringAndSize(NULL, message->size + 1);
    if (longer == NULL)
        return -1;
    if (message->size)
        memcpy(PyBytes_AS_STRING(longer), message->payload, (size_t)message->size);
    PyBytes_AS_STRING(longer)[message->size] = '!';
    message->payload = (const uint8_t *)PyBytes_AS_STRING(longer);
    message->size += 1;
    message->owner = longer;
    return WS_HOOK_REPLACE;
}

static int user_pong(void *context, PyObject *transport)
{
    (void)transport;
    return note(context, "user pong");
}

static int closed(void *context, PyObject *transport)
{
    (void)transport;
    return note(context, "close");
}

static PyObject *shout_hook(PyObject *module, PyObject *log)
{
    ws_hook_calls calls = {0};
    PyObject *hook;
    (void)module;
    calls.struct_size = sizeof(calls);
    calls.opcodes = 1u << WS_OP_TEXT;
    calls.on_open = opened;
    calls.on_frame = shout;
    calls.on_send = exclaim;
    calls.on_user_pong = user_pong;
    calls.on_close = closed;
    calls.release = release;
    Py_INCREF(log);
    hook = ws->new_hook(&calls, log);
    if (hook == NULL)
        Py_DECREF(log);
    return hook;
}

/* The list of a listener or a hook. */
static PyObject *log_of(PyObject *module, PyObject *object)
{
    PyObject *log = (PyObject *)ws->context(object);
    (void)module;
    Py_XINCREF(log);
    return log;
}

static PyMethodDef methods[] = {
    {"echo_listener", echo_listener, METH_O, NULL},
    {"shout_hook", shout_hook, METH_O, NULL},
    {"log_of", log_of, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "capi_c_plain", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_capi_c_plain(void)
{
    ws = ws_core_import();
    if (ws == NULL)
        return NULL;
    return PyModule_Create(&definition);
}
