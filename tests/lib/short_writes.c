/* Preloaded: send(2) and sendmsg(2) take less than they are given, often a few bytes, now and then nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

static unsigned state = 1;

static size_t most(void)
{
    state = state * 1103515245u + 12345u;
    unsigned draw = state >> 16;
    if (draw % 8 == 0)
        return 0;
    return draw % 2 ? 1 + draw / 8 % 20 : 1 + draw * 64u % 300000u;
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    static ssize_t (*real)(int, const void *, size_t, int);
    size_t limit = most();
    if (!real)
        real = (ssize_t(*)(int, const void *, size_t, int))dlsym(RTLD_NEXT, "send");
    if (!limit) {
        errno = EAGAIN;
        return -1;
    }
    return real(fd, data, size < limit ? size : limit, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static ssize_t (*real)(int, const struct msghdr *, int);
    struct iovec parts[64];
    struct msghdr less = *message;
    size_t limit = most();
    size_t count = 0;
    if (!real)
        real = (ssize_t(*)(int, const struct msghdr *, int))dlsym(RTLD_NEXT, "sendmsg");
    if (!limit) {
        errno = EAGAIN;
        return -1;
    }
    for (; count < 64 && count < (size_t)message->msg_iovlen && limit; count++) {
        parts[count] = message->msg_iov[count];
        if (parts[count].iov_len > limit)
            parts[count].iov_len = limit;
        limit -= parts[count].iov_len;
    }
    less.msg_iov = parts;
    less.msg_iovlen = count;
    return real(fd, &less, flags);
}
