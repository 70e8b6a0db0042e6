/* The streams of programs compiled -DWITH_TLS; see stream.h. Empty without it. */
#include "stream.h"

#ifdef WITH_TLS

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const char *file(const char *variable)
{
    const char *path = getenv(variable);
    if (!path) {
        fprintf(stderr, "%s is not set\n", variable);
        exit(1);
    }
    return path;
}

static SSL_CTX *make_context(int server)
{
    SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    int good = context != NULL;
    if (good && server) {
        good = SSL_CTX_use_certificate_chain_file(context, file("BENCH_CERT")) == 1 &&
               SSL_CTX_use_PrivateKey_file(context, file("BENCH_KEY"), SSL_FILETYPE_PEM) == 1;
    } else if (good) {
        good = SSL_CTX_load_verify_locations(context, file("BENCH_CA"), NULL) == 1;
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    }
    if (!good) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    /* RELEASE_BUFFERS: as in the contexts of Python, an idle connection keeps none. read_ahead: one recv(2) for the
     * header and the body of a record. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    return context;
}

static int attach(struct stream *s, int fd, int server)
{
    static SSL_CTX *contexts[2];
    if (!contexts[server])
        contexts[server] = make_context(server);
    s->fd = fd;
    s->ssl = SSL_new(contexts[server]);
    return s->ssl && SSL_set_fd(s->ssl, fd) == 1 ? 0 : -1;
}

int stream_accept(struct stream *s, int fd)
{
    if (attach(s, fd, 1))
        return -1;
    SSL_set_accept_state(s->ssl);
    return 0;
}

int stream_connect(struct stream *s, int fd)
{
    if (attach(s, fd, 0) || SSL_connect(s->ssl) != 1) {
        ERR_print_errors_fp(stderr);
        return -1;
    }
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* What a system call would have returned where OpenSSL says `n`. */
static ssize_t outcome(struct stream *s, int n)
{
    if (n > 0)
        return n;
    switch (SSL_get_error(s->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        ERR_clear_error(); /* the next connection would take it for its own */
        errno = EPROTO;
        return -1;
    }
}

ssize_t stream_recv(struct stream *s, void *data, size_t room)
{
    return outcome(s, SSL_read(s->ssl, data, (int)room));
}

ssize_t stream_send(struct stream *s, const void *data, size_t size)
{
    return outcome(s, SSL_write(s->ssl, data, (int)size));
}

int stream_pending(const struct stream *s)
{
    return SSL_has_pending(s->ssl);
}

void stream_close(struct stream *s)
{
    SSL_free(s->ssl);
    close(s->fd);
}

#else

typedef int nothing_here; /* ISO C knows no empty file */

#endif
