/* Many connections of the driver to one server, all alike: a crowd. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "meter.h"

#include <stddef.h>

/* Each returns 0, or -1 after fail(). */
int crowd_open(int port, int count, const char *path);
int crowd_echo(size_t size); /* one message on each, one after the other */

/* COUNT messages there and back on each, all at the same time. */
int crowd_run(long count, size_t size, struct meter *meter);

/* COUNT times: ask the server, in a text message, to send `messages` of `size` bytes to all of the crowd, in its way of
 * that name, and wait until they have come. */
int crowd_broadcast(long count, long messages, size_t size, const char *way, struct meter *meter);

/* For so many milliseconds, answer each PING on them: "ok pongs=N". */
int crowd_pong(int ms);

void crowd_close(void);

#endif
