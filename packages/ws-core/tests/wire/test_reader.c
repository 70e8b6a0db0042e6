/*
 * test_reader.c - the rules of the receive side about headers and order (RFC 6455 sections 5.1 to 5.5), each with the
 * error that breaking it gives, for both roles, strict and lenient, cut in every way (reader_script.h).
 *
 * Text, CLOSE and random streams are test_reader_payload.c.
 */
#include "reader_script.h"

#define FIN WL_BIT_FIN

/* Every test runs for both roles, strict and not. */
static bool is_client;
static bool strict;

static void start(const char *name)
{
    script_start(name, is_client, strict);
}

static void valid_before(void)
{
    script_text(FIN | WL_OP_TEXT, "before");
    script_text(FIN | WL_OP_PING, "");
}

static void junk_behind(void)
{
    const uint8_t junk[6] = {0xFF, 0x03, 0x81, 0x80, 0, 0x99};
    script_put(&script.wire, junk, sizeof junk);
}

/* A broken rule that the lenient reader does not know: the frame comes out there. */
static void lenient_takes(wl_error error, size_t known_after, uint8_t first, const char *payload)
{
    if (strict) {
        const size_t head = script.wire.size;
        script_frame_lost(first, payload, strlen(payload));
        script.error = error;
        script.error_at = head + known_after;
        junk_behind();
    } else {
        script_text(first, payload);
    }
    play();
}

static void test_plain_frames(void)
{
    static const uint8_t opcodes[] = {WL_OP_TEXT, WL_OP_BINARY, WL_OP_PING, WL_OP_PONG};
    static uint8_t payload[70000];
    static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 124, 125, 126, 127, 300, 65535, 65536, 70000};
    memset(payload, 'x', sizeof payload);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t j = 0; j < sizeof opcodes; j++) {
            if (opcodes[j] >= WL_OP_CLOSE && sizes[i] > 125)
                continue;
            start("plain frames");
            script_frame(FIN | opcodes[j], payload, sizes[i]);
            script_text(FIN | WL_OP_TEXT, "next");
            play();
        }
    }
}

static void test_reserved_bits(void)
{
    static const uint8_t opcodes[] = {WL_OP_TEXT,  WL_OP_BINARY, WL_OP_CONTINUATION,
                                      WL_OP_CLOSE, WL_OP_PING,   WL_OP_PONG};
    for (unsigned set = 1; set < 8; set++) {
        for (unsigned allowed = 0; allowed < 8; allowed++) {
            for (size_t i = 0; i < sizeof opcodes; i++) {
                /* Extensions change messages: on a control frame a bit is nobody's. */
                const bool owned = (set & ~allowed) == 0 && !(opcodes[i] & WL_OPCODE_CONTROL);
                /* Whether an owner may use its bit on a continuation is the owner's to say. */
                if (owned && opcodes[i] == WL_OP_CONTINUATION)
                    continue;
                start("reserved bits");
                script.allowed_rsv = (uint8_t)(allowed << 4);
                valid_before();
                if (opcodes[i] == WL_OP_CONTINUATION)
                    script_text(WL_OP_TEXT, "open");
                const uint8_t first = (uint8_t)(FIN | set << 4 | opcodes[i]);
                if (owned) {
                    script_text(first, "owned");
                    play();
                } else {
                    lenient_takes(WL_E_RESERVED_BITS, 1, first, "");
                }
            }
        }
    }
}

static void test_opcodes(void)
{
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        if (opcode <= WL_OP_BINARY || (opcode >= WL_OP_CLOSE && opcode <= WL_OP_PONG))
            continue;
        for (unsigned fin = 0; fin < 2; fin++) {
            for (unsigned open = 0; open < 2; open++) {
                const uint8_t first = (uint8_t)(fin << 7 | opcode);
                start("opcodes");
                valid_before();
                if (open)
                    script_text(WL_OP_TEXT, "open");
                script_put(&script.wire, &first, 1);
                script_fails(WL_E_OPCODE);
                junk_behind();
                play();
            }
        }
    }
}

static void test_control_frames(void)
{
    for (unsigned opcode = WL_OP_CLOSE; opcode <= WL_OP_PONG; opcode++) {
        const uint8_t unfinished = (uint8_t)opcode;
        start("fragmented control frame");
        valid_before();
        script_put(&script.wire, &unfinished, 1);
        script_fails(WL_E_CONTROL_FRAGMENTED);
        junk_behind();
        play();

        for (unsigned form = 2; form <= 8; form += 6) {
            uint8_t key[4];
            start("long control frame");
            valid_before();
            const size_t head = script.wire.size;
            script_header((uint8_t)(FIN | opcode), 126, form, !is_client, key);
            script.error = WL_E_CONTROL_TOO_LONG;
            script.error_at = head + 2;
            junk_behind();
            play();
        }
    }
}

