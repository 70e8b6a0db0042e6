/*
 * test_entropy.c - the pool of mask keys: filled, used up, wiped, and never the same on both sides of a fork.
 *
 * Owns: also the operating system's bad days. On Linux this program brings its own syscall(), which takes the C
 * library's place for the whole program, so getrandom(2) can be made to stop half way, be interrupted, be missing or
 * fail, without a line for tests in entropy.c. Must not judge how random the bytes are, only that they are fresh.
 */
#include "check.h"
#include "entropy.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#if defined(__linux__)
#  include <sys/random.h>
#  include <sys/resource.h>
#  include <sys/syscall.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

static int fake_errno;   /* what getrandom fails with; 0: it works */
static int fake_times;   /* how often it fails; -1: always */
static size_t fake_most; /* how many bytes it gives at most; 0: all */
static unsigned long long calls;

#if defined(__linux__)
long syscall(long number, ...)
{
    if (number != SYS_getrandom) {
        errno = ENOSYS;
        return -1;
    }
    va_list args;
    va_start(args, number);
    void *const to = va_arg(args, void *);
    size_t size = va_arg(args, size_t);
    va_end(args);
    calls++;
    if (fake_errno != 0 && fake_times != 0) {
        fake_times -= fake_times > 0;
        errno = fake_errno;
        return -1;
    }
    if (fake_most != 0 && size > fake_most) {
        size = fake_most;
    }
    return (long)getrandom(to, size, 0);
}
#endif

static bool is_zero(const uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i] != 0) {
            return false;
        }
    }
    return true;
}

/* A full pool in which every stretch was written. Eight zero words in a row would be chance of 2^-256. */
static bool looks_full(const wl_entropy *e)
{
    for (size_t i = 0; i < WL_ENTROPY_WORDS; i += 8) {
        if (is_zero(e->words + i, 8)) {
            return false;
        }
    }
    return e->left == WL_ENTROPY_WORDS;
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_fresh_and_wiped(void)
{
    enum { PAIRS = 8192 };
    static uint64_t pairs[PAIRS];
    wl_entropy e = {0};
    for (size_t i = 0; i < 2 * PAIRS; i++) {
        const uint32_t left_before = e.left;
        uint32_t key = 0;
        CHECK(wl_entropy_next(&e, &key));
        CHECK(e.left == (left_before == 0 ? WL_ENTROPY_WORDS : left_before) - 1);
        CHECK(is_zero(e.words + e.left, WL_ENTROPY_WORDS - e.left));
        pairs[i / 2] = pairs[i / 2] << 32 | key;
    }
    /* Two keys make 64 bits: that two of these are equal has a chance of 2^-39. */
    qsort(pairs, PAIRS, sizeof pairs[0], compare);
    for (size_t i = 1; i < PAIRS; i++) {
        CHECK(pairs[i] != pairs[i - 1]);
    }
}

static void test_pools_differ(void)
{
    wl_entropy a = {0};
    wl_entropy b = {0};
    CHECK(wl_entropy_refill(&a) && looks_full(&a));
    CHECK(wl_entropy_refill(&b) && looks_full(&b));
    CHECK(memcmp(a.words, b.words, sizeof a.words) != 0);
    const wl_entropy before = a;
    CHECK(wl_entropy_refill(&a) && looks_full(&a));
    CHECK(memcmp(a.words, before.words, sizeof a.words) != 0);
}

static void take(wl_entropy *e, uint32_t keys[8])
{
    for (int i = 0; i < 8; i++) {
        keys[i] = 0;
        CHECK(wl_entropy_next(e, &keys[i]));
    }
}

/* The child, or its child, takes keys and sends them home; the parent then takes its own from the same pool. */
static void test_fork(int depth)
{
    wl_entropy e = {0};
    uint32_t key;
    CHECK(wl_entropy_next(&e, &key));
    const uint32_t left = e.left;
    uint32_t theirs[8] = {0};
    uint32_t ours[8];
    int ends[2];
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 1; i < depth; i++) {
            const pid_t grandchild = fork();
            if (grandchild != 0) {
                waitpid(grandchild, NULL, 0);
                _exit(0);
            }
        }
        take(&e, theirs);
        CHECK(e.left == WL_ENTROPY_WORDS - 8); /* drawn anew once, not for every key */
        const bool ok = check_failures == 0 && write(ends[1], theirs, sizeof theirs) == (ssize_t)sizeof theirs;
        fflush(stdout);
        _exit(ok ? 0 : 1);
    }
    CHECK(child > 0);
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(ends[1]);
    CHECK(read(ends[0], theirs, sizeof theirs) == (ssize_t)sizeof theirs);
    close(ends[0]);
    take(&e, ours);
    /* The parent's pool goes on as if nothing had been. */
    CHECK(e.left == left - 8);
    CHECK(memcmp(ours, theirs, sizeof ours) != 0);
    for (int i = 0; i < 8; i++) {
        CHECK(ours[i] != theirs[i]);
    }
}

