"""The run log of this process, `run_log`: lines on screen and in the text log, one object a run in log/runs.jsonl."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from gdp.remote_files import Where
from utils import (
    MONTHS,
    Exit,
    StageError,
    from_here,
    home,
    log_file,
    make_folder,
    open_to_read,
    printable,
    read_bytes,
    writing,
)

MOST_WARNINGS, MOST_CHARACTERS = 100, 500  # of a run in log/runs.jsonl, and of each warning
LOG_LIMIT_BYTES, LOGS_KEPT = 5_000_000, 9  # about two thousand runs each
LAST_RUNS_BYTES = 200_000  # about a hundred runs: enough to find the last one of a stage

_ENDINGS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}

Run = dict[str, Any]


class RunLog:
    """What a stage reports. `facts` become the run's object in log/runs.jsonl: rows, bytes, files, As_of, the error."""

    def __init__(self) -> None:
        self.begin("suite")

    def begin(self, stage: str, quiet: bool = False) -> None:
        """Start the log of a stage; `quiet` keeps steps off the screen."""
        self.stage, self.quiet = stage, quiet
        self.warnings: list[str] = []
        self.facts: dict[str, Any] = {"warnings": self.warnings}
        self.lock: int | None = None
        self.settled = False
        self.progress_descriptor: int | None = None  # of the process that started this one, where it shows progress
        self._previous_warnings: list[str] | None = None  # not read yet, or not needed

    def detail(self, message: str) -> None:
        """Write a line to the log only; raises StageError (74) until the output is in place."""
        line = f"[{self.stage}] {message}"
        if self.settled:
            self.attempt(lambda: append_log(line))
        else:
            append_log(line)

    def attempt(self, work: Callable[[], None]) -> None:
        """Do optional work after the output is in place; its failure is a warning."""
        try:
            work()
        except StageError as error:
            self._print(f"warning: {printable(str(error))}")

    def info(self, message: str) -> None:
        """Report a step: to the log and, unless quiet, to the screen, with paths relative to the current folder."""
        self.detail(message)
        if not self.quiet:
            self._print(from_here(printable(message)))

    def warn(self, message: str, in_lines: Sequence[str] = ()) -> None:
        """Report something that needs a look, quiet or not; `in_lines` is a shorter form for the screen."""
        self.detail(f"warning: {message}")
        if len(self.warnings) < MOST_WARNINGS:
            self.warnings.append(message[:MOST_CHARACTERS])
        if self.quiet and self._previous_warnings is None:
            self._previous_warnings = _warnings_of_last_run(self.stage)
        if message[:MOST_CHARACTERS] not in (self._previous_warnings or ()):  # else cron would mail it every day
            first, *others = in_lines or (message,)
            self._print("\n".join([f"warning: {printable(first)}", *(f"  {printable(line)}" for line in others)]))

    def _print(self, text: str) -> None:
        print(f"[{self.stage}] {text}", file=sys.stderr, flush=True)

    def record_input(self, path: Where, rows: int, sha256: str) -> None:
        """Record the file that was read."""
        self.facts |= {"input": str(path), "input_sha256": sha256, "rows_in": rows, "bytes_in": path.stat().st_size}

    def record_output(self, place: Where | str, rows: int, sha256: str | None = None) -> None:
        """Record the output that was written."""
        size = None if isinstance(place, str) else place.stat().st_size
        self.facts |= {"output": str(place), "output_sha256": sha256, "rows_out": rows, "bytes_out": size}

    def settle(self) -> None:
        """Mark the output as in place: nothing undoes it any more, so a line that cannot be logged is a warning."""
        self.settled = True

    def stop(self, number: int) -> int:
        """Report that a signal ends this run; return the exit code."""
        name = signal.Signals(number).name
        self.facts["signal"] = name
        return self.fail(128 + number, f"{_ENDINGS.get(name, 'ended')} by {name}", "")

    def fail(self, code: int, message: str, before: str = "error: ") -> int:
        """Report a failure, also where the log cannot be written; return the exit code."""
        self.facts["error"] = message
        self._print(before + printable(message))
        with contextlib.suppress(StageError):
            self.detail(before + message)
        return code


run_log = RunLog()


# --- the files of the log ---------------------------------------------------------------------------------------------


def append_log(message: str) -> None:
    """Append a line to the text log, with its time in UTC, in English in any locale; raises StageError (74)."""
    now = datetime.now(timezone.utc)
    append_line(log_file(), f"{now:%Y}-{MONTHS[now.month - 1]}-{now:%d-%H-%M-%S}, {printable(message)}")


