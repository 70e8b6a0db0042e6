/* The C floor as a server, and the peer of every measured client: epoll, one thread.
 *
 *   /echo   every message comes back, a PING as PONG; the answers to one read leave in one send
 *   /feed   the text message "COUNT SIZE OPCODE" makes it push so many frames
 *   /room   the text message "MESSAGES SIZE WAY" makes it send so many to everybody there, in one send for each
 *
 * Connections read into one shared buffer; one that had half a frame has a
 * buffer of its own from then on (unless that gets very large), and one that cannot send keeps what waits.
 * Commands on standard input: begin, end (the meter), settle, quit. */
#define _GNU_SOURCE
#include "meter.h"
#include "stream.h"
#include "ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SHARED = 256 * 1024, OUT = SHARED + SHARED / 2, FEED_BLOCK = 64 * 1024, LARGE = 16 * 1024, REST_MAX = 4 << 20 };
enum { ROOM = 5000, LINE = 64 };
enum mode { HANDSHAKE, ECHO, FEED, MEMBER };

struct conn {
    struct stream stream;
    uint8_t mode, waits_to_write;
    uint8_t *rest;    /* from the first half frame on */
    size_t rest_size, rest_room;
    uint8_t *pending; /* answers that the kernel did not take */
    size_t pending_size, pending_at;
    size_t feed_left, feed_at, feed_block; /* bytes to push; where in the block; its size */
};

static _Alignas(LINE) uint8_t shared_in[SHARED];
static uint8_t shared_out[OUT], feed_data[FEED_BLOCK];
static struct conn *room[ROOM];
static size_t room_size;
static int epoll_fd;

static void *must(void *memory)
{
    if (!memory) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void drop(struct conn *c)
{
    for (size_t i = 0; c->mode == MEMBER && i < room_size; i++)
        if (room[i] == c)
            room[i--] = room[--room_size];
    stream_close(&c->stream);
    free(c->rest);
    free(c->pending);
    free(c);
}

static void watch(struct conn *c, int writing)
{
    struct epoll_event event = {.events = EPOLLIN | (writing ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};
    if (c->waits_to_write == writing)
        return;
    c->waits_to_write = (uint8_t)writing;
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->stream.fd, &event);
}

static size_t push(struct conn *c, const uint8_t *data, size_t size)
{
    ssize_t n = stream_send(&c->stream, data, size);
    return n < 0 ? 0 : (size_t)n;
}

/* Send, and keep what does not fit. */
static void answer(struct conn *c, const uint8_t *data, size_t size)
{
    size_t sent = c->pending_size ? 0 : push(c, data, size);
    if (sent == size)
        return;
    c->pending = must(realloc(c->pending, c->pending_size + size - sent));
    memcpy(c->pending + c->pending_size, data + sent, size - sent);
    c->pending_size += size - sent;
    watch(c, 1);
}

static void feed(struct conn *c)
{
    while (c->feed_left) {
        size_t piece = c->feed_block - c->feed_at;
        size_t sent;
        if (piece > c->feed_left)
            piece = c->feed_left;
        sent = push(c, feed_data + c->feed_at, piece);
        c->feed_left -= sent;
        c->feed_at = (c->feed_at + sent) % c->feed_block;
        if (sent < piece) {
            watch(c, 1);
            return;
        }
    }
    watch(c, 0);
}

static void start_feed(struct conn *c, const struct ws_frame *order)
{
    char text[64];
    size_t count, size;
    unsigned opcode;
    static const char filler[] = "the quick brown fox jumps over the lazy dog, ";
    uint8_t payload[FEED_BLOCK / 2];
    snprintf(text, sizeof text, "%.*s", (int)order->payload_size, (const char *)order->payload);
    if (sscanf(text, "%zu %zu %u", &count, &size, &opcode) != 3 || size > sizeof payload)
        return;
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)filler[i % (sizeof filler - 1)];
    c->feed_block = 0;
    size_t one = 0;
    while (c->feed_block + size + WS_HEADER_MAX <= FEED_BLOCK) {
        one = ws_put(feed_data + c->feed_block, (uint8_t)(WS_FIN | opcode), payload, size, 0);
        c->feed_block += one;
    }
    c->feed_left = count * one;
    c->feed_at = 0;
    feed(c);
}

static void start_broadcast(const struct ws_frame *order)
{
    static const uint8_t payload[FEED_BLOCK];
    char text[64];
    size_t count, size, at = 0;
    snprintf(text, sizeof text, "%.*s", (int)order->payload_size, (const char *)order->payload);
    if (sscanf(text, "%zu %zu", &count, &size) != 2 || size > sizeof payload || count * (size + WS_HEADER_MAX) > OUT)
        return;
    while (count--)
        at += ws_put(shared_out + at, WS_FIN | WS_BINARY, payload, size, 0);
    for (size_t i = 0; i < room_size; i++)
        answer(room[i], shared_out, at);
}

static enum mode mode_of(const uint8_t *request)
{
    return memcmp(request, "GET /feed", 9) == 0 ? FEED : memcmp(request, "GET /room", 9) == 0 ? MEMBER : ECHO;
}

/* 0: more is needed; otherwise the size of the request. */
static size_t upgrade(struct conn *c, const uint8_t *data, size_t size)
{
    static const char name[] = "sec-websocket-key:";
    const uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    char text[256], accept[29] = "";
    if (!end)
        return 0;
    for (const uint8_t *line = data; line < end;) {
        const uint8_t *stop = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        if ((size_t)(stop - line) > sizeof name && strncasecmp((const char *)line, name, sizeof name - 1) == 0) {
            const uint8_t *value = line + sizeof name - 1;
            while (*value == ' ')
                value++;
            ws_accept((const char *)value, (size_t)(stop - value), accept);
        }
        line = stop + 2;
    }
    c->mode = mode_of(data);
    if (c->mode == MEMBER && room_size < ROOM)
        room[room_size++] = c;
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n\r\n",
                     accept);
    answer(c, (const uint8_t *)text, (size_t)n);
    return (size_t)(end + 4 - data);
}

