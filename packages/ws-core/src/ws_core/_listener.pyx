# WSListener: what a user implements.
#
# The methods are cpdef, so that a Cython subclass overrides them in the vtable
# and is called without a look-up. For a subclass in Python the protocol asks
# how_to_call once, when the listener is attached, and keeps the bound method.

cimport cython
from ws_core._wire cimport WL_OP_PONG, WL_OPCODE_MASK


@cython.auto_pickle(True)    # of its own it has nothing that could not be copied
cdef class WSListener:
    """
    Base class of listeners: subclass it in Python or, as a cdef class, in Cython.

    All methods are called synchronously on the thread of the connection's
    event loop, straight from the read path: what they do is what the loop
    waits for. Methods are looked up once, when the connection opens; one that
    is not overridden is never called.

    An exception in a method ends the connection: CLOSE with INTERNAL_ERROR (or
    with the code of a raised :class:`WSProtocolError`), then disconnect. On a
    client, ``await transport.wait_disconnected()`` raises the first one; on a
    server it is logged.
    """

    cpdef on_ws_connected(self, WSTransport transport):
        """The upgrade is done: frames may be sent. Called once, before anything else."""

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        """
        A frame has come. `frame` may be kept: it stays valid as long as it is.

        PINGs are not given here as long as ``enable_auto_pong`` is on; CLOSE
        is, and answering it is the listener's: ``transport.send_close(...)``
        and ``transport.disconnect()``. With ``disconnect_on_exception=False``
        an exception is only logged.
        """

    cpdef on_ws_disconnected(self, WSTransport transport):
        """The connection is gone: called exactly once for each on_ws_connected, after it, and last of all."""

    cpdef send_user_specific_ping(self, WSTransport transport):
        """Auto-ping wants to know whether the peer lives. By default ``transport.send_ping()``."""
        # A None would pass as a WSTransport, and its vtable is none.
        if transport is None:
            raise TypeError("transport must be a WSTransport, not None")
        transport.send_ping()

    cpdef is_user_specific_pong(self, WSFrame frame):
        """Whether `frame` answers a ping of auto-ping; then on_ws_frame does not get it. By default: a PONG does."""
        if frame is None:
            raise TypeError("frame must be a WSFrame, not None")
        return frame.first & WL_OPCODE_MASK == WL_OP_PONG

    cpdef pause_writing(self):
        """More waits for the peer than the transport's high-water mark (64 KiB by default): stop sending for now."""

    cpdef resume_writing(self):
        """The backlog has gone below the low-water mark: send again."""

    cpdef on_write_backlog(self, WSTransport transport):
        """
        More than ``max_write_backlog`` bytes wait for the peer. By default the connection is cut.

        Called within the send that passes the limit, and within later ones for as long as it is passed.
        """
        if transport is None:
            raise TypeError("transport must be a WSTransport, not None")
        transport.disconnect(graceful=False)


cdef listener_call how_to_call(WSListener listener, str method):
    """Which way leads to `method` of this listener (instances may override it, too)."""
    if method in getattr(listener, "__dict__", ()):
        return CALL_PYTHON
    for cls in type(listener).__mro__:
        if cls is WSListener:
            return CALL_NOTHING
        # Cython puts __pyx_vtable__ into the dict of every cdef class that has
        # virtual methods: from there on the vtable tells, also of overrides
        # that are visible to Cython only.
        if "__pyx_vtable__" in cls.__dict__:
            return CALL_VTABLE
        if method in cls.__dict__:
            return CALL_PYTHON
    return CALL_NOTHING
