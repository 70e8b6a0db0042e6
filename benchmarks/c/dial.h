/* Client connections of the driver: sockets, upgrades, one message there and back; and how a failure is told. */
#ifndef BENCH_DIAL_H
#define BENCH_DIAL_H

#include "stream.h"

#include <stdint.h>

enum { IN = 72 << 20, PATIENCE_MS = 20000 };

extern uint8_t in[IN];        /* whatever is being received; a frame of 64 MiB fits */
extern const char *failure;   /* why the last command failed */

int fail(const char *why);    /* -1 */

/* A connection from 127.0.0.1, 127.0.0.2, ... (`source` 0, 1, ...), since each has ports for some 28,000 only. */
int open_websocket(struct stream *s, int port, int source, const char *path);

/* One message there and back, compared byte by byte; waits, but not for ever. */
int check(struct stream *s, size_t size);

#endif
