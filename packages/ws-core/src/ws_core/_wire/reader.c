/* See reader.h. One frame passes through three steps, and each of them fails
 * as early as the bytes allow:
 *
 *   check_first    the first byte is enough to refuse opcode, bits and order
 *   check_header   lengths and mask, once the header is in
 *   take_payload   unmask and check what has arrived, also of half a frame,
 *                  so that bad UTF-8 fails when its byte comes (section 8.1)
 *
 * Sizes stay uint64_t until the limit has been checked: a length of 2^63 must
 * never meet signed arithmetic.
 */
#include "reader.h"

#include "mask.h"

#include <string.h>

void wl_reader_init(wl_reader *reader, bool is_client, bool strict, uint64_t max_frame_size)
{
    memset(reader, 0, sizeof *reader);
    reader->is_client = is_client;
    reader->strict = strict;
    reader->max_frame_size = max_frame_size;
}

static wl_status fail(wl_reader *reader, wl_error error)
{
    reader->error = (uint8_t)error;
    return WL_ERROR;
}

bool wl_close_code_valid(unsigned code)
{
    /* 1004, 1005, 1006 and 1015 are reserved and must not be on the wire
     * (section 7.4.1); 1012 to 1014 came later into the IANA registry. */
    if (code >= 1000 && code <= 1014)
        return code != 1004 && code != 1005 && code != 1006;
    return code >= 3000 && code <= 4999; /* section 7.4.2 */
}

/* Sections 5.2, 5.4 and 5.5: what the first byte alone decides. */
static wl_error check_first(const wl_reader *reader, uint8_t first)
{
    uint8_t opcode = first & WL_OPCODE_MASK;

    if (opcode > WL_OP_PONG || (opcode > WL_OP_BINARY && opcode < WL_OP_CLOSE))
        return WL_E_OPCODE;
    if (opcode & WL_OPCODE_CONTROL) {
        if (!(first & WL_BIT_FIN))
            return WL_E_CONTROL_FRAGMENTED;
        if (reader->strict && (first & WL_BITS_RSV))
            return WL_E_RESERVED_BITS; /* extensions change messages, not control frames */
        return WL_OK;
    }
    if (!reader->strict)
        return WL_OK;
    if (first & WL_BITS_RSV & (uint8_t)~reader->allowed_rsv)
        return WL_E_RESERVED_BITS;
    if (opcode == WL_OP_CONTINUATION)
        return reader->message_opcode ? WL_OK : WL_E_CONTINUATION;
    return reader->message_opcode ? WL_E_INTERLEAVED : WL_OK;
}

/* Sections 5.1, 5.2 and 5.5, as soon as the second byte is in. */
static wl_error check_second(const wl_reader *reader, uint8_t first, uint8_t second)
{
    bool masked = (second & 0x80u) != 0;

    if (masked == reader->is_client)
        return masked ? WL_E_MASKED : WL_E_NOT_MASKED;
    if ((first & WL_OPCODE_CONTROL) && (second & 0x7Fu) > WL_CONTROL_PAYLOAD_MAX)
        return WL_E_CONTROL_TOO_LONG;
    return WL_OK;
}

static wl_error check_header(const wl_reader *reader, const wl_header *header)
{
    if (!header->minimal)
        return WL_E_LENGTH_NOT_MINIMAL;
    if (header->payload_size >> 63)
        return WL_E_LENGTH_SIGN;
    if (header->payload_size > reader->max_frame_size && !(header->first & WL_OPCODE_CONTROL))
        return WL_E_TOO_BIG;
    return WL_OK;
}

/* Whether the payload of this frame is text that is ours to check. */
static bool is_checked_text(const wl_reader *reader, uint8_t first)
{
    uint8_t opcode = first & WL_OPCODE_MASK;

    if (!reader->strict)
        return false;
    if (opcode == WL_OP_TEXT)
        return !(first & reader->transformed);
    return opcode == WL_OP_CONTINUATION && reader->message_checked;
}

static inline bool is_text(const uint8_t *p, size_t size)
{
    wl_utf8 all = {0};
    const uint8_t *const end = p + size;

    p = wl_skip_ascii(p, end);
    return p == end || (wl_utf8_feed_any(&all, p, (size_t)(end - p)) && wl_utf8_done(&all));
}

/* Section 5.5.1 and 7.4: the body of a CLOSE. */
static wl_error check_close(const uint8_t *payload, uint64_t size)
{
    if (size == 0)
        return WL_OK;
    if (size == 1)
        return WL_E_CLOSE_SIZE;
    if (!wl_close_code_valid(((unsigned)payload[0] << 8) | payload[1]))
        return WL_E_CLOSE_CODE;
    if (!is_text(payload + 2, (size_t)size - 2))
        return WL_E_CLOSE_UTF8;
    return WL_OK;
}

/* A whole frame has gone: remember what that means for the next one. */
static void advance(wl_reader *reader, uint8_t first)
{
    uint8_t opcode = first & WL_OPCODE_MASK;

    reader->done = 0;
    reader->frame_size = 0;
    if (opcode & WL_OPCODE_CONTROL) {
        if (opcode == WL_OP_CLOSE && reader->strict)
            reader->closed = true;
        return;
    }
    if (first & WL_BIT_FIN) {
        reader->message_opcode = 0;
        reader->message_checked = false;
    } else if (opcode != WL_OP_CONTINUATION) {
        reader->message_opcode = opcode;
        reader->message_checked = is_checked_text(reader, first);
    }
}

/* A message in one frame that is here as a whole, without reserved bits: nearly all of them. No step of the long way
 * below is left out, but most of what they ask is known. WL_NEED_MORE: it is something else, nothing was done. */
