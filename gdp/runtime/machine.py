"""What differs between machines: cores, memory limits, and what only Linux or glibc offers."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import sys
from pathlib import Path

KIB_IN_MIB, MIB = 1024, 2**20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
NO_LIMIT_BYTES = 2**60  # what version 1 of cgroups shows where there is none is a little less than 2**63


# --- cores ------------------------------------------------------------------------------------------------------------


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- memory -----------------------------------------------------------------------------------------------------------


def own_peak_memory_mb() -> float:
    """Return the most memory that this program has had, in MiB.

    Linux's getrusage counts the memory of the program that started it, too; /proc, where there is one, does not.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) / KIB_IN_MIB
    except (OSError, ValueError, IndexError):
        return peak_memory_mb(resource.getrusage(resource.RUSAGE_SELF))


def peak_memory_mb(usage: resource.struct_rusage) -> float:
    """Return the peak memory in a usage, in MiB: macOS counts bytes, others KiB."""
    return usage.ru_maxrss / (MIB if sys.platform == "darwin" else KIB_IN_MIB)


# as the loader of shared libraries, threading and libraries that wrap an error say it
_NO_MEMORY = ("failed to map segment", "annot allocate memory", "can't start new thread")


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether the system refused memory: an error says so itself, or by what caused it."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if any(words in str(error) for words in _NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def memory_problem() -> str:
    """Return what to say where the system refused memory: which limit there is, and how to raise it."""
    limits = {
        "`ulimit -v`": resource.getrlimit(resource.RLIMIT_AS)[0],
        "`ulimit -d`": resource.getrlimit(resource.RLIMIT_DATA)[0],
        "the cgroup": _cgroup_limit_bytes(),
    }
    known = {name: limit for name, limit in limits.items() if limit not in (None, resource.RLIM_INFINITY)}
    if not known:
        return "not enough memory; end other programs, or use --workers 1, then run again"
    name, limit = min(known.items(), key=lambda item: item[1] or 0)
    return (
        f"not enough memory: {name} allows {(limit or 0) / MIB:,.0f} MiB; raise it, or use --workers 1, then run again"
    )


def _cgroup_limit_bytes() -> int | None:
    for path in CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            limit = int(Path(path).read_text(encoding="ascii"))
            return limit if limit < NO_LIMIT_BYTES else None
    return None


def keep_memory(free_bytes: int) -> None:
    """Let this process keep so much memory when it is free: returning it and requesting it again takes time."""
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # another C library than glibc
        libc = ctypes.CDLL(None)
        for threshold in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            libc.mallopt(threshold, free_bytes)
