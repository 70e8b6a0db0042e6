# WSTransport: what users call on a connection, what they know of its state, and its end.
#
# How frames reach the wire is _sender.pyx, from which it derives; frames that
# arrive, and the life of the connection, are _protocol.pyx.

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint32_t
from ws_core._hooks cimport Hook, new_chain, wrap_python_hook
from ws_core._sender cimport Cork
from ws_core._wire cimport (
    WL_BIT_FIN, WL_BIT_RSV1, WL_BIT_RSV2, WL_BIT_RSV3, WL_CONTROL_PAYLOAD_MAX, WL_HEADER_MAX, WL_OP_BINARY,
    WL_OP_CLOSE, WL_OP_PING, WL_OP_PONG, WL_OPCODE_CONTROL, wl_close_code_valid, wl_header_size, wl_header_write,
    wl_mask, wl_mask_init,
)

import asyncio

from ws_core._linger import Linger
from ws_core.closing import WSCloseHandshake, WSCloseInfo, WSDisconnectKind, WSDisconnectReason
from ws_core.enums import WSCloseCode
from ws_core.extension import find_service
from ws_core.stats import WSStats

wl_mask_init()

cdef object _CLOSE_TIMEOUT_S = 5.0


cdef inline uint8_t _first_byte(int msg_type, bint fin, bint rsv1, bint rsv2, bint rsv3) except? 0:
    if msg_type < 0 or msg_type > WL_OP_PONG or WL_OP_BINARY < msg_type < WL_OP_CLOSE:
        raise ValueError(f"{msg_type} is not a message type, see WSMsgType")
    if msg_type & WL_OPCODE_CONTROL and not fin:
        raise ValueError("a control frame cannot be fragmented (RFC 6455 5.5): fin must be True")
    return (
        <uint8_t>msg_type | (WL_BIT_FIN if fin else 0) | (WL_BIT_RSV1 if rsv1 else 0)
        | (WL_BIT_RSV2 if rsv2 else 0) | (WL_BIT_RSV3 if rsv3 else 0)
    )