/* Returns how many bytes were used up, or -1 if the peer is leaving. */
static ssize_t consume(struct conn *c, uint8_t *data, size_t size)
{
    struct ws_frame frame;
    size_t at = 0, out = 0;
    if (c->mode == HANDSHAKE) {
        at = upgrade(c, data, size);
        if (at == 0)
            return 0;
    }
    while (ws_get(data + at, size - at, &frame)) {
        at += frame.size;
        if ((frame.first & 15) == WS_CLOSE)
            return -1;
        if (c->mode == FEED) {
            start_feed(c, &frame);
            continue;
        }
        if (c->mode == MEMBER) {
            start_broadcast(&frame);
            continue;
        }
        if (out && (frame.payload_size >= LARGE || frame.payload_size + WS_HEADER_MAX > OUT - out)) {
            answer(c, shared_out, out);
            out = 0;
        }
        if (frame.payload_size >= LARGE) {
            /* In place: the header that came had room for a key, this one needs none. */
            uint8_t header[WS_HEADER_MAX];
            size_t size = ws_header(header, frame.first, frame.payload_size, 0);
            memcpy(frame.payload - size, header, size);
            answer(c, frame.payload - size, size + frame.payload_size);
            continue;
        }
        if ((frame.first & 15) == WS_PING)
            frame.first = WS_FIN | WS_PONG;
        out += ws_put(shared_out + out, frame.first, frame.payload, frame.payload_size, 0);
    }
    if (out)
        answer(c, shared_out, out);
    return (ssize_t)at;
}

/* At the start of a cache line, where recv(2) copies to twice as fast on some machines. */
static uint8_t *make_rest(size_t room)
{
    return must(aligned_alloc(LINE, (room + LINE - 1) / LINE * LINE));
}

/* Read once. Returns whether more can be read that epoll does not know of. */
static int readable(struct conn *c)
{
    uint8_t *data = shared_in;
    size_t space = SHARED, have = 0;
    ssize_t n, used;
    if (c->rest) {
        if (c->rest_size == c->rest_room) {
            uint8_t *larger = make_rest(c->rest_room *= 2);
            memcpy(larger, c->rest, c->rest_size);
            free(c->rest);
            c->rest = larger;
        }
        data = c->rest;
        have = c->rest_size;
        space = c->rest_room;
    }
    n = stream_recv(&c->stream, data + have, space - have);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        drop(c);
        return 0;
    }
    have += (size_t)n;
    used = consume(c, data, have);
    if (used < 0) {
        drop(c);
        return 0;
    }
    have -= (size_t)used;
    if (c->rest) {
        memmove(c->rest, c->rest + used, have);
    } else if (have) {
        c->rest_room = 2 * have + 4096;
        c->rest = make_rest(c->rest_room);
        memcpy(c->rest, data + used, have);
    }
    c->rest_size = have;
    if (c->rest && !have && c->rest_room > REST_MAX) {
        free(c->rest);
        c->rest = NULL;
    }
    return stream_pending(&c->stream);
}

static void writable(struct conn *c)
{
    if (c->pending_size) {
        c->pending_at += push(c, c->pending + c->pending_at, c->pending_size - c->pending_at);
        if (c->pending_at < c->pending_size)
            return;
        free(c->pending);
        c->pending = NULL;
        c->pending_size = c->pending_at = 0;
        watch(c, 0);
    }
    if (c->feed_left)
        feed(c);
}

static void accept_all(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = must(calloc(1, sizeof *c));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (stream_accept(&c->stream, fd)) {
            fputs("accepting failed\n", stderr);
            exit(1);
        }
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static int command(struct meter *meter)
{
    static char text[256];
    static size_t have;
    ssize_t n = read(0, text + have, sizeof text - 1 - have);
    char *line = text, *end;
    if (n <= 0)
        return 0;
    have += (size_t)n;
    text[have] = 0;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        if (strcmp(line, "quit") == 0)
            return 0;
        if (strcmp(line, "settle") == 0)
            malloc_trim(0);
        if (strcmp(line, "begin") == 0)
            meter_start(meter);
        if (strcmp(line, "end") == 0) {
            meter_stop(meter);
            meter_print(meter);
        } else {
            puts("ok");
        }
        line = end + 1;
    }
    have -= (size_t)(line - text);
    memmove(text, line, have);
    return 1;
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct meter meter = {0};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024) ||
        getsockname(listener, (struct sockaddr *)&address, &size)) {
        perror("listen");
        return 1;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = NULL;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &event);
    printf("ok port=%d\n", ntohs(address.sin_port));
    for (;;) {
        /* One event a turn: dropping a connection can then never leave a stale pointer behind. */
        int n = epoll_wait(epoll_fd, &event, 1, -1);
        if (n < 0 && errno != EINTR)
            return 1;
        if (n <= 0)
            continue;
        if (event.data.ptr == NULL) {
            if (!command(&meter))
                return 0;
        } else if (event.data.ptr == &listener) {
            accept_all(listener);
        } else if (event.events & EPOLLOUT) {
            writable(event.data.ptr);
        } else {
            while (readable(event.data.ptr))
                ;
        }
    }
}
