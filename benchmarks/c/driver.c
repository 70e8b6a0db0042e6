/* The C floor as a client, and the peer that drives every measured server: epoll, one thread.
 *
 * Commands on standard input, one answer line each:
 *   connect PORT MODE                      MODE: rtt, burst or feed; answers id=N
 *   check ID SIZE                          one echo, compared byte by byte
 *   run ID COUNT SIZE LENGTH PID           rtt: COUNT round trips; burst: COUNT bursts of LENGTH; feed: COUNT frames
 *   crowd PORT COUNT, crowd-echo SIZE      many connections; a message on each
 *   crowd-pong MS                          for so long, answer each PING on them: ok pongs=N
 *   crowd-close, quit */
#define _GNU_SOURCE
#include "meter.h"
#include "ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN = 17 << 20, READ = 1 << 20, CONNECTIONS = 64, CROWD = 50000, PATIENCE_MS = 20000 };

struct conn {
    int fd, epoll_fd;
    char mode;    /* r, b or f */
};

static struct conn conns[CONNECTIONS];
static int conn_count;
static int crowd[CROWD], crowd_count;
static uint8_t in[IN];
static const char *failure;

static int fail(const char *why)
{
    failure = why;
    return -1;
}

/* `source`: of 127.0.0.1, 127.0.0.2, ..., since each has ports for some 28,000 connections only. */
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

