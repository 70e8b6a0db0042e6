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

bool wl_header_read(const uint8_t *data, size_t size, wl_header *out)
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
