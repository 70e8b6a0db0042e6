/* Clocks around a stretch of work; see meter.h. */
#define _GNU_SOURCE
#include "meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#ifdef WITH_CALLGRIND
#include <valgrind/callgrind.h>
#endif

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t = {0, 0};
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t time_ns(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_usec * 1000;
}

static void read_clocks(struct meter *m, int64_t sign)
{
    struct rusage usage;
    clockid_t watched;
    if (m->watched && clock_getcpuclockid(m->watched, &watched) == 0)
        m->watched_cpu += sign * clock_ns(watched);
    getrusage(RUSAGE_SELF, &usage);
    m->user += sign * time_ns(usage.ru_utime);
    m->sys += sign * time_ns(usage.ru_stime);
    m->cpu += sign * clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    m->wall += sign * clock_ns(CLOCK_MONOTONIC);
}

void meter_start(struct meter *m)
{
    m->wall = m->cpu = m->user = m->sys = m->watched_cpu = 0;
    read_clocks(m, -1);
#ifdef WITH_CALLGRIND
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
#endif
}

void meter_stop(struct meter *m)
{
#ifdef WITH_CALLGRIND
    CALLGRIND_DUMP_STATS;
    CALLGRIND_STOP_INSTRUMENTATION;
#endif
    read_clocks(m, 1);
}

void meter_print(const struct meter *m)
{
    printf("ok wall=%" PRId64 " cpu=%" PRId64 " user=%" PRId64 " sys=%" PRId64 " watched=%" PRId64 "\n", m->wall,
           m->cpu, m->user, m->sys, m->watched_cpu);
}