static inline wl_status take_usual(wl_reader *reader, uint8_t *data, size_t size, wl_frame *frame)
{
    uint8_t first = data[0];
    uint8_t *payload;
    wl_header header;

    if ((first != (WL_BIT_FIN | WL_OP_TEXT) && first != (WL_BIT_FIN | WL_OP_BINARY)) || reader->message_opcode ||
        reader->frame_size)
        return WL_NEED_MORE;
    if (!wl_header_read(data, size, &header) || header.payload_size > size - header.size ||
        header.masked == reader->is_client || check_header(reader, &header) != WL_OK)
        return WL_NEED_MORE;
    payload = data + header.size;
    if (header.masked)
        wl_mask(payload, payload, (size_t)header.payload_size, header.mask_key);
    if (first == (WL_BIT_FIN | WL_OP_TEXT) && reader->strict && !is_text(payload, (size_t)header.payload_size))
        return fail(reader, WL_E_UTF8);
    frame->payload = payload;
    frame->payload_size = header.payload_size;
    frame->size = header.size + header.payload_size;
    frame->first = first;
    return WL_FRAME;
}

wl_status wl_reader_next(wl_reader *reader, uint8_t *data, size_t size, wl_frame *frame)
{
    wl_header header;
    wl_status status;
    wl_error error;
    uint64_t arrived;
    uint8_t *payload;
    bool complete, text;

    if (reader->error)
        return WL_ERROR;
    if (size == 0 || reader->closed)
        return WL_NEED_MORE;
    status = take_usual(reader, data, size, frame);
    if (status != WL_NEED_MORE)
        return status;

    if (!reader->frame_size) {
        error = check_first(reader, data[0]);
        if (error == WL_OK && size > 1)
            error = check_second(reader, data[0], data[1]);
        if (error != WL_OK)
            return fail(reader, error);
    }
    if (!wl_header_read(data, size, &header))
        return WL_NEED_MORE;
    if (!reader->frame_size) {
        error = check_header(reader, &header);
        if (error != WL_OK)
            return fail(reader, error);
        reader->frame_size = header.size + header.payload_size;
    }

    text = is_checked_text(reader, header.first);
    payload = data + header.size;
    arrived = size - header.size;
    complete = arrived >= header.payload_size;
    if (complete)
        arrived = header.payload_size;

    if (arrived > reader->done) {
        uint8_t *fresh = payload + reader->done;
        size_t fresh_size = (size_t)(arrived - reader->done);
        if (header.masked)
            wl_mask(fresh, fresh, fresh_size, wl_mask_rotate(header.mask_key, (size_t)(reader->done & 3)));
        reader->done = arrived;
        if (text && !wl_utf8_feed(&reader->utf8, fresh, fresh_size))
            return fail(reader, WL_E_UTF8);
    }
    if (!complete)
        return WL_NEED_MORE;

    if (reader->strict) {
        if ((header.first & WL_BIT_FIN) && text && !wl_utf8_done(&reader->utf8))
            return fail(reader, WL_E_UTF8);
        if ((header.first & WL_OPCODE_MASK) == WL_OP_CLOSE) {
            error = check_close(payload, header.payload_size);
            if (error != WL_OK)
                return fail(reader, error);
        }
    }
    frame->payload = payload;
    frame->payload_size = header.payload_size;
    frame->size = header.size + header.payload_size;
    frame->first = header.first;
    advance(reader, header.first);
    return WL_FRAME;
}

static const struct {
    uint16_t close_code;
    const char *text;
} errors[WL_E_COUNT] = {
    [WL_OK] = {1000, "no error"},
    [WL_E_RESERVED_BITS] = {1002, "reserved bits are set, but no extension that owns them was negotiated (RFC 6455 5.2)"},
    [WL_E_OPCODE] = {1002, "unknown opcode (RFC 6455 5.2)"},
    [WL_E_CONTROL_FRAGMENTED] = {1002, "fragmented control frame (RFC 6455 5.5)"},
    [WL_E_CONTROL_TOO_LONG] = {1002, "control frame with more than 125 bytes of payload (RFC 6455 5.5)"},
    [WL_E_NOT_MASKED] = {1002, "frame from a client is not masked (RFC 6455 5.1)"},
    [WL_E_MASKED] = {1002, "frame from a server is masked (RFC 6455 5.1)"},
    [WL_E_CONTINUATION] = {1002, "continuation frame without a message to continue (RFC 6455 5.4)"},
    [WL_E_INTERLEAVED] = {1002, "new message inside a fragmented one (RFC 6455 5.4)"},
    [WL_E_LENGTH_NOT_MINIMAL] = {1002, "payload length is not in its shortest encoding (RFC 6455 5.2)"},
    [WL_E_LENGTH_SIGN] = {1002, "64-bit payload length has its most significant bit set (RFC 6455 5.2)"},
    [WL_E_TOO_BIG] = {1009, "frame is larger than max_frame_size"},
    [WL_E_UTF8] = {1007, "text is not valid UTF-8 (RFC 6455 8.1)"},
    [WL_E_CLOSE_SIZE] = {1002, "CLOSE with a body of one byte (RFC 6455 5.5.1)"},
    [WL_E_CLOSE_CODE] = {1002, "CLOSE with a status code that must not be sent (RFC 6455 7.4)"},
    [WL_E_CLOSE_UTF8] = {1007, "CLOSE reason is not valid UTF-8 (RFC 6455 5.5.1)"},
};

uint16_t wl_error_close_code(wl_error error)
{
    return errors[error].close_code;
}

const char *wl_error_text(wl_error error)
{
    return errors[error].text;
}
