/*
 * utf8_text.h - what the two test programs for utf8.c share.
 *
 * Owns: an encoder, which is all that these tests know of UTF-8 (RFC 3629 section 3), and the two validators by name.
 * Must not validate anything: what is valid follows from what the encoder can give.
 */
#ifndef WL_TEST_UTF8_TEXT_H
#define WL_TEST_UTF8_TEXT_H

#include "utf8.h"

typedef bool (*feed_fn)(wl_utf8 *u, const uint8_t *p, size_t n);

static const feed_fn feeds[2] = {wl_utf8_feed, wl_utf8_feed_naive};
static const char *const feed_names[2] = {"fast", "naive"};

static inline bool is_surrogate(uint32_t point)
{
    return point >= 0xD800 && point <= 0xDFFF;
}

/* Straight from the table of RFC 3629 section 3. */
static inline size_t encode(uint32_t point, uint8_t *to)
{
    if (point < 0x80) {
        to[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        to[0] = (uint8_t)(0xC0 + point / 64);
        to[1] = (uint8_t)(0x80 + point % 64);
        return 2;
    }
    if (point < 0x10000) {
        to[0] = (uint8_t)(0xE0 + point / 4096);
        to[1] = (uint8_t)(0x80 + point / 64 % 64);
        to[2] = (uint8_t)(0x80 + point % 64);
        return 3;
    }
    to[0] = (uint8_t)(0xF0 + point / 262144);
    to[1] = (uint8_t)(0x80 + point / 4096 % 64);
    to[2] = (uint8_t)(0x80 + point / 64 % 64);
    to[3] = (uint8_t)(0x80 + point % 64);
    return 4;
}

#endif