#if defined(__linux__)
static void fake(int error, int times, size_t most)
{
    fake_errno = error;
    fake_times = times;
    fake_most = most;
    calls = 0;
}

static void test_bad_days(void)
{
    wl_entropy e = {0};
    fake(EINTR, 3, 0);
    CHECK(wl_entropy_refill(&e) && looks_full(&e) && calls == 4);

    memset(&e, 0, sizeof e);
    fake(0, 0, 100);
    CHECK(wl_entropy_refill(&e) && looks_full(&e) && calls == 11);

    /* No such system call, or a sandbox that forbids it: the device instead. */
    static const int missing[] = {ENOSYS, EPERM};
    for (size_t i = 0; i < 2; i++) {
        memset(&e, 0, sizeof e);
        fake(missing[i], -1, 0);
        CHECK(wl_entropy_refill(&e) && looks_full(&e) && calls == 1);
    }

    /* A refusal: no key, errno kept, nothing left of the old pool, and the next call tries again. */
    fake(EIO, -1, 0);
    uint32_t key = 7;
    e.left = 0;
    errno = 0;
    CHECK(!wl_entropy_next(&e, &key) && errno == EIO && key == 7);
    CHECK(e.left == 0 && is_zero(e.words, WL_ENTROPY_WORDS));
    fake(0, 0, 0);
    CHECK(wl_entropy_next(&e, &key) && e.left == WL_ENTROPY_WORDS - 1);

    /* A pool with words left must not go on with the wiped ones. */
    fake(EIO, -1, 0);
    CHECK(!wl_entropy_refill(&e) && e.left == 0 && !wl_entropy_next(&e, &key));
    fake(0, 0, 0);
    CHECK(wl_entropy_refill(&e) && looks_full(&e));

    /* Neither: no descriptor may be opened. */
    struct rlimit old;
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    const struct rlimit none = {0, old.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    fake(ENOSYS, -1, 0);
    key = 7;
    e.left = 0;
    errno = 0;
    CHECK(!wl_entropy_next(&e, &key) && errno == EMFILE && key == 7);
    CHECK(e.left == 0 && is_zero(e.words, WL_ENTROPY_WORDS));
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    fake(0, 0, 0);

    /* The device is closed every time. */
    const int first = dup(0);
    CHECK(first >= 0);
    close(first);
    fake(ENOSYS, -1, 0);
    CHECK(wl_entropy_refill(&e));
    const int second = dup(0);
    CHECK(second == first);
    close(second);
    fake(0, 0, 0);
}
#endif

int main(void)
{
    check_start("test_entropy");
    test_fresh_and_wiped();
    test_pools_differ();
    test_fork(1);
    test_fork(2);
    test_fork(3);
#if defined(__linux__)
    CHECK(calls > 0); /* or the syscall() above is not the one in use */
    test_bad_days();
#endif
    return check_done();
}
