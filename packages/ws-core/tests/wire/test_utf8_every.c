/*
 * test_utf8_every.c - the UTF-8 validators against the definition, on every string of one to three bytes, every
 * four-byte string that can matter, and every character.
 *
 * Owns: a predicate that only knows how to ENCODE: valid is what the encoder gives for U+0000..U+10FFFF without
 * surrogates (RFC 3629 sections 3 and 4), possible is what begins like it. Must not know how a validator works.
 */
#include "check.h"
#include "utf8_text.h"

#include <string.h>

/* Which strings of 1, 2 and 3 bytes are one character (whole), or its beginning (part); one flag byte a string. */
enum { WHOLE = 1, PART = 2 };
static uint8_t kind1[1 << 8];
static uint8_t kind2[1 << 16];
static uint8_t kind3[1 << 24];

static void build_tables(void)
{
    for (uint32_t point = 0; point <= 0x10FFFF; point++) {
        if (is_surrogate(point)) {
            continue;
        }
        uint8_t b[4];
        const size_t size = encode(point, b);
        const size_t two = (size_t)b[0] << 8 | b[1];
        kind1[b[0]] |= size == 1 ? WHOLE : PART;
        if (size >= 2) {
            kind2[two] |= size == 2 ? WHOLE : PART;
        }
        if (size >= 3) {
            kind3[two << 8 | b[2]] |= size == 3 ? WHOLE : PART;
        }
    }
}

/* What a string of two or three bytes is, taken apart at its first character. 0: impossible. */
static unsigned judge2(size_t ab)
{
    return kind2[ab] | (kind1[ab >> 8] == WHOLE ? kind1[ab & 0xFF] : 0u);
}

static unsigned judge3(size_t abc)
{
    return kind3[abc] | (kind2[abc >> 8] == WHOLE ? kind1[abc & 0xFF] : 0u) |
           (kind1[abc >> 16] == WHOLE ? judge2(abc & 0xFFFF) : 0u);
}

/* Both validators on one string; then the fast one with text behind, which opens its path for whole characters. */
static void check_short(const uint8_t *bytes, size_t size, unsigned expected)
{
    for (int i = 0; i < 2; i++) {
        wl_utf8 u = {0};
        const bool possible = feeds[i](&u, bytes, size);
        CHECK_INFO(possible == (expected != 0) && wl_utf8_done(&u) == (expected == WHOLE),
                   "%s: %zu bytes %02x %02x %02x %02x", feed_names[i], size, bytes[0], bytes[1], bytes[2], bytes[3]);
    }
    uint8_t text[12];
    memset(text, 'x', sizeof text);
    memcpy(text, bytes, size);
    wl_utf8 u = {0};
    const bool possible = wl_utf8_feed(&u, text, sizeof text);
    CHECK_INFO(possible == (expected == WHOLE) && wl_utf8_done(&u) == possible,
               "fast, text behind: %zu bytes %02x %02x %02x %02x", size, bytes[0], bytes[1], bytes[2], bytes[3]);
}

static void test_one_to_three_bytes(void)
{
    for (unsigned a = 0; a < 256; a++) {
        check_short((uint8_t[4]){(uint8_t)a}, 1, kind1[a]);
    }
    for (unsigned ab = 0; ab < 1u << 16; ab++) {
        check_short((uint8_t[4]){(uint8_t)(ab >> 8), (uint8_t)ab}, 2, judge2(ab));
    }
    for (unsigned abc = 0; abc < 1u << 24; abc++) {
        /* ASCII first says nothing that two bytes did not: a sample of it. */
        if (abc >> 16 < 0x80 && abc >> 16 != 0x00 && abc >> 16 != 0x7F) {
            continue;
        }
        check_short((uint8_t[4]){(uint8_t)(abc >> 16), (uint8_t)(abc >> 8), (uint8_t)abc}, 3, judge3(abc));
    }
}

/* All first and second bytes; third and fourth at their borders. The expectation: first three by the tables above, the
   fourth by encoding the number the four bytes would stand for. */
static void test_four_bytes(void)
{
    static const uint8_t edges[] = {0x00, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x9F, 0xA0,
                                    0xBE, 0xBF, 0xC0, 0xC2, 0xED, 0xF4, 0xFF};
    for (unsigned ab = 0xC000; ab < 1u << 16; ab++) {
        for (size_t c = 0; c < sizeof edges; c++) {
            const size_t abc = (size_t)ab << 8 | edges[c];
            for (size_t d = 0; d < sizeof edges; d++) {
                const uint8_t b[4] = {(uint8_t)(ab >> 8), (uint8_t)ab, edges[c], edges[d]};
                unsigned expected;
                if (kind3[abc] == PART) {
                    const uint32_t point = (b[0] - 0xF0u) << 18 | (b[1] - 0x80u) << 12 | (b[2] - 0x80u) << 6;
                    uint8_t again[4] = {0};
                    encode(point | (b[3] & 0x3Fu), again);
                    expected = memcmp(again, b, 4) == 0 ? WHOLE : 0;
                } else if (kind3[abc] == WHOLE) {
                    expected = kind1[b[3]];
                } else if (kind2[ab] == WHOLE) {
                    expected = judge2((size_t)b[2] << 8 | b[3]);
                } else {
                    expected = 0;
                }
                check_short(b, 4, expected);
            }
        }
    }
}

/* Every character, alone, between others, and one byte at a time. */
static void test_every_character(void)
{
    for (uint32_t point = 0; point <= 0x10FFFF; point++) {
        if (is_surrogate(point)) {
            continue;
        }
        uint8_t b[12] = {0};
        size_t size = encode(point, b);
        size += encode(point, b + size);
        wl_utf8 u = {0};
        CHECK_INFO(wl_utf8_feed(&u, b, sizeof b) && wl_utf8_done(&u), "U+%04X", point);
        for (size_t i = 0; i < size; i++) {
            if (!wl_utf8_feed(&u, b + i, 1)) {
                break;
            }
        }
        CHECK_INFO(wl_utf8_done(&u), "U+%04X byte by byte", point);
    }
}

int main(void)
{
    check_start("test_utf8_every");
    build_tables();
    test_one_to_three_bytes();
    test_four_bytes();
    test_every_character();
    return check_done();
}
