/*
 * test_mask.c - every version of the masking XOR that this CPU runs, against the naive one.
 *
 * Owns: the proof that a fast version gives the naive one's bytes, for every short length at every misalignment of both
 * ends, in place and not, and touches nothing beside them. The naive one itself is checked against the example in
 * RFC 6455 section 5.7. Must not know how a version works.
 */
#include "check.h"
#include "mask.h"

#include <string.h>

#define SHORT 300
#define SHIFT 16
#define MARGIN 80 /* more than the widest register */
#define LONG 70000

static uint32_t random_key(void)
{
    return (uint32_t)(check_rand() >> 32);
}

static void test_naive(void)
{
    /* RFC 6455 section 5.7: a single-frame masked text message, "Hello". */
    const uint8_t wire_key[4] = {0x37, 0xfa, 0x21, 0x3d};
    const uint8_t wire[5] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};
    uint32_t key;
    uint8_t out[5];
    memcpy(&key, wire_key, sizeof key);
    wl_mask_naive(out, (const uint8_t *)"Hello", 5, key);
    CHECK(memcmp(out, wire, sizeof wire) == 0);
    wl_mask_naive(out, out, 5, key);
    CHECK(memcmp(out, "Hello", 5) == 0);
}

static void test_rotate(void)
{
    for (int round = 0; round < 1000; round++) {
        const uint32_t key = random_key();
        uint8_t bytes[4];
        memcpy(bytes, &key, sizeof key);
        for (size_t phase = 0; phase < 9; phase++) {
            const uint32_t rotated = wl_mask_rotate(key, phase);
            uint8_t got[4];
            memcpy(got, &rotated, sizeof rotated);
            for (size_t i = 0; i < 4; i++) {
                CHECK_INFO(got[i] == bytes[(phase + i) % 4], "phase %zu, byte %zu", phase, i);
            }
        }
        CHECK(wl_mask_rotate(key, SIZE_MAX) == wl_mask_rotate(key, 3));
    }
}

/* One call into the middle of a larger area, whose every other byte must stay. */
static void check_one(const wl_mask_variant *variant, size_t size, size_t src_shift, size_t dst_shift, bool in_place)
{
    static uint8_t src[LONG + SHIFT + 2 * MARGIN];
    static uint8_t src_before[sizeof src];
    static uint8_t dst[sizeof src];
    static uint8_t expected[sizeof src];
    static bool filled;
    if (!filled) {
        check_rand_fill(src_before, sizeof src_before);
        memcpy(src, src_before, sizeof src);
        filled = true;
    }
    const uint32_t key = random_key();
    const size_t area = size + SHIFT + 2 * MARGIN;
    const size_t src_at = MARGIN + src_shift;
    const size_t dst_at = MARGIN + dst_shift;

    if (in_place) {
        memcpy(expected, src_before, area);
        memcpy(dst, src_before, area);
        wl_mask_naive(expected + src_at, src_before + src_at, size, key);
        variant->fn(dst + src_at, dst + src_at, size, key);
    } else {
        memset(expected, 0xA5, area);
        memset(dst, 0xA5, area);
        wl_mask_naive(expected + dst_at, src_before + src_at, size, key);
        variant->fn(dst + dst_at, src + src_at, size, key);
        CHECK_INFO(memcmp(src, src_before, area) == 0, "%s wrote to its source: size %zu", variant->name, size);
    }
    CHECK_INFO(memcmp(dst, expected, area) == 0, "%s: size %zu, src +%zu, dst +%zu, key %08x, in place: %d",
               variant->name, size, src_shift, dst_shift, key, in_place);
}

static void test_short(const wl_mask_variant *variant)
{
    for (size_t size = 0; size <= SHORT; size++) {
        for (size_t src_shift = 0; src_shift < SHIFT; src_shift++) {
            for (size_t dst_shift = 0; dst_shift < SHIFT; dst_shift++) {
                check_one(variant, size, src_shift, dst_shift, false);
            }
            check_one(variant, size, src_shift, src_shift, true);
        }
    }
}

