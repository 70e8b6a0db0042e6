/* A connected socket, plain or under TLS: what both C programs read from and write to. Reading and writing never block.
 *
 * A program compiled -DWITH_TLS speaks nothing but TLS, by OpenSSL (tls.c), with what these environment variables name:
 * BENCH_CERT and BENCH_KEY for a server, BENCH_CA for a client. Without it nothing here is more than a system call. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

struct stream {
    int fd;
#ifdef WITH_TLS
    struct ssl_st *ssl;
#endif
};

#ifdef WITH_TLS

int stream_accept(struct stream *s, int fd);    /* `fd` does not block; the handshake is part of the reading */
int stream_connect(struct stream *s, int fd);   /* `fd` blocks until the handshake is done, and then no more */
ssize_t stream_recv(struct stream *s, void *data, size_t room);         /* as recv(2) with MSG_DONTWAIT */
ssize_t stream_send(struct stream *s, const void *data, size_t size);   /* as send(2) with MSG_DONTWAIT */
int stream_pending(const struct stream *s);     /* bytes have been read that poll(2) does not know of any more */
void stream_close(struct stream *s);

#else

static inline int stream_accept(struct stream *s, int fd)
{
    s->fd = fd;
    return 0;
}

static inline int stream_connect(struct stream *s, int fd)
{
    s->fd = fd;
    return 0;
}

static inline ssize_t stream_recv(struct stream *s, void *data, size_t room)
{
    return recv(s->fd, data, room, MSG_DONTWAIT);
}

static inline ssize_t stream_send(struct stream *s, const void *data, size_t size)
{
    return send(s->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static inline int stream_pending(const struct stream *s)
{
    (void)s;
    return 0;
}

static inline void stream_close(struct stream *s)
{
    close(s->fd);
}

#endif
#endif
