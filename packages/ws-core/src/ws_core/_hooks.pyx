# The chain of transport hooks of one connection.
#
# There is one mechanism: a Hook holds a C struct of function pointers and a
# context, and the chain calls those. A Python TransportHook is wrapped by the
# adapter at the end of this file. A chain never changes: adding or removing a
# hook makes a new chain, so a dispatch that is under way finishes on its own.
#
# This file knows frames; it does not know transports beyond passing them on.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF

from ws_core.enums import WSMsgType
from ws_core.extension import TransportHook, WSMessage

cdef extern from "Python.h":
    void Py_XDECREF(PyObject *)


@cython.final
@cython.no_gc_clear
cdef class Hook:
    """One link of a chain. Internal."""

    def __dealloc__(self):
        if self.calls.release != NULL:
            self.calls.release(self.context)


cdef HookChain new_chain(list hooks):
    cdef HookChain chain
    cdef Hook hook
    if not hooks:
        return None
    chain = <HookChain>HookChain.__new__(HookChain)
    chain.hooks = tuple(hooks)
    for hook in hooks:
        if hook.calls.on_frame != NULL:
            chain.opcodes |= hook.calls.opcodes
        if hook.calls.on_send != NULL:
            chain.send_opcodes |= hook.calls.opcodes
    return chain


@cython.final
cdef class HookChain:
    """The hooks of one connection, in the order in which they see received frames. Internal."""

    cdef WSFrame on_frame(self, object transport, WSFrame frame):
        """What the hooks make of a frame: the frame to go on with, or None if one of them consumed it."""
        cdef Hook hook
        cdef PyObject *replacement
        cdef int verdict
        for hook in self.hooks:
            if hook.calls.on_frame == NULL or not hook.calls.opcodes >> (frame.first & 0x0F) & 1:
                continue
            replacement = NULL
            verdict = hook.calls.on_frame(hook.context, transport, frame, &replacement)
            if verdict == HOOK_CONSUME:
                return None
            if verdict == HOOK_REPLACE:
                frame = _taken(replacement)
            elif verdict != HOOK_PASS:
                _bad_verdict("on_frame", verdict)
        return frame

    cdef int on_send(self, object transport, Outgoing *message) except -1:
        """What the hooks make of a message: HOOK_CONSUME if it is not to be sent. `message.owner` is the caller's."""
        cdef Hook hook
        cdef PyObject *owner
        cdef uint8_t before = message.first
        cdef int verdict
        for hook in reversed(self.hooks):
            if hook.calls.on_send == NULL or not hook.calls.opcodes >> (message.first & 0x0F) & 1:
                continue
            owner = message.owner
            message.owner = NULL
            try:
                verdict = hook.calls.on_send(hook.context, transport, message)
            except BaseException:
                Py_XDECREF(owner)
                raise
            if message.owner == NULL and verdict != HOOK_CONSUME:
                message.owner = owner     # the payload is the one that was
            else:
                Py_XDECREF(owner)
            if verdict == HOOK_CONSUME:
                return HOOK_CONSUME
            if verdict != HOOK_PASS and verdict != HOOK_REPLACE:
                _bad_verdict("on_send", verdict)
            if message.size < 0 or (message.payload == NULL and message.size):
                raise ValueError("a hook's on_send made a message without a payload, or with a negative size")
            if (message.first ^ before) & 0x08 or (message.first & 0x0F) == 0x08:
                raise ValueError("a hook's on_send must not make a control frame of a message, or a CLOSE")
            if 0x02 < message.first & 0x0F < 0x08 or message.first & 0x0F > 0x0A:
                raise ValueError(f"a hook's on_send made a frame of the reserved opcode {message.first & 0x0F}")
            if message.first & 0x08 and (message.size > 125 or not message.first & 0x80):
                raise ValueError("a hook's on_send made a control frame that is fragmented or over 125 bytes")
        return HOOK_PASS

    cdef int on_open(self, object transport) except -1:
        cdef Hook hook
        for hook in self.hooks:
            if hook.calls.on_open != NULL:
                _expect_zero("on_open", hook.calls.on_open(hook.context, transport))
        return 0

    cdef int on_user_pong(self, object transport) except -1:
        cdef Hook hook
        for hook in self.hooks:
            if hook.calls.on_user_pong != NULL:
                _expect_zero("on_user_pong", hook.calls.on_user_pong(hook.context, transport))
        return 0

    cdef int on_close(self, object transport) except -1:
        """Every hook is told, also when one before it raises; the first exception goes on."""
        cdef Hook hook
        first = None
        for hook in self.hooks:
            if hook.calls.on_close == NULL:
                continue
            try:
                _expect_zero("on_close", hook.calls.on_close(hook.context, transport))
            except BaseException as exc:
                first = exc if first is None else first
        if first is not None:
            raise first
        return 0


cdef WSFrame _taken(PyObject *replacement):
    """The frame that a hook gave as a new reference."""
    if replacement == NULL:
        raise SystemError("a hook's on_frame returned WS_HOOK_REPLACE and gave no frame")
    frame = <object>replacement
    Py_DECREF(frame)
    return <WSFrame?>frame


cdef int _expect_zero(str method, int verdict) except -1:
    return _bad_verdict(method, verdict) if verdict else 0


cdef int _bad_verdict(str method, int verdict) except -1:
    raise SystemError(f"a hook's {method} returned {verdict} without setting an exception")


