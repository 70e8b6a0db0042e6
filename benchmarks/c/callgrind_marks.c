/* Lets a Python process tell callgrind where the counted stretch begins and ends. */
#include <valgrind/callgrind.h>

void bench_zero(void);
void bench_dump(void);

void bench_zero(void)
{
    CALLGRIND_ZERO_STATS;
}

void bench_dump(void)
{
    CALLGRIND_DUMP_STATS;
}
