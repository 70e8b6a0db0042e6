/* The receive side's rules (RFC 6455 sections 5 and 7): bytes in; one frame,
 * "need more" or an error code out.
 *
 * Owns: what may come next on one connection (open fragments, UTF-8 inside a
 * text message, whether a CLOSE was seen) and how far into a half-received
 * frame it has already unmasked and checked. It does not own the bytes: the
 * caller keeps the unconsumed ones, may move them between calls, and shows
 * them again from the head of the frame with more bytes behind. The reader
 * writes to them (it unmasks in place) and never looks past what it is given.
 * It does no I/O, allocates nothing and knows no caller.
 */
#ifndef WL_READER_H
#define WL_READER_H

#include "header.h"
#include "utf8.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    WL_FRAME = 1,     /* a whole frame: wl_frame is filled, `size` bytes are consumed */
    WL_NEED_MORE = 0, /* show the same bytes again with more behind them */
    WL_ERROR = -1     /* the connection must fail: reader->error says why */
} wl_status;

/* What a broken rule is called; wl_error_text gives the sentence and
 * wl_error_close_code the status code of section 7.4.1 for the CLOSE. */
typedef enum {
    WL_OK = 0,
    WL_E_RESERVED_BITS,
    WL_E_OPCODE,
    WL_E_CONTROL_FRAGMENTED,
    WL_E_CONTROL_TOO_LONG,
    WL_E_NOT_MASKED,
    WL_E_MASKED,
    WL_E_CONTINUATION,
    WL_E_INTERLEAVED,
    WL_E_LENGTH_NOT_MINIMAL,
    WL_E_LENGTH_SIGN,
    WL_E_TOO_BIG,
    WL_E_UTF8,
    WL_E_CLOSE_SIZE,
    WL_E_CLOSE_CODE,
    WL_E_CLOSE_UTF8,
    WL_E_COUNT
} wl_error;

typedef struct {
    uint8_t *payload;      /* into the caller's bytes, unmasked */
    uint64_t payload_size; /* in bytes */
    uint64_t size;         /* header and payload: what the frame consumes */
    uint8_t first;         /* fin, reserved bits, opcode */
} wl_frame;

typedef struct {
    uint64_t max_frame_size; /* payload bytes of a data frame */
    uint64_t done;           /* payload bytes of the frame at the head already unmasked and checked */
    uint64_t frame_size;     /* of the frame at the head, as announced; 0 while its header is not in */
    wl_utf8 utf8;
    uint8_t message_opcode; /* of the fragmented message that is open; 0: none */
    uint8_t allowed_rsv;    /* reserved bits that a negotiated extension owns */
    uint8_t transformed;    /* reserved bits whose owner changes payloads: no UTF-8 check on such a message */
    uint8_t error;          /* a wl_error, after WL_ERROR */
    bool message_checked;   /* the open message is text whose UTF-8 is checked here */
    bool is_client;
    bool strict;
    bool closed; /* a CLOSE was handed out: what follows is discarded (section 5.5.1) */
} wl_reader;

/* A reader for one connection. `strict` false leaves out the rules on reserved
 * bits, fragment order, UTF-8, close codes and bytes after a CLOSE: it hands
 * over what comes as long as the framing itself makes sense. */
void wl_reader_init(wl_reader *reader, bool is_client, bool strict, uint64_t max_frame_size);

/* Look at `size` bytes from the head of a frame. After WL_ERROR, and after a
 * CLOSE in strict mode, the reader gives nothing any more. */
wl_status wl_reader_next(wl_reader *reader, uint8_t *data, size_t size, wl_frame *frame);

/* Whether RFC 6455 section 7.4 lets a code stand in a CLOSE frame. */
bool wl_close_code_valid(unsigned code);

uint16_t wl_error_close_code(wl_error error);
const char *wl_error_text(wl_error error);

#ifdef __cplusplus
}
#endif
#endif