def append_line(path: Path, line: str) -> None:
    """Append a line to a log in one write, so that lines of several processes never mix; raises StageError (74, 2)."""
    limit_bytes = _log_limit_bytes()
    make_folder(path.parent)
    text = (line + "\n").encode("utf-8", "backslashreplace")
    with writing(path):
        # a pipe that nobody reads would wait for ever
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o666)
        try:
            os.set_blocking(descriptor, True)
            written = os.write(descriptor, text)
            size = os.fstat(descriptor).st_size
            if written < len(text):  # the disk is full: half a line would spoil the next one
                os.ftruncate(descriptor, size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)
        if size > limit_bytes:
            _rotate(path, limit_bytes)


def _log_limit_bytes() -> int:
    limit = os.environ.get("GDP_ETL_LOG_LIMIT_BYTES") or str(LOG_LIMIT_BYTES)
    if not (limit.isascii() and limit.isdigit()):
        raise StageError(Exit.USAGE, f"GDP_ETL_LOG_LIMIT_BYTES is {limit!r}, which is no number of bytes")
    return int(limit)


def _rotate(path: Path, limit_bytes: int) -> None:
    """Rename a full log; no line is lost, as a process that has it open goes on writing to the renamed file."""
    descriptor = os.open(path.with_name(f".{path.name}.rotation"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists() and path.stat().st_size > limit_bytes:  # no other process has done it
            for number in range(LOGS_KEPT - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    path.with_name(f"{path.name}.{number}").replace(path.with_name(f"{path.name}.{number + 1}"))
            path.replace(path.with_name(f"{path.name}.1"))
    finally:
        os.close(descriptor)


def runs_file() -> Path:
    """Return the log for machines: one object a line for each stage and run."""
    return home() / "log" / "runs.jsonl"


KIB_IN_MIB, MIB = 1024, 2**20


class Usage(NamedTuple):
    """What a process used: its start, its wall time, its CPU times, and its peak memory."""

    started: datetime
    wall_s: float
    usage: resource.struct_rusage
    peak_memory_mb: float


def peak_memory_mb(usage: resource.struct_rusage) -> float:
    """Return the peak memory in a usage, in MiB: macOS counts bytes, others KiB."""
    return usage.ru_maxrss / (MIB if sys.platform == "darwin" else KIB_IN_MIB)


def _own_peak_memory_mb(usage: resource.struct_rusage) -> float:
    """Return the most memory that this program has had, in MiB."""
    try:  # Linux's getrusage counts the memory of the program that started it, too
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) / KIB_IN_MIB
    except (OSError, ValueError, IndexError):
        return peak_memory_mb(usage)


def record_run(stage: str, used: Usage, code: int, facts: dict[str, Any]) -> None:
    """Append one object to log/runs.jsonl; raises StageError (74)."""
    run = {
        "stage": stage,
        "started": f"{used.started:%Y-%m-%dT%H:%M:%SZ}",
        "exit_code": int(code),
        "wall_s": round(used.wall_s, 3),
        "user_s": round(used.usage.ru_utime, 3),
        "system_s": round(used.usage.ru_stime, 3),
        "peak_memory_mb": round(used.peak_memory_mb, 1),
        **facts,
    }
    append_line(runs_file(), json.dumps(run, ensure_ascii=True))


def record_own_run(started: datetime, wall_s: float, code: int) -> None:
    """Record this process's run in log/runs.jsonl, if that can be written."""
    with contextlib.suppress(StageError):
        usage = resource.getrusage(resource.RUSAGE_SELF)
        record_run(run_log.stage, Usage(started, wall_s, usage, _own_peak_memory_mb(usage)), code, run_log.facts)


def read_runs() -> tuple[list[Run], int]:
    """Return the recorded runs, oldest first, and how many lines are none; raises StageError (66) without any."""
    path = runs_file()
    files = [name for name in (path.with_name(f"{path.name}.1"), path) if name.exists()]
    lines = [line for file in files for line in read_bytes(file).splitlines()]
    runs = [run for line in lines if (run := _run_in(line))]
    if not runs:
        raise StageError(Exit.NO_INPUT, f"{path} has no run; run python etl_process.py first")
    return runs, len(lines) - len(runs)


def _run_in(line: bytes) -> Run | None:
    """Return the run in a line; None for one that a full disk cut short, or that somebody else wrote."""
    try:
        run = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kinds = {"stage": str, "started": str, "exit_code": int}
    is_run = isinstance(run, dict) and all(isinstance(run.get(name), kind) for name, kind in kinds.items())
    return run if is_run else None


def _warnings_of_last_run(stage: str) -> list[str]:
    """Return the warnings of a stage's last run; none where no run is recorded or the file cannot be read."""
    try:
        with open_to_read(runs_file()) as file:
            file.seek(-min(LAST_RUNS_BYTES, os.fstat(file.fileno()).st_size), os.SEEK_END)
            lines = file.read().splitlines()
    except (StageError, OSError):
        return []
    of_stage = (run for line in reversed(lines) if (run := _run_in(line)) and run["stage"] == stage)
    warnings = next(of_stage, {}).get("warnings")
    return [str(message) for message in warnings] if isinstance(warnings, list) else []
