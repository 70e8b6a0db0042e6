/* Lets a Python process tell callgrind where the counted stretch begins and ends. Outside of it nothing is recorded,
 * which makes the start of an interpreter several times faster. */
#include <valgrind/callgrind.h>

void bench_zero(void);
void bench_dump(void);

void bench_zero(void)
{
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}

void bench_dump(void)
{
    CALLGRIND_DUMP_STATS;
    CALLGRIND_STOP_INSTRUMENTATION;
}
