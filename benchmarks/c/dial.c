/* Opening WebSocket connections, and one message there and back; see dial.h. */
#define _GNU_SOURCE
#include "dial.h"
#include "ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Alignas(64) uint8_t in[IN];
const char *failure;

int fail(const char *why)
{
    failure = why;
    return -1;
}

static int open_socket(int port, int source)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)source)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        return fail("socket");
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) || connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return fail("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Read until there is something; waits, but not for ever. */
static ssize_t receive(struct stream *s, void *data, size_t room)
{
    for (;;) {
        ssize_t n = stream_recv(s, data, room);
        struct pollfd wait = {.fd = s->fd, .events = POLLIN};
        if (n > 0)
            return n;
        if (n == 0)
            return fail("the peer closed the connection");
        if (errno != EAGAIN && errno != EINTR)
            return fail(strerror(errno));
        if (poll(&wait, 1, PATIENCE_MS) == 0)
            return fail("no answer in time");
    }
}

static int upgrade(struct stream *s, int port, const char *path)
{
    char text[512];
    char *answer = (char *)in;
    size_t have = 0;
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     path, port);
    if (stream_send(s, text, (size_t)n) != n)
        return fail("sending the request");
    while (!memmem(answer, have, "\r\n\r\n", 4)) {
        ssize_t got = receive(s, answer + have, 4096 - have);
        if (got < 0)
            return -1;
        have += (size_t)got;
        if (have == 4096)
            return fail("the answer to the upgrade is too long");
    }
    if (memcmp(answer, "HTTP/1.1 101", 12) || !memmem(answer, have, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28))
        return fail("the upgrade was refused");
    return 0;
}

int open_websocket(struct stream *s, int port, int source, const char *path)
{
    int fd = open_socket(port, source);
    if (fd < 0)
        return -1;
    if (stream_connect(s, fd)) {
        close(fd);
        return fail("the TLS handshake failed");
    }
    if (upgrade(s, port, path)) {
        stream_close(s);
        return -1;
    }
    return 0;
}

int check(struct stream *s, size_t size)
{
    uint8_t *message = malloc(size + 1), *frame = malloc(size + WS_HEADER_MAX);
    struct ws_frame got;
    size_t n, have = 0;
    int failed = 0;
    if (!message || !frame)
        return fail("out of memory");
    for (size_t i = 0; i < size; i++)
        message[i] = (uint8_t)(i * 7 + 1);
    n = ws_put(frame, WS_FIN | WS_BINARY, message, size, 1);
    for (size_t at = 0; at < n && !failed;) {
        ssize_t sent = stream_send(s, frame + at, n - at);
        struct pollfd wait = {.fd = s->fd, .events = POLLOUT};
        if (sent > 0)
            at += (size_t)sent;
        else if (errno != EAGAIN || poll(&wait, 1, PATIENCE_MS) == 0)
            failed = fail("sending");
    }
    while (!failed && !ws_get(in, have, &got)) {
        ssize_t more = receive(s, in + have, IN - have);
        if (more < 0)
            failed = -1;
        else
            have += (size_t)more;
    }
    if (!failed && (got.first != (WS_FIN | WS_BINARY) || got.payload_size != size || got.size != have ||
                    memcmp(got.payload, message, size)))
        failed = fail("what came back is not what was sent");
    free(message);
    free(frame);
    return failed;
}
