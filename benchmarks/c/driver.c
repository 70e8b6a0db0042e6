/* The C floor as a client, and the peer that drives every measured server: epoll, one thread.
 *
 * Commands on standard input, one answer line each:
 *   connect PORT MODE                      MODE: rtt, burst or feed; answers id=N
 *   check ID SIZE                          one echo, compared byte by byte
 *   run ID COUNT SIZE LENGTH PID           rtt: COUNT round trips; burst: COUNT bursts of LENGTH; feed: COUNT frames
 *   crowd PORT COUNT [PATH]                many connections (/echo), see crowd.h; and what they do:
 *   crowd-echo SIZE, crowd-run COUNT SIZE PID, crowd-broadcast COUNT MESSAGES SIZE WAY PID, crowd-pong MS, crowd-close
 *   settle                                 give back the memory that large messages have taken
 *   quit */
#define _GNU_SOURCE
#include "crowd.h"
#include "dial.h"
#include "meter.h"
#include "ws.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

enum { READ = 1 << 20, CONNECTIONS = 64 };

struct conn {
    struct stream stream;
    int epoll_fd;
    char mode;    /* r, b or f */
};

static struct conn conns[CONNECTIONS];
static int conn_count;

/* Wait for readiness as an event loop does, then read. */
static ssize_t wait_and_receive(struct conn *c, void *data, size_t room)
{
    struct epoll_event event;
    ssize_t got = -1;
    errno = EAGAIN;
    if (stream_pending(&c->stream))
        got = stream_recv(&c->stream, data, room);
    if (got < 0 && errno == EAGAIN) {
        int n = epoll_wait(c->epoll_fd, &event, 1, PATIENCE_MS);
        if (n < 0 && errno != EINTR)
            return fail(strerror(errno));
        if (n == 0)
            return fail("no answer in time");
        got = stream_recv(&c->stream, data, room);
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return got > 0 ? got : fail("the connection ended");
}

/* Send all of it. While the peer takes nothing, read what it answers, or both would wait for ever. */
static int send_all(struct conn *c, const uint8_t *data, size_t size, size_t *have)
{
    while (size) {
        ssize_t n = stream_send(&c->stream, data, size);
        struct pollfd wait = {.fd = c->stream.fd, .events = POLLIN | POLLOUT};
        if (n > 0) {
            data += n;
            size -= (size_t)n;
            continue;
        }
        if (n < 0 && errno != EAGAIN)
            return fail(strerror(errno));
        poll(&wait, 1, PATIENCE_MS);
        if (wait.revents & POLLIN) {
            n = stream_recv(&c->stream, in + *have, IN - *have);
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

static int add(int port, const char *mode)
{
    struct conn *c = &conns[conn_count];
    struct epoll_event event = {.events = EPOLLIN};
    if (conn_count == CONNECTIONS)
        return fail("too many connections");
    if (open_websocket(&c->stream, port, 0, *mode == 'f' ? "/feed" : "/echo"))
        return -1;
    c->mode = *mode;
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->stream.fd, &event);
    printf("ok id=%d\n", conn_count++);
    return 0;
}

/* Whole pages only: the buffer need not begin with one. */
static int settle(void)
{
    uintptr_t page = 4096, first = ((uintptr_t)in + page - 1) / page * page;
    return madvise((void *)first, ((uintptr_t)in + IN - first) / page * page, MADV_DONTNEED) ? fail("madvise") : 0;
}

static int metered(int status, const struct meter *meter)
{
    if (!status)
        meter_print(meter);
    return status;
}

static int obey(char *line)
{
    char mode[16], path[64] = "/echo";
    int a, b;
    long count, length;
    size_t size;
    struct meter meter = {0};
    if (sscanf(line, "connect %d %15s", &a, mode) == 2)
        return add(a, mode);
    if (sscanf(line, "run %d %ld %zu %ld %d", &a, &count, &size, &length, &meter.watched) == 5)
        return metered(run(&conns[a], count, size, length, &meter), &meter);
    if (sscanf(line, "crowd-run %ld %zu %d", &count, &size, &meter.watched) == 3)
        return metered(crowd_run(count, size, &meter), &meter);
    if (sscanf(line, "crowd-broadcast %ld %ld %zu %15s %d", &count, &length, &size, mode, &meter.watched) == 5)
        return metered(crowd_broadcast(count, length, size, mode, &meter), &meter);
    if (sscanf(line, "crowd-pong %d", &a) == 1)
        return crowd_pong(a);
    if (sscanf(line, "check %d %zu", &a, &size) == 2)
        a = check(&conns[a].stream, size);
    else if (sscanf(line, "crowd %d %d %63s", &a, &b, path) >= 2)
        a = crowd_open(a, b, path);
    else if (sscanf(line, "crowd-echo %zu", &size) == 1)
        a = crowd_echo(size);
    else if (strncmp(line, "crowd-close", 11) == 0)
        crowd_close(), a = 0;
    else if (strncmp(line, "settle", 6) == 0)
        a = settle();
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
