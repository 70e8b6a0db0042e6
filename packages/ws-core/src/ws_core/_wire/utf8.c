/*
 * utf8.c - the incremental UTF-8 validator (RFC 3629 section 4), fast and naive.
 *
 * Owns: both validators. Must not know frames; see utf8.h for the contract.
 *
 * Three gears. (1) Runs of ASCII, which is what most text on a WebSocket is, are skipped a register at a time (ascii.h).
 * (2) With eight bytes at hand a character is looked at whole, runs of the same length two or four at a time; all its
 * bytes are in this piece, so a verdict on the character is a verdict in time. (3) Only the bytes around the border of
 * a piece go through the step function, one at a time, because only they can leave a character half read.
 */
#include "utf8.h"

#include <string.h>

/* No state of either validator looks like this. */
#define REJECTED UINT32_C(0xFFFFFFFF)

/* Inside a character: how many bytes are missing, and between which bounds the next one must be. */
#define INSIDE(missing, low, high) ((uint32_t)((missing) << 16 | (high) << 8 | (low)))

/* RFC 3629 section 4: after E0, ED, F0 and F4 the second byte has narrower bounds; that is what keeps overlong forms,
   surrogates (U+D800..U+DFFF, section 3) and everything above U+10FFFF out. */
static uint32_t step_first(uint8_t byte)
{
    if (byte < 0x80) {
        return 0;
    }
    if (byte < 0xC2 || byte > 0xF4) {
        return REJECTED;
    }
    if (byte < 0xE0) {
        return INSIDE(1, 0x80, 0xBF);
    }
    switch (byte) {
    case 0xE0:
        return INSIDE(2, 0xA0, 0xBF);
    case 0xED:
        return INSIDE(2, 0x80, 0x9F);
    case 0xF0:
        return INSIDE(3, 0x90, 0xBF);
    case 0xF4:
        return INSIDE(3, 0x80, 0x8F);
    default:
        return byte < 0xF0 ? INSIDE(2, 0x80, 0xBF) : INSIDE(3, 0x80, 0xBF);
    }
}

static uint32_t step(uint32_t state, uint8_t byte)
{
    if (state == 0) {
        return step_first(byte);
    }
    const uint32_t low = state & 0xFF;
    const uint32_t high = (state >> 8) & 0xFF;
    const uint32_t missing = state >> 16;
    if (byte < low || byte > high) {
        return REJECTED;
    }
    return missing == 1 ? 0 : INSIDE(missing - 1, UINT32_C(0x80), UINT32_C(0xBF));
}

/* A constant from its bytes in memory order, right on either endianness; the compilers fold it. */
static inline uint64_t bytes64(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint8_t e, uint8_t f, uint8_t g, uint8_t h)
{
    const uint8_t bytes[8] = {a, b, c, d, e, f, g, h};
    return wl_load64(bytes);
}

