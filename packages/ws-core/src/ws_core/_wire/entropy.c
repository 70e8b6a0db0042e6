/*
 * entropy.c - filling a pool of mask keys, on every system, and noticing forks.
 *
 * Owns: the one place where random bytes enter the library. Must not know what they are for; see entropy.h.
 *
 * Linux: getrandom(2), called by number because the C library may be older than the kernel. Where the kernel lacks it
 * or a sandbox forbids it, /dev/urandom. macOS and the BSDs: arc4random_buf(3), which cannot fail. Windows:
 * BCryptGenRandom (link with bcrypt). Elsewhere /dev/urandom. Never rand(), never the clock.
 *
 * Needs -pthread on C libraries that keep pthread_atfork apart (glibc before 2.34).
 */
#ifndef _GNU_SOURCE
#  define _GNU_SOURCE 1 /* syscall(2), O_CLOEXEC */
#endif
#include "entropy.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#if defined(_WIN32)
#  include <windows.h>
/* after windows.h */
#  include <bcrypt.h>
#  ifdef _MSC_VER
#    pragma comment(lib, "bcrypt")
#  endif
#else
#  include <fcntl.h>
#  include <pthread.h>
#  include <stdlib.h>
#  include <sys/stat.h>
#  include <unistd.h>
#  ifdef __linux__
#    include <sys/syscall.h>
#  endif
#endif

#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__) || defined(__DragonFly__)
#  define HAVE_ARC4RANDOM 1
#endif

uint32_t wl_entropy_generation;

#if defined(_WIN32)

static bool random_bytes(void *to, size_t size)
{
    if (BCryptGenRandom(NULL, to, (ULONG)size, BCRYPT_USE_SYSTEM_PREFERRED_RNG) < 0) {
        errno = EIO;
        return false;
    }
    return true;
}

/* No fork there. */
static bool watch_forks(void)
{
    return true;
}

#else

#ifndef HAVE_ARC4RANDOM

static bool read_device(void *to, size_t size)
{
    int fd;
    do {
        fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return false;
    }
    /* In a chroot anybody may have left a plain file of that name. */
    struct stat info;
    int error = 0;
    if (fstat(fd, &info) != 0) {
        error = errno;
    } else if (!S_ISCHR(info.st_mode)) {
        error = ENODEV;
    }
    uint8_t *p = to;
    while (error == 0 && size > 0) {
        const ssize_t got = read(fd, p, size);
        if (got > 0) {
            p += got;
            size -= (size_t)got;
        } else if (got == 0) {
            error = EIO;
        } else if (errno != EINTR) {
            error = errno;
        }
    }
    close(fd);
    errno = error;
    return error == 0;
}

#endif

static bool random_bytes(void *to, size_t size)
{
#if defined(HAVE_ARC4RANDOM)
    arc4random_buf(to, size);
    return true;
#elif defined(__linux__) && defined(SYS_getrandom)
    uint8_t *p = to;
    while (size > 0) {
        /* More than 256 bytes may come in part when a signal arrives: getrandom(2), "Interruption by a signal". */
        const long got = syscall(SYS_getrandom, p, size, 0u);
        if (got > 0) {
            p += got;
            size -= (size_t)got;
        } else if (got == 0 || errno == ENOSYS || errno == EPERM) {
            /* A kernel before 3.17; or a seccomp filter that answers like one. */
            return read_device(p, size);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
#else
    return read_device(to, size);
#endif
}

static pthread_once_t watch_once = PTHREAD_ONCE_INIT;
static int watch_error;

static void in_child(void)
{
    wl_entropy_generation++;
}

static void watch_forks_once(void)
{
    watch_error = pthread_atfork(NULL, NULL, in_child);
}

static bool watch_forks(void)
{
    const int error = pthread_once(&watch_once, watch_forks_once);
    if (error != 0 || watch_error != 0) {
        errno = error != 0 ? error : watch_error;
        return false;
    }
    return true;
}

#endif

bool wl_entropy_refill(wl_entropy *e)
{
    e->left = 0;
    /* Before the first words are drawn: a fork right after must be seen. */
    if (!watch_forks()) {
        return false;
    }
    const uint32_t generation = wl_entropy_generation;
    if (!random_bytes(e->words, sizeof e->words)) {
        const int error = errno;
        memset(e->words, 0, sizeof e->words);
        errno = error;
        return false;
    }
    e->generation = generation;
    e->left = WL_ENTROPY_WORDS;
    return true;
}
