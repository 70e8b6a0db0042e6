/*
 * fuzz.h - what the fuzz targets of _wire share.
 *
 * Owns: DEMAND, which ends the program where a property does not hold; the input as a sequence of numbers; blocks of
 * exactly the size asked for, so that AddressSanitizer sees one byte too many. Must not know what is fuzzed.
 *
 * A target is one .c file with LLVMFuzzerTestOneInput. libFuzzer makes inputs for it (fuzz.py), or replay.c gives it
 * those of the corpus (../run.py).
 */
#ifndef WL_FUZZ_H
#define WL_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEMAND(condition)                                                           \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

typedef struct {
    const uint8_t *at;
    size_t left;
} fuzz_input;

/* The next bytes as a number, the first one highest; what is not there any more is zero. */
static inline uint64_t fuzz_number(fuzz_input *in, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value <<= 8;
        if (in->left != 0) {
            value |= *in->at++;
            in->left--;
        }
    }
    return value;
}

static inline uint8_t *fuzz_block(const uint8_t *data, size_t size)
{
    uint8_t *const block = malloc(size != 0 ? size : 1);
    if (block == NULL)
        abort();
    if (size != 0)
        memcpy(block, data, size);
    return block;
}

/* xorshift32: pieces that follow from a number in the input. `state` is not 0. */
static inline size_t fuzz_below(uint32_t *state, size_t limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state % limit;
}

#endif
