"""A stage's process, watched: started ahead, given its turn, sampled, ended when it hangs, accounted for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple, Protocol

from gdp.runtime.run_log import Usage, run_log
from gdp.runtime.stage import DESCRIPTORS_VARIABLE, KIB_IN_MIB
from utils import PROJECT, Exit, StageError, home

FIRST_SAMPLE_S = 1.0  # a run of one page is over before; sampling must not cost it anything
GRACE_S = 5.0  # between asking a stage to end and ending it
LOW_DISK_MB = 200  # a year of pages takes 20 MB, the database as much; SQLite wants room for a copy
LOW_MEMORY_MB = 300  # transform with pandas takes 100 MB
MB = 1_000_000
PROGRESS = b'{"progress":'


@dataclass
class Process:
    """A stage's process that waits for its turn, our ends of its pipes, and what was heard on the one of its facts.

    Who shows it at work listens in another thread.
    """

    name: str
    popen: subprocess.Popen[bytes]
    turn: int
    facts: int | None
    heard: bytearray = field(default_factory=bytearray)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def listen(self) -> list[bytes]:
        """Return the lines heard so far: progress, and in the end the facts."""
        with self.lock, contextlib.suppress(OSError):
            if self.facts is not None:
                os.set_blocking(self.facts, False)  # a child that a killed stage left behind may hold the other end
                while more := os.read(self.facts, 65_536):
                    self.heard.extend(more)
        return bytes(self.heard).splitlines()

    def progress(self) -> tuple[int, int, str, float] | None:
        """Return how far the stage says it is: how much of how much of what, and the seconds left."""
        with self.lock:
            lines = [line for line in self.listen() if line.startswith(PROGRESS)]
            if not lines:
                return None
            self.heard[:] = lines[-1] + b"\n" + bytes(self.heard).rpartition(lines[-1] + b"\n")[2]
        done, total, what, seconds_left = json.loads(lines[-1])["progress"]
        return done, total, what, seconds_left

    def close(self) -> None:
        """Close our end of the facts' pipe."""
        with self.lock:
            if self.facts is not None:
                os.close(self.facts)
            self.facts = None


class Onlooker(Protocol):
    """Who shows a stage's process at work: it says where the process is to speak, and then follows it."""

    def streams(self) -> dict[str, Any]:
        """Return the arguments of Popen that name the process's standard streams and its environment."""

    def follow(self, process: Process) -> None:
        """Listen to a process."""


class Account(NamedTuple):
    """What became of a process: its exit code, the signal that ended it if one did, what it took, and its facts."""

    code: int
    signal: int | None
    spent: Usage
    facts: dict[str, Any]
    timed_out: bool


def start(name: str, arguments: list[str], lock: int, view: Onlooker | None = None) -> Process:
    """Start a stage's process in a group of its own; it waits for its turn. Raises StageError (74) when it cannot."""
    handed: list[int] = []
    ours: list[int] = []
    try:
        for mine in (1, 0):  # of the first pipe we keep the end to write, of the second the end to read
            pipe = os.pipe()
            ours.append(pipe[mine])
            handed.append(pipe[1 - mine])
        streams = view.streams() if view else {"env": os.environ}
        # numpy's threads are of no use to 600 figures, and cost their start
        environment = {"OPENBLAS_NUM_THREADS": "1", DESCRIPTORS_VARIABLE: ",".join(map(str, [*handed, lock]))}
        popen = subprocess.Popen(
            [sys.executable, str(PROJECT / f"{name}.py"), *arguments],
            **{
                **streams,
                "env": {**environment, **streams["env"], DESCRIPTORS_VARIABLE: environment[DESCRIPTORS_VARIABLE]},
            },
            pass_fds=[*handed, lock],
            process_group=0,
        )
    except OSError as error:
        for descriptor in ours:
            os.close(descriptor)
        message = f"cannot start {name}.py: {error.strerror}; end other processes, then run again"
        raise StageError(Exit.CANNOT_WRITE, message) from error
    finally:
        for descriptor in handed:
            os.close(descriptor)
    process = Process(name, popen, ours[0], ours[1])
    if view:
        view.follow(process)
    return process


