/*
 * test_utf8.c - the fast UTF-8 validator against the naive one.
 *
 * Owns: random texts, whole and in random pieces, on which both must agree byte for byte; the famous bad examples with
 * the byte at which they must fail; the state between pieces. test_utf8_every.c proves both against the definition.
 * Must not know how a validator works.
 */
#include "check.h"
#include "utf8_text.h"

#include <string.h>

/* How many bytes one at a time until it fails; size if it does not. */
static size_t fails_at(feed_fn feed, const uint8_t *p, size_t size)
{
    wl_utf8 u = {0};
    for (size_t i = 0; i < size; i++) {
        if (!feed(&u, p + i, 1)) {
            return i;
        }
    }
    return size;
}

/* The very byte: the examples that everybody gets wrong. */
static void test_failing_byte(void)
{
    static const struct {
        const char *bytes;
        size_t at;
    } cases[] = {
        {"\x80", 0},         {"\xC0\x80", 0},         {"\xC1\xBF", 0},         {"\xE0\x80\x80", 1},
        {"\xE0\x9F\xBF", 1}, {"\xED\xA0\x80", 1},     {"\xED\xBF\xBF", 1},     {"\xF0\x80\x80\x80", 1},
        {"\xF0\x8F\xBF", 1}, {"\xF4\x90\x80\x80", 1}, {"\xF5\x80\x80\x80", 0}, {"\xFE", 0},
        {"\xFF", 0},         {"\xE2\x82x", 2},        {"\xF0\x9F\x98x", 3},    {"a\xC3(", 2},
        {"\xC3\xC3", 1},     {"\xE2\x82\xC0", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *const p = (const uint8_t *)cases[i].bytes;
        const size_t size = strlen(cases[i].bytes);
        for (int f = 0; f < 2; f++) {
            CHECK_INFO(fails_at(feeds[f], p, size) == cases[i].at, "case %zu, %s", i, feed_names[f]);
            for (size_t n = 0; n <= size; n++) {
                wl_utf8 u = {0};
                CHECK_INFO(feeds[f](&u, p, n) == (n <= cases[i].at), "case %zu, %s, %zu bytes", i, feed_names[f], n);
            }
        }
    }
}

static void test_state(void)
{
    for (int f = 0; f < 2; f++) {
        wl_utf8 u = {0};
        CHECK(feeds[f](&u, NULL, 0) && wl_utf8_done(&u));
        CHECK(feeds[f](&u, (const uint8_t *)"\xE2\x82", 2) && !wl_utf8_done(&u));
        CHECK(feeds[f](&u, NULL, 0) && !wl_utf8_done(&u));
        CHECK(feeds[f](&u, (const uint8_t *)"\xAC", 1) && wl_utf8_done(&u));
        /* A bad state stays bad. */
        CHECK(!feeds[f](&u, (const uint8_t *)"a\xFF", 2) && !wl_utf8_done(&u));
        CHECK(!feeds[f](&u, (const uint8_t *)"a", 1) && !wl_utf8_done(&u));
        CHECK(!feeds[f](&u, NULL, 0) && !wl_utf8_done(&u));
    }
}

static uint32_t random_point(unsigned planes)
{
    static const uint32_t limits[4] = {0x80, 0x800, 0x10000, 0x110000};
    uint32_t point;
    do {
        /* Each length equally often, or one length most of the time. */
        const size_t length = planes < 4 && check_rand_below(8) != 0 ? planes : check_rand_below(4);
        const uint32_t low = length == 0 ? 0 : limits[length - 1];
        point = low + (uint32_t)check_rand_below(limits[length] - low);
    } while (is_surrogate(point));
    return point;
}

/* Fast against naive: verdict and end at once, in pieces, and the failing byte. `p` is a block of exactly `size`. */
static void check_same(const uint8_t *p, size_t size, const char *what, bool must_be_valid)
{
    wl_utf8 whole[2] = {{0}, {0}};
    const bool fast = wl_utf8_feed(&whole[0], p, size);
    const bool naive = wl_utf8_feed_naive(&whole[1], p, size);
    CHECK_INFO(fast == naive && wl_utf8_done(&whole[0]) == wl_utf8_done(&whole[1]), "%s, %zu bytes at once", what,
               size);
    if (must_be_valid) {
        CHECK_INFO(fast && wl_utf8_done(&whole[0]), "%s, %zu bytes", what, size);
    }
    wl_utf8 u[2] = {{0}, {0}};
    const size_t limit = 1 + check_rand_below(40);
    for (size_t at = 0; at < size;) {
        size_t n = check_rand_below(limit + 1);
        n = n < size - at ? n : size - at;
        const bool piece_fast = wl_utf8_feed(&u[0], p + at, n);
        const bool piece_naive = wl_utf8_feed_naive(&u[1], p + at, n);
        at += n;
        CHECK_INFO(piece_fast == piece_naive && wl_utf8_done(&u[0]) == wl_utf8_done(&u[1]),
                   "%s, %zu bytes in pieces, at %zu", what, size, at);
    }
    const size_t bad = fails_at(wl_utf8_feed_naive, p, size);
    CHECK_INFO(fails_at(wl_utf8_feed, p, size) == bad, "%s, %zu bytes, bad byte %zu", what, size, bad);
    if (bad < size) {
        /* At once, too, it fails with this byte and not one earlier or later. */
        wl_utf8 before = {0};
        wl_utf8 with = {0};
        CHECK_INFO(wl_utf8_feed(&before, p, bad) && !wl_utf8_feed(&with, p, bad + 1), "%s, bad byte %zu", what, bad);
    }
}

static void test_random(void)
{
    for (int round = 0; round < 120000; round++) {
        const size_t size = round % 50 == 0 ? check_rand_below(1500) : check_rand_below(90);
        /* A block of its own, so that the sanitizer sees a byte read too far. */
        uint8_t *const text = malloc(size + 4);
        uint8_t *const exact = malloc(size + 1);
        if (text == NULL || exact == NULL) {
            abort();
        }
        const int kind = round % 3;
        const unsigned planes = (unsigned)check_rand_below(5);
        size_t used = 0;
        if (kind == 0) {
            check_rand_fill(text, size);
            used = size;
            /* Random bytes fail at once: let some ASCII come first. */
            const size_t ascii = check_rand_below(size + 1);
            for (size_t i = 0; i < ascii; i++) {
                text[i] &= 0x7F;
            }
        } else {
            while (used < size) {
                used += encode(random_point(planes), text + used);
            }
        }
        if (kind == 1 && used != 0) {
            text[check_rand_below(used)] = (uint8_t)(check_rand() >> 56);
        }
        uint8_t *const block = realloc(exact, used != 0 ? used : 1);
        if (block == NULL) {
            abort();
        }
        memcpy(block, text, used);
        static const char *const names[] = {"random bytes", "one byte changed", "valid text"};
        check_same(block, used, names[kind], kind == 2);
        free(block);
        free(text);
    }
}

/* One bad byte at every place of ASCII of every length up to some registers. */
static void test_ascii(void)
{
    for (size_t size = 0; size <= 200; size++) {
        uint8_t *const text = malloc(size != 0 ? size : 1);
        if (text == NULL) {
            abort();
        }
        memset(text, 0x7F, size);
        check_same(text, size, "ascii", true);
        for (size_t at = 0; at < size; at++) {
            wl_utf8 u = {0};
            text[at] = at % 2 == 0 ? 0x80 : 0xFF;
            CHECK_INFO(!wl_utf8_feed(&u, text, size), "byte %zu of %zu", at, size);
            text[at] = 0x7F;
        }
        free(text);
    }
}

int main(void)
{
    check_start("test_utf8");
    test_state();
    test_failing_byte();
    test_ascii();
    test_random();
    return check_done();
}
