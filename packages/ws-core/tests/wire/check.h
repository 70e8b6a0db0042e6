/*
 * check.h - the few lines that every C test of _wire shares.
 *
 * Owns: CHECK and CHECK_INFO (count, and on failure say file:line and go on), a random generator of our own
 * with a fixed seed, and check_done(), which prints the last line and gives the exit code.
 * Must not know what is being tested. One test program is one .c file, so everything here is static.
 *
 *     int main(void) { check_start("test_mask"); ...; return check_done(); }
 *
 * WL_SEED=12345 in the environment repeats a run with another seed; a failing run prints the one it used.
 * A check inside a hot loop costs one comparison; messages are formatted only on failure.
 */
#ifndef WL_TEST_CHECK_H
#define WL_TEST_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK_SEED UINT64_C(0x57495245)
#define CHECK_MAX_FAILURES 20

static const char *check_name = "?";
static uint64_t check_seed = CHECK_SEED;
static uint64_t check_rand_state = CHECK_SEED;
static unsigned long long check_count;
static unsigned long long check_failures;

static inline void check_start(const char *name)
{
    const char *text = getenv("WL_SEED");
    check_name = name;
    if (text != NULL && *text != '\0') {
        check_seed = strtoull(text, NULL, 0);
    }
    /* xorshift never leaves zero. */
    check_rand_state = check_seed != 0 ? check_seed : CHECK_SEED;
}

/* xorshift64 with a final multiplication (Marsaglia 2003; Vigna 2016): the low bits alone would be too regular. */
static inline uint64_t check_rand(void)
{
    uint64_t x = check_rand_state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    check_rand_state = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

/* 0 <= result < limit; limit > 0. The bias of the remainder does not matter to a test. */
static inline size_t check_rand_below(size_t limit)
{
    return (size_t)((check_rand() >> 16) % limit);
}

static inline void check_rand_fill(void *to, size_t size)
{
    uint8_t *p = to;
    for (size_t i = 0; i < size; i++) {
        p[i] = (uint8_t)(check_rand() >> 56);
    }
}

static inline int check_done(void)
{
    if (check_failures != 0) {
        printf("%s: %llu of %llu checks FAILED (seed %llu)\n", check_name, check_failures, check_count,
               (unsigned long long)check_seed);
        return 1;
    }
    if (check_count == 0) {
        printf("%s: nothing was checked\n", check_name);
        return 1;
    }
    printf("%s: %llu checks passed\n", check_name, check_count);
    return 0;
}

/* A broken function fails a million checks; the first few tell all. */
static inline void check_failed(void)
{
    fflush(stdout);
    if (++check_failures >= CHECK_MAX_FAILURES) {
        printf("%s: giving up after %d failures\n", check_name, CHECK_MAX_FAILURES);
        exit(check_done());
    }
}

#define CHECK(condition)                                                                              \
    do {                                                                                              \
        check_count++;                                                                                \
        if (!(condition)) {                                                                           \
            printf("%s:%d: CHECK(%s) failed (seed %llu)\n", __FILE__, __LINE__, #condition,           \
                   (unsigned long long)check_seed);                                                   \
            check_failed();                                                                           \
        }                                                                                             \
    } while (0)

/* CHECK_INFO(condition, format, ...): the same with a printf text that says which case it was. */
#define CHECK_INFO(condition, ...)                                                                    \
    do {                                                                                              \
        check_count++;                                                                                \
        if (!(condition)) {                                                                           \
            printf("%s:%d: CHECK(%s) failed (seed %llu): ", __FILE__, __LINE__, #condition,           \
                   (unsigned long long)check_seed);                                                   \
            printf(__VA_ARGS__);                                                                      \
            printf("\n");                                                                             \
            check_failed();                                                                           \
        }                                                                                             \
    } while (0)

#endif