static void test_mask(void)
{
    static const uint8_t firsts[] = {FIN | WL_OP_TEXT, WL_OP_BINARY, FIN | WL_OP_PING, FIN | WL_OP_CLOSE};
    static const uint64_t lengths[] = {0, 5, 125, 200, 70000};
    for (size_t i = 0; i < sizeof firsts; i++) {
        for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
            uint8_t key[4];
            if ((firsts[i] & WL_OPCODE_CONTROL) && lengths[j] > 125)
                continue;
            start("mask");
            valid_before();
            const size_t head = script.wire.size;
            script_header(firsts[i], lengths[j], lengths[j] < 126 ? 0 : lengths[j] < 65536 ? 2 : 8, is_client, key);
            script.error = is_client ? WL_E_MASKED : WL_E_NOT_MASKED;
            script.error_at = head + 2;
            junk_behind();
            play();
        }
    }
}

static void test_continuation(void)
{
    static const uint8_t firsts[] = {WL_OP_CONTINUATION, FIN | WL_OP_CONTINUATION};
    for (size_t i = 0; i < sizeof firsts; i++) {
        start("nothing to continue: first of all");
        lenient_takes(WL_E_CONTINUATION, 1, firsts[i], "x");

        start("nothing to continue: after a whole message");
        valid_before();
        lenient_takes(WL_E_CONTINUATION, 1, firsts[i], "x");

        start("nothing to continue: after the last fragment");
        script_text(WL_OP_BINARY, "a");
        script_text(FIN | WL_OP_PONG, "between");
        script_text(WL_OP_CONTINUATION, "b");
        script_text(FIN | WL_OP_CONTINUATION, "");
        lenient_takes(WL_E_CONTINUATION, 1, firsts[i], "x");
    }
}

static void test_interleaved(void)
{
    static const uint8_t kinds[] = {WL_OP_TEXT, WL_OP_BINARY};
    for (size_t outer = 0; outer < 2; outer++) {
        for (size_t inner = 0; inner < 2; inner++) {
            for (unsigned fin = 0; fin < 2; fin++) {
                for (unsigned continued = 0; continued < 2; continued++) {
                    start("a message inside a message");
                    script_text(kinds[outer], "a");
                    script_text(FIN | WL_OP_PING, "p");
                    if (continued)
                        script_text(WL_OP_CONTINUATION, "");
                    lenient_takes(WL_E_INTERLEAVED, 1, (uint8_t)(fin << 7 | kinds[inner]), "x");
                }
            }
        }
    }
}

static void test_fragments_in_order(void)
{
    static const uint8_t kinds[] = {WL_OP_TEXT, WL_OP_BINARY};
    for (int round = 0; round < 4; round++) {
        start("fragments in order");
        for (int message = 0; message < 3; message++) {
            script_text(kinds[(round >> (message & 1)) & 1], "");
            for (int i = 0; i < message; i++) {
                script_text(WL_OP_CONTINUATION, i % 2 ? "" : "more");
                script_text(FIN | (i % 2 ? WL_OP_PING : WL_OP_PONG), "control frames may come between");
            }
            script_text(FIN | WL_OP_CONTINUATION, "end");
            script_text(FIN | kinds[message & 1], "whole");
        }
        play();
    }
}

static void fails_in_header(const char *name, wl_error error, uint8_t first, uint64_t length, unsigned form)
{
    uint8_t key[4];
    start(name);
    script.max_frame_size = UINT64_MAX;
    valid_before();
    script_header(first, length, form, !is_client, key);
    script_fails(error);
    junk_behind();
    play();
}

static void test_lengths_not_minimal(void)
{
    static const uint64_t short_ones[] = {0, 1, 5, 124, 125, 126, 127, 255, 256, 65534, 65535};
    for (size_t i = 0; i < sizeof short_ones / sizeof *short_ones; i++) {
        for (uint8_t kind = WL_OP_TEXT; kind <= WL_OP_BINARY; kind++) {
            const uint8_t first = (uint8_t)((i % 2 ? FIN : 0) | kind);
            if (short_ones[i] <= 125)
                fails_in_header("not minimal: 16 bits", WL_E_LENGTH_NOT_MINIMAL, first, short_ones[i], 2);
            fails_in_header("not minimal: 64 bits", WL_E_LENGTH_NOT_MINIMAL, first, short_ones[i], 8);
        }
    }
}

static void test_lengths_with_sign(void)
{
    static const uint64_t lengths[] = {UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1, UINT64_MAX - 14, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        fails_in_header("sign bit", WL_E_LENGTH_SIGN, FIN | WL_OP_BINARY, lengths[i], 8);
        fails_in_header("sign bit", WL_E_LENGTH_SIGN, WL_OP_TEXT, lengths[i], 8);
    }
}

