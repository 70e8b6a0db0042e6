// The listener and the hook of c_plain, in C++17: contexts are objects, callbacks are lambdas without captures.
#include "ws_core.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <string>
#include <string_view>

namespace {

const ws_core_api *ws = nullptr;

// What happens is written into a Python list.
class Log {
public:
    explicit Log(PyObject *list) : list_(list) { Py_INCREF(list_); }
    ~Log()
    {
        if (note("released") < 0)
            PyErr_WriteUnraisable(nullptr);
        Py_DECREF(list_);
    }
    Log(const Log &) = delete;
    Log &operator=(const Log &) = delete;

    int note(const char *text) const
    {
        PyObject *item = PyUnicode_FromString(text);
        const int result = item == nullptr ? -1 : PyList_Append(list_, item);
        Py_XDECREF(item);
        return result;
    }
    PyObject *list() const { return list_; }

private:
    PyObject *list_;
};

const Log &log_in(void *context)
{
    return *static_cast<Log *>(context);
}

void release(void *context)
{
    delete static_cast<Log *>(context);
}

std::string_view text_of(PyObject *frame)
{
    return {reinterpret_cast<const char *>(ws->frame_payload(frame)), static_cast<size_t>(ws->frame_size(frame))};
}

int raise(const char *text)
{
    PyErr_SetString(PyExc_ValueError, text);
    return -1;
}

int echo(void *, PyObject *transport, PyObject *frame)
{
    const int first = ws->frame_first(frame);
    const std::string_view text = text_of(frame);
    if ((first & WS_OP_MASK) == WS_OP_CLOSE)
        return ws->send_close(transport, 1000, "bye", 3) < 0 ? -1 : ws->disconnect(transport, 1);
    if (text == "raise")
        return raise("raised in C");
    if (text == "raise and say 0")
        return raise("raised in C") + 1; // a mistake
    if (text == "forget")
        return -1; // a mistake: no exception
    return ws->send(transport, first, text.data(), static_cast<Py_ssize_t>(text.size()));
}

int shout(void *, PyObject *, PyObject *frame, PyObject **replacement)
{
    const std::string_view text = text_of(frame);
    if (text == "drop")
        return WS_HOOK_CONSUME;
    if (text == "raise in hook")
        return raise("raised in a hook");
    if (text == "raise and pass")
        return raise("raised in a hook") + 1 + WS_HOOK_PASS;
    if (text == "forget in hook")
        return -1;
    if (text == "no frame")
        return WS_HOOK_REPLACE;
    if (text == "no verdict")
        return 7;
    if (text.size() > 128)
        return WS_HOOK_PASS;
    std::string upper(text);
    std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
    *replacement =
        ws->frame_replace(frame, ws->frame_first(frame), upper.data(), static_cast<Py_ssize_t>(upper.size()));
    return *replacement == nullptr ? -1 : WS_HOOK_REPLACE;
}

int exclaim(void *, PyObject *, ws_message *message)
{
    const std::string_view text(reinterpret_cast<const char *>(message->payload), static_cast<size_t>(message->size));
    if (text.substr(0, 6) == "secret")
        return WS_HOOK_CONSUME;
    const std::string longer = std::string(text) + '!';
    PyObject *owner = PyBytes_FromStringAndSize(longer.data(), static_cast<Py_ssize_t>(longer.size()));
    if (owner == nullptr)
        return -1;
    message->payload = reinterpret_cast<const uint8_t *>(PyBytes_AS_STRING(owner));
    message->size = PyBytes_GET_SIZE(owner);
    message->owner = owner;
    return WS_HOOK_REPLACE;
}

PyObject *echo_listener(PyObject *, PyObject *list)
{
    ws_listener_calls calls{};
    calls.struct_size = sizeof(calls);
    calls.on_connected = [](void *context, PyObject *) { return log_in(context).note("connected"); };
    calls.on_frame = echo;
    calls.on_disconnected = [](void *context, PyObject *) { return log_in(context).note("disconnected"); };
    calls.pause_writing = [](void *context) { return log_in(context).note("pause"); };
    calls.resume_writing = [](void *context) { return log_in(context).note("resume"); };
    calls.release = release;
    auto log = std::make_unique<Log>(list);
    PyObject *listener = ws->new_listener(&calls, log.get());
    if (listener != nullptr)
        log.release(); // the listener's from here on
    return listener;
}

PyObject *shout_hook(PyObject *, PyObject *list)
{
    ws_hook_calls calls{};
    calls.struct_size = sizeof(calls);
    calls.opcodes = 1u << WS_OP_TEXT;
    calls.on_open = [](void *context, PyObject *) { return log_in(context).note("open"); };
    calls.on_frame = shout;
    calls.on_send = exclaim;
    calls.on_user_pong = [](void *context, PyObject *) { return log_in(context).note("user pong"); };
    calls.on_close = [](void *context, PyObject *) { return log_in(context).note("close"); };
    calls.release = release;
    auto log = std::make_unique<Log>(list);
    PyObject *hook = ws->new_hook(&calls, log.get());
    if (hook != nullptr)
        log.release();
    return hook;
}

PyObject *log_of(PyObject *, PyObject *object)
{
    void *context = ws->context(object);
    if (context == nullptr)
        return nullptr;
    PyObject *list = log_in(context).list();
    Py_INCREF(list);
    return list;
}

PyMethodDef methods[] = {
    {"echo_listener", echo_listener, METH_O, nullptr},
    {"shout_hook", shout_hook, METH_O, nullptr},
    {"log_of", log_of, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT, "capi_cpp17", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

} // namespace

PyMODINIT_FUNC PyInit_capi_cpp17(void)
{
    ws = ws_core_import();
    return ws == nullptr ? nullptr : PyModule_Create(&definition);
}
