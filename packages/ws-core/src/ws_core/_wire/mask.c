/*
 * mask.c - the versions of the masking XOR (RFC 6455 section 5.3) and the choice between them.
 *
 * Owns: every line of SIMD code for masking. Must not know frames; see mask.h for the contract.
 *
 * All fast versions have one plan. A payload longer than a register is done from the front in whole registers, and its
 * last register-full is done apart, ending exactly at the last byte, so there is no loop over single bytes. That last
 * register overlaps bytes the loop also writes; in place this is right because it is LOADED BEFORE the first store
 * and stored last. Short payloads (market data is 30..300 bytes) take one or two overlapping pieces of the largest
 * width that fits, with the same rule: all loads, then all stores.
 *
 * The versions are compiled with target attributes, not with compiler flags for the file, so one build runs everywhere.
 * A compiler or CPU that is not known here gets the word version.
 */
#include "mask.h"

#include <string.h>

/* Not on Windows: MSVC has no target attributes, and GCC there does not align the stack for wide registers (its bug
   54412). */
#if (defined(__GNUC__) || defined(__clang__)) && !defined(_WIN32) && (defined(__x86_64__) || defined(__i386__))
#  define WL_MASK_X86 1
#  include <immintrin.h>
#  define WL_TARGET(names) __attribute__((target(names)))
#elif (defined(__GNUC__) || defined(__clang__)) && defined(__aarch64__) && !defined(WL_BIG_ENDIAN)
#  define WL_MASK_NEON 1
#  include <arm_neon.h>
#endif

/* Unaligned access by memcpy: the compilers make one instruction of each. */
static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}

/* Both halves are equal, so this is the key twice in memory on either endianness. */
static inline uint64_t key64(uint32_t key)
{
    return ((uint64_t)key << 32) | key;
}

/* A piece of 4, 8, 16, 32 or 64 bytes that ends at `size` begins at phase size mod 4. */
static inline uint32_t tail_key(uint32_t key, size_t size)
{
    return wl_mask_rotate(key, size);
}

/* size <= 16 */
static inline void mask_up_to_16(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    if (size >= 8) {
        const uint64_t head = load64(src) ^ key64(key);
        const uint64_t tail = load64(src + size - 8) ^ key64(tail_key(key, size));
        store64(dst, head);
        store64(dst + size - 8, tail);
    } else if (size >= 4) {
        const uint32_t head = load32(src) ^ key;
        const uint32_t tail = load32(src + size - 4) ^ tail_key(key, size);
        store32(dst, head);
        store32(dst + size - 4, tail);
    } else if (size != 0) {
        /* First, middle and last: the same byte twice or thrice if there are fewer than three. */
        uint8_t k[4];
        memcpy(k, &key, sizeof k);
        const uint8_t first = src[0] ^ k[0];
        const uint8_t middle = src[size / 2] ^ k[size / 2];
        const uint8_t last = src[size - 1] ^ k[size - 1];
        dst[0] = first;
        dst[size / 2] = middle;
        dst[size - 1] = last;
    }
}

void wl_mask_naive(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    uint8_t k[4];
    memcpy(k, &key, sizeof k);
    for (size_t i = 0; i < size; i++) {
        dst[i] = src[i] ^ k[i % 4];
    }
}

/* The body of every version for more than one register: `type` holds `width` bytes. Four registers a round, all loaded
   before the first is stored: the compiler cannot know that dst and src are the same or apart, and would keep order. */
#define MASK_LONG(type, width, LOAD, STORE, XOR, SPLAT)                                           \
    const type k = SPLAT(key);                                                                    \
    const type tail = XOR(LOAD(src + size - (width)), SPLAT(tail_key(key, size)));                \
    size_t i = 0;                                                                                 \
    for (; size - i > 4 * (width); i += 4 * (width)) {                                            \
        const type v0 = XOR(LOAD(src + i), k);                                                    \
        const type v1 = XOR(LOAD(src + i + (width)), k);                                          \
        const type v2 = XOR(LOAD(src + i + 2 * (width)), k);                                      \
        const type v3 = XOR(LOAD(src + i + 3 * (width)), k);                                      \
        STORE(dst + i, v0);                                                                       \
        STORE(dst + i + (width), v1);                                                             \
        STORE(dst + i + 2 * (width), v2);                                                         \
        STORE(dst + i + 3 * (width), v3);                                                         \
    }                                                                                             \
    for (; size - i > (width); i += (width)) {                                                    \
        STORE(dst + i, XOR(LOAD(src + i), k));                                                    \
    }                                                                                             \
    STORE(dst + size - (width), tail)

#define XOR64(a, b) ((a) ^ (b))

