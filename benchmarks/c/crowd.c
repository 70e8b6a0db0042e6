/* The crowd: opened, echoing, broadcast to, pinged; see crowd.h. */
#define _GNU_SOURCE
#include "crowd.h"
#include "dial.h"
#include "ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

enum { CROWD = 50000, EVENTS = 256 };

struct member {
    struct stream stream;
    uint8_t *data; /* what has come of a frame */
    size_t have;
    long left;     /* frames that are still to come */
};

static struct member crowd[CROWD];
static int crowd_count, crowd_epoll = -1;

int crowd_open(int port, int count, const char *path)
{
    if (crowd_epoll < 0)
        crowd_epoll = epoll_create1(EPOLL_CLOEXEC);
    for (; count-- > 0; crowd_count++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)crowd_count};
        if (crowd_count == CROWD)
            return fail("too many connections");
        if (open_websocket(&crowd[crowd_count].stream, port, crowd_count / 20000, path))
            return -1;
        epoll_ctl(crowd_epoll, EPOLL_CTL_ADD, crowd[crowd_count].stream.fd, &event);
    }
    return 0;
}

int crowd_echo(size_t size)
{
    for (int i = 0; i < crowd_count; i++)
        if (check(&crowd[i].stream, size))
            return -1;
    return 0;
}

static int send_message(struct member *m, uint8_t opcode, const void *data, size_t size)
{
    uint8_t small[1024], *frame = size + WS_HEADER_MAX > sizeof small ? malloc(size + WS_HEADER_MAX) : small;
    size_t n;
    int sent;
    if (!frame)
        return fail("out of memory");
    n = ws_put(frame, WS_FIN | opcode, data, size, 1);
    sent = stream_send(&m->stream, frame, n) == (ssize_t)n; /* nothing is on its way, so it has room */
    if (frame != small)
        free(frame);
    return sent ? 0 : fail("sending a message");
}

/* Read what is there. Returns how many whole frames that made, or -1. */
static long take(struct member *m, size_t room, size_t size)
{
    struct ws_frame frame;
    long frames = 0;
    do {
        ssize_t n = stream_recv(&m->stream, m->data + m->have, room - m->have);
        size_t at = 0;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0)
            return fail("a connection of the crowd ended");
        m->have += (size_t)n;
        for (; ws_get(m->data + at, m->have - at, &frame); frames++) {
            at += frame.size;
            if (frame.first != (WS_FIN | WS_BINARY) || frame.payload_size != size)
                return fail("another frame came than was asked for");
        }
        m->have -= at;
        memmove(m->data, m->data + at, m->have);
    } while (stream_pending(&m->stream));
    return frames;
}

/* Until each member has got its `left` frames of `size` bytes, `waiting` in all. `answer`: send it for each but the last. */
static int gather(long waiting, size_t room, size_t size, const uint8_t *answer)
{
    struct epoll_event events[EVENTS];
    while (waiting) {
        int n = epoll_wait(crowd_epoll, events, EVENTS, PATIENCE_MS);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail("no answer in time");
        for (int i = 0; i < n; i++) {
            struct member *m = &crowd[events[i].data.u32];
            long frames = take(m, room, size);
            if (frames < 0)
                return -1;
            if (frames > m->left)
                return fail("more came than was sent");
            m->left -= frames;
            waiting -= frames;
            if (answer && frames && m->left && send_message(m, WS_BINARY, answer, size))
                return -1;
        }
    }
    return 0;
}

/* Room for `frames` of `size` bytes each, for every member. */
static int make_rooms(long frames, size_t size, size_t *room)
{
    *room = (size_t)frames * (size + WS_HEADER_MAX) + 4096;
    for (int i = 0; i < crowd_count; i++) {
        crowd[i].have = 0;
        crowd[i].data = malloc(*room);
        if (!crowd[i].data)
            return fail("out of memory");
    }
    return 0;
}

static int leave_rooms(int status)
{
    for (int i = 0; i < crowd_count; i++) {
        free(crowd[i].data);
        crowd[i].data = NULL;
    }
    return status;
}

int crowd_run(long count, size_t size, struct meter *meter)
{
    uint8_t *message = calloc(1, size + 1);
    size_t room = 0;
    int status = message ? make_rooms(1, size, &room) : fail("out of memory");
    if (!status) {
        meter_start(meter);
        for (int i = 0; i < crowd_count && !status; i++) {
            crowd[i].left = count;
            status = send_message(&crowd[i], WS_BINARY, message, size);
        }
        if (!status)
            status = gather(count * crowd_count, room, size, message);
        meter_stop(meter);
    }
    free(message);
    return leave_rooms(status);
}

int crowd_broadcast(long count, long messages, size_t size, const char *way, struct meter *meter)
{
    char order[64];
    size_t room = 0, order_size = (size_t)snprintf(order, sizeof order, "%ld %zu %s", messages, size, way);
    int status = make_rooms(messages, size, &room);
    if (!status) {
        meter_start(meter);
        while (count-- > 0 && !status) {
            for (int i = 0; i < crowd_count; i++)
                crowd[i].left = messages;
            status = send_message(&crowd[0], WS_TEXT, order, order_size) ||
                     gather(messages * crowd_count, room, size, NULL);
        }
        meter_stop(meter);
    }
    return leave_rooms(status ? -1 : 0);
}

/* A PING came in one piece: they are small, and nothing else is on its way. */
static int answer_pings(struct stream *s, long *pongs)
{
    uint8_t data[4096], out[4096 + WS_HEADER_MAX];
    struct ws_frame frame;
    ssize_t n = stream_recv(s, data, sizeof data);
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
        if (stream_send(s, out, size) != (ssize_t)size)
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

int crowd_pong(int ms)
{
    struct epoll_event events[EVENTS];
    long pongs = 0, end = now_ms() + ms, left;
    int status = 0;
    while (!status) {
        left = end - now_ms();
        int n = epoll_wait(crowd_epoll, events, EVENTS, left > 0 ? (int)left : 0);
        if (n <= 0 && left <= 0)
            break; /* nothing waits any more, however long the machine kept us from looking */
        for (int i = 0; i < n && !status; i++)
            status = answer_pings(&crowd[events[i].data.u32].stream, &pongs);
    }
    if (!status)
        printf("ok pongs=%ld\n", pongs);
    return status;
}

void crowd_close(void)
{
    struct linger hard = {1, 0}; /* RST: no TIME_WAIT left behind */
    while (crowd_count) {
        struct stream *s = &crowd[--crowd_count].stream;
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        stream_close(s);
    }
}