# What the calls of the classes themselves would take several times as long for.
cdef dict _MSG_TYPES = {int(each): each for each in WSMsgType}
_new_tuple = tuple.__new__

# The adapter for hooks written in Python. Which callbacks a hook has is asked
# once, here: a TransportHook method that is not overridden is never called.

cdef int _py_on_open(void *context, object transport) except *:
    (<object>context).on_open(transport)
    return 0

cdef int _py_on_frame(void *context, object transport, WSFrame frame, PyObject **replacement) except *:
    result = (<object>context).on_frame(transport, frame)
    if result is frame:
        return HOOK_PASS
    if result is None:
        return HOOK_CONSUME
    if not isinstance(result, WSFrame):
        raise TypeError(
            f"{type(<object>context).__name__}.on_frame must return the frame, another WSFrame or None, "
            f"not {type(result).__name__}"
        )
    Py_INCREF(result)
    replacement[0] = <PyObject *>result
    return HOOK_REPLACE

cdef int _py_on_send(void *context, object transport, Outgoing *message) except *:
    cdef uint8_t first = message.first
    given = _new_tuple(WSMessage, (
        _MSG_TYPES[first & 0x0F], PyBytes_FromStringAndSize(<const char *>message.payload, message.size),
        (first & 0x80) != 0, (first & 0x40) != 0, (first & 0x20) != 0, (first & 0x10) != 0))
    result = (<object>context).on_send(transport, given)
    if result is given:
        return HOOK_PASS
    if result is None:
        return HOOK_CONSUME
    # Asked once: it may be a property of a subclass's, and what is checked here is what is read below.
    payload = result.payload if isinstance(result, WSMessage) else None
    if not isinstance(payload, bytes):
        raise TypeError(
            f"{type(<object>context).__name__}.on_send must return a WSMessage whose payload is bytes, or None, "
            f"not {result!r}"
        )
    opcode = WSMsgType(result.msg_type)
    if opcode == WSMsgType.CLOSE or (opcode ^ first) & 0x08:
        raise ValueError(f"{type(<object>context).__name__}.on_send must not turn a message into a {opcode.name}")
    message.first = (
        <uint8_t><int>opcode | (0x80 if result.fin else 0) | (0x40 if result.rsv1 else 0)
        | (0x20 if result.rsv2 else 0) | (0x10 if result.rsv3 else 0))
    Py_INCREF(payload)
    message.owner = <PyObject *>payload
    message.payload = <const uint8_t *>PyBytes_AS_STRING(payload)
    message.size = PyBytes_GET_SIZE(payload)
    return HOOK_REPLACE

cdef int _py_on_user_pong(void *context, object transport) except *:
    (<object>context).on_user_pong(transport)
    return 0

cdef int _py_on_close(void *context, object transport) except *:
    (<object>context).on_close(transport)
    return 0

cdef void _py_release(void *context) noexcept:
    Py_DECREF(<object>context)


cdef bint wraps(Hook link, object hook):
    """Whether `link` is what wrap_hook() makes of `hook`."""
    return link is hook or (wraps_python(link) and link.context == <void *>hook)


cdef bint wraps_python(Hook link):
    """Whether the context of `link` is a TransportHook."""
    return link.calls.release == _py_release


cdef bint _overrides(object hook, str method):
    """Whether the class of a TransportHook, or the object itself, has a `method` of its own."""
    # Not by a look into __dict__: from then on, CPython's attributes of that object are slower.
    return getattr(getattr(hook, method), "__func__", None) is not getattr(TransportHook, method)


cdef uint32_t _opcodes_of(object hook) except? 0:
    """A TransportHook's `opcodes` as bits."""
    cdef uint32_t bits = 0
    try:
        opcodes = tuple(hook.opcodes)
    except TypeError as exc:
        raise TypeError(
            f"{type(hook).__name__}.opcodes must be an iterable of message types, not {hook.opcodes!r}") from exc
    for opcode in opcodes:
        if not isinstance(opcode, int) or not 0 <= opcode <= 15:
            raise ValueError(f"{type(hook).__name__}.opcodes must be message types, see WSMsgType; {opcode!r} is none")
        bits |= <uint32_t>1 << <int>opcode
    return bits


cdef Hook wrap_hook(object hook):
    """The link for a TransportHook; a Hook, such as the C API makes, is one already."""
    cdef Hook wrapped
    if isinstance(hook, Hook):
        return <Hook>hook
    if not isinstance(hook, TransportHook):
        raise TypeError(f"a hook must derive from ws_core.TransportHook, {hook!r} does not")
    wrapped = <Hook>Hook.__new__(Hook)
    if _overrides(hook, "on_open"):
        wrapped.calls.on_open = _py_on_open
    if _overrides(hook, "on_frame"):
        wrapped.calls.on_frame = _py_on_frame
    if _overrides(hook, "on_send"):
        wrapped.calls.on_send = _py_on_send
    if wrapped.calls.on_frame != NULL or wrapped.calls.on_send != NULL:
        wrapped.calls.opcodes = _opcodes_of(hook)
    if _overrides(hook, "on_user_pong"):
        wrapped.calls.on_user_pong = _py_on_user_pong
    if _overrides(hook, "on_close"):
        wrapped.calls.on_close = _py_on_close
    Py_INCREF(hook)
    wrapped.context = <void *>hook
    wrapped.calls.release = _py_release
    return wrapped
