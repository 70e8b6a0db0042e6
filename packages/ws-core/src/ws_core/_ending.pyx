# How a connection ends, who ended it, and why: CLOSE frames, disconnect, the
# closing handshake, what an exception in a callback does.
#
# Between the send side, from which it derives, and WSTransport, which users see.

cimport cython
from cpython.bytes cimport PyBytes_FromObject
from ws_core._frame cimport WSFrame
from ws_core._wire cimport WL_BIT_FIN, WL_CONTROL_PAYLOAD_MAX, WL_OP_CLOSE, wl_close_code_valid

import asyncio

from ws_core._linger import Linger
from ws_core.closing import WSCloseHandshake, WSCloseInfo, WSDisconnectKind, WSDisconnectReason
from ws_core.enums import WSCloseCode
from ws_core.errors import WSProtocolError

cdef object _CLOSE_TIMEOUT_S = 5.0


@cython.no_gc_clear
cdef class Ending(Sender):
    """The part of WSTransport that ends. Internal."""

    cpdef send_close(self, int close_code=0, close_message=None):
        """
        Send a CLOSE frame; everything that is sent after it is dropped. The connection stays open: see
        :meth:`disconnect`, or :meth:`close` for the whole closing handshake.

        :param close_code: a :class:`WSCloseCode` or 3000 to 4999; NO_INFO sends a CLOSE without a code
        :param close_message: the reason: str or UTF-8 bytes, at most 123 bytes

        Does nothing after the first call and on a connection that is gone. ValueError: a code that must not be on
        the wire (RFC 6455 section 7.4), a reason without a code, too long, or not UTF-8.
        """
        self.check_thread("send_close")
        if self.is_close_frame_sent or self.wr_closed:
            return
        body = close_payload(close_code, close_message)
        text = body[2:].decode() if len(body) > 2 else None
        self.begin_close_handshake()
        self.close_handshake.sent = WSCloseInfo(_close_code(close_code), text)
        self.send_last_frame(WL_BIT_FIN | WL_OP_CLOSE, body)

    def _send_raw_close(self, message):
        """send(CLOSE, payload): the payload holds code and reason as they are on the wire."""
        body = b"" if message is None else _exact_bytes(message, "the body")
        if not body:
            return self.send_close()
        if len(body) == 1:
            raise ValueError("the body of a CLOSE begins with a status code of two bytes (RFC 6455 5.5.1)")
        self.send_close(int.from_bytes(body[:2], "big"), body[2:])

    cdef int backlog_exceeded(self) except -1:
        """More than max_write_backlog bytes wait: the listener decides."""
        if self.listener is None or self.asking_listener:
            return 0
        self.asking_listener = True
        try:
            self.listener.on_write_backlog(self)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            self.callback_error(exc, "on_write_backlog")
        finally:
            self.asking_listener = False
        return 0

    cdef int torn(self, object exc) except -1:
        """The rest of a frame cannot be kept, for lack of memory: what is sent next would be taken for it."""
        self.set_reason(WSDisconnectKind.NETWORK_ERROR, f"a frame was sent in part only: {_named(exc)}", exc)
        self.disconnect(graceful=False)
        return 0

    cpdef disconnect(self, bint graceful=True):
        """
        End the connection. No closing handshake is made: see :meth:`close`.

        :param graceful: send first what waits in the backlog. If a CLOSE was sent, the write side is closed behind it
            and the peer may read it and close its own. A peer that makes no progress for 2 seconds is cut, and every
            peer after 60. False: drop what is not sent, now.

        May be called any number of times. No frame is delivered any more, not even those that have been received.
        """
        self.check_thread("disconnect")
        if self.is_disconnected:
            return
        if self.asking_listener:
            why = f"more than max_write_backlog={self.config.max_write_backlog} bytes waited for the peer"
        else:
            why = "disconnect() was called"
        self.set_reason(WSDisconnectKind.LOCAL, why, None)
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
            reason = str.encode(reason, errors="replace")[:WL_CONTROL_PAYLOAD_MAX - 2].decode(errors="ignore")
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
        try:    # a logger of the user's may raise, and the connection ends all the same
            self.config.logger.warning("%r: %s", self, reason, exc_info=reason.exception)
        finally:
            self.close_with(close_code, reason.message if reason.exception is None else None)

    async def close(self, code=WSCloseCode.OK, message=None, timeout=_CLOSE_TIMEOUT_S):
        """
        The whole closing handshake (RFC 6455 section 7.1.1): send CLOSE, wait for the peer's, disconnect.

        :param code: as in :meth:`send_close`
        :param message: as in :meth:`send_close`
        :param timeout: seconds for all of it; then the connection is cut. None: no limit

        Returns when on_ws_disconnected has returned. What came from the peer in answer stands in
        :attr:`close_handshake`. May be called any number of times; never raises what ended the connection.
        """
        self.check_thread("close")
        check_close_timeout(timeout)
        if self.finished:
            return
        loop = self.config.loop
        if not self.wr_closed:
            self.send_close(code, message)
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

    # Attributes that are objects are read in any thread (Cython reads them in a critical section of this object).

    cdef int set_reason(self, kind, str message, exc) except -1:
        if self.disconnect_reason is None:
            reason = WSDisconnectReason(kind, message, exc)
            with cython.critical_section(self):
                self.disconnect_reason = reason
        return 0

    cdef int begin_close_handshake(self) except -1:
        if self.close_handshake is None:
            handshake = WSCloseHandshake()
            with cython.critical_section(self):
                self.close_handshake = handshake
        return 0

    cdef int set_listener(self, listener) except -1:
        with cython.critical_section(self):
            self.listener = listener
        return 0

    cdef int close_received(self, WSFrame frame) except -1:
        cdef bint first = self.close_handshake is None
        self.begin_close_handshake()
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

    cdef int callback_error(self, object exc, str where) except -1:
        """A callback raised `exc`, after it may have done anything."""
        logger = self.config.logger
        said = f"{where} raised {_named(exc)}"
        self.set_reason(WSDisconnectKind.CALLBACK_ERROR, said, exc)
        try:
            if self.config.is_client_side and self.exception is None:
                self.exception = exc
                logger.warning("%r: %s", self, said)
            else:
                logger.error("%r: %s raised", self, where, exc_info=exc)
        finally:    # a logger of the user's may raise, too
            code, reason = _chosen_close(exc)
            self.close_with(code, reason)
        return 0


