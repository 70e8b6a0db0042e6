cdef extern from "../_sys.h" nogil:
    struct sockaddr_storage:
        unsigned short ss_family
    ctypedef unsigned int socklen_t
    struct iovec:
        void *iov_base
        size_t iov_len
    Py_ssize_t ws_sys_recv(int fd, void *room, size_t size)
    Py_ssize_t ws_sys_send(int fd, const void *data, size_t size)
    Py_ssize_t ws_sys_sendv(int fd, iovec *parts, int count)
    int ws_sys_accept(int fd, sockaddr_storage *peer, socklen_t *peer_size)
    int ws_sys_peer(int fd, sockaddr_storage *peer, socklen_t *peer_size)
    void ws_sys_tune(int fd, int family)
    void ws_sys_close(int fd)
