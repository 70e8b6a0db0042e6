/* What a stretch of work cost: wall time, CPU time of this process and of a
 * watched one, and under callgrind (-DWITH_CALLGRIND) the instructions of it. */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdint.h>
#include <sys/types.h>

struct meter {
    pid_t watched;    /* 0: nobody */
    int64_t wall, cpu, user, sys, watched_cpu;
};

void meter_start(struct meter *m);
void meter_stop(struct meter *m);       /* the fields are nanoseconds from here on */
void meter_print(const struct meter *m); /* one "ok ..." line on standard output */

#endif
