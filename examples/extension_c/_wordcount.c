/* A transport hook that counts the words of text frames. */
#define PY_SSIZE_T_CLEAN
#include "ws_core.h"

#include <ctype.h>

static const ws_core_api *ws;

typedef struct {
    unsigned long long words;
} counter;

static int on_frame(void *context, PyObject *transport, PyObject *frame, PyObject **replacement)
{
    counter *self = context;
    const uint8_t *text = ws->frame_payload(frame);
    const Py_ssize_t size = ws->frame_size(frame);
    int inside = 0;
    (void)transport;
    (void)replacement;
    for (Py_ssize_t i = 0; i < size; i++) {
        const int space = isspace(text[i]);
        self->words += !space && !inside;
        inside = !space;
    }
    return WS_HOOK_PASS;
}

static PyObject *new_hook(PyObject *module, PyObject *nothing)
{
    const ws_hook_calls calls = {
        .struct_size = sizeof(calls),
        .opcodes = 1u << WS_OP_TEXT,
        .on_frame = on_frame,
        .release = PyMem_Free,
    };
    counter *self = PyMem_Calloc(1, sizeof(counter));
    PyObject *hook;
    (void)module;
    (void)nothing;
    if (self == NULL)
        return PyErr_NoMemory();
    hook = ws->new_hook(&calls, self);
    if (hook == NULL)
        PyMem_Free(self);
    return hook;
}

static PyObject *words_of(PyObject *module, PyObject *hook)
{
    const counter *self = ws->context(hook);
    (void)module;
    return self == NULL ? NULL : PyLong_FromUnsignedLongLong(self->words);
}

static PyMethodDef methods[] = {
    {"new_hook", new_hook, METH_NOARGS, NULL},
    {"words_of", words_of, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_wordcount", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit__wordcount(void)
{
    ws = ws_core_import();
    return ws == NULL ? NULL : PyModule_Create(&definition);
}
