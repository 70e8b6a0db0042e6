"""The clocks around a measured stretch of a Python process; under callgrind also where its counting starts and ends."""

from __future__ import annotations

import ctypes
import os
import resource
import time


class Meter:
    """start(), work, stop(): one answer line in nanoseconds. `watched`: another process whose CPU time is told, too."""

    def __init__(self) -> None:
        # Set by `instructions`: c/callgrind_marks.c, which speaks to valgrind.
        path = os.environ.get("BENCH_CALLGRIND_MARKS")
        self._marks = ctypes.CDLL(path) if path else None

    def start(self, watched: int = 0) -> None:
        if self._marks is not None:
            self._marks.bench_zero()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._user, self._sys = usage.ru_utime, usage.ru_stime
        self._clock = ~watched << 3 | 2 if watched else time.CLOCK_PROCESS_CPUTIME_ID  # clock_getcpuclockid(3)
        self._watched = time.clock_gettime_ns(self._clock)
        self._cpu, self._wall = time.process_time_ns(), time.perf_counter_ns()

    def stop(self) -> str:
        wall, cpu = time.perf_counter_ns() - self._wall, time.process_time_ns() - self._cpu
        usage, watched = resource.getrusage(resource.RUSAGE_SELF), time.clock_gettime_ns(self._clock) - self._watched
        if self._marks is not None:
            self._marks.bench_dump()
        user, system = usage.ru_utime - self._user, usage.ru_stime - self._sys
        return f"ok wall={wall} cpu={cpu} user={int(user * 1e9)} sys={int(system * 1e9)} watched={watched}"
