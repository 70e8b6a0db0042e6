# cython: language_level=3
"""An echo listener in Cython: called through the vtable, it reads and sends memory and makes no Python object.

For a Cython subclass the library calls on_ws_frame as C calls a function. `frame.payload_ptr` points to the payload,
where it was received, and may be read as long as `frame` lives. send_reuse_external_buffer sends memory of our own that
has room for a frame header before the payload.

To be built again for another version of ws_core: the layout of its classes may differ, and an import says so.
"""

from libc.string cimport memcpy

from ws_core cimport WS_HEADER_MAX, WSFrame, WSListener, WSTransport

from ws_core import WSMsgType

cdef enum:
    ROOM = 16384         # bytes of payload

cdef int BINARY = WSMsgType.BINARY
cdef int CLOSE = WSMsgType.CLOSE


cdef class FastEcho(WSListener):
    cdef char memory[WS_HEADER_MAX + ROOM]
    cdef readonly Py_ssize_t total_size     # bytes echoed

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef int msg_type = frame.msg_type
        cdef char *payload = self.memory + WS_HEADER_MAX
        if msg_type == CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif msg_type <= BINARY:
            self.total_size += frame.payload_size
            if frame.payload_size <= ROOM:
                memcpy(payload, frame.payload_ptr, frame.payload_size)
                transport.send_reuse_external_buffer(msg_type, payload, frame.payload_size, frame.fin)
            else:
                transport.send(msg_type, frame.get_payload_as_memoryview(), frame.fin)

    cpdef on_ws_disconnected(self, WSTransport transport):
        print(f"{self.total_size} bytes echoed", flush=True)
