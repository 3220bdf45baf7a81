"""A stage's process under supervision: started ahead, given its turn, sampled, ended when it hangs, accounted for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from typing import Any, NamedTuple, Protocol

from gdp.runtime.machine import peak_memory_mb
from gdp.runtime.run_log import Usage, run_log
from gdp.runtime.script import DESCRIPTORS_VARIABLE
from utils import PROJECT, Exit, StageError, home

FIRST_SAMPLE_S = 1.0  # a run of one page is shorter; sampling must not cost it anything
GRACE_S = 5.0  # between SIGTERM and SIGKILL
LOW_DISK_MB = 200  # a year of pages takes 20 MB, the database as much; SQLite wants room for a copy
LOW_MEMORY_MB = 300  # transform with pandas takes 100 MB
MB = 1_000_000
PROGRESS = b'{"progress":'


class Process:
    """A stage's process, our ends of its pipes, and what came through the pipe of its facts.

    Whoever shows its progress reads that pipe in another thread.
    """

    def __init__(self, name: str, popen: subprocess.Popen[bytes], turn: int, facts: int) -> None:
        self.name, self.popen, self.turn = name, popen, turn
        self.facts: int | None = facts
        self.received = bytearray()
        self.lock = threading.RLock()
        self.over = threading.Event()
        self.started, self.began = datetime.now(timezone.utc), time.monotonic()

    def lines(self) -> list[bytes]:
        """Return the lines received so far: progress, and at the end the facts."""
        with self.lock, contextlib.suppress(OSError):
            if self.facts is not None:
                os.set_blocking(self.facts, False)  # a child that a killed stage left behind may hold the other end
                while more := os.read(self.facts, 65_536):
                    self.received.extend(more)
        return bytes(self.received).splitlines()

    def progress(self) -> tuple[int, int, str, float] | None:
        """Return the stage's progress: how many of how many, of what, and the seconds left."""
        with self.lock:
            lines = [line for line in self.lines() if line.startswith(PROGRESS)]
            if not lines:
                return None
            self.received[:] = lines[-1] + b"\n" + bytes(self.received).rpartition(lines[-1] + b"\n")[2]
        done, total, what, seconds_left = json.loads(lines[-1])["progress"]
        return done, total, what, seconds_left

    def close(self) -> None:
        """Close our end of the facts' pipe."""
        with self.lock:
            if self.facts is not None:
                os.close(self.facts)
            self.facts = None


class Viewer(Protocol):
    """Whoever shows what a stage's process prints."""

    def streams(self) -> dict[str, Any]:
        """Return the arguments of Popen that name the process's standard streams and its environment."""

    def follow(self, process: Process) -> None:
        """Read what a process prints."""


class Account(NamedTuple):
    """How a process ended: its exit code, the signal that ended it if one did, what it used, and its facts."""

    code: int
    signal: int | None
    usage: Usage
    facts: dict[str, Any]
    timed_out: bool


def start(name: str, arguments: list[str], lock: int, viewer: Viewer, secrets: dict[str, str]) -> Process:
    """Start a stage's process in a group of its own; it waits for its turn. Raises StageError (71) when it cannot.

    `secrets` go into its environment, as everybody may see its arguments.
    """
    handed: list[int] = []
    ours: list[int] = []
    try:
        for mine in (1, 0):  # of the first pipe we keep the end to write, of the second the end to read
            pipe = os.pipe()
            ours.append(pipe[mine])
            handed.append(pipe[1 - mine])
        streams = viewer.streams()
        environment = {
            "OPENBLAS_NUM_THREADS": "1",  # numpy's threads are of no use to 600 figures, and cost their start
            **os.environ, **streams.pop("env", {}), **secrets,
            DESCRIPTORS_VARIABLE: ",".join(map(str, [*handed, lock])),
        }  # fmt: skip
        popen = subprocess.Popen(
            [sys.executable, str(PROJECT / f"{name}.py"), *arguments],
            env=environment, pass_fds=[*handed, lock], process_group=0, **streams,
        )  # fmt: skip
    except OSError as error:
        for descriptor in ours:
            os.close(descriptor)
        problem = f"cannot start {name}.py: {error.strerror}; end other programs, or raise `ulimit -n` and `ulimit -u`"
        raise StageError(Exit.NO_RESOURCES, f"{problem}, then run again") from error
    finally:
        for descriptor in handed:
            os.close(descriptor)
    process = Process(name, popen, ours[0], ours[1])
    viewer.follow(process)
    return process


