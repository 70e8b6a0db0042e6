/*
 * fuzz_mask.c - every version of the masking XOR that this CPU runs equals a loop over bytes.
 *
 * Input: a key, how far source and destination are from an alignment, where to cut, how often to repeat the rest, and
 * the rest, which is the payload. Masked apart, in place, in two pieces with the key turned, and twice, which is
 * nothing. Bytes before and behind stay as they are.
 */
#include "fuzz.h"
#include "mask.h"

#define ROOM 4096
#define EDGE 64 /* the widest register */
#define GUARD 0xA5

static uint8_t payload[ROOM], expected[ROOM];
static size_t size;
static uint8_t key_bytes[4];
static uint32_t key;

/* `size` bytes somewhere in a block of its own, the guard around them. */
typedef struct {
    uint8_t *block, *at;
} place;

static place put(const uint8_t *data, size_t offset)
{
    const place p = {malloc(EDGE + size), NULL};
    if (p.block == NULL)
        abort();
    memset(p.block, GUARD, EDGE + size);
    const place q = {p.block, p.block + offset};
    memcpy(q.at, data, size);
    return q;
}

static void drop(place p, const uint8_t *content)
{
    DEMAND(memcmp(p.at, content, size) == 0);
    for (const uint8_t *byte = p.block; byte < p.block + EDGE + size; byte++)
        DEMAND((byte >= p.at && byte < p.at + size) || *byte == GUARD);
    free(p.block);
}

static void check(wl_mask_fn fn, size_t from_offset, size_t to_offset, size_t cut)
{
    static const uint8_t nothing[ROOM];
    const place from = put(payload, from_offset);
    const place to = put(nothing, to_offset);
    fn(to.at, from.at, size, key);
    drop(to, expected);
    fn(from.at, from.at, size, key);
    DEMAND(memcmp(from.at, expected, size) == 0);
    fn(from.at, from.at, size, key);
    DEMAND(memcmp(from.at, payload, size) == 0);
    fn(from.at, from.at, cut, key);
    fn(from.at + cut, from.at + cut, size - cut, wl_mask_rotate(key, cut));
    drop(from, expected);

    /* To the last byte of a block: the sanitizer sees the next one. */
    uint8_t *const exact = fuzz_block(payload, size);
    fn(exact, exact, size, key);
    DEMAND(memcmp(exact, expected, size) == 0);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_size)
{
    fuzz_input in = {data, data_size};
    for (size_t i = 0; i < 4; i++)
        key_bytes[i] = (uint8_t)fuzz_number(&in, 1);
    memcpy(&key, key_bytes, sizeof key);
    const size_t from_offset = (size_t)fuzz_number(&in, 1) % EDGE;
    const size_t to_offset = (size_t)fuzz_number(&in, 1) % EDGE;
    const size_t cut = (size_t)fuzz_number(&in, 2);
    const size_t times = 1 + (size_t)fuzz_number(&in, 1);

    size = 0;
    for (size_t i = 0; i < times && in.left <= ROOM - size && in.left != 0; i++) {
        memcpy(payload + size, in.at, in.left);
        size += in.left;
    }
    for (size_t i = 0; i < size; i++)
        expected[i] = payload[i] ^ key_bytes[i % 4];

    const wl_mask_variant *variants;
    const size_t count = wl_mask_variants(&variants);
    for (size_t i = 0; i < count; i++)
        check(variants[i].fn, from_offset, to_offset, cut % (size + 1));
    check(wl_mask_naive, from_offset, to_offset, cut % (size + 1));
    wl_mask_init();
    check(wl_mask, from_offset, to_offset, cut % (size + 1));
    return 0;
}
