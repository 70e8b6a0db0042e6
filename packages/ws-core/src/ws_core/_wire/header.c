/* See header.h. Lengths are big endian (RFC 6455 section 5.2): they are put
 * together byte by byte, which every compiler of today turns into one swap. */
#include "header.h"

#include <string.h>

size_t wl_header_write(uint8_t *out, uint8_t first, uint64_t payload_size, const uint32_t *mask_key)
{
    size_t at = 2;
    uint8_t length;

    if (payload_size <= 125u) {
        length = (uint8_t)payload_size;
    } else if (payload_size <= 65535u) {
        length = 126;
        out[2] = (uint8_t)(payload_size >> 8);
        out[3] = (uint8_t)payload_size;
        at = 4;
    } else {
        length = 127;
        for (unsigned i = 0; i < 8; i++)
            out[2 + i] = (uint8_t)(payload_size >> (56 - 8 * i));
        at = 10;
    }
    out[0] = first;
    if (mask_key) {
        length |= 0x80u;
        memcpy(out + at, mask_key, 4);
        at += 4;
    }
    out[1] = length;
    return at;
}
