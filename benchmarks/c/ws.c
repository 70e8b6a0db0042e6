/* Frames, masks and the accept key; see ws.h. */
#include "ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A mask key of the operating system's random source, taken in blocks: the
 * floor does what RFC 6455 section 10.3 asks of everybody. */
static uint32_t mask_key(void)
{
    static uint32_t pool[1024];
    static size_t left;
    if (left == 0) {
        size_t got = 0;
        while (got < sizeof pool) {
            ssize_t n = getrandom((char *)pool + got, sizeof pool - got, 0);
            if (n <= 0) {
                perror("getrandom");
                exit(1);
            }
            got += (size_t)n;
        }
        left = sizeof pool / sizeof *pool;
    }
    return pool[--left];
}

static void mask(uint8_t *out, const uint8_t *in, size_t size, uint32_t key)
{
    uint64_t wide = (uint64_t)key << 32 | key;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, in + i, 8);
        word ^= wide;
        memcpy(out + i, &word, 8);
    }
    for (; i < size; i++) {
        uint8_t bytes[4];
        memcpy(bytes, &key, 4);
        out[i] = in[i] ^ bytes[i & 3];
    }
}

size_t ws_header(uint8_t *out, uint8_t first, size_t size, int masked)
{
    uint8_t bit = masked ? 0x80 : 0;
    out[0] = first;
    if (size < 126) {
        out[1] = (uint8_t)size | bit;
        return 2;
    }
    if (size < 65536) {
        out[1] = 126 | bit;
        out[2] = (uint8_t)(size >> 8);
        out[3] = (uint8_t)size;
        return 4;
    }
    out[1] = 127 | bit;
    for (int i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
    return 10;
}

size_t ws_put(uint8_t *out, uint8_t first, const uint8_t *payload, size_t size, int masked)
{
    size_t at = ws_header(out, first, size, masked);
    uint32_t key;
    if (!masked) {
        memcpy(out + at, payload, size);
        return at + size;
    }
    key = mask_key();
    memcpy(out + at, &key, 4);
    mask(out + at + 4, payload, size, key);
    return at + 4 + size;
}

int ws_get(uint8_t *data, size_t size, struct ws_frame *frame)
{
    size_t header = 2;
    uint64_t length;
    int masked;
    if (size < 2)
        return 0;
    masked = data[1] >> 7;
    length = data[1] & 0x7f;
    if (length == 126) {
        if (size < 4)
            return 0;
        length = (uint64_t)data[2] << 8 | data[3];
        header = 4;
    } else if (length == 127) {
        if (size < 10)
            return 0;
        length = 0;
        for (int i = 0; i < 8; i++)
            length = length << 8 | data[2 + i];
        header = 10;
    }
    header += masked ? 4 : 0;
    if (size < header || size - header < length)
        return 0;
    frame->first = data[0];
    frame->payload = data + header;
    frame->payload_size = (size_t)length;
    frame->size = header + (size_t)length;
    if (masked) {
        uint32_t key;
        memcpy(&key, frame->payload - 4, 4);
        mask(frame->payload, frame->payload, frame->payload_size, key);
    }
    return 1;
}

static uint32_t turn(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

/* SHA-1 of at most 111 bytes: enough for a key and the GUID behind it. */
static void sha1(const char *text, size_t size, uint8_t out[20])
{
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t block[128] = {0};
    size_t blocks = size < 56 ? 1 : 2;
    memcpy(block, text, size);
    block[size] = 0x80;
    block[blocks * 64 - 2] = (uint8_t)(size * 8 >> 8);
    block[blocks * 64 - 1] = (uint8_t)(size * 8);
    for (size_t b = 0; b < blocks; b++) {
        uint32_t w[80], v[5];
        for (int i = 0; i < 16; i++) {
            const uint8_t *p = block + b * 64 + i * 4;
            w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        }
        for (int i = 16; i < 80; i++)
            w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        memcpy(v, h, sizeof v);
        for (int i = 0; i < 80; i++) {
            uint32_t f, k, next;
            if (i < 20)
                f = (v[1] & v[2]) | (~v[1] & v[3]), k = 0x5A827999;
            else if (i < 40)
                f = v[1] ^ v[2] ^ v[3], k = 0x6ED9EBA1;
            else if (i < 60)
                f = (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]), k = 0x8F1BBCDC;
            else
                f = v[1] ^ v[2] ^ v[3], k = 0xCA62C1D6;
            next = turn(v[0], 5) + f + v[4] + k + w[i];
            v[4] = v[3];
            v[3] = v[2];
            v[2] = turn(v[1], 30);
            v[1] = v[0];
            v[0] = next;
        }
        for (int i = 0; i < 5; i++)
            h[i] += v[i];
    }
    for (int i = 0; i < 20; i++)
        out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

void ws_accept(const char *key, size_t key_size, char out[29])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[111];
    uint8_t digest[21] = {0};
    int n = snprintf(text, sizeof text, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)key_size, key);
    sha1(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1, digest);
    for (int i = 0; i < 7; i++) {
        uint32_t three = (uint32_t)digest[i * 3] << 16 | (uint32_t)digest[i * 3 + 1] << 8 | digest[i * 3 + 2];
        for (int j = 0; j < 4; j++)
            out[i * 4 + j] = alphabet[three >> (18 - 6 * j) & 63];
    }
    out[27] = '=';
    out[28] = 0;
}
