/*
 * utf8.h - is this UTF-8, when it comes in pieces? (RFC 3629; demanded of text by RFC 6455 sections 5.6 and 8.1)
 *
 * Owns: the four bytes of state between two pieces and the verdict. Must not know frames or messages: the caller feeds
 * the payload of one message piece by piece, asks wl_utf8_done() after its last, and zeroes the state for the next.
 *
 * The verdict comes with the very byte that makes valid text impossible, not at the end of its character: ED A0 (a
 * surrogate), F4 90 (above U+10FFFF), E0 80 (overlong), C0 and F5 all fail there. A bad state stays bad.
 */
#ifndef WL_UTF8_H
#define WL_UTF8_H

#include "ascii.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* {0} is clean: between two characters. What else the number means belongs to the function that wrote it. */
typedef struct {
    uint32_t state;
} wl_utf8;

/* wl_utf8_feed() of what need not be ASCII. */
bool wl_utf8_feed_any(wl_utf8 *u, const uint8_t *p, size_t n);

/* False as soon as all bytes fed so far are no prefix of valid UTF-8. p may be NULL if n is 0. */
static inline bool wl_utf8_feed(wl_utf8 *u, const uint8_t *p, size_t n)
{
    if (u->state == 0 && n != 0) {
        const uint8_t *const end = p + n;
        p = wl_skip_ascii(p, end);
        n = (size_t)(end - p);
        if (n == 0) {
            return true;
        }
    }
    return wl_utf8_feed_any(u, p, n);
}

/* True between two characters: the text may end here. */
static inline bool wl_utf8_done(const wl_utf8 *u)
{
    return u->state == 0;
}

/* For tests: the grammar of RFC 3629 section 4 written down, byte by byte. Same contract, a state of its own kind. */
bool wl_utf8_feed_naive(wl_utf8 *u, const uint8_t *p, size_t n);

#ifdef __cplusplus
}
#endif

#endif
