from ws_core._receiver cimport Receiver
from ws_core._transport cimport WSTransport


cdef class WSProtocol(Receiver):
    cdef:
        bint over_tls
        int watched                      # by Config.resets: what it calls the connection, or -1

    cdef int tell_the_begin(self, WSTransport transport, int rsv) except -1
    cdef int tell_the_end(self, WSTransport transport) except -1
