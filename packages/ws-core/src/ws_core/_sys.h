/* System calls on stream sockets: none of them blocks, none raises a signal, all are tried again after EINTR. */
#ifndef WS_SYS_H
#define WS_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* errno as a negative number; "not now" is always -EAGAIN. */
static inline ssize_t ws_sys_error(void)
{
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* Bytes received, 0 at the end of the stream, or an error. */
static inline ssize_t ws_sys_recv(int fd, void *room, size_t size)
{
    ssize_t n;
    do {
        n = recv(fd, room, size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : ws_sys_error();
}

/* Bytes sent, or an error. */
static inline ssize_t ws_sys_send(int fd, const void *data, size_t size)
{
    ssize_t n;
    do {
        n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : ws_sys_error();
}

/* The same for several pieces. */
static inline ssize_t ws_sys_sendv(int fd, struct iovec *parts, int count)
{
    struct msghdr message = {0};
    ssize_t n;
    message.msg_iov = parts;
    message.msg_iovlen = (size_t)count;
    do {
        n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : ws_sys_error();
}

/* The descriptor of a connection that waited, not blocking, not inherited; or an error. */
static inline int ws_sys_accept(int fd, struct sockaddr_storage *peer, socklen_t *peer_size)
{
    int accepted;
    do {
        *peer_size = sizeof(*peer);
        peer->ss_family = AF_UNSPEC;    /* some systems tell nothing of a peer that has gone already */
#ifdef __APPLE__
        accepted = accept(fd, (struct sockaddr *)peer, peer_size);
#else
        accepted = accept4(fd, (struct sockaddr *)peer, peer_size, SOCK_NONBLOCK | SOCK_CLOEXEC);
#endif
    } while (accepted < 0 && errno == EINTR);
    if (accepted < 0)
        return (int)ws_sys_error();
#ifdef __APPLE__
    /* It has no accept4(2). These do not fail on a descriptor that is open. */
    (void)fcntl(accepted, F_SETFL, fcntl(accepted, F_GETFL) | O_NONBLOCK);
    (void)fcntl(accepted, F_SETFD, FD_CLOEXEC);
#endif
    return accepted;
}

/* Whom a socket is connected to: 0, or an error. */
static inline int ws_sys_peer(int fd, struct sockaddr_storage *peer, socklen_t *peer_size)
{
    *peer_size = sizeof(*peer);
    peer->ss_family = AF_UNSPEC;
    return getpeername(fd, (struct sockaddr *)peer, peer_size) < 0 ? (int)ws_sys_error() : 0;
}

/* For who cannot do anything about an error. */
static inline void ws_sys_close(int fd)
{
    (void)close(fd);
}

/* No Nagle, and acknowledge at once where one can ask for it. A peer that has gone already is no error here. */
static inline void ws_sys_tune(int fd, int family)
{
    const int on = 1;
    if (family != AF_INET && family != AF_INET6)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
#ifdef TCP_QUICKACK
    (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
#endif
}

#endif
