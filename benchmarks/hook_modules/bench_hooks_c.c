/* Hooks in C for benchmarks/hooks.py: they look at each frame or message, count its bytes and pass it on. */
#define PY_SSIZE_T_CLEAN
#include "ws_core.h"

static const ws_core_api *ws;

static int on_frame(void *context, PyObject *transport, PyObject *frame, PyObject **replacement)
{
    (void)transport;
    (void)replacement;
    *(unsigned long long *)context += (unsigned long long)ws->frame_size(frame);
    return WS_HOOK_PASS;
}

static int on_send(void *context, PyObject *transport, ws_message *message)
{
    (void)transport;
    *(unsigned long long *)context += (unsigned long long)message->size;
    return WS_HOOK_PASS;
}

static PyObject *made(ws_hook_calls *calls)
{
    unsigned long long *bytes = PyMem_Calloc(1, sizeof(*bytes));
    PyObject *hook;
    if (bytes == NULL)
        return PyErr_NoMemory();
    calls->struct_size = sizeof(*calls);
    calls->opcodes = 1u << WS_OP_BINARY | 1u << WS_OP_TEXT;
    calls->release = PyMem_Free;
    hook = ws->new_hook(calls, bytes);
    if (hook == NULL)
        PyMem_Free(bytes);
    return hook;
}

static PyObject *receiving(PyObject *module, PyObject *nothing)
{
    ws_hook_calls calls = {.on_frame = on_frame};
    (void)module;
    (void)nothing;
    return made(&calls);
}

static PyObject *sending(PyObject *module, PyObject *nothing)
{
    ws_hook_calls calls = {.on_send = on_send};
    (void)module;
    (void)nothing;
    return made(&calls);
}

static PyMethodDef methods[] = {
    {"receiving", receiving, METH_NOARGS, NULL},
    {"sending", sending, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "bench_hooks_c", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit_bench_hooks_c(void)
{
    ws = ws_core_import();
    return ws == NULL ? NULL : PyModule_Create(&definition);
}
