/*
 * test_reader_payload.c - what the receive side demands of payloads: text (RFC 6455 sections 5.6 and 8.1), CLOSE
 * (5.5.1 and 7.4), nothing behind a CLOSE, payloads of extensions; and random streams, right and damaged, in every cut.
 *
 * Headers and order are test_reader.c; which bytes are UTF-8 is test_utf8.c.
 */
#include "reader_script.h"

#define FIN WL_BIT_FIN

static bool is_client;
static bool strict;

static void start(const char *name)
{
    script_start(name, is_client, strict);
}

/* ------------------------------------------------------------------ text */

/* Texts that go wrong at byte `bad` (counted from 0); bad == size: they end in the middle of a character. */
static const struct {
    const char *bytes;
    size_t size;
    size_t bad;
} broken_texts[] = {
    {"\xFF", 1, 0},
    {"a\x80z", 3, 1},
    {"abcdefghijklmnopqrstuvwxyz\xC0\x80", 28, 26}, /* overlong */
    {"ab\xC3(", 4, 3},
    {"\xE0\x9F\xBF", 3, 1},             /* overlong: known at its second byte */
    {"\xED\xA0\x80", 3, 1},             /* a surrogate */
    {"\xE2\x82(", 3, 2},
    {"\xF0\x8F\xBF\xBF", 4, 1},         /* overlong */
    {"\xF4\x90\x80\x80", 4, 1},         /* above U+10FFFF */
    {"\xF0\x9F\x98z", 4, 3},
    {"\xF5\x80\x80\x80", 4, 0},
    {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\xFE", 10, 9},
    {"\xC3", 1, 1},
    {"ok \xE2\x82", 5, 5},
    {"ok \xF0\x9F\x98", 6, 6},
};
#define BROKEN_TEXTS (sizeof broken_texts / sizeof *broken_texts)

/* A masked frame goes in up to the given payload byte at most; returns where that is in the stream. */
static size_t lost_up_to(uint8_t first, const char *payload, size_t size, size_t byte)
{
    script_frame_lost(first, payload, size);
    return script.wire.size - size + byte;
}

static void test_text_in_one_frame(void)
{
    for (size_t i = 0; i < BROKEN_TEXTS; i++) {
        const char *const bytes = broken_texts[i].bytes;
        const size_t size = broken_texts[i].size;
        const size_t bad = broken_texts[i].bad;
        start("text in one frame");
        script_text(FIN | WL_OP_TEXT, "fine");
        if (strict) {
            /* One byte too few: the frame is complete with it. */
            script.error_at = lost_up_to(FIN | WL_OP_TEXT, bytes, size, bad < size ? bad + 1 : size);
            script.error = WL_E_UTF8;
            script_frame_lost(FIN | WL_OP_TEXT, "never", 5);
        } else {
            script_frame(FIN | WL_OP_TEXT, bytes, size);
        }
        play();

        start("binary and control frames are not text");
        script_frame(FIN | WL_OP_BINARY, bytes, size);
        script_frame(FIN | WL_OP_PING, bytes, size);
        script_frame(WL_OP_BINARY, bytes, size);
        script_frame(FIN | WL_OP_PONG, bytes, size);
        script_frame(FIN | WL_OP_CONTINUATION, bytes, size);
        script_text(FIN | WL_OP_TEXT, "fine");
        play();
    }
}

/* The text cut into two fragments at each place, with a PING between them whose payload is not text either. */
static void test_text_over_fragments(void)
{
    for (size_t i = 0; i < BROKEN_TEXTS; i++) {
        const char *const bytes = broken_texts[i].bytes;
        const size_t size = broken_texts[i].size;
        const size_t bad = broken_texts[i].bad;
        for (size_t cut = 0; cut <= size; cut++) {
            start("text over fragments");
            if (strict && bad < cut) {
                script.error_at = lost_up_to(WL_OP_TEXT, bytes, cut, bad + 1);
                script.error = WL_E_UTF8;
                script_frame_lost(FIN | WL_OP_PING, "\xFF", 1);
                script_frame_lost(FIN | WL_OP_CONTINUATION, bytes + cut, size - cut);
            } else if (strict) {
                script_frame(WL_OP_TEXT, bytes, cut);
                script_frame(FIN | WL_OP_PING, "\xFF", 1);
                script_frame(WL_OP_CONTINUATION, "", 0);
                const size_t rest = size - cut;
                const size_t byte = bad < size ? bad - cut + 1 : rest;
                script.error_at = lost_up_to(FIN | WL_OP_CONTINUATION, bytes + cut, rest, byte);
                script.error = WL_E_UTF8;
            } else {
                script_frame(WL_OP_TEXT, bytes, cut);
                script_frame(FIN | WL_OP_PING, "\xFF", 1);
                script_frame(WL_OP_CONTINUATION, "", 0);
                script_frame(FIN | WL_OP_CONTINUATION, bytes + cut, size - cut);
            }
            play();
        }
    }
}

/* Good text may be cut anywhere, and the next message begins afresh. */
static void test_good_text(void)
{
    static const char good[] = "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80 \xED\x9F\xBF\xF4\x8F\xBF\xBF and a run of ASCII";
    const size_t size = sizeof good - 1;
    for (size_t cut = 0; cut <= size; cut++) {
        start("good text over fragments");
        script_frame(WL_OP_TEXT, good, cut);
        script_frame(FIN | WL_OP_PONG, "\x80", 1);
        script_frame(FIN | WL_OP_CONTINUATION, good + cut, size - cut);
        script_frame(FIN | WL_OP_TEXT, good, size);
        play();
    }
}

/* ------------------------------------------------------------------ CLOSE */

/* Sections 7.4.1 and 7.4.2 and the IANA registry, as a list. */
static bool may_be_sent(unsigned code)
{
    switch (code) {
    case 1000: case 1001: case 1002: case 1003: case 1007: case 1008: case 1009:
    case 1010: case 1011: case 1012: case 1013: case 1014:
        return true;
    default:
        return code >= 3000 && code < 5000;
    }
}

static void test_close_codes(void)
{
    for (unsigned code = 0; code < 65536; code++) {
        const uint8_t body[2] = {(uint8_t)(code >> 8), (uint8_t)code};
        CHECK_INFO(wl_close_code_valid(code) == may_be_sent(code), "code %u", code);
        start("close code");
        if (strict && !may_be_sent(code)) {
            script_frame_lost(FIN | WL_OP_CLOSE, body, 2);
            script_fails(WL_E_CLOSE_CODE);
        } else {
            script_frame(FIN | WL_OP_CLOSE, body, 2);
        }
        script_play_way(WHOLE, 0);
        CHECK(script_play_way(BYTES, 0) == script.error_at);
    }
    CHECK(!wl_close_code_valid(65536) && !wl_close_code_valid(65536 + 1000) && !wl_close_code_valid(~0U));
}

static void test_close_bodies(void)
{
    char longest[125] = {0x03, (char)0xE8};
    memset(longest + 2, 'r', sizeof longest - 2);
    start("empty CLOSE");
    script_frame(FIN | WL_OP_CLOSE, "", 0);
    play();
    start("longest CLOSE");
    script_frame(FIN | WL_OP_CLOSE, longest, sizeof longest);
    play();
    for (unsigned byte = 0; byte < 256; byte++) {
        const uint8_t body = (uint8_t)byte;
        start("CLOSE of one byte");
        if (strict) {
            script_frame_lost(FIN | WL_OP_CLOSE, &body, 1);
            script_fails(WL_E_CLOSE_SIZE);
        } else {
            script_frame(FIN | WL_OP_CLOSE, &body, 1);
        }
        play();
    }
    for (size_t i = 0; i < BROKEN_TEXTS; i++) {
        char body[64] = {0x03, (char)0xE8};
        memcpy(body + 2, broken_texts[i].bytes, broken_texts[i].size);
        start("CLOSE reason");
        if (strict) {
            script_frame_lost(FIN | WL_OP_CLOSE, body, 2 + broken_texts[i].size);
            script_fails(WL_E_CLOSE_UTF8);
        } else {
            script_frame(FIN | WL_OP_CLOSE, body, 2 + broken_texts[i].size);
        }
        play();
    }
    start("good CLOSE reason, inside a text that is half a character");
    script_frame(WL_OP_TEXT, "\xE2\x82", 2);
    script_frame(FIN | WL_OP_CLOSE, "\x0F\xA0\xC3\xA4", 4);
    play();
}

/* Section 5.5.1: what stands behind a CLOSE is nobody's business, be it right or wrong. */
static void test_after_close(void)
{
    static const uint8_t junk[] = {0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x7F, 0x81};
    start("behind a CLOSE");
    script_text(FIN | WL_OP_TEXT, "before");
    script_frame(FIN | WL_OP_CLOSE, "\x03\xE8", 2);
    if (strict) {
        script_frame_lost(FIN | WL_OP_TEXT, "behind", 6);
        script_frame_lost(FIN | WL_OP_CLOSE, "", 0);
        script_put(&script.wire, junk, sizeof junk);
    } else {
        script_text(FIN | WL_OP_TEXT, "behind");
        script_text(FIN | WL_OP_CLOSE, "");
        script_put(&script.wire, junk, 1);
        script_fails(WL_E_OPCODE);
        script_put(&script.wire, junk + 1, sizeof junk - 1);
    }
    play();
}

/* ------------------------------------------------------------------ extensions */

/* The owner of RSV1 changes payloads: such a message is not text yet. The owner of RSV2 does not. */
static void test_transformed(void)
{
    static const char packed[] = "\xFF\xFE not text";
    const size_t size = sizeof packed - 1;
    start("transformed");
    script.allowed_rsv = WL_BIT_RSV1 | WL_BIT_RSV2;
    script.transformed = WL_BIT_RSV1;
    script_frame(FIN | WL_BIT_RSV1 | WL_OP_TEXT, packed, size);
    script_frame(WL_BIT_RSV1 | WL_BIT_RSV2 | WL_OP_TEXT, packed, size);
    script_frame(FIN | WL_OP_PING, packed, size);
    script_frame(WL_OP_CONTINUATION, packed, size);
    script_frame(FIN | WL_OP_CONTINUATION, packed, size);
    script_text(FIN | WL_BIT_RSV2 | WL_OP_TEXT, "text");
    for (int kind = 0; kind < 2; kind++) {
        /* Without its bit a message is text as ever, also right behind one with it. */
        const uint8_t first = (uint8_t)(FIN | WL_OP_TEXT | (kind ? WL_BIT_RSV2 : 0));
        if (strict && kind == 0) {
            script.error_at = lost_up_to(first, packed, size, 1);
            script.error = WL_E_UTF8;
            break;
        }
        script_frame(first, packed, size);
    }
    play();

    start("an owner that does not change payloads");
    script.allowed_rsv = WL_BIT_RSV2;
    script_text(FIN | WL_BIT_RSV2 | WL_OP_TEXT, "text");
    script_text(WL_BIT_RSV2 | WL_OP_TEXT, "text");
    if (strict) {
        script.error_at = lost_up_to(FIN | WL_OP_CONTINUATION, packed, size, 1);
        script.error = WL_E_UTF8;
    } else {
        script_frame(FIN | WL_OP_CONTINUATION, packed, size);
    }
    play();
}

/* ------------------------------------------------------------------ random streams */

static uint8_t random_payload[70000];

/* Characters of all four lengths; returns how many bytes, at most `limit`. */
static size_t random_text(size_t limit)
{
    static const char *const characters[] = {
        "a", "z", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "0123456789abcdef",
    };
    size_t size = 0;
    for (;;) {
        const char *const next = characters[check_rand_below(6)];
        if (size + strlen(next) > limit)
            return size;
        memcpy(random_payload + size, next, strlen(next));
        size += strlen(next);
    }
}

static size_t random_size(void)
{
    static const size_t edges[] = {0, 1, 124, 125, 126, 127, 128, 65535, 65536, 65537};
    switch (check_rand_below(12)) {
    case 0:
        return edges[check_rand_below(7)];
    case 1:
        return check_rand_below(20) == 0 ? edges[check_rand_below(10)] : check_rand_below(600);
    default:
        return check_rand_below(60);
    }
}

static void random_control(void)
{
    uint8_t payload[125];
    check_rand_fill(payload, sizeof payload);
    script_frame((uint8_t)(FIN | (check_rand_below(2) ? WL_OP_PING : WL_OP_PONG)), payload, check_rand_below(126));
}

static void random_message(void)
{
    const bool text = check_rand_below(2) != 0;
    size_t size = random_size();
    if (text)
        size = random_text(size);
    else
        check_rand_fill(random_payload, size);
    uint8_t opcode = text ? WL_OP_TEXT : WL_OP_BINARY;
    size_t at = 0;
    for (size_t fragments = check_rand_below(4); fragments > 0; fragments--) {
        const size_t piece = check_rand_below(size - at + 1);
        script_frame(opcode, random_payload + at, piece);
        at += piece;
        opcode = WL_OP_CONTINUATION;
        while (check_rand_below(3) == 0)
            random_control();
    }
    script_frame((uint8_t)(FIN | opcode), random_payload + at, size - at);
}

static void random_stream(void)
{
    start("random stream");
    for (size_t left = 1 + check_rand_below(8); left > 0; left--) {
        random_message();
        if (check_rand_below(3) == 0)
            random_control();
    }
    if (check_rand_below(4) == 0)
        script_frame(FIN | WL_OP_CLOSE, "\x03\xE8 bye", check_rand_below(2) ? 6 : 0);
}

static void test_random_streams(void)
{
    for (int round = 0; round < 1500; round++) {
        random_stream();
        script_play_way(WHOLE, 0);
        script_play_way(RANDOM, 1 + check_rand_below(script.wire.size));
        script_play_way(RANDOM, 1 + check_rand_below(40));
    }
}

/* What a damaged stream should give nobody has written down, but it must not depend on how the bytes come. */
static void test_damaged_streams(void)
{
    unsigned failed[WL_E_COUNT] = {0};
    for (int round = 0; round < 6000; round++) {
        random_stream();
        if (script.wire.size > 5000)
            continue;
        script.name = "damaged stream";
        for (size_t damages = 1 + check_rand_below(3); damages > 0; damages--)
            script.wire.data[check_rand_below(script.wire.size)] ^= (uint8_t)(1U << check_rand_below(8));
        if (check_rand_below(4) == 0)
            script.allowed_rsv = script.transformed = WL_BIT_RSV1;
        wl_error error;
        script_run(WHOLE, 0, &error);
        script.error = error;
        failed[error]++;
        script.expected = script_got;
        script_play_way(BYTES, 0);
        script_play_way(CUT, 1 + check_rand_below(script.wire.size));
        script_play_way(RANDOM, 1 + check_rand_below(script.wire.size));
        script_play_way(RANDOM, 1 + check_rand_below(20));
    }
    /* The damage must have been of all kinds, or this shows little. */
    for (int error = 0; strict && error < WL_E_CLOSE_SIZE; error++) {
        const bool other_role = error == (is_client ? WL_E_NOT_MASKED : WL_E_MASKED);
        const bool rare = error == WL_E_LENGTH_SIGN || error == WL_E_LENGTH_NOT_MINIMAL || error == WL_E_TOO_BIG ||
                          error == WL_E_CONTROL_TOO_LONG;
        CHECK_INFO(failed[error] > 0 || other_role || rare, "no stream failed by error %d", error);
    }
}

int main(void)
{
    check_start("test_reader_payload");
    for (int role = 0; role < 4; role++) {
        is_client = (role & 1) != 0;
        strict = (role & 2) != 0;
        test_text_in_one_frame();
        test_text_over_fragments();
        test_good_text();
        test_close_codes();
        test_close_bodies();
        test_after_close();
        test_transformed();
        test_random_streams();
        test_damaged_streams();
    }
    return check_done();
}
