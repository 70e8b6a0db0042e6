/*
 * reader_script.h - a stream of frames, what must come out of it, and every way to cut it. For the tests of reader.c.
 *
 * Owns: building frames by hand, right and wrong ones, and play(): the stream is given whole, byte by byte, cut in two
 * at every point, and in random pieces; what was not consumed is moved to another block before each call, the old block
 * is overwritten, and bytes behind the block are watched (the sanitizer watches them itself). Each way must give the
 * same frames, in order, and the same error. Must not know any rule: the tests say what they expect.
 */
#ifndef WL_READER_SCRIPT_H
#define WL_READER_SCRIPT_H

#include "check.h"
#include "reader.h"

#include <string.h>

#define CAPACITY ((size_t)1 << 20)
#define MAX_FOR_EVERY_CUT 700 /* longer streams are cut at random only */

/* Behind each block; the sanitizer has its own and better one. */
static const uint8_t script_guard[] = "nobody may write here, nor behind";
#if defined(__SANITIZE_ADDRESS__)
static const size_t script_guard_size = 0;
#else
static const size_t script_guard_size = sizeof script_guard;
#endif

typedef struct {
    uint8_t data[CAPACITY];
    size_t size;
} script_bytes;

/* The stream that is being built; one at a time. */
static struct {
    const char *name;
    bool is_client;
    bool strict;
    uint8_t allowed_rsv;
    uint8_t transformed;
    uint64_t max_frame_size;
    script_bytes wire;     /* goes in */
    script_bytes expected; /* comes out: of each frame first byte, size (8 bytes) and payload */
    wl_error error;        /* and this at the end */
    size_t error_at;       /* bytes that are enough to know it */
} script;

static script_bytes script_got;

typedef enum { WHOLE, BYTES, CUT, RANDOM } script_way;
static const char *const script_ways[] = {"whole", "byte by byte", "cut at", "random pieces up to"};

static inline void script_start(const char *name, bool is_client, bool strict)
{
    script.name = name;
    script.is_client = is_client;
    script.strict = strict;
    script.allowed_rsv = 0;
    script.transformed = 0;
    script.max_frame_size = 1 << 20;
    script.wire.size = 0;
    script.expected.size = 0;
    script.error = WL_OK;
    script.error_at = 0;
}

static inline void script_put(script_bytes *to, const void *data, size_t size)
{
    if (size > CAPACITY - to->size)
        abort();
    if (size != 0)
        memcpy(to->data + to->size, data, size);
    to->size += size;
}

static inline void script_expect(uint8_t first, const void *payload, size_t size)
{
    const uint64_t wide = size;
    script_put(&script.expected, &first, 1);
    script_put(&script.expected, &wide, sizeof wide);
    script_put(&script.expected, payload, size);
}

/* A header of any kind. `form`: bytes of extended length (0, 2, 8). Returns the key's place for put_payload. */
static inline void script_header(uint8_t first, uint64_t length, unsigned form, bool masked, uint8_t key[4])
{
    const uint8_t second = form == 0 ? (uint8_t)length : form == 2 ? 126 : 127;
    const uint8_t head[2] = {first, (uint8_t)(second | (masked ? 0x80 : 0))};
    script_put(&script.wire, head, 2);
    for (unsigned left = form; left > 0; left--) {
        const uint8_t byte = (uint8_t)(length >> (8 * (left - 1)));
        script_put(&script.wire, &byte, 1);
    }
    memset(key, 0, 4);
    if (masked) {
        check_rand_fill(key, 4);
        script_put(&script.wire, key, 4);
    }
}

static inline void script_payload(const void *payload, size_t size, const uint8_t key[4])
{
    const uint8_t *const bytes = payload;
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = bytes[i] ^ key[i % 4];
        script_put(&script.wire, &byte, 1);
    }
}

/* A well-formed frame in the peer's direction, which is not expected to come out. */
static inline void script_frame_lost(uint8_t first, const void *payload, size_t size)
{
    uint8_t key[4];
    script_header(first, size, size < 126 ? 0 : size < 65536 ? 2 : 8, !script.is_client, key);
    script_payload(payload, size, key);
}

/* The same, and it must come out. */
static inline void script_frame(uint8_t first, const void *payload, size_t size)
{
    script_frame_lost(first, payload, size);
    script_expect(first, payload, size);
}

static inline void script_text(uint8_t first, const char *text)
{
    script_frame(first, text, strlen(text));
}

/* The bytes so far are enough to know this error. What is added from here on must not matter. */
static inline void script_fails(wl_error error)
{
    script.error = error;
    script.error_at = script.wire.size;
}

/* ------------------------------------------------------------------ playing it */