static inline bool is_tail(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Of E0..EF and a tail: the last four bits of the first and the bit that parts 80..9F from A0..BF make a number;
   0 is E0 80..9F (overlong), 27 is ED A0..BF (surrogate). */
static inline bool is_three_kind(const uint8_t *p)
{
    const uint32_t kind = ((p[0] & 0x0Fu) << 1) | ((p[1] >> 5) & 1u);
    return kind != 0 && kind != 27;
}

static inline bool is_three(const uint8_t *p)
{
    return is_tail(p[1]) && is_tail(p[2]) && is_three_kind(p);
}

static inline bool are_two_threes(const uint8_t *p)
{
    const uint64_t shape = bytes64(0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0, 0);
    const uint64_t threes = bytes64(0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80, 0, 0);
    return (wl_load64(p) & shape) == threes && is_three_kind(p) && is_three_kind(p + 3);
}

/* F0..F7 and three tails. Plane numbers: 0 is overlong, 1..16 exist, more are above U+10FFFF. */
static inline bool is_four(const uint8_t *p)
{
    const uint32_t plane = ((p[0] & 0x07u) << 2) | ((p[1] >> 4) & 3u);
    return is_tail(p[1]) && is_tail(p[2]) && is_tail(p[3]) && plane - 1 < 16;
}

/* Four two-byte characters C2..DF 80..BF. Without their upper three bits C0 and C1 (overlong) are 0 and 1: adding 7E
   reaches bit 7 from 2 on, and never leaves the byte. */
static inline bool are_four_twos(uint64_t v)
{
    const uint64_t shape = bytes64(0xE0, 0xC0, 0xE0, 0xC0, 0xE0, 0xC0, 0xE0, 0xC0);
    const uint64_t twos = bytes64(0xC0, 0x80, 0xC0, 0x80, 0xC0, 0x80, 0xC0, 0x80);
    const uint64_t value = bytes64(0x1F, 0, 0x1F, 0, 0x1F, 0, 0x1F, 0);
    const uint64_t carry = bytes64(0x7E, 0, 0x7E, 0, 0x7E, 0, 0x7E, 0);
    const uint64_t from2 = bytes64(0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0);
    return (v & shape) == twos && (((v & value) + carry) & from2) == from2;
}

/* Gear 2. NULL if the text is bad; else where gear 3 goes on: between two characters, fewer than eight bytes left. */
static const uint8_t *skip_whole(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        const uint8_t first = *p;
        if (first < 0x80) {
            /* A lone space or comma between words of another script is not worth the way into gear 1. */
            p = p[1] < 0x80 ? wl_skip_ascii(p, end) : p + 1;
        } else if (first < 0xE0) {
            const uint64_t v = wl_load64(p);
            if (are_four_twos(v)) {
                p += 8;
            } else if (first >= 0xC2 && is_tail(p[1])) {
                p += 2;
            } else {
                return NULL;
            }
        } else if (first < 0xF0) {
            if (are_two_threes(p)) {
                p += 6;
            } else if (is_three(p)) {
                p += 3;
            } else {
                return NULL;
            }
        } else if (first <= 0xF4 && is_four(p)) {
            p += 4;
        } else {
            return NULL;
        }
    }
    return p;
}

bool wl_utf8_feed_any(wl_utf8 *u, const uint8_t *p, size_t n)
{
    uint32_t state = u->state;
    if (n == 0) {
        return state != REJECTED;
    }
    const uint8_t *const end = p + n;
    /* The character that the last piece left half read. */
    while (state != 0 && state != REJECTED && p != end) {
        state = step(state, *p++);
    }
    if (state == 0) {
        p = skip_whole(p, end);
        if (p == NULL) {
            state = REJECTED;
        } else {
            while (state != REJECTED && p != end) {
                state = step(state, *p++);
            }
        }
    }
    u->state = state;
    return state != REJECTED;
}

/*
 * The naive one. Its state is the bytes of the unfinished character themselves, oldest highest, so it shares no idea
 * with the code above. The comments are the rules of RFC 3629 section 4.
 */
static bool between(uint32_t byte, uint32_t low, uint32_t high)
{
    return low <= byte && byte <= high;
}

/* May `byte` follow the unfinished `seen`? The new unfinished character goes to *seen, 0 if it is finished. */
static bool naive_step(uint32_t *seen, uint32_t byte)
{
    const uint32_t before = *seen;
    *seen = before << 8 | byte;
    if (before == 0) {
        if (between(byte, 0x00, 0x7F)) { /* UTF8-1 = %x00-7F */
            *seen = 0;
            return true;
        }
        return between(byte, 0xC2, 0xF4);
    }
    if (before <= 0xFF) {
        if (between(before, 0xC2, 0xDF)) { /* UTF8-2 = %xC2-DF UTF8-tail */
            *seen = 0;
            return between(byte, 0x80, 0xBF);
        }
        switch (before) {
        case 0xE0: /* UTF8-3 = %xE0 %xA0-BF UTF8-tail / */
            return between(byte, 0xA0, 0xBF);
        case 0xED: /*          %xED %x80-9F UTF8-tail / the rest with 2( UTF8-tail ) */
            return between(byte, 0x80, 0x9F);
        case 0xF0: /* UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / */
            return between(byte, 0x90, 0xBF);
        case 0xF4: /*          %xF4 %x80-8F 2( UTF8-tail ) / the rest with 3( UTF8-tail ) */
            return between(byte, 0x80, 0x8F);
        default:
            return between(byte, 0x80, 0xBF);
        }
    }
    if (before > 0xFFFF || between(before >> 8, 0xE0, 0xEF)) {
        *seen = 0;
    }
    return between(byte, 0x80, 0xBF);
}

bool wl_utf8_feed_naive(wl_utf8 *u, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n && u->state != REJECTED; i++) {
        if (!naive_step(&u->state, p[i])) {
            u->state = REJECTED;
        }
    }
    return u->state != REJECTED;
}
