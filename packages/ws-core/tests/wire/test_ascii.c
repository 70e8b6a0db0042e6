/*
 * test_ascii.c - where ASCII ends.
 *
 * Owns: the proof that the place is found at each length, each alignment and each position, for each byte that is not
 * ASCII, and that nothing outside the given bytes is read (the sanitizer sees it: blocks are of the exact size).
 */
#include "ascii.h"
#include "check.h"

#include <string.h>

#define LONGEST 200

static size_t naive(const uint8_t *p, size_t size)
{
    size_t at = 0;
    while (at < size && p[at] < 0x80)
        at++;
    return at;
}

static void check_at(const uint8_t *text, size_t size)
{
    uint8_t *const block = malloc(size != 0 ? size : 1);
    if (block == NULL)
        abort();
    memcpy(block, text, size);
    const size_t found = (size_t)(wl_skip_ascii(block, block + size) - block);
    CHECK_INFO(found == naive(block, size), "%zu of %zu bytes", found, size);
    free(block);
}

int main(void)
{
    uint8_t text[LONGEST + 16];

    check_start("test_ascii");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7 & 0x7F);
    for (size_t size = 0; size <= LONGEST; size++) {
        check_at(text, size);
        for (size_t place = 0; place < size; place++) {
            const uint8_t kept = text[place];
            text[place] = (uint8_t)(0x80 | (place + size));
            check_at(text, size);
            for (size_t shift = 0; shift < 16 && shift <= place; shift += 5)
                CHECK(wl_skip_ascii(text + shift, text + size) == text + place);
            text[place] = kept;
        }
    }
    for (unsigned byte = 0x80; byte <= 0xFF; byte++) {
        text[77] = (uint8_t)byte;
        check_at(text, LONGEST);
        text[LONGEST - 1] = (uint8_t)byte; /* a second one, behind it */
        check_at(text, LONGEST);
        text[LONGEST - 1] = 'x';
    }
    return check_done();
}
