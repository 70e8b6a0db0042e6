/*
 * fuzz_header.c - frame headers: bytes to fields to the same bytes, and fields to bytes to the same fields.
 *
 * Input, first: the bytes of a header. A part of it gives nothing; what is read and written again gives the same
 * bytes if its length was minimal, and a shorter header with the same fields if it was not.
 * Second: first byte, whether masked, key and length of one that is written and read.
 */
#include "fuzz.h"
#include "header.h"

static bool read_exactly(const uint8_t *data, size_t size, wl_header *header)
{
    uint8_t *const block = fuzz_block(data, size);
    const bool whole = wl_header_read(block, size, header);
    DEMAND(size == 0 || memcmp(block, data, size) == 0);
    free(block);
    return whole;
}

/* The shortest part that is a header; 0 if there is none. Longer parts read the same. */
static size_t read_growing(const uint8_t *data, size_t size, wl_header *header)
{
    size_t enough = 0;
    for (size_t part = 0; part <= size; part++) {
        wl_header got;
        if (!read_exactly(data, part, &got)) {
            DEMAND(enough == 0);
            continue;
        }
        if (enough == 0) {
            enough = part;
            *header = got;
        }
        DEMAND(got.size == enough && got.first == header->first && got.masked == header->masked);
        DEMAND(got.payload_size == header->payload_size && got.minimal == header->minimal);
        DEMAND(got.mask_key == header->mask_key);
    }
    return enough;
}

static size_t write_exactly(uint8_t *out, const wl_header *header)
{
    const size_t size = wl_header_size(header->payload_size, header->masked);
    uint8_t *const block = malloc(size);
    if (block == NULL)
        abort();
    DEMAND(size <= WL_HEADER_MAX);
    DEMAND(wl_header_write(block, header->first, header->payload_size, header->masked ? &header->mask_key : NULL) ==
           size);
    memcpy(out, block, size);
    free(block);
    return size;
}

static void from_bytes(const uint8_t *data, size_t size)
{
    uint8_t written[WL_HEADER_MAX];
    wl_header header, again;
    const size_t enough = read_growing(data, size, &header);

    if (enough == 0) {
        DEMAND(size < WL_HEADER_MAX);
        return;
    }
    DEMAND(header.first == data[0] && header.masked == data[1] >> 7);
    DEMAND(!header.masked || memcmp(&header.mask_key, data + enough - 4, 4) == 0);
    DEMAND(header.masked || header.mask_key == 0);
    const size_t length = write_exactly(written, &header);
    DEMAND(read_growing(written, length, &again) == length && again.minimal);
    DEMAND(again.payload_size == header.payload_size && again.mask_key == header.mask_key);
    if (header.minimal)
        DEMAND(length == enough && memcmp(written, data, length) == 0);
    else
        DEMAND(length < enough);
}

static void from_fields(fuzz_input *in)
{
    uint8_t written[WL_HEADER_MAX];
    wl_header header = {0}, again;
    header.first = (uint8_t)fuzz_number(in, 1);
    header.masked = fuzz_number(in, 1) & 1;
    header.mask_key = header.masked ? (uint32_t)fuzz_number(in, 4) : 0;
    header.payload_size = fuzz_number(in, 8) >> (fuzz_number(in, 1) % 63 + 1); /* below 2^63, as the contract says */
    const size_t length = write_exactly(written, &header);
    DEMAND(read_growing(written, length, &again) == length);
    DEMAND(again.minimal && again.first == header.first && again.masked == header.masked);
    DEMAND(again.mask_key == header.mask_key && again.payload_size == header.payload_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    from_bytes(data, size < 20 ? size : 20);
    from_fields(&in);
    return 0;
}
