from ws_core._frame cimport WSFrame
from ws_core._transport cimport WSTransport

cdef enum listener_call:
    CALL_NOTHING = 0     # not overridden: never called
    CALL_VTABLE = 1      # overridden in Cython
    CALL_PYTHON = 2      # overridden in Python: through the cached bound method


cdef class WSListener:
    cdef object __weakref__

    cpdef on_ws_connected(self, WSTransport transport)
    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame)
    cpdef on_ws_disconnected(self, WSTransport transport)
    cpdef send_user_specific_ping(self, WSTransport transport)
    cpdef is_user_specific_pong(self, WSFrame frame)
    cpdef pause_writing(self)
    cpdef resume_writing(self)
    cpdef on_write_backlog(self, WSTransport transport)


cdef listener_call how_to_call(WSListener listener, str method)