@cython.final
@cython.no_gc_clear
cdef class WSTransport(Sender):
    """
    One open WebSocket connection.

    Made by :func:`ws_connect` and by the server, given to every method of the
    listener. Everything here belongs to the thread of the connection's event
    loop; from any other thread it raises RuntimeError (use
    ``loop.call_soon_threadsafe``).
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
        return f"<WSTransport {side} {state} {self.underlying_transport!r}>"

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
        raised. ValueError: no such message type, a control frame that is fragmented or over 125 bytes.
        """
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
            return self.send_frame(first, payload, msg_size, None)    # checks the size; nothing to gain in place
        if self.wr_closed or self.is_close_frame_sent:
            return self.send_frame(first, payload, msg_size, None)
        if self.wr_cork or not self.may_write_directly():
            return self.send_frame(first, payload, msg_size, None)
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

    cpdef send_ping(self, message=None):
        """Send a PING. `message`: str or bytes-like, at most 125 bytes, else ValueError (RFC 6455 section 5.5.2)."""
        self.check_thread("send_ping")
        self.send_message(WL_BIT_FIN | WL_OP_PING, message)

    cpdef send_pong(self, message=None):
        """Send a PONG. `message`: str or bytes-like, at most 125 bytes, else ValueError (RFC 6455 section 5.5.3)."""
        self.check_thread("send_pong")
        self.send_message(WL_BIT_FIN | WL_OP_PONG, message)

    cpdef send_close(self, int close_code=0, close_message=None):
        """
        Send a CLOSE frame; everything that is sent after it is dropped. The connection stays open: see
        :meth:`disconnect`, or :meth:`close` for the whole closing handshake.

        :param close_code: a :class:`WSCloseCode` or 3000 to 4999; NO_INFO sends a CLOSE without a code
        :param close_message: the reason: str or UTF-8 bytes, at most 123 bytes

        Does nothing after the first call and on a connection that is gone. ValueError: a code that must not be on
        the wire (RFC 6455 section 7.4), a reason without a code, too long, or not UTF-8.
        """
        cdef bytes body
        self.check_thread("send_close")
        if self.is_close_frame_sent or self.wr_closed:
            return
        if close_message is None:
            reason = b""
        elif isinstance(close_message, str):
            reason = close_message.encode()
        else:
            reason = bytes(close_message)
        if close_code == 0:
            if reason:
                raise ValueError("a CLOSE with a reason needs a status code (RFC 6455 5.5.1), NO_INFO is none")
            body = b""
        else:
            if not wl_close_code_valid(<unsigned>close_code):
                raise ValueError(
                    f"status code {close_code} must not be sent in a CLOSE frame (RFC 6455 7.4): "
                    f"use a WSCloseCode or 3000 to 4999"
                )
            if len(reason) > WL_CONTROL_PAYLOAD_MAX - 2:
                raise ValueError(f"the reason of a CLOSE is limited to 123 bytes, this one has {len(reason)}")
            body = close_code.to_bytes(2, "big") + reason
        text = reason.decode() if reason else None
        self.send_message(WL_BIT_FIN | WL_OP_CLOSE, body)
        self.is_close_frame_sent = True
        if self.close_handshake is None:
            self.close_handshake = WSCloseHandshake()
        self.close_handshake.sent = WSCloseInfo(_close_code(close_code), text)

    def _send_raw_close(self, message):
        """send(CLOSE, payload): the payload holds code and reason as they are on the wire."""
        body = b"" if message is None else message.encode() if isinstance(message, str) else bytes(message)
        if not body:
            return self.send_close()
        if len(body) == 1:
            raise ValueError("the body of a CLOSE begins with a status code of two bytes (RFC 6455 5.5.1)")
        self.send_close(int.from_bytes(body[:2], "big"), body[2:])

    def cork(self):
        """
        A context manager: what is sent inside leaves in one write, at its end or whenever 64 KiB have gathered.

        The frames of a callback's answers are gathered already (see the ``cork`` option); this does the same for
        any other code. May be nested; may be held over an ``await``.
        """
        self.check_thread("cork")
        return Cork(self)

    async def drain(self):
        """
        Wait until the write backlog is below the low-water mark; at once if it never rose above the high-water mark.
        ConnectionResetError if the connection is, or goes, down.
        """
        self.check_thread("drain")
        if self.is_disconnected:
            raise ConnectionResetError("the connection is lost")
        if not self.wr_paused:
            return
        waiter = self.config.loop.create_future()
        if self.wr_drain_waiters is None:
            self.wr_drain_waiters = []
        self.wr_drain_waiters.append(waiter)
        await waiter

    @property
    def write_backlog_size(self):
        """Bytes that were sent by us and not yet taken by the operating system."""
        if self.is_disconnected:
            return 0
        return self.wr_gather_size + self.backlog()

    # ---------------------------------------------------------------- the end

    cdef int backlog_exceeded(self) except -1:
        """More than max_write_backlog bytes wait: the listener decides."""
        if self.listener is None:
            return 0
        before = self.disconnect_reason
        self.set_reason(
            WSDisconnectKind.LOCAL,
            f"more than max_write_backlog={self.config.max_write_backlog} bytes waited for the peer", None)
        try:
            self.listener.on_write_backlog(self)
        finally:
            if not self.wr_closed:
                self.disconnect_reason = before    # the listener decided to go on
        return 0

    cpdef disconnect(self, bint graceful=True):
        """
        End the connection. No closing handshake is made: see :meth:`close`.

        :param graceful: send first what waits in the backlog; the peer may take its time for that, and a peer that
            takes nothing for seconds is cut. If a CLOSE was sent, the write side is closed first and the peer is given
            a moment to read it and to close its own. False: drop what is not sent, now.

        May be called any number of times. No frame is delivered any more, not even those that have been received.
        """
        self.check_thread("disconnect")
        if self.is_disconnected:
            return
        self.set_reason(WSDisconnectKind.LOCAL, "disconnect() was called", None)
        if not graceful:
            self.wr_closed = True
            self.drop_gathered()
            self.underlying_transport.abort()
            return
        if self.wr_closed:
            return
        self.flush()
        self.wr_closed = True
        self.linger()

    cdef int linger(self) except -1:
        """End the underlying transport behind its backlog, in bounded time."""
        if self.lingering is None:
            self.lingering = Linger(self, self.config.loop)
            self.lingering.begin(half_close=self.is_close_frame_sent)
        return 0

    cdef int close_with(self, int code, object reason) except -1:
        """The connection has failed (RFC 6455 section 7.1.7): CLOSE if it can still be sent, then the end."""
        if self.is_disconnected or self.wr_closed:
            return 0
        if not wl_close_code_valid(<unsigned>code):
            code = <int>WSCloseCode.INTERNAL_ERROR
        if isinstance(reason, str):
            # No more than a control frame holds, and no half of a character at its end.
            reason = reason.encode(errors="replace")[:WL_CONTROL_PAYLOAD_MAX - 2].decode(errors="ignore")
        else:
            reason = None
        self.send_close(code, reason)
        self.disconnect()
        return 0

    def fail(self, close_code, reason):
        """
        End the connection because something is wrong with it: for hooks and extensions, such as a keepalive.

        :param close_code: for the CLOSE frame, if one can still be sent
        :param reason: a :class:`WSDisconnectReason`, which becomes :attr:`disconnect_reason` if nothing came before it.
            Its message is the reason in the CLOSE frame, unless there is an exception: that is nobody else's business.
            On a client, wait_disconnected raises the exception

        The end is bounded in time as after any CLOSE, see :meth:`disconnect`. Nothing happens on a connection that is
        ending already.
        """
        self.check_thread("fail")
        if not isinstance(reason, WSDisconnectReason):
            raise TypeError(f"reason must be a WSDisconnectReason, not {type(reason).__name__}")
        if self.is_disconnected or self.wr_closed:
            return
        self.set_reason(reason.kind, reason.message, reason.exception)
        if self.is_client_side and self.exception is None:
            self.exception = reason.exception
        self.config.logger.warning("%r: %s", self, reason, exc_info=reason.exception)
        self.close_with(close_code, reason.message if reason.exception is None else None)

    async def close(self, close_code=WSCloseCode.OK, message=None, timeout=_CLOSE_TIMEOUT_S):
        """
        The whole closing handshake (RFC 6455 section 7.1.1): send CLOSE, wait for the peer's, disconnect.

        :param close_code: as in :meth:`send_close`
        :param message: as in :meth:`send_close`
        :param timeout: seconds for all of it; then the connection is cut. None: no limit

        Returns when on_ws_disconnected has returned. What came from the peer in answer stands in
        :attr:`close_handshake`. May be called any number of times; never raises what ended the connection.
        """
        self.check_thread("close")
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be a number of seconds >= 0 or None, not {timeout!r}")
        if self.finished:
            return
        loop = self.config.loop
        if not self.wr_closed:
            self.send_close(close_code, message)
            self.flush()
        handle = None
        if timeout is not None:
            handle = loop.call_later(timeout, _cut, self, timeout)
        try:
            if not self.wr_closed and (self.close_handshake is None or self.close_handshake.recv is None):
                if self.close_waiter is None:
                    self.close_waiter = loop.create_future()
                await asyncio.shield(self.close_waiter)
            self.set_reason(WSDisconnectKind.LOCAL, "close() was called", None)
            self.disconnect()
            if not self.finished:
                await asyncio.shield(self.lost_future())
        finally:
            if handle is not None and self.finished:
                handle.cancel()    # otherwise we were cancelled, and the bound still holds

    async def wait_disconnected(self):
        """
        Wait until the connection is gone and on_ws_disconnected has returned.

        On a client, raises the first exception of a callback, or the :class:`WSProtocolError` if the peer broke the
        protocol. What the peer or the network did is never raised: it stands in :attr:`disconnect_reason` and
        :attr:`close_handshake`. Cancelling it changes nothing.
        """
        self.check_thread("wait_disconnected")
        if not self.finished:
            await asyncio.shield(self.lost_future())
        if self.exception is not None:
            raise self.exception

    cdef object lost_future(self):
        if self.lost_waiter is None:
            self.lost_waiter = self.config.loop.create_future()
        return self.lost_waiter

    cdef int set_reason(self, kind, str message, exc) except -1:
        if self.disconnect_reason is None:
            self.disconnect_reason = WSDisconnectReason(kind, message, exc)
        return 0

    cdef int close_received(self, WSFrame frame) except -1:
        cdef bint first = self.close_handshake is None
        if first:
            self.close_handshake = WSCloseHandshake()
        if self.close_handshake.recv is None:
            try:
                reason = frame.get_close_reason()
            except UnicodeDecodeError:    # strict=False
                reason = None
            self.close_handshake.recv = WSCloseInfo(frame.get_close_code(), reason)
            self.close_handshake.recv_then_sent = first
            if first:
                said = f"{frame.get_close_code():d} {reason or ''}".strip()
                self.set_reason(WSDisconnectKind.PEER, f"the peer sent CLOSE {said}", None)
            else:
                self.set_reason(WSDisconnectKind.LOCAL, "the peer answered the CLOSE of this side", None)
        if self.close_waiter is not None and not self.close_waiter.done():
            self.close_waiter.set_result(None)
        return 0

    cdef int wake_drain_waiters(self, exc) except -1:
        if self.wr_drain_waiters is not None:
            waiters = self.wr_drain_waiters
            self.wr_drain_waiters = None
            for waiter in waiters:
                if waiter.done():
                    continue
                if exc is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(exc)
        return 0

    cdef int lost(self) except -1:
        """The underlying transport is gone: from here on the descriptor may be anybody's."""
        self.wr_fd = -1
        self.is_disconnected = True
        self.wr_closed = True
        self.drop_gathered()
        self.wake_drain_waiters(ConnectionResetError("the connection is lost"))
        if self.close_waiter is not None and not self.close_waiter.done():
            self.close_waiter.set_result(None)
        if self.lingering is not None:
            self.lingering.cancel()
            self.lingering = None
        return 0

    # ------------------------------------------------------------- everything else

    @property
    def stats(self):
        """A :class:`WSStats` of now."""
        return WSStats(self.frames_in, self.bytes_in, self.frames_out, self.bytes_out, self.last_data_time)

    cpdef notify_user_specific_pong_received(self):
        """Tell auto-ping that on_ws_frame has seen a pong of the user's own making. Without auto-ping, nothing."""
        self.check_thread("notify_user_specific_pong_received")
        if self.hooks is not None:
            self.hooks.on_user_pong(self)

    async def measure_roundtrip_time(self, rounds):
        """Round-trip times in seconds, `rounds` of them, by PING and PONG. Comes with ws-autoping."""
        self.check_thread("measure_roundtrip_time")
        return await find_service("measure_roundtrip_time")(self, rounds)

    def add_hook(self, hook):
        """Attach a :class:`TransportHook` behind those that are there. Frames that come later meet it."""
        cdef Hook wrapped
        self.check_thread("add_hook")
        if self.finished:
            raise RuntimeError("the connection is gone")
        wrapped = wrap_python_hook(hook)
        self.hooks = new_chain(([] if self.hooks is None else list(self.hooks.hooks)) + [wrapped])

    def remove_hook(self, hook):
        """Detach a hook; ValueError if it is not attached. Its on_close is not called any more."""
        cdef Hook link
        cdef list left = []
        self.check_thread("remove_hook")
        for link in (() if self.hooks is None else self.hooks.hooks):
            if link.context != <void *>hook:
                left.append(link)
        if self.hooks is None or len(left) == len(self.hooks.hooks):
            raise ValueError(f"{hook!r} is not attached")
        self.hooks = new_chain(left)

    @property
    def user_data(self):
        """A dict for whatever users and extensions want to keep with the connection."""
        if self._user_data is None:
            self._user_data = {}
        return self._user_data


def _cut(WSTransport transport, timeout):
    if transport.is_disconnected:
        return
    transport.set_reason(WSDisconnectKind.TIMEOUT, f"the closing handshake took longer than {timeout} seconds", None)
    transport.disconnect(graceful=False)


cdef object _close_code(int code):
    try:
        return WSCloseCode(code)
    except ValueError:
        return code