static void mask_word(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    if (size <= 16) {
        mask_up_to_16(dst, src, size, key);
        return;
    }
    MASK_LONG(uint64_t, 8, load64, store64, XOR64, key64);
}

#ifdef WL_MASK_X86

#define LOAD128(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define STORE128(p, v) _mm_storeu_si128((__m128i *)(void *)(p), (v))
#define SPLAT128(key) _mm_set1_epi32((int)(key))
#define LOAD256(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE256(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), (v))
#define SPLAT256(key) _mm256_set1_epi32((int)(key))
#define LOAD512(p) _mm512_loadu_si512((const void *)(p))
#define STORE512(p, v) _mm512_storeu_si512((void *)(p), (v))
#define SPLAT512(key) _mm512_set1_epi32((int)(key))

WL_TARGET("sse2")
static void mask_sse2(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    if (size <= 16) {
        mask_up_to_16(dst, src, size, key);
        return;
    }
    MASK_LONG(__m128i, 16, LOAD128, STORE128, _mm_xor_si128, SPLAT128);
}

/* size <= 32: shared by the wider versions. */
WL_TARGET("sse2")
static inline void mask_up_to_32(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    if (size <= 16) {
        mask_up_to_16(dst, src, size, key);
        return;
    }
    const __m128i head = _mm_xor_si128(LOAD128(src), SPLAT128(key));
    const __m128i tail = _mm_xor_si128(LOAD128(src + size - 16), SPLAT128(tail_key(key, size)));
    STORE128(dst, head);
    STORE128(dst + size - 16, tail);
}

WL_TARGET("avx2")
static void mask_avx2(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    if (size <= 32) {
        mask_up_to_32(dst, src, size, key);
        return;
    }
    MASK_LONG(__m256i, 32, LOAD256, STORE256, _mm256_xor_si256, SPLAT256);
}

/* No masked loads and stores for the ends: what a masked store wrote cannot be forwarded to the load of the parser
   that reads the payload next. */
WL_TARGET("avx512f,avx512bw,avx512vl,avx2")
static void mask_avx512(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    if (size <= 32) {
        mask_up_to_32(dst, src, size, key);
        return;
    }
    if (size <= 64) {
        const __m256i head = _mm256_xor_si256(LOAD256(src), SPLAT256(key));
        const __m256i end = _mm256_xor_si256(LOAD256(src + size - 32), SPLAT256(tail_key(key, size)));
        STORE256(dst, head);
        STORE256(dst + size - 32, end);
        return;
    }
    MASK_LONG(__m512i, 64, LOAD512, STORE512, _mm512_xor_si512, SPLAT512);
}

#endif

#ifdef WL_MASK_NEON

#define SPLAT_NEON(key) vreinterpretq_u8_u32(vdupq_n_u32(key))

static void mask_neon(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    if (size <= 16) {
        mask_up_to_16(dst, src, size, key);
        return;
    }
    MASK_LONG(uint8x16_t, 16, vld1q_u8, vst1q_u8, veorq_u8, SPLAT_NEON);
}

#endif

wl_mask_fn wl_mask = mask_word;

/* Slowest first, and nothing after the first that this CPU lacks: each one's set contains the set before it. */
static const wl_mask_variant variants[] = {
    {"word", mask_word},
#ifdef WL_MASK_X86
    {"sse2", mask_sse2},
    {"avx2", mask_avx2},
    {"avx512", mask_avx512},
#endif
#ifdef WL_MASK_NEON
    {"neon", mask_neon},
#endif
};

size_t wl_mask_variants(const wl_mask_variant **out)
{
    *out = variants;
#ifdef WL_MASK_X86
    /* These ask the operating system's state too (XGETBV), not only CPUID. */
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("sse2")) {
        return 1;
    }
    if (!__builtin_cpu_supports("avx2")) {
        return 2;
    }
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl")) {
        return 3;
    }
#endif
    return sizeof variants / sizeof variants[0];
}

void wl_mask_init(void)
{
    const wl_mask_variant *all;
    size_t best = wl_mask_variants(&all) - 1;
#ifdef WL_MASK_X86
    /* Before Ice Lake (which brought VBMI2) 512-bit code slowed the clock of the whole core down, for the user's code
       too; that is not worth a faster XOR. */
    if (all[best].fn == mask_avx512 && !__builtin_cpu_supports("avx512vbmi2")) {
        best--;
    }
#endif
    /* No store if nothing changes, so a second call beside running threads is harmless. */
    if (wl_mask != all[best].fn) {
        wl_mask = all[best].fn;
    }
}

const char *wl_mask_name(void)
{
    const wl_mask_variant *all;
    const size_t count = wl_mask_variants(&all);
    for (size_t i = 0; i < count; i++) {
        if (all[i].fn == wl_mask) {
            return all[i].name;
        }
    }
    return "unknown";
}
