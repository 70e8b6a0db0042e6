# A listener in Cython: an echo that reads the payload in place and counts who
# looks up attributes of it.

from ws_core cimport WSFrame, WSListener, WSTransport

from ws_core import WSMsgType

cdef int _TEXT = WSMsgType.TEXT
cdef int _CLOSE = WSMsgType.CLOSE
cdef int _lookups = 0


def lookups():
    return _lookups


cdef class EchoListener(WSListener):
    cdef:
        bytearray room
        public WSTransport transport
        public int frames

    def __init__(self):
        self.room = bytearray(64 * 1024)

    def __getattribute__(self, name):
        global _lookups
        _lookups += 1
        return object.__getattribute__(self, name)

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef char *room = self.room
        cdef Py_ssize_t i
        self.frames += 1
        if frame.msg_type == _CLOSE:
            transport.send_close(1000)
            transport.disconnect()
        elif frame.msg_type == _TEXT:
            transport.send(_TEXT, frame.get_payload_as_memoryview())
        else:
            for i in range(frame.payload_size):     # reversed, through the pointer
                room[14 + i] = frame.payload_ptr[frame.payload_size - 1 - i]
            transport.send_reuse_external_buffer(frame.msg_type, room + 14, frame.payload_size)