static void test_max_frame_size(void)
{
    static const uint64_t limits[] = {0, 1, 124, 125, 126, 127, 65535, 65536, 65537};
    static uint8_t payload[65537];
    memset(payload, 'm', sizeof payload);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const uint64_t limit = limits[i];
        uint8_t key[4];
        start("as large as allowed");
        script.max_frame_size = limit;
        script_frame(WL_OP_BINARY, payload, (size_t)limit);
        script_frame(FIN | WL_OP_CONTINUATION, payload, (size_t)limit);
        /* The limit is for data frames. */
        script_text(FIN | WL_OP_PING, "longer than the smallest of the limits");
        play();
        for (uint64_t more = 1; more < 3; more++) {
            start("larger than allowed");
            script.max_frame_size = limit;
            script_frame(WL_OP_TEXT, "", 0);
            const uint64_t size = limit + more;
            script_header(WL_OP_CONTINUATION, size, size < 126 ? 0 : size < 65536 ? 2 : 8, !is_client, key);
            script_fails(WL_E_TOO_BIG);
            junk_behind();
            play();
        }
    }
    static const uint64_t huge[] = {(1 << 20) + 1, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX - 14, INT64_MAX};
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        uint8_t key[4];
        start("huge");
        script_header(FIN | WL_OP_BINARY, huge[i], 8, !is_client, key);
        script_fails(WL_E_TOO_BIG);
        junk_behind();
        play();
    }
}

/* A frame that may be huge, and of which little comes: the reader waits, and stays inside what it is given. */
static void test_huge_and_allowed(void)
{
    static const uint64_t huge[] = {65536, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 62, INT64_MAX - 14, INT64_MAX};
    uint8_t text[80];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        for (size_t come = 0; come < 70; come += 23) {
            uint8_t key[4];
            start("huge and allowed");
            script.max_frame_size = UINT64_MAX;
            script_header(WL_OP_TEXT, huge[i], 8, !is_client, key);
            script_payload(text, come, key);
            play();
            /* Its text is looked at as it comes. */
            start("huge, and not text");
            script.max_frame_size = UINT64_MAX;
            script_header(WL_OP_TEXT, huge[i], 8, !is_client, key);
            text[come] = 0xFF;
            script_payload(text, come + 1, key);
            text[come] = 'x';
            if (strict)
                script_fails(WL_E_UTF8);
            play();
        }
    }
}

/* While a frame is half in, frame_size says how large it will be, header included: buffers are sized by it. */
static void test_frame_size_field(void)
{
    static const uint64_t lengths[] = {0, 100, 125, 126, 65535, 65536, INT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t key[4];
        wl_reader reader;
        wl_frame frame;
        start("frame_size");
        const unsigned form = lengths[i] < 126 ? 0 : lengths[i] < 65536 ? 2 : 8;
        script_header(FIN | WL_OP_BINARY, lengths[i], form, !is_client, key);
        wl_reader_init(&reader, is_client, strict, UINT64_MAX);
        const size_t header = script.wire.size;
        CHECK(wl_reader_next(&reader, script.wire.data, header - 1, &frame) == WL_NEED_MORE && reader.frame_size == 0);
        const wl_status status = wl_reader_next(&reader, script.wire.data, header, &frame);
        if (lengths[i] == 0) {
            CHECK(status == WL_FRAME && frame.size == header && reader.frame_size == 0);
        } else {
            CHECK(status == WL_NEED_MORE && reader.frame_size == header + lengths[i]);
        }
    }
}

static void test_nothing(void)
{
    wl_reader reader;
    wl_frame frame;
    wl_reader_init(&reader, is_client, strict, 100);
    CHECK(wl_reader_next(&reader, NULL, 0, &frame) == WL_NEED_MORE && reader.error == WL_OK);
}

static void test_error_table(void)
{
    for (int error = 0; error < WL_E_COUNT; error++) {
        const unsigned code = wl_error_close_code((wl_error)error);
        const unsigned expected = error == WL_OK                                   ? 1000
                                  : error == WL_E_TOO_BIG                            ? 1009
                                  : error == WL_E_UTF8 || error == WL_E_CLOSE_UTF8 ? 1007
                                                                                   : 1002;
        CHECK_INFO(code == expected, "error %d: close code %u", error, code);
        CHECK(wl_error_text((wl_error)error) != NULL && strlen(wl_error_text((wl_error)error)) > 5);
        for (int other = 0; other < error; other++)
            CHECK(strcmp(wl_error_text((wl_error)error), wl_error_text((wl_error)other)) != 0);
    }
}

int main(void)
{
    check_start("test_reader");
    test_error_table();
    for (int role = 0; role < 4; role++) {
        is_client = (role & 1) != 0;
        strict = (role & 2) != 0;
        test_nothing();
        test_plain_frames();
        test_reserved_bits();
        test_opcodes();
        test_control_frames();
        test_mask();
        test_continuation();
        test_interleaved();
        test_fragments_in_order();
        test_lengths_not_minimal();
        test_lengths_with_sign();
        test_max_frame_size();
        test_huge_and_allowed();
        test_frame_size_field();
    }
    return check_done();
}
