/*
 * reader_model.h - what RFC 6455 makes of a stream, as slowly and plainly as it can be written, to judge reader.c by.
 *
 * Owns: the whole stream at once; it takes one byte after the other and says which frames come out of it, which error
 * ends it, and how many bytes were enough to know. Must not call reader.c or what that is made of.
 */
#ifndef WL_READER_MODEL_H
#define WL_READER_MODEL_H

#include "reader.h"
#include "utf8_reference.h"

#define MODEL_MAX 4096

typedef struct {
    uint8_t first;
    size_t size; /* of header and payload */
    size_t payload_size;
} model_frame;

typedef struct {
    /* As of a wl_reader. */
    bool is_client, strict;
    uint8_t allowed_rsv, transformed;
    uint64_t max_frame_size;
    /* The stream; its payloads are unmasked as they are taken. */
    uint8_t stream[MODEL_MAX];
    size_t size;
    /* What comes of it. */
    model_frame frames[MODEL_MAX / 2];
    size_t count;
    wl_error error;
    size_t taken; /* bytes, when the error was known */
    /* Of the message that is open. */
    bool open, checked;
    reference_utf8 text;
} model;

/* Thrown out of a frame: the stream is at its end, or wrong. */
#define TAKE(m, byte)                  \
    do {                               \
        if ((m)->taken == (m)->size)   \
            return false;              \
        (byte) = (m)->stream[(m)->taken++]; \
    } while (0)

#define REFUSE_IF(m, condition, what) \
    do {                              \
        if (condition) {              \
            (m)->error = (what);      \
            return false;             \
        }                             \
    } while (0)

static inline bool model_code_may_be_sent(unsigned code)
{
    static const uint16_t registered[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014};
    for (size_t i = 0; i < sizeof registered / sizeof registered[0]; i++) {
        if (code == registered[i])
            return true;
    }
    return code / 1000 == 3 || code / 1000 == 4;
}

static inline bool model_close(model *m, const uint8_t *body, size_t size)
{
    reference_utf8 reason = {0};
    REFUSE_IF(m, size == 1, WL_E_CLOSE_SIZE);
    REFUSE_IF(m, size >= 2 && !model_code_may_be_sent(body[0] * 256u + body[1]), WL_E_CLOSE_CODE);
    for (size_t i = 2; i < size; i++)
        reference_step(&reason, body[i]);
    REFUSE_IF(m, !reference_done(&reason), WL_E_CLOSE_UTF8);
    return true;
}

/* One frame. False: that was the last. */
static inline bool model_next(model *m)
{
    const size_t begin = m->taken;
    uint8_t first, second, byte;
    uint8_t key[4] = {0};

    TAKE(m, first);
    const unsigned opcode = first % 16;
    const bool fin = first >= 0x80, control = opcode >= 8;
    REFUSE_IF(m, opcode != 0 && opcode != 1 && opcode != 2 && opcode != 8 && opcode != 9 && opcode != 10, WL_E_OPCODE);
    REFUSE_IF(m, control && !fin, WL_E_CONTROL_FRAGMENTED);
    if (m->strict) {
        const unsigned allowed = control ? 0 : m->allowed_rsv;
        REFUSE_IF(m, (first & 0x70) != (first & 0x70 & allowed), WL_E_RESERVED_BITS);
        REFUSE_IF(m, opcode == 0 && !m->open, WL_E_CONTINUATION);
        REFUSE_IF(m, (opcode == 1 || opcode == 2) && m->open, WL_E_INTERLEAVED);
    }

    TAKE(m, second);
    const bool masked = second >= 0x80;
    REFUSE_IF(m, m->is_client && masked, WL_E_MASKED);
    REFUSE_IF(m, !m->is_client && !masked, WL_E_NOT_MASKED);
    REFUSE_IF(m, control && second % 128 > 125, WL_E_CONTROL_TOO_LONG);
    uint64_t length = second % 128;
    const unsigned extended = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (extended != 0)
        length = 0;
    for (unsigned i = 0; i < extended; i++) {
        TAKE(m, byte);
        length = length * 256 + byte;
    }
    for (unsigned i = 0; masked && i < 4; i++)
        TAKE(m, key[i]);
    REFUSE_IF(m, (extended == 2 && length < 126) || (extended == 8 && length < 65536), WL_E_LENGTH_NOT_MINIMAL);
    REFUSE_IF(m, length > INT64_MAX, WL_E_LENGTH_SIGN);
    REFUSE_IF(m, !control && length > m->max_frame_size, WL_E_TOO_BIG);

    if (opcode == 1 || opcode == 2) {
        m->open = true;
        m->checked = m->strict && opcode == 1 && !(first & m->transformed);
        m->text = (reference_utf8){0};
    }
    const bool text = m->checked && !control;
    const size_t payload = m->taken;
    for (uint64_t i = 0; i < length; i++) {
        TAKE(m, byte);
        byte ^= key[i % 4];
        m->stream[m->taken - 1] = byte;
        REFUSE_IF(m, text && !reference_step(&m->text, byte), WL_E_UTF8);
    }
    REFUSE_IF(m, text && fin && !reference_done(&m->text), WL_E_UTF8);
    if (opcode == 8 && m->strict && !model_close(m, m->stream + payload, (size_t)length))
        return false;
    if (fin && !control)
        m->open = m->checked = false;
    m->frames[m->count++] = (model_frame){first, m->taken - begin, (size_t)length};
    return opcode != 8 || !m->strict; /* what stands behind a CLOSE is not looked at */
}

static inline void model_run(model *m)
{
    m->count = m->taken = 0;
    m->error = WL_OK;
    m->open = m->checked = false;
    while (model_next(m))
        ;
}

#endif