def take_turn(process: Process, timeout_s: float | None, interval_s: float) -> Account:
    """Give a stage its turn and wait for its end, sampling what it takes; end its group when it exceeds `timeout_s`."""
    started, began = datetime.now(timezone.utc), time.monotonic()
    over, timed_out = threading.Event(), threading.Event()

    def end_at_timeout() -> None:
        if timeout_s is not None and not over.wait(timeout_s):
            timed_out.set()
            end_group(process, over)

    for watcher in (end_at_timeout, lambda: _sample(process, over, interval_s)):
        threading.Thread(target=watcher, daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # it ended before its turn, and its exit code tells why
        os.write(process.turn, b"\n")
    _, status, usage = os.wait4(process.popen.pid, 0)
    over.set()
    process.popen.returncode = os.waitstatus_to_exitcode(status)
    code = exit_code_of(process.popen.returncode)
    spent = Usage(started, time.monotonic() - began, usage, usage.ru_maxrss / KIB_IN_MIB)
    killed_by = -process.popen.returncode if process.popen.returncode < 0 else None
    return Account(code, killed_by, spent, _facts_of(process), timed_out.is_set())


def exit_code_of(returncode: int) -> int:
    """Return the exit code that tells of a process's end; a signal either interrupted or terminated it."""
    if returncode >= 0:
        return returncode
    return Exit.INTERRUPTED if returncode == -signal.SIGINT else Exit.TERMINATED


def _facts_of(process: Process) -> dict[str, Any]:
    lines = process.listen()
    try:
        facts: dict[str, Any] = json.loads(lines[-1]) if lines and not lines[-1].startswith(PROGRESS) else {}
    except ValueError:
        return {}
    return facts


def end_group(process: Process, over: threading.Event) -> None:
    """Ask a stage and all that it started to end, and end them when they have not within GRACE_S."""
    # one that was stopped hears SIGTERM only when it is told to go on
    for numbers, patience_s in (((signal.SIGTERM, signal.SIGCONT), GRACE_S), ((signal.SIGKILL,), 0.0)):
        with contextlib.suppress(ProcessLookupError):
            for number in numbers:
                os.killpg(process.popen.pid, number)
        if over.wait(patience_s):
            return


def end(process: Process) -> None:
    """End a stage that may still be there, and wait for it; close our ends of its pipes."""
    os.close(process.turn)
    if process.popen.returncode is None:
        over = threading.Event()
        ending = threading.Thread(target=end_group, args=(process, over), daemon=True)
        ending.start()
        process.popen.wait()
        over.set()
    process.close()


# --- resources --------------------------------------------------------------------------------------------------------


def _sample(process: Process, over: threading.Event, interval_s: float) -> None:
    """Log what a stage and its children take, every `interval_s`, until it is over."""
    if over.wait(min(interval_s, FIRST_SAMPLE_S)):
        return
    import psutil

    with contextlib.suppress(psutil.Error, StageError):
        stage = psutil.Process(process.popen.pid)
        stage.cpu_percent()
        while not over.wait(interval_s):
            group = [stage, *stage.children(recursive=True)]
            memory = sum(one.memory_info().rss for one in group) / MB
            free = psutil.virtual_memory().available / MB
            used = f"cpu {stage.cpu_percent():.0f} %, memory {memory:.0f} MB in {len(group)} processes"
            run_log.detail(
                f"resources: {process.name} {used}; free {free:.0f} MB of memory, {free_disk_mb():.0f} MB of disk"
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


def tell_spent(name: str, spent: Usage) -> None:
    """Log what a stage took in all."""
    cpu = f"user {spent.usage.ru_utime:.2f} s, system {spent.usage.ru_stime:.2f} s"
    peak = f"peak memory {spent.peak_memory_mb:.0f} MB"
    run_log.detail(f"resources: {name} wall {spent.wall_s:.2f} s, {cpu}, {peak}; free disk {free_disk_mb():.0f} MB")
