/* The frame header codec (RFC 6455 section 5.2): bytes to fields and back.
 *
 * Owns: the layout of a header and nothing else. It keeps no state, does no
 * I/O, and does not know which headers are allowed when: that is reader.c.
 * A header that has not arrived in full consumes nothing.
 */
#ifndef WL_HEADER_H
#define WL_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    WL_OP_CONTINUATION = 0x0,
    WL_OP_TEXT = 0x1,
    WL_OP_BINARY = 0x2,
    WL_OP_CLOSE = 0x8,
    WL_OP_PING = 0x9,
    WL_OP_PONG = 0xA
};

/* Bits of a header's first byte, beside the opcode. */
#define WL_BIT_FIN 0x80u
#define WL_BIT_RSV1 0x40u
#define WL_BIT_RSV2 0x20u
#define WL_BIT_RSV3 0x10u
#define WL_BITS_RSV 0x70u
#define WL_OPCODE_MASK 0x0Fu
#define WL_OPCODE_CONTROL 0x08u /* set in the opcode of every control frame */

#define WL_HEADER_MAX 14            /* 2 + 8 bytes of length + 4 of mask key */
#define WL_CONTROL_PAYLOAD_MAX 125u /* section 5.5 */

typedef struct {
    uint64_t payload_size; /* as announced: not yet checked against anything */
    uint32_t mask_key;     /* in memory order; 0 if not masked */
    uint8_t first;         /* fin, reserved bits and opcode */
    uint8_t size;          /* of the header itself, in bytes */
    bool masked;
    bool minimal; /* the length used the shortest encoding that holds it */
} wl_header;

/* Size in bytes of the header in front of `payload_size` bytes. */
static inline size_t wl_header_size(uint64_t payload_size, bool masked)
{
    size_t size = masked ? 6u : 2u;
    if (payload_size > 65535u)
        size += 8u;
    else if (payload_size > 125u)
        size += 2u;
    return size;
}

/* Write a header to `out` (room for WL_HEADER_MAX bytes); returns its size.
 * `mask_key` points to the key in memory order, or is NULL for no mask.
 * `payload_size` must be below 2^63 (section 5.2). */
size_t wl_header_write(uint8_t *out, uint8_t first, uint64_t payload_size, const uint32_t *mask_key);

/* Read a header from `size` bytes. False: more bytes are needed, and `out` is
 * not to be looked at. Inline: it is called for each frame that is received. */
static inline bool wl_header_read(const uint8_t *data, size_t size, wl_header *out)
{
    size_t at = 2;
    uint64_t payload_size;

    if (size < 2)
        return false;
    out->first = data[0];
    out->masked = (data[1] & 0x80u) != 0;
    out->minimal = true;
    payload_size = data[1] & 0x7Fu;
    if (payload_size == 126) {
        if (size < 4)
            return false;
        payload_size = ((uint64_t)data[2] << 8) | data[3];
        out->minimal = payload_size > 125u;
        at = 4;
    } else if (payload_size == 127) {
        if (size < 10)
            return false;
        payload_size = 0;
        for (unsigned i = 2; i < 10; i++)
            payload_size = (payload_size << 8) | data[i];
        out->minimal = payload_size > 65535u;
        at = 10;
    }
    out->mask_key = 0;
    if (out->masked) {
        if (size < at + 4)
            return false;
        memcpy(&out->mask_key, data + at, 4);
        at += 4;
    }
    out->payload_size = payload_size;
    out->size = (uint8_t)at;
    return true;
}

#ifdef __cplusplus
}
#endif
#endif
