/*
 * fuzz_reader.c - a stream of frames gives what the model says, in whatever pieces it comes.
 *
 * Input: the kind of reader, its limit, how to cut, and the stream. Whole, byte by byte and in pieces that follow from
 * the input the same frames come out, and the same error, with the byte that makes it known. The bytes that are not
 * consumed yet move between the calls, in blocks of their own; each call that needs more may be repeated.
 *
 * A mutation of masked text is noise; so the stream may be given unmasked, and the frames are masked here.
 */
#include "fuzz.h"
#include "mask.h"
#include "reader_model.h"

#define SLOW 600 /* longer streams are not fed byte by byte */

enum { CLIENT = 1, LAX = 2, PLAIN = 4 };

static const uint64_t limits[] = {0, 1, 125, 126, 1000, 65535, UINT64_C(1) << 20, INT64_MAX};

static model expected;
static uint8_t wire[MODEL_MAX];

/* Mask the payloads of what reads as frames. */
static void mask_stream(uint8_t *stream, size_t size)
{
    wl_header header;
    for (size_t at = 0; wl_header_read(stream + at, size - at, &header);) {
        uint8_t *const payload = stream + at + header.size;
        const size_t left = size - at - header.size;
        const size_t here = header.payload_size < left ? (size_t)header.payload_size : left;
        wl_mask_naive(payload, payload, here, header.mask_key);
        at += header.size + here;
    }
}

typedef struct {
    wl_reader reader;
    size_t frames;   /* that came out */
    size_t consumed; /* bytes */
} run;

static wl_status next(run *r, uint8_t *block, size_t size, wl_frame *frame)
{
    const wl_status status = wl_reader_next(&r->reader, block, size, frame);
    if (status != WL_FRAME) {
        const unsigned error = r->reader.error;
        DEMAND(wl_reader_next(&r->reader, block, size, frame) == status);
        DEMAND((status == WL_ERROR) == (error != WL_OK) && r->reader.error == error);
    }
    return status;
}

/* All frames that `size` more bytes complete. */
static wl_status take(run *r, uint8_t *block, size_t size)
{
    for (size_t at = 0;;) {
        wl_frame frame;
        const wl_status status = next(r, block + at, size - at, &frame);
        if (status != WL_FRAME)
            return status;
        DEMAND(r->frames < expected.count);
        const model_frame *const wanted = &expected.frames[r->frames++];
        DEMAND(frame.first == wanted->first && frame.size == wanted->size);
        DEMAND(frame.payload_size == wanted->payload_size && frame.size <= size - at);
        DEMAND(frame.payload == block + at + (frame.size - frame.payload_size));
        DEMAND(memcmp(block + at, expected.stream + r->consumed, wanted->size) == 0);
        at += wanted->size;
        r->consumed += wanted->size;
    }
}

/* `seed` 0: pieces of `most` bytes; else of 1 to `most`. Returns after how many bytes it ended. */
static size_t feed(size_t most, uint32_t seed)
{
    run r = {.frames = 0};
    size_t fed = 0;
    wl_status status = WL_NEED_MORE;
    uint8_t *block = fuzz_block(NULL, 0);
    size_t kept = 0;

    wl_reader_init(&r.reader, expected.is_client, expected.strict, expected.max_frame_size);
    r.reader.allowed_rsv = expected.allowed_rsv;
    r.reader.transformed = expected.transformed;
    while (fed < expected.size && status != WL_ERROR) {
        size_t piece = seed != 0 ? 1 + fuzz_below(&seed, most) : most;
        if (piece > expected.size - fed)
            piece = expected.size - fed;
        uint8_t *const moved = malloc(kept + piece);
        if (moved == NULL)
            abort();
        memcpy(moved, block, kept);
        memcpy(moved + kept, wire + fed, piece);
        free(block);
        fed += piece;

        const size_t before = r.consumed;
        status = take(&r, moved, kept + piece);
        const size_t gone = r.consumed - before;
        kept = kept + piece - gone;
        block = fuzz_block(moved + gone, kept);
        free(moved);
    }
    free(block);
    DEMAND(r.frames == expected.count);
    DEMAND(status == (expected.error != WL_OK ? WL_ERROR : WL_NEED_MORE));
    DEMAND(r.reader.error == expected.error);
    return fed;
}

static void check_error(wl_error error)
{
    const unsigned code = wl_error_close_code(error);
    const bool text = error == WL_E_UTF8 || error == WL_E_CLOSE_UTF8;
    DEMAND(code == (error == WL_OK ? 1000 : error == WL_E_TOO_BIG ? 1009 : text ? 1007 : 1002));
    DEMAND(wl_error_text(error) != NULL && wl_error_text(error)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    const unsigned kind = (unsigned)fuzz_number(&in, 1);
    const unsigned bits = (unsigned)fuzz_number(&in, 1);
    const uint32_t seed = (uint32_t)fuzz_number(&in, 1) + 1;

    expected.is_client = kind & CLIENT;
    expected.strict = !(kind & LAX);
    expected.max_frame_size = limits[kind >> 5];
    expected.allowed_rsv = bits & 0x70;
    expected.transformed = (uint8_t)(bits << 4) & expected.allowed_rsv;
    expected.size = in.left < MODEL_MAX ? in.left : MODEL_MAX;
    memcpy(wire, in.at, expected.size);
    if (kind & PLAIN)
        mask_stream(wire, expected.size);
    memcpy(expected.stream, wire, expected.size);
    model_run(&expected);
    check_error(expected.error);
    wl_mask_init();

    feed(MODEL_MAX, 0);
    feed(7, seed);
    feed(1 + expected.size / 2, seed);
    if (expected.size <= SLOW) {
        const size_t fed = feed(1, 0);
        DEMAND(expected.error == WL_OK || fed == expected.taken);
    }
    return 0;
}
