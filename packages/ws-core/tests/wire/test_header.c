/*
 * test_header.c - frame headers to bytes and back (RFC 6455 section 5.2).
 *
 * Owns: the proof that every length at every edge of its encodings survives the round trip, with and without a mask
 * key, in the shortest form; that longer forms are recognised as such; that a part of a header gives nothing and
 * nothing outside the given bytes is touched. The expected bytes are put together by hand.
 */
#include "check.h"
#include "header.h"

#include <string.h>

#define GUARD 0xA5

static const uint8_t key_bytes[4] = {0x37, 0xfa, 0x21, 0x3d};

/* A header as the RFC draws it. `form`: bytes of extended length, 0, 2 or 8. */
static size_t draw(uint8_t *out, uint8_t first, uint64_t length, unsigned form, bool masked)
{
    size_t size = 0;
    out[size++] = first;
    out[size++] = (uint8_t)((masked ? 0x80 : 0) | (form == 0 ? (uint8_t)length : form == 2 ? 126 : 127));
    for (unsigned left = form; left > 0; left--)
        out[size++] = (uint8_t)(length >> (8 * (left - 1)));
    if (masked) {
        memcpy(out + size, key_bytes, 4);
        size += 4;
    }
    return size;
}

static unsigned shortest_form(uint64_t length)
{
    return length < 126 ? 0 : length < 65536 ? 2 : 8;
}

/* Read from a block of exactly `size` bytes, so that the sanitizer sees one byte too many. */
static bool read_exactly(const uint8_t *data, size_t size, wl_header *header)
{
    uint8_t *const block = malloc(size != 0 ? size : 1);
    if (block == NULL)
        abort();
    memcpy(block, data, size);
    const bool whole = wl_header_read(block, size, header);
    CHECK(memcmp(block, data, size) == 0);
    free(block);
    return whole;
}

static void check_read(uint8_t first, uint64_t length, unsigned form, bool masked)
{
    uint8_t drawn[WL_HEADER_MAX + 20];
    memset(drawn, GUARD, sizeof drawn);
    const size_t size = draw(drawn, first, length, form, masked);
    uint32_t key;
    memcpy(&key, key_bytes, sizeof key);

    for (size_t part = 0; part < size; part++) {
        wl_header header = {0};
        CHECK_INFO(!read_exactly(drawn, part, &header), "%zu of %zu bytes, length %llu", part, size,
                   (unsigned long long)length);
    }
    /* Alone, and with other bytes behind it: the same. */
    for (size_t more = 0; more < 20; more += 19) {
        wl_header header = {0};
        memset(&header, 0xEE, sizeof header);
        CHECK(read_exactly(drawn, size + more, &header));
        CHECK_INFO(header.payload_size == length, "length %llu is read as %llu", (unsigned long long)length,
                   (unsigned long long)header.payload_size);
        CHECK(header.size == size);
        CHECK(header.first == first);
        CHECK(header.masked == masked);
        CHECK(header.mask_key == (masked ? key : 0));
        CHECK_INFO(header.minimal == (form == shortest_form(length)), "length %llu in form %u",
                   (unsigned long long)length, form);
    }
}

static void check_write(uint8_t first, uint64_t length, bool masked)
{
    uint8_t drawn[WL_HEADER_MAX + 4];
    uint8_t written[sizeof drawn];
    uint32_t key;
    memcpy(&key, key_bytes, sizeof key);
    memset(drawn, GUARD, sizeof drawn);
    memset(written, GUARD, sizeof written);
    const size_t expected = draw(drawn, first, length, shortest_form(length), masked);
    const size_t size = wl_header_write(written, first, length, masked ? &key : NULL);
    CHECK_INFO(size == expected, "length %llu: %zu bytes", (unsigned long long)length, size);
    CHECK_INFO(memcmp(written, drawn, sizeof drawn) == 0, "length %llu, masked: %d", (unsigned long long)length,
               masked);
    CHECK(wl_header_size(length, masked) == expected);
    CHECK(size <= WL_HEADER_MAX);
}

/* Each edge of the encodings, each power of two and its neighbours, and the ends of signed and unsigned sizes. */
static void test_lengths(void)
{
    static const uint64_t fixed[] = {0,     1,     124,   125,   126,   127,   128,       254,        255,
                                     65534, 65535, 65536, 65537, 65663, 65662, 0xFF00FF00, UINT64_MAX, UINT64_MAX - 1};
    uint64_t lengths[sizeof fixed / sizeof *fixed + 3 * 64];
    size_t count = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        lengths[count++] = fixed[i];
    for (unsigned bit = 0; bit < 64; bit++) {
        lengths[count++] = (UINT64_C(1) << bit) - 1;
        lengths[count++] = UINT64_C(1) << bit;
        lengths[count++] = (UINT64_C(1) << bit) + 1;
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t length = lengths[i];
        for (int masked = 0; masked < 2; masked++) {
            if (length >> 63 == 0)
                check_write(0x82, length, masked);
            check_read(0x82, length, 8, masked);
            if (length < 65536)
                check_read(0x82, length, 2, masked);
            if (length < 126)
                check_read(0x82, length, 0, masked);
        }
    }
}

static void test_every_short_length(void)
{
    for (uint32_t length = 0; length < 65536; length++) {
        uint8_t bytes[WL_HEADER_MAX];
        wl_header header = {0};
        const size_t size = wl_header_write(bytes, 0x81, length, NULL);
        CHECK(wl_header_read(bytes, size, &header) && header.payload_size == length && header.minimal);
        CHECK(header.size == size && wl_header_size(length, false) == size && wl_header_size(length, true) == size + 4);
        CHECK(draw(bytes, 0x81, length, 2, false) == 4 && wl_header_read(bytes, 4, &header));
        CHECK(header.payload_size == length && header.minimal == (length > 125));
        CHECK(draw(bytes, 0x81, length, 8, false) == 10 && wl_header_read(bytes, 10, &header));
        CHECK(header.payload_size == length && !header.minimal);
    }
}

/* The codec does not judge: all 256 first bytes pass through it as they are. */
static void test_first_bytes(void)
{
    for (unsigned first = 0; first < 256; first++) {
        for (int masked = 0; masked < 2; masked++) {
            check_read((uint8_t)first, 5, 0, masked);
            check_write((uint8_t)first, 300, masked);
        }
    }
}

static void test_random(void)
{
    for (int round = 0; round < 100000; round++) {
        const uint64_t length = check_rand() >> (1 + check_rand_below(63));
        const uint32_t key = (uint32_t)check_rand();
        const uint8_t first = (uint8_t)check_rand();
        const bool masked = check_rand_below(2) != 0;
        uint8_t bytes[WL_HEADER_MAX];
        wl_header header = {0};
        const size_t size = wl_header_write(bytes, first, length, masked ? &key : NULL);
        CHECK(!wl_header_read(bytes, size - 1, &header));
        CHECK(wl_header_read(bytes, size, &header));
        CHECK(header.first == first && header.payload_size == length && header.size == size && header.minimal);
        CHECK(header.masked == masked && header.mask_key == (masked ? key : 0));
    }
}

int main(void)
{
    check_start("test_header");
    test_lengths();
    test_every_short_length();
    test_first_bytes();
    test_random();
    return check_done();
}
