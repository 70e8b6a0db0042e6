/*
 * mask.h - the masking of RFC 6455 section 5.3, as fast as this CPU can.
 *
 * Owns: one function pointer, wl_mask, that XORs a payload with a four-byte key, and the rotation of a key for a
 * payload that arrives or leaves in pieces. Must not know frames, buffers or where a key comes from.
 *
 * A key is a uint32_t in MEMORY ORDER: memcpy from the four bytes of the header, never shifted together. Its value
 * differs between little and big endian machines; its bytes do not.
 *
 * wl_mask is right from the first instruction of the program on (it starts as the portable version) and becomes fast
 * with wl_mask_init(). Call that once before threads use wl_mask: the pointer is not atomic.
 */
#ifndef WL_MASK_H
#define WL_MASK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__)
#  if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#    define WL_BIG_ENDIAN 1
#  endif
#endif

/* dst[i] = src[i] ^ key byte (i mod 4), for i < size (RFC 6455 section 5.3). dst == src masks in place; any other
   overlap is not allowed. Any size (0 touches neither pointer), any alignment. */
typedef void (*wl_mask_fn)(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key);

extern wl_mask_fn wl_mask;

/* Points wl_mask at the best version this CPU runs. May be called again: the choice is always the same. */
void wl_mask_init(void);

/* The version in use: "avx512", "avx2", "sse2", "neon" or "word". */
const char *wl_mask_name(void);

/* The key for the part of a payload that begins at offset `phase`: its first byte is key byte (phase mod 4). */
static inline uint32_t wl_mask_rotate(uint32_t key, size_t phase)
{
    const unsigned bits = (unsigned)(phase & 3u) * 8u;
#ifdef WL_BIG_ENDIAN
    return (key << bits) | (key >> ((32u - bits) & 31u));
#else
    return (key >> bits) | (key << ((32u - bits) & 31u));
#endif
}

/* For tests and benchmarks only. */

/* One byte after the other, as the RFC writes it: what all others are compared with. */
void wl_mask_naive(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key);

typedef struct {
    const char *name;
    wl_mask_fn fn;
} wl_mask_variant;

/* Every version but the naive one that this CPU can run, slowest first; gives their number. */
size_t wl_mask_variants(const wl_mask_variant **out);

#ifdef __cplusplus
}
#endif

#endif