static inline uint8_t *script_block(size_t size)
{
    uint8_t *const block = malloc(size + script_guard_size != 0 ? size + script_guard_size : 1);
    if (block == NULL)
        abort();
    memcpy(block + size, script_guard, script_guard_size);
    return block;
}

static inline void script_drop(uint8_t *block, size_t size)
{
    CHECK_INFO(memcmp(block + size, script_guard, script_guard_size) == 0, "%s: wrote behind the bytes", script.name);
    memset(block, 0xDD, size);
    free(block);
}

static inline size_t script_piece(script_way way, size_t argument, size_t fed, size_t left)
{
    size_t piece = left;
    if (way == BYTES)
        piece = 1;
    else if (way == CUT && fed == 0)
        piece = argument;
    else if (way == RANDOM)
        piece = 1 + check_rand_below(argument);
    return piece < left ? piece : left;
}

/* Take what has come; returns how much of it was consumed. */
static inline size_t script_take(wl_reader *reader, uint8_t *block, size_t size, wl_status *status)
{
    size_t at = 0;
    for (;;) {
        wl_frame frame;
        *status = wl_reader_next(reader, block + at, size - at, &frame);
        if (*status != WL_FRAME)
            return at;
        const uint64_t header = frame.size - frame.payload_size;
        CHECK_INFO(frame.size <= size - at && frame.payload == block + at + header, "%s: outside the bytes",
                   script.name);
        const uint64_t wide = frame.payload_size;
        script_put(&script_got, &frame.first, 1);
        script_put(&script_got, &wide, sizeof wide);
        script_put(&script_got, frame.payload, (size_t)frame.payload_size);
        at += (size_t)frame.size;
    }
}

/* Play it one way into script_got. Returns after how many bytes the error came, 0 for none. */
static inline size_t script_run(script_way way, size_t argument, wl_error *error)
{
    const script_bytes *const wire = &script.wire;
    wl_reader reader;
    uint8_t *block = script_block(0);
    size_t size = 0;
    size_t used = 0;
    size_t fed = 0;
    wl_status status = WL_NEED_MORE;

    wl_reader_init(&reader, script.is_client, script.strict, script.max_frame_size);
    reader.allowed_rsv = script.allowed_rsv;
    reader.transformed = script.transformed;
    script_got.size = 0;
    while (fed < wire->size && status != WL_ERROR) {
        const size_t piece = script_piece(way, argument, fed, wire->size - fed);
        const size_t kept = size - used;
        uint8_t *const moved = script_block(kept + piece);
        memcpy(moved, block + used, kept);
        memcpy(moved + kept, wire->data + fed, piece);
        script_drop(block, size);
        block = moved;
        size = kept + piece;
        fed += piece;
        used = script_take(&reader, block, size, &status);
    }
    CHECK((status == WL_ERROR) == (reader.error != WL_OK));
    if (status == WL_ERROR) {
        wl_frame frame;
        *error = (wl_error)reader.error;
        CHECK_INFO(wl_reader_next(&reader, block + used, size - used, &frame) == WL_ERROR && reader.error == *error,
                   "%s: an error stays", script.name);
        CHECK(wl_reader_next(&reader, block, 0, &frame) == WL_ERROR);
    } else {
        *error = WL_OK;
        fed = 0;
    }
    script_drop(block, size);
    return fed;
}

static inline size_t script_play_way(script_way way, size_t argument)
{
    wl_error error;
    const size_t at = script_run(way, argument, &error);
    CHECK_INFO(error == script.error, "%s (%s, strict %d), %s %zu: error %d '%s', expected %d '%s'", script.name,
               script.is_client ? "client" : "server", script.strict, script_ways[way], argument, error,
               wl_error_text(error), script.error, wl_error_text(script.error));
    CHECK_INFO(script_got.size == script.expected.size &&
                   memcmp(script_got.data, script.expected.data, script_got.size) == 0,
               "%s (%s, strict %d), %s %zu: other frames than expected", script.name,
               script.is_client ? "client" : "server", script.strict, script_ways[way], argument);
    return at;
}

/* Play it every way, and compare with what is expected. */
static inline void play(void)
{
    script_play_way(WHOLE, 0);
    if (script.wire.size <= MAX_FOR_EVERY_CUT) {
        const size_t at = script_play_way(BYTES, 0);
        CHECK_INFO(at == script.error_at, "%s (%s): known after %zu bytes, said after %zu", script.name,
                   script.is_client ? "client" : "server", script.error_at, at);
        for (size_t cut = 1; cut < script.wire.size; cut++)
            script_play_way(CUT, cut);
    }
    for (int round = 0; round < 3; round++)
        script_play_way(RANDOM, round == 0 ? 7 : 1 + script.wire.size / 3);
}

#endif
