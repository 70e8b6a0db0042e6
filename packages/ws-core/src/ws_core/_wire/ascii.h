/*
 * ascii.h - how far is this ASCII? What most text on a WebSocket is: checked a register at a time, inline.
 *
 * Owns: the SIMD code for it. Must not know UTF-8.
 *
 * No AVX2 version: with SSE2 the check runs near the speed of the first-level cache, and a call through a pointer
 * costs short payloads more than it gives long ones.
 */
#ifndef WL_ASCII_H
#define WL_ASCII_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && (defined(__GNUC__) || defined(__clang__))
#  define WL_ASCII_SSE2 1
#  include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON) && (defined(__GNUC__) || defined(__clang__)) && \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#  define WL_ASCII_NEON 1
#  include <arm_neon.h>
#endif

static inline uint64_t wl_load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The first byte from p on that is not ASCII, or end. */
static inline const uint8_t *wl_skip_ascii(const uint8_t *p, const uint8_t *end)
{
#if defined(WL_ASCII_SSE2)
#  define WL_LOAD128(q) _mm_loadu_si128((const __m128i *)(const void *)(q))
    for (; end - p >= 64; p += 64) {
        const __m128i ab = _mm_or_si128(WL_LOAD128(p), WL_LOAD128(p + 16));
        const __m128i cd = _mm_or_si128(WL_LOAD128(p + 32), WL_LOAD128(p + 48));
        if (_mm_movemask_epi8(_mm_or_si128(ab, cd)) != 0) {
            break;
        }
    }
    for (; end - p >= 16; p += 16) {
        const int mask = _mm_movemask_epi8(WL_LOAD128(p));
        if (mask != 0) {
            return p + __builtin_ctz((unsigned)mask);
        }
    }
#  undef WL_LOAD128
#elif defined(WL_ASCII_NEON)
    for (; end - p >= 64; p += 64) {
        const uint8x16_t ab = vorrq_u8(vld1q_u8(p), vld1q_u8(p + 16));
        const uint8x16_t cd = vorrq_u8(vld1q_u8(p + 32), vld1q_u8(p + 48));
        if (vmaxvq_u8(vorrq_u8(ab, cd)) >= 0x80) {
            break;
        }
    }
    for (; end - p >= 16; p += 16) {
        /* NEON has no movemask: narrow sixteen bytes of 00 or FF to sixteen nibbles. */
        const uint16x8_t high = vreinterpretq_u16_u8(vcgeq_u8(vld1q_u8(p), vdupq_n_u8(0x80)));
        const uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(high, 4)), 0);
        if (mask != 0) {
            return p + (__builtin_ctzll(mask) >> 2);
        }
    }
#endif
    for (; end - p >= 8; p += 8) {
        if ((wl_load64(p) & UINT64_C(0x8080808080808080)) != 0) {
            break;
        }
    }
    while (p != end && *p < 0x80) {
        p++;
    }
    return p;
}

#endif