def take_turn(process: Process, timeout_s: float | None, interval_s: float) -> Account:
    """Give a stage its turn and wait for its end, sampling its resources; end its group after `timeout_s`."""
    process.started, process.began = datetime.now(timezone.utc), time.monotonic()
    timed_out = threading.Event()

    def end_at_timeout() -> None:
        if timeout_s is not None and not process.over.wait(timeout_s):
            timed_out.set()
            end_group(process, signal.SIGTERM)

    for watcher in (end_at_timeout, lambda: _sample(process, interval_s)):
        threading.Thread(target=watcher, daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # it ended before its turn, and its exit code shows why
        os.write(process.turn, b"\n")
    return _account(process, timed_out)


def stop(process: Process, number: int) -> Account:
    """End a stage at work and its group, by the signal that is to end the run; return how it ended."""
    threading.Thread(target=end_group, args=(process, number), daemon=True).start()
    return _account(process, threading.Event())


def _account(process: Process, timed_out: threading.Event) -> Account:
    """Wait for a process, and return how it ended."""
    _, status, rusage = os.wait4(process.popen.pid, 0)
    process.over.set()
    returncode = process.popen.returncode = os.waitstatus_to_exitcode(status)
    usage = Usage(process.started, time.monotonic() - process.began, rusage, peak_memory_mb(rusage))
    killed_by = -returncode if returncode < 0 else None
    # 128 and the signal's number, as shells count
    return Account(
        returncode if returncode >= 0 else 128 - returncode, killed_by, usage, _facts_of(process), timed_out.is_set()
    )


def _facts_of(process: Process) -> dict[str, Any]:
    lines = process.lines()
    try:
        facts: dict[str, Any] = json.loads(lines[-1]) if lines and not lines[-1].startswith(PROGRESS) else {}
    except ValueError:
        return {}
    return facts


def end_group(process: Process, number: int) -> None:
    """Send a signal to a stage and all that it started, and SIGKILL when they have not ended within GRACE_S."""
    # a suspended process gets a signal only when it continues
    for numbers, patience_s in (((number, signal.SIGCONT), GRACE_S), ((signal.SIGKILL,), 0.0)):
        with contextlib.suppress(ProcessLookupError):
            for one in numbers:
                os.killpg(process.popen.pid, one)
        if process.over.wait(patience_s):
            return


def end(process: Process) -> None:
    """End a stage's process that may still be there, and wait for it; close our ends of its pipes."""
    os.close(process.turn)
    if process.popen.returncode is None:
        threading.Thread(target=end_group, args=(process, signal.SIGTERM), daemon=True).start()
        process.popen.wait()
        process.over.set()
    process.close()


# --- resources --------------------------------------------------------------------------------------------------------


def _sample(process: Process, interval_s: float) -> None:
    """Log what a stage and its children use, every `interval_s`, until it is over."""
    if process.over.wait(min(interval_s, FIRST_SAMPLE_S)):
        return
    with contextlib.suppress(Exception):  # a statistic must not fail a run: a system may have no /proc
        import psutil

        stage = psutil.Process(process.popen.pid)
        stage.cpu_percent()
        while not process.over.wait(interval_s):
            group = [stage, *stage.children(recursive=True)]
            memory = sum(one.memory_info().rss for one in group) / MB
            free = psutil.virtual_memory().available / MB
            used = f"cpu {stage.cpu_percent():.0f} %, memory {memory:.0f} MB in {len(group)} processes"
            run_log.detail(
                f"resources: {process.name} {used}; free: memory {free:.0f} MB, disk {free_disk_mb():.0f} MB"
            )
            if free < LOW_MEMORY_MB:
                run_log.warn(f"only {free:.0f} MB of memory are free, under {LOW_MEMORY_MB}; end other programs")
            warn_of_low_disk()


def free_disk_mb() -> float:
    """Return how many megabytes are free where the results go."""
    disk = os.statvfs(next(folder for folder in (home(), *home().parents) if folder.exists()))
    return disk.f_bavail * disk.f_frsize / MB


def warn_of_low_disk() -> None:
    """Warn when the disk is nearly full: the next load may not fit."""
    free = free_disk_mb()
    if free < LOW_DISK_MB:
        run_log.warn(f"only {free:.0f} MB are free at {home()}, under {LOW_DISK_MB}; make room")


def log_usage(name: str, used: Usage) -> None:
    """Log what a stage used in all."""
    cpu = f"user {used.usage.ru_utime:.2f} s, system {used.usage.ru_stime:.2f} s"
    peak = f"peak memory {used.peak_memory_mb:.0f} MB"
    run_log.detail(f"resources: {name} wall {used.wall_s:.2f} s, {cpu}, {peak}; free disk {free_disk_mb():.0f} MB")