/* Read until there is something; blocks, but not for ever. */
static ssize_t receive(int fd, void *data, size_t room)
{
    for (;;) {
        ssize_t n = recv(fd, data, room, MSG_DONTWAIT);
        struct pollfd wait = {.fd = fd, .events = POLLIN};
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

static int upgrade(int fd, int port, const char *path)
{
    char text[512];
    char *answer = (char *)in;
    size_t have = 0;
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     path, port);
    if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        return fail("sending the request");
    while (!memmem(answer, have, "\r\n\r\n", 4)) {
        ssize_t got = receive(fd, answer + have, 4096 - have);
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

static int open_websocket(int port, int source, const char *path)
{
    int fd = open_socket(port, source);
    if (fd >= 0 && upgrade(fd, port, path)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Wait for readiness as an event loop does, then read. */
static ssize_t wait_and_receive(struct conn *c, void *data, size_t room)
{
    struct epoll_event event;
    int n = epoll_wait(c->epoll_fd, &event, 1, PATIENCE_MS);
    if (n < 0 && errno != EINTR)
        return fail(strerror(errno));
    if (n == 0)
        return fail("no answer in time");
    ssize_t got = recv(c->fd, data, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return got > 0 ? got : fail("the connection ended");
}

/* Send all of it. While the peer takes nothing, read what it answers, or both would wait for ever. */
static int send_all(struct conn *c, const uint8_t *data, size_t size, size_t *have)
{
    while (size) {
        ssize_t n = send(c->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        struct pollfd wait = {.fd = c->fd, .events = POLLIN | POLLOUT};
        if (n > 0) {
            data += n;
            size -= (size_t)n;
            continue;
        }
        if (n < 0 && errno != EAGAIN)
            return fail(strerror(errno));
        poll(&wait, 1, PATIENCE_MS);
        if (wait.revents & POLLIN) {
            n = recv(c->fd, in + *have, IN - *have, MSG_DONTWAIT);
            if (n == 0)
                return fail("the connection ended");
            *have += n > 0 ? (size_t)n : 0;
        }
    }
    return 0;
}

/* Receive `count` frames of `size` bytes; `have` bytes are there already. */
static int take_frames(struct conn *c, long count, size_t size, size_t have)
{
    struct ws_frame frame;
    size_t at = 0;
    for (;;) {
        while (ws_get(in + at, have - at, &frame)) {
            at += frame.size;
            if (frame.payload_size != size)
                return fail("a frame of another size came back");
            if (--count == 0)
                return at == have ? 0 : fail("more came back than was sent");
        }
        if (at) {
            memmove(in, in + at, have - at);
            have -= at;
            at = 0;
        }
        ssize_t n = wait_and_receive(c, in + have, IN - have < READ ? IN - have : READ);
        if (n < 0)
            return -1;
        have += (size_t)n;
    }
}

static int run(struct conn *c, long count, size_t size, long length, struct meter *meter)
{
    uint8_t *message = calloc(1, size + 1);
    uint8_t *burst = malloc((size + WS_HEADER_MAX) * (size_t)length);
    int failed = 0;
    if (!message || !burst)
        return fail("out of memory");
    meter_start(meter);
    if (c->mode == 'f') {
        char order[64];
        size_t n = (size_t)snprintf(order, sizeof order, "%ld %zu %d", count, size, WS_BINARY), have = 0;
        n = ws_put(burst, WS_FIN | WS_TEXT, (uint8_t *)order, n, 1);
        failed = send_all(c, burst, n, &have) || take_frames(c, count, size, have);
    }
    for (long i = 0; c->mode != 'f' && i < count && !failed; i++) {
        size_t n = 0, have = 0;
        for (long j = 0; j < length; j++)
            n += ws_put(burst + n, WS_FIN | WS_BINARY, message, size, 1);
        failed = send_all(c, burst, n, &have) || take_frames(c, length, size, have);
    }
    meter_stop(meter);
    free(message);
    free(burst);
    return failed ? -1 : 0;
}

/* One message there and back on a blocking socket, compared. */
static int check(int fd, size_t size)
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
    if (send(fd, frame, n, MSG_NOSIGNAL) != (ssize_t)n)
        failed = fail("sending");
    while (!failed && !ws_get(in, have, &got)) {
        ssize_t more = receive(fd, in + have, IN - have);
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

static int add(int port, const char *mode)
{
    struct conn *c = &conns[conn_count];
    struct epoll_event event = {.events = EPOLLIN};
    if (conn_count == CONNECTIONS)
        return fail("too many connections");
    c->fd = open_websocket(port, 0, *mode == 'f' ? "/feed" : "/echo");
    if (c->fd < 0)
        return -1;
    c->mode = *mode;
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
    printf("ok id=%d\n", conn_count++);
    return 0;
}

static int crowd_open(int port, int count)
{
    while (count-- > 0) {
        if (crowd_count == CROWD)
            return fail("too many connections");
        crowd[crowd_count] = open_websocket(port, crowd_count / 20000, "/echo");
        if (crowd[crowd_count] < 0)
            return -1;
        crowd_count++;
    }
    return 0;
}

static int crowd_echo(size_t size)
{
    for (int i = 0; i < crowd_count; i++)
        if (check(crowd[i], size))
            return -1;
    return 0;
}

/* A PING came in one piece: they are small, and nothing else is on its way. */
static int crowd_answer(int fd, long *pongs)
{
    uint8_t data[4096], out[4096 + WS_HEADER_MAX];
    struct ws_frame frame;
    ssize_t n = recv(fd, data, sizeof data, MSG_DONTWAIT);
    size_t at = 0;
    if (n <= 0)
        return fail("a connection of the crowd ended");
    while (ws_get(data + at, (size_t)n - at, &frame)) {
        at += frame.size;
        if ((frame.first & 15) == WS_CLOSE)
            return fail("a connection of the crowd was closed");
        if ((frame.first & 15) != WS_PING)
            continue;
        size_t size = ws_put(out, WS_FIN | WS_PONG, frame.payload, frame.payload_size, 1);
        if (send(fd, out, size, MSG_NOSIGNAL) != (ssize_t)size)
            return fail("sending a PONG");
        ++*pongs;
    }
    return at == (size_t)n ? 0 : fail("half a frame");
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int crowd_pong(int ms)
{
    struct epoll_event events[256];
    long pongs = 0, end = now_ms() + ms, left;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), status = 0;
    for (int i = 0; i < crowd_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = crowd[i]};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, crowd[i], &event);
    }
    while (!status) {
        left = end - now_ms();
        int n = epoll_wait(epoll_fd, events, 256, left > 0 ? (int)left : 0);
        if (n <= 0 && left <= 0)
            break; /* nothing waits any more, however long the machine kept us from looking */
        for (int i = 0; i < n && !status; i++)
            status = crowd_answer(events[i].data.fd, &pongs);
    }
    close(epoll_fd);
    if (!status)
        printf("ok pongs=%ld\n", pongs);
    return status;
}

static void crowd_close(void)
{
    struct linger hard = {1, 0};    /* RST: no TIME_WAIT left behind */
    while (crowd_count) {
        setsockopt(crowd[--crowd_count], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(crowd[crowd_count]);
    }
}

static int obey(char *line)
{
    char mode[16];
    int a, b;
    long count, length;
    size_t size;
    struct meter meter = {0};
    if (sscanf(line, "connect %d %15s", &a, mode) == 2)
        return add(a, mode);
    if (sscanf(line, "run %d %ld %zu %ld %d", &a, &count, &size, &length, &b) == 5) {
        meter.watched = b;
        if (run(&conns[a], count, size, length, &meter))
            return -1;
        meter_print(&meter);
        return 0;
    }
    if (sscanf(line, "check %d %zu", &a, &size) == 2)
        a = check(conns[a].fd, size);
    else if (sscanf(line, "crowd %d %d", &a, &b) == 2)
        a = crowd_open(a, b);
    else if (sscanf(line, "crowd-echo %zu", &size) == 1)
        a = crowd_echo(size);
    else if (sscanf(line, "crowd-pong %d", &a) == 1)
        return crowd_pong(a);
    else if (strncmp(line, "crowd-close", 11) == 0)
        crowd_close(), a = 0;
    else
        return fail("unknown command");
    if (a == 0)
        puts("ok");
    return a;
}

int main(void)
{
    char line[256];
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ok");
    while (fgets(line, sizeof line, stdin) && strncmp(line, "quit", 4)) {
        if (obey(line))
            printf("error %s\n", failure);
    }
    crowd_close();
    return 0;
}
