# broadcast(): one message to many connections, its frame built once.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromObject, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.string cimport memcpy
from ws_core._transport cimport WSTransport
from ws_core._wire cimport (
    WL_BIT_FIN, WL_CONTROL_PAYLOAD_MAX, WL_OP_BINARY, WL_OP_PING, WL_OP_PONG, WL_OP_TEXT,
    WL_OPCODE_CONTROL, wl_header_size, wl_header_write,
)

from ws_core.closing import WSDisconnectKind


def broadcast(transports, int msg_type, message):
    """
    Send a message to many connections of the running event loop; returns how many of them took it.

    :param transports: any iterable of :class:`WSTransport`, such as ``server.connections``. One that is closed, or
        has sent its CLOSE, is skipped
    :param msg_type: TEXT, BINARY, PING or PONG of :class:`WSMsgType`
    :param message: str, bytes-like or None, as for :meth:`WSTransport.send`; or a list or tuple of them, which
        are sent as one message each and leave in one write for each connection

    For connections of a server the frame is built once, and what a slow peer does not take at once refers to that
    one copy. A client's frames are masked one by one (RFC 6455 section 5.3). A connection that fails meanwhile is
    ended, and the others get their message all the same: each one's backlog and ``max_write_backlog`` are its own.

    Raised before anything is sent: TypeError for what is no transport or no message, ValueError for another message
    type or a control message over 125 bytes, RuntimeError for a connection of another thread.
    """
    cdef list targets = list(transports)
    cdef list payloads
    cdef WSTransport transport
    cdef bytes frames
    cdef uint8_t first
    cdef Py_ssize_t took = 0
    if msg_type not in (WL_OP_TEXT, WL_OP_BINARY, WL_OP_PING, WL_OP_PONG):
        raise ValueError(f"{msg_type} cannot be broadcast: TEXT, BINARY, PING and PONG can")
    first = <uint8_t>(msg_type | WL_BIT_FIN)
    payloads = [_payload(each, msg_type) for each in (message if isinstance(message, (list, tuple)) else (message,))]
    for target in targets:
        if not isinstance(target, WSTransport):
            raise TypeError(f"broadcast() takes WSTransports, not {type(target).__name__}")
        (<WSTransport>target).check_thread("send")
    frames = _build(first, payloads)
    for target in targets:
        transport = <WSTransport>target
        if transport.wr_closed or transport.is_close_frame_sent:
            continue
        try:
            if transport.is_client_side or (
                    transport.hooks is not None and transport.hooks.send_opcodes >> msg_type & 1):
                _send_one_by_one(transport, first, payloads)
            else:
                transport.send_built(frames, len(payloads))
            took += 1
        except Exception as exc:
            transport.set_reason(WSDisconnectKind.NETWORK_ERROR, f"broadcast() failed: {exc!r}", exc)
            transport.config.logger.warning("%r: broadcast() failed, the connection is ended", transport, exc_info=exc)
            transport.disconnect(graceful=False)
    return took


cdef bytes _payload(message, int msg_type):
    cdef bytes payload
    if message is None:
        return b""
    if isinstance(message, str):
        payload = message.encode()
    else:
        try:
            payload = PyBytes_FromObject(memoryview(message).cast("B"))
        except TypeError:
            raise TypeError(
                f"a message must be str, None or a contiguous bytes-like object, not {type(message).__name__}"
            ) from None
    if msg_type & WL_OPCODE_CONTROL and len(payload) > <Py_ssize_t>WL_CONTROL_PAYLOAD_MAX:
        raise ValueError(
            f"the payload of a control frame is limited to 125 bytes (RFC 6455 5.5), this one has {len(payload)}")
    return payload


cdef bytes _build(uint8_t first, list payloads):
    """The frames of all payloads, as a server sends them."""
    cdef bytes payload, frames
    cdef Py_ssize_t size = 0
    cdef uint8_t *out
    for payload in payloads:
        size += wl_header_size(len(payload), False) + len(payload)
    frames = PyBytes_FromStringAndSize(NULL, size)
    out = <uint8_t *>PyBytes_AS_STRING(frames)
    for payload in payloads:
        out += wl_header_write(out, first, len(payload), NULL)
        memcpy(out, PyBytes_AS_STRING(payload), len(payload))
        out += len(payload)
    return frames


cdef int _send_one_by_one(WSTransport transport, uint8_t first, list payloads) except -1:
    transport.wr_cork += 1
    try:
        for payload in payloads:
            transport.send_message(first, payload)
    finally:
        transport.uncork()
    return 0
