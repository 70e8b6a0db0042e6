/*
 * fuzz_utf8.c - UTF-8 in pieces: the verdict after each byte is the reference's, however the text was cut.
 *
 * Input: the text. It is fed whole up to every length, in two pieces for every place of the cut, and byte by byte, by
 * the fast validator and the naive one, from blocks of exactly that size.
 */
#include "fuzz.h"
#include "utf8.h"
#include "utf8_reference.h"

#define MAX_TEXT 400

typedef bool (*feed_fn)(wl_utf8 *u, const uint8_t *p, size_t n);

static const feed_fn feeds[] = {wl_utf8_feed, wl_utf8_feed_naive};

static struct {
    bool good, done;
} after[MAX_TEXT + 1];

static void feed(feed_fn fn, wl_utf8 *u, const uint8_t *text, size_t from, size_t to)
{
    uint8_t *const block = fuzz_block(text + from, to - from);
    DEMAND(fn(u, block, to - from) == after[to].good);
    DEMAND(wl_utf8_done(u) == after[to].done);
    DEMAND(to == from || memcmp(block, text + from, to - from) == 0);
    free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *text, size_t size)
{
    reference_utf8 reference = {0};

    if (size > MAX_TEXT)
        size = MAX_TEXT;
    after[0].good = after[0].done = true;
    for (size_t i = 0; i < size; i++) {
        after[i + 1].good = reference_step(&reference, text[i]);
        after[i + 1].done = reference_done(&reference);
    }
    for (size_t i = 0; i < sizeof feeds / sizeof feeds[0]; i++) {
        wl_utf8 bytes = {0};
        for (size_t cut = 0; cut <= size; cut++) {
            wl_utf8 two = {0};
            feed(feeds[i], &two, text, 0, cut);
            feed(feeds[i], &two, text, cut, size);
            feed(feeds[i], &bytes, text, cut, cut < size ? cut + 1 : size);
        }
        DEMAND(feeds[i](&bytes, NULL, 0) == after[size].good);
    }
    return 0;
}
