/*
 * entropy.h - mask keys nobody can predict (RFC 6455 sections 5.3 and 10.3: from a strong source of entropy).
 *
 * Owns: a pool of 256 keys from the operating system's random source, so that a frame costs a load and not a system
 * call; and the promise that no key is given twice, not by a forked child either. Must not know frames.
 *
 * A pool belongs to ONE THREAD at a time: nothing in it is locked. Zero-initialised is a valid, empty pool; there is
 * nothing to free. A used key is wiped, so a pool seen later (core dump, stray read) tells nothing about keys sent.
 *
 * Forks are seen through pthread_atfork. A process made by a bare clone(2) or _Fork(3), which run no such handlers,
 * must not go on with its parent's pools.
 */
#ifndef WL_ENTROPY_H
#define WL_ENTROPY_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WL_ENTROPY_WORDS 256

typedef struct {
    uint32_t words[WL_ENTROPY_WORDS];
    uint32_t left;       /* words[0 .. left-1] are unused */
    uint32_t generation; /* wl_entropy_generation when they were drawn */
} wl_entropy;

/* How many forks this process is away from the first. Written only in the child of a fork, while it has one thread. */
extern uint32_t wl_entropy_generation;

/* Draws all words anew. False with errno set, and the pool empty, when the operating system refuses. */
bool wl_entropy_refill(wl_entropy *e);

/* The next key; false with errno set, *out untouched, when the operating system refuses (a later call tries again). */
static inline bool wl_entropy_next(wl_entropy *e, uint32_t *out)
{
    if (e->left == 0 || e->generation != wl_entropy_generation) {
        if (!wl_entropy_refill(e)) {
            return false;
        }
    }
    const uint32_t index = --e->left;
    *out = e->words[index];
    e->words[index] = 0;
    return true;
}

#ifdef __cplusplus
}
#endif

#endif
