from libc.stdint cimport uint64_t
from ws_core._ending cimport Ending
from ws_core._hooks cimport HookChain


cdef class WSTransport(Ending):
    cdef:
        object __weakref__
        HookChain hooks
        dict _user_data
        object _response                   # None: a server's usual answer, that nobody has asked for yet
        int capi_corks                     # cork() of the C API, not yet uncorked

        # Counters, see WSStats.
        uint64_t frames_in, bytes_in
        double last_data_time              # seconds on the loop's clock

    cdef readonly:
        object request
        object subprotocol
        bint is_secure

    cdef int send_reuse_external_buffer(self, int msg_type, char *msg_ptr, Py_ssize_t msg_size,
                                        bint fin=*, bint rsv1=*, bint rsv2=*, bint rsv3=*) except -1
    cpdef send(self, int msg_type, message, bint fin=*, bint rsv1=*, bint rsv2=*, bint rsv3=*)
    cpdef send_reuse_external_bytearray(self, int msg_type, bytearray buffer, Py_ssize_t msg_offset,
                                        bint fin=*, bint rsv1=*, bint rsv2=*, bint rsv3=*)
    cpdef send_ping(self, message=*)
    cpdef send_pong(self, message=*)
    cpdef notify_user_specific_pong_received(self)
    cdef int _use_hooks(self, list hooks) except -1
