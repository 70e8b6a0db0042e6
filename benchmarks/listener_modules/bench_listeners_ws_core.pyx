# Listeners in Cython, for `feed` and `pipelined`: what peers/callbacks.py has in Python. setup.py makes a copy of this
# file for picows, in which the three lines between the marks are others.

from asyncio import get_running_loop

cimport cython

# <library>
from ws_core cimport WSFrame, WSListener, WSTransport

ctypedef int MsgType
# </library>

cdef MsgType TEXT = <MsgType>1
cdef MsgType BINARY = <MsgType>2


cdef class Echo(WSListener):
    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        transport.send(BINARY, frame.get_payload_as_bytes())


cdef class Feed(WSListener):
    """Asks for frames and counts them."""

    cdef WSTransport transport
    cdef object done
    cdef Py_ssize_t left
    cdef int opcode

    def __cinit__(self):
        self.opcode = 2

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport

    async def run(self, count, size, length):
        self.done = get_running_loop().create_future()
        self.left = count
        self.transport.send(TEXT, f"{count} {size} {self.opcode}".encode())
        await self.done

    @cython.final
    cdef int came(self) except -1:
        self.left -= 1
        if self.left == 0:
            self.done.set_result(None)
        return 0

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        self.came()


cdef class FeedBytes(Feed):
    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        frame.get_payload_as_bytes()
        self.came()


cdef class FeedStr(Feed):
    def __cinit__(self):
        self.opcode = 1

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        frame.get_payload_as_utf8_text()
        self.came()


LISTENERS = {"echo": Echo, "feed-none": Feed, "feed-bytes": FeedBytes, "feed-str": FeedStr}
