/*
 * utf8_reference.h - UTF-8 decoded by arithmetic, to judge utf8.c by.
 *
 * Owns: the question, after each byte, whether any valid character (RFC 3629 section 3) begins like this: the code
 * points that are still possible are a range. It has no table of bytes, and so no idea in common with utf8.c.
 */
#ifndef WL_UTF8_REFERENCE_H
#define WL_UTF8_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t point;    /* the bits so far */
    uint32_t smallest; /* of a character of this length */
    unsigned missing;  /* bytes; 0: between two characters */
    bool bad;
} reference_utf8;

/* False from the first byte on with which no valid text begins. */
static inline bool reference_step(reference_utf8 *u, uint8_t byte)
{
    if (u->missing != 0) {
        u->bad = u->bad || byte / 64 != 2;
        u->point = u->point * 64 + byte % 64;
        u->missing--;
    } else {
        unsigned ones = 0;
        while (ones < 8 && (byte & (0x80u >> ones)))
            ones++;
        u->bad = u->bad || ones == 1 || ones > 4;
        u->missing = ones > 1 && ones <= 4 ? ones - 1 : 0;
        u->smallest = ones == 2 ? 0x80 : ones == 3 ? 0x800 : ones == 4 ? 0x10000 : 0;
        u->point = byte & (0x7Fu >> ones);
    }
    const uint32_t low = u->point << (6 * u->missing);
    const uint32_t high = low + (1u << (6 * u->missing)) - 1;
    const bool surrogates = low >= 0xD800 && high <= 0xDFFF;
    u->bad = u->bad || high < u->smallest || low > 0x10FFFF || surrogates;
    return !u->bad;
}

/* Whether text may end here. */
static inline bool reference_done(const reference_utf8 *u)
{
    return !u->bad && u->missing == 0;
}

#endif