def close_payload(int close_code, close_message):
    """The payload of a CLOSE frame (RFC 6455 section 5.5.1). ValueError as for WSTransport.send_close."""
    reason = b"" if close_message is None else _exact_bytes(close_message, "the reason")
    reason.decode()
    if close_code == 0:
        if reason:
            raise ValueError("a CLOSE with a reason needs a status code (RFC 6455 5.5.1), NO_INFO is none")
        return b""
    if not wl_close_code_valid(<unsigned>close_code):
        raise ValueError(
            f"status code {close_code} must not be sent in a CLOSE frame (RFC 6455 7.4): "
            f"use a WSCloseCode or 3000 to 4999"
        )
    if len(reason) > <Py_ssize_t>WL_CONTROL_PAYLOAD_MAX - 2:
        raise ValueError(f"the reason of a CLOSE is limited to 123 bytes, this one has {len(reason)}")
    return close_code.to_bytes(2, "big") + reason


cdef bytes _exact_bytes(message, str what):
    """What is in `message`, whatever its class says of itself. Not by bytes(), which makes zeros of a number."""
    if isinstance(message, str):
        return str.encode(message)
    try:
        return PyBytes_FromObject(memoryview(message).cast("B"))
    except TypeError:
        raise TypeError(
            f"{what} of a CLOSE must be str, None or a contiguous bytes-like object, not {type(message).__name__}"
        ) from None


def check_close_timeout(timeout):
    """ValueError unless `timeout` is a number of seconds, or None for no limit."""
    if timeout is not None and not (isinstance(timeout, (int, float)) and timeout >= 0):
        raise ValueError(f"timeout must be a number of seconds >= 0 or None, not {timeout!r}")


def _cut(Ending transport, timeout):
    if transport.is_disconnected:
        return
    transport.set_reason(WSDisconnectKind.TIMEOUT, f"the closing handshake took longer than {timeout} seconds", None)
    transport.disconnect(graceful=False)


cdef object _close_code(int code):
    try:
        return WSCloseCode(code)
    except ValueError:
        return code


# An exception of a user's may be anything, and fail when it is looked at: the connection ends all the same.

cdef str _named(exc):
    name = type(exc).__name__
    try:
        return f"{name}: {exc}"
    except Exception:
        return name


cdef tuple _chosen_close(exc):
    """Code and reason of the CLOSE that an exception of a callback ends the connection with."""
    cdef int code = 0
    if isinstance(exc, WSProtocolError):
        try:
            code = int(exc.code)
            return code, exc.message
        except Exception:
            pass
    return <int>WSCloseCode.INTERNAL_ERROR, None
