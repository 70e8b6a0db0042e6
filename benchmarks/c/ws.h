/* The least of RFC 6455 that the floor needs: frames, masks, the accept key.
 * Both C programs share it. No error handling beyond "this is not a frame". */
#ifndef BENCH_WS_H
#define BENCH_WS_H

#include <stddef.h>
#include <stdint.h>

enum { WS_HEADER_MAX = 14, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10, WS_FIN = 0x80 };

struct ws_frame {
    uint8_t first;        /* FIN, reserved bits and opcode */
    uint8_t *payload;     /* inside the data that was parsed, unmasked */
    size_t payload_size;
    size_t size;          /* of header and payload together */
};

/* Write the header of a frame of `size` bytes, without a mask key, to `out`. Returns its size. */
size_t ws_header(uint8_t *out, uint8_t first, size_t size, int masked);

/* Write a frame to `out`; `masked` says whether it comes from a client. Returns its size. */
size_t ws_put(uint8_t *out, uint8_t first, const uint8_t *payload, size_t size, int masked);

/* Parse one frame at the start of `data` and unmask it in place. 0: more bytes are needed. */
int ws_get(uint8_t *data, size_t size, struct ws_frame *frame);

/* The Sec-WebSocket-Accept value (28 characters and a NUL) of a Sec-WebSocket-Key. */
void ws_accept(const char *key, size_t key_size, char out[29]);

#endif
