# WSTransport: what users call on a connection, and what they know of its state.
#
# It derives from how frames reach the wire (_sender.pyx) and from how a
# connection ends (_ending.pyx); frames that arrive are _protocol.pyx.

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.pythread cimport PyThread_get_thread_ident
from libc.stdint cimport uint8_t, uint32_t
from ws_core._hooks cimport HOOK_CONSUME, Hook, HookChain, Outgoing, PyObject, new_chain, wrap_hook, wraps
from ws_core._sender cimport Cork
from ws_core._wire cimport (
    WL_BIT_FIN, WL_BIT_RSV1, WL_BIT_RSV2, WL_BIT_RSV3, WL_CONTROL_PAYLOAD_MAX, WL_HEADER_MAX, WL_OP_BINARY,
    WL_OP_CLOSE, WL_OP_CONTINUATION, WL_OP_PING, WL_OP_PONG, WL_OP_TEXT, WL_OPCODE_CONTROL, WL_OPCODE_MASK,
    wl_header_size, wl_header_write, wl_mask, wl_mask_init,
)

from ws_core.extension import find_service
from ws_core.stats import WSStats
from ws_core.upgrade import usual_answer

cdef extern from "Python.h":
    void Py_XDECREF(PyObject *)

wl_mask_init()


cdef enum:
    _OPCODES = (    # bit n: there is an opcode n
        1 << WL_OP_CONTINUATION | 1 << WL_OP_TEXT | 1 << WL_OP_BINARY | 1 << WL_OP_CLOSE | 1 << WL_OP_PING
        | 1 << WL_OP_PONG)


cdef inline uint8_t _first_byte(int msg_type, bint fin, bint rsv1, bint rsv2, bint rsv3) except? 0:
    if <unsigned>msg_type > WL_OPCODE_MASK or not _OPCODES >> msg_type & 1:
        raise ValueError(f"{msg_type} is not a message type, see WSMsgType")
    if msg_type & WL_OPCODE_CONTROL and not fin:
        raise ValueError("a control frame cannot be fragmented (RFC 6455 5.5): fin must be True")
    return (
        <uint8_t>msg_type | (WL_BIT_FIN if fin else 0) | (WL_BIT_RSV1 if rsv1 else 0)
        | (WL_BIT_RSV2 if rsv2 else 0) | (WL_BIT_RSV3 if rsv3 else 0)
    )