static void test_long(const wl_mask_variant *variant)
{
    for (int round = 0; round < 2000; round++) {
        const size_t limit = round % 20 == 0 ? LONG : 5000;
        const size_t size = SHORT + check_rand_below(limit - SHORT);
        check_one(variant, size, check_rand_below(SHIFT), check_rand_below(SHIFT), round % 2 == 0);
    }
}

/* Blocks of exactly the size, so that the sanitizer sees one byte read too far; writes are seen without it. */
static void test_exact_blocks(const wl_mask_variant *variant)
{
    for (size_t size = 0; size <= SHORT; size++) {
        uint8_t *const exact_src = malloc(size != 0 ? size : 1);
        uint8_t *const exact_dst = malloc(size != 0 ? size : 1);
        if (exact_src == NULL || exact_dst == NULL) {
            abort();
        }
        check_rand_fill(exact_src, size);
        const uint32_t key = random_key();
        variant->fn(exact_dst, exact_src, size, key);
        wl_mask_naive(exact_src, exact_src, size, key);
        CHECK_INFO(memcmp(exact_dst, exact_src, size) == 0, "%s: size %zu", variant->name, size);
        free(exact_src);
        free(exact_dst);
    }
    variant->fn(NULL, NULL, 0, 1);
}

/* A payload masked piece by piece with rotated keys is the payload masked at once. */
static void test_pieces(const wl_mask_variant *variant)
{
    static uint8_t whole[4096];
    static uint8_t pieces[sizeof whole];
    for (int round = 0; round < 1000; round++) {
        const size_t size = check_rand_below(sizeof whole + 1);
        const size_t limit = 1 + check_rand_below(round % 2 == 0 ? 9 : 200);
        const uint32_t key = random_key();
        check_rand_fill(whole, size);
        memcpy(pieces, whole, size);
        wl_mask_naive(whole, whole, size, key);
        for (size_t at = 0; at < size;) {
            size_t piece = check_rand_below(limit + 1);
            if (piece > size - at) {
                piece = size - at;
            }
            variant->fn(pieces + at, pieces + at, piece, wl_mask_rotate(key, at));
            at += piece;
        }
        CHECK_INFO(memcmp(pieces, whole, size) == 0, "%s: size %zu in pieces up to %zu", variant->name, size, limit);
    }
}

static void test_choice(const wl_mask_variant *variants, size_t count)
{
    /* Safe before it is fast. */
    CHECK(strcmp(wl_mask_name(), "word") == 0);
    CHECK(wl_mask == variants[0].fn);
    wl_mask_init();
    const wl_mask_fn chosen = wl_mask;
    bool listed = false;
    for (size_t i = 0; i < count; i++) {
        if (variants[i].fn == chosen) {
            listed = true;
            CHECK(strcmp(variants[i].name, wl_mask_name()) == 0);
        }
    }
    CHECK(listed);
    wl_mask_init();
    CHECK(wl_mask == chosen);
#if defined(__x86_64__) || (defined(__aarch64__) && !defined(WL_BIG_ENDIAN))
    CHECK(count >= 2 && wl_mask != variants[0].fn);
#endif
}

int main(void)
{
    check_start("test_mask");
    const wl_mask_variant *variants;
    const size_t count = wl_mask_variants(&variants);
    CHECK(count >= 1 && strcmp(variants[0].name, "word") == 0);
    test_choice(variants, count);
    test_naive();
    test_rotate();
    for (size_t i = 0; i < count; i++) {
        printf("test_mask: %s%s\n", variants[i].name, variants[i].fn == wl_mask ? " (chosen)" : "");
        test_short(&variants[i]);
        test_long(&variants[i]);
        test_exact_blocks(&variants[i]);
        test_pieces(&variants[i]);
    }
    return check_done();
}