@cython.final
@cython.no_gc_clear
cdef class WSTransport(Ending):
    """
    One open WebSocket connection.

    Made by :func:`ws_connect` and by the server, given to every method of the
    listener. It belongs to the thread of the connection's event loop: any
    other thread gets RuntimeError from every method, from ``user_data`` and
    from ``write_backlog_size``, and uses ``loop.call_soon_threadsafe`` or
    ``asyncio.run_coroutine_threadsafe``. The other attributes may be read
    anywhere, and tell of the moment.
    """

    def __init__(self, *args, **kwargs):
        raise TypeError("a WSTransport is made by ws_connect and ws_create_server")

    def __repr__(self):
        side = "client" if self.is_client_side else "server"
        if self.is_disconnected:
            state = "disconnected"
        elif self.wr_closed:
            state = "closing"
        else:
            state = "open"
        # In another thread it must not be asked.
        elsewhere = self.thread_id != PyThread_get_thread_ident()
        below = type(self.underlying_transport).__name__ if elsewhere else repr(self.underlying_transport)
        return f"<WSTransport {side} {state} {below}>"

    # ------------------------------------------------------------------ sending

    cpdef send(self, int msg_type, message, bint fin=True, bint rsv1=False, bint rsv2=False, bint rsv3=False):
        """
        Send a frame with `message` as its payload.

        :param msg_type: a :class:`WSMsgType`
        :param message: str (sent as UTF-8), bytes, or any contiguous bytes-like object; None is no payload.
            It is not referred to any more when the call returns, unless it is bytes.
        :param fin: False for every frame but the last of a fragmented message (RFC 6455 section 5.4)
        :param rsv1: first reserved bit; only for extensions that were negotiated
        :param rsv2: second reserved bit
        :param rsv3: third reserved bit

        What the peer does not take at once waits in the underlying transport, see :meth:`drain` and
        :attr:`write_backlog_size`. After :meth:`send_close` or :meth:`disconnect` nothing is sent and nothing is
        raised. TypeError: no message. ValueError: no such message type, a control frame that is fragmented or over 125
        bytes, a str with half a surrogate pair (UnicodeEncodeError). Bytes that are sent as TEXT are not checked for
        UTF-8.
        """
        if self.thread_id != PyThread_get_thread_ident():
            self.check_thread("send")
        cdef uint8_t first = _first_byte(msg_type, fin, rsv1, rsv2, rsv3)
        if msg_type == WL_OP_CLOSE:
            return self._send_raw_close(message)
        self.send_message(first, message)

    cpdef send_reuse_external_bytearray(self, int msg_type, bytearray buffer, Py_ssize_t msg_offset,
                                        bint fin=True, bint rsv1=False, bint rsv2=False, bint rsv3=False):
        """
        Send ``buffer[msg_offset:]`` as the payload of a frame, without a copy on plain TCP.

        The frame header is written into the bytes before `msg_offset`, and on a client the payload is masked in
        place: the contents of `buffer` are lost. It may be filled again as soon as the call returns.

        :param buffer: holds the message and at least 14 bytes before it
        :param msg_offset: where the message begins, in bytes; at least 14

        ValueError: CLOSE (use :meth:`send_close`), an offset below 14 or behind the end of `buffer`.
        """
        cdef Py_buffer view
        self.check_thread("send_reuse_external_bytearray")
        if buffer is None:
            raise ValueError("buffer must be a bytearray, not None")
        if msg_offset < WL_HEADER_MAX:
            raise ValueError(f"msg_offset must leave {WL_HEADER_MAX} bytes for the frame header, it is {msg_offset}")
        if msg_offset > len(buffer):
            raise ValueError(f"msg_offset {msg_offset} is behind the end of the buffer of {len(buffer)} bytes")
        # The export keeps the memory where it is, whatever a callback does to the bytearray.
        PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
        try:
            self.send_reuse_external_buffer(
                msg_type, <char *>view.buf + msg_offset, view.len - msg_offset, fin, rsv1, rsv2, rsv3)
        finally:
            PyBuffer_Release(&view)

    cdef int send_reuse_external_buffer(self, int msg_type, char *msg_ptr, Py_ssize_t msg_size,
                                        bint fin=True, bint rsv1=False, bint rsv2=False, bint rsv3=False) except -1:
        """
        For Cython: send `msg_size` bytes from `msg_ptr`. There must be 14 writable bytes before `msg_ptr`, where the
        header goes; on a client the payload is masked in place. Nothing refers to the memory when the call returns.
        """
        cdef uint8_t *payload = <uint8_t *>msg_ptr
        cdef uint8_t *head
        cdef uint32_t key
        cdef Py_ssize_t header_size
        cdef uint8_t first
        self.check_thread("send_reuse_external_buffer")
        first = _first_byte(msg_type, fin, rsv1, rsv2, rsv3)
        if msg_type == WL_OP_CLOSE:
            raise ValueError("a CLOSE is sent by send_close")
        if msg_size < 0:
            raise ValueError("msg_size must not be negative")
        if msg_type & WL_OPCODE_CONTROL:
            return self.emit(first, payload, msg_size, None)    # checks the size; nothing to gain in place
        if self.wr_closed or self.is_close_frame_sent:
            return self.send_frame(first, payload, msg_size, None)
        if self.wr_hooked >> msg_type & 1 or self.wr_cork or not self.may_write_directly():
            return self.emit(first, payload, msg_size, None)
        header_size = wl_header_size(msg_size, self.is_client_side)
        head = payload - header_size
        if self.is_client_side:
            self.next_key(&key)
            wl_header_write(head, first, msg_size, &key)
            wl_mask(payload, payload, msg_size, key)
        else:
            wl_header_write(head, first, msg_size, NULL)
        self.frames_out += 1
        self.bytes_out += header_size + msg_size
        return self.write_bytes(head, header_size + msg_size)

    cdef int emit(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, object owner) except -1:
        cdef HookChain hooks = self.hooks
        cdef Outgoing message
        if hooks is None or not hooks.send_opcodes >> (first & WL_OPCODE_MASK) & 1:
            return self.send_frame(first, payload, size, owner)
        if self.wr_closed or self.is_close_frame_sent or (first & WL_OPCODE_MASK) == WL_OP_CLOSE:
            return self.send_frame(first, payload, size, owner)
        if first & WL_OPCODE_CONTROL and size > <Py_ssize_t>WL_CONTROL_PAYLOAD_MAX:
            return self.send_frame(first, payload, size, owner)    # which says what is wrong
        message.first = first
        message.payload = payload
        message.size = size
        message.owner = NULL
        try:
            if hooks.on_send(self, &message) != HOOK_CONSUME:
                if message.owner != NULL:
                    held = <object>message.owner
                    owner = held if type(held) is bytes else None
                self.send_frame(message.first, message.payload, message.size, owner)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            self.callback_error(exc, "a hook's on_send")
        finally:
            Py_XDECREF(message.owner)
        return 0

    cpdef send_ping(self, message=None):
        """Send a PING. `message`: str or bytes-like, at most 125 bytes, else ValueError (RFC 6455 section 5.5.2)."""
        self.check_thread("send_ping")
        self.send_message(WL_BIT_FIN | WL_OP_PING, message)

    cpdef send_pong(self, message=None):
        """Send a PONG. `message`: str or bytes-like, at most 125 bytes, else ValueError (RFC 6455 section 5.5.3)."""
        self.check_thread("send_pong")
        self.send_message(WL_BIT_FIN | WL_OP_PONG, message)

    def cork(self):
        """
        A context manager: what is sent inside leaves in one write, at its end or whenever 64 KiB have gathered.

        The frames of a callback's answers are gathered already (see the ``cork`` option); this does the same for
        any other code. May be nested; may be held over an ``await``.
        """
        self.check_thread("cork")
        return Cork(self)

    @property
    def write_backlog_size(self):
        """Bytes that were sent by us and not yet taken by the operating system."""
        self.check_thread("write_backlog_size")
        if self.is_disconnected:
            return 0
        return self.wr_gather_size + self.backlog()

    # ------------------------------------------------------------- everything else

    @property
    def response(self):
        """The :class:`WSUpgradeResponse` to `request`; None before the upgrade."""
        if self._response is None and self.request is not None:
            self._response = usual_answer(self.request)
        return self._response

    @property
    def stats(self):
        """A :class:`WSStats` of now."""
        return WSStats(self.frames_in, self.bytes_in, self.frames_out, self.bytes_out, self.last_data_time)

    cpdef notify_user_specific_pong_received(self):
        """Tell auto-ping that on_ws_frame has seen a pong of the user's own making. Without auto-ping, nothing."""
        cdef HookChain hooks = self.hooks    # held: a hook may add and remove hooks
        self.check_thread("notify_user_specific_pong_received")
        if hooks is not None:
            hooks.on_user_pong(self)

    async def measure_roundtrip_time(self, rounds):
        """
        Round-trip times in seconds, `rounds` of them, by PING and PONG. Comes with ws-autoping: WSMissingExtension
        without it.

        asyncio.TimeoutError if an answer takes longer than 10 seconds, ConnectionResetError if the connection is, or
        goes, down.
        """
        self.check_thread("measure_roundtrip_time")
        return await find_service("measure_roundtrip_time")(self, rounds)

    def add_hook(self, hook):
        """
        Attach a :class:`TransportHook`, or a hook made by the C API, behind those that are there. Frames that come
        later meet it. RuntimeError: the connection is gone.
        """
        cdef Hook wrapped
        self.check_thread("add_hook")
        if self.finished:
            raise RuntimeError("the connection is gone")
        wrapped = wrap_hook(hook)
        self._use_hooks(([] if self.hooks is None else list(self.hooks.hooks)) + [wrapped])

    cdef int _use_hooks(self, list hooks) except -1:
        self.hooks = new_chain(hooks)
        self.wr_hooked = 0 if self.hooks is None else self.hooks.send_opcodes
        return 0

    def remove_hook(self, hook):
        """Detach a hook; ValueError if it is not attached. Its on_close is not called any more."""
        cdef Hook link
        cdef list left = []
        self.check_thread("remove_hook")
        for link in (() if self.hooks is None else self.hooks.hooks):
            if not wraps(link, hook):
                left.append(link)
        if self.hooks is None or len(left) == len(self.hooks.hooks):
            raise ValueError(f"{hook!r} is not attached")
        self._use_hooks(left)

    @property
    def user_data(self):
        """A dict for whatever users and extensions want to keep with the connection."""
        self.check_thread("user_data")
        if self._user_data is None:
            self._user_data = {}
        return self._user_data
