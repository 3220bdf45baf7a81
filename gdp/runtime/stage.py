"""How a stage runs: its turn, the lock, its start and end in the log, what it used, and its exit code."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from gdp.runtime import script
from gdp.runtime.run_log import record_own_run, run_log
from gdp.runtime.script import Interruption
from utils import Exit, StageError, file_problem, home, log_file, make_folder, pages_folder, sweep, writing

LIVE_VARIABLE = "GDP_ETL_LIVE"  # set where the progress is to be sent along with the facts, as somebody watches


class Descriptors(NamedTuple):
    """What etl_process.py hands to a stage."""

    turn: int
    facts: int
    lock: int


def run_stage(work: Callable[[], None], wait_s: float = 0) -> int:
    """Run a stage's work under the lock, between its start and end lines in the log; return its exit code."""
    script.end_imports()
    _open_standard_streams()
    text = os.environ.pop(script.DESCRIPTORS_VARIABLE, None)
    handed = Descriptors(*map(int, text.split(","))) if text else None  # none where a person or cron started it
    try:
        if handed and not _wait_for_turn(handed.turn):
            return Exit.TERMINATED
    except Interruption as stopped:  # of a stage that has had no turn there is nothing to record
        return stopped.code
    if handed and os.environ.pop(LIVE_VARIABLE, None):
        run_log.progress_descriptor = handed.facts
    started, began = datetime.now(timezone.utc), time.monotonic()

    def begin() -> None:
        run_log.lock = handed.lock if handed else take_lock(wait_s)
        run_log.detail("start")

    code = _outcome(begin, work)
    script.ignore_signals()  # what is left is to record the end
    seconds = time.monotonic() - began
    if code == Exit.DONE:
        code = _outcome(lambda: run_log.detail(f"end: done after {seconds:.2f} s"))
    else:
        with contextlib.suppress(StageError):  # the log itself may be what cannot be written
            run_log.detail(f"end: failed, exit {code:d}, after {seconds:.2f} s")
    if handed:
        with contextlib.suppress(OSError):
            os.write(handed.facts, json.dumps(run_log.facts).encode() + b"\n")
    else:
        record_own_run(started, seconds, code)
    return code


def _wait_for_turn(turn: int) -> bool:
    """Wait for the turn, and return whether it came; if etl_process.py ends later, so does this process."""
    if os.read(turn, 1) != b"\n":
        return False

    def leave_when_alone() -> None:
        os.read(turn, 1)
        os._exit(Exit.TERMINATED)  # as safe as any kill, and the next run need not wait for this process

    threading.Thread(target=leave_when_alone, daemon=True).start()
    return True


def answer(work: Callable[[], None]) -> int:
    """Answer a question, which changes nothing and so needs no lock and no lines in the log; return the exit code."""
    script.end_imports()
    _open_standard_streams()
    return _outcome(work)


def _outcome(*steps: Callable[[], None]) -> int:
    """Take the steps; return the exit code, after the one line that explains a failure."""
    try:
        for step in steps:
            step()
        sys.stdout.flush()
    except (Interruption, KeyboardInterrupt) as stopped:
        return run_log.stop(stopped.number if isinstance(stopped, Interruption) else signal.SIGINT)
    except Exception as error:
        problem = _explained(error)
        return run_log.fail(problem.code, str(problem))
    return Exit.DONE


def _explained(error: Exception) -> StageError:
    """Return the error that explains another one; the traceback of a bug goes to the log."""
    if isinstance(error, StageError):
        return error
    if script.is_out_of_memory(error):
        return StageError(Exit.NO_RESOURCES, script.memory_problem())
    if isinstance(error, ImportError):
        return StageError(Exit.BAD_DATA, f"{error}; {script.PACKAGES}")
    if isinstance(error, OSError):  # one without a file's name is standard output's
        return file_problem(error.filename or "to standard output", error, "use" if error.filename else "write")
    import traceback

    with contextlib.suppress(StageError):
        for line in "".join(traceback.format_exception(error)).splitlines():
            run_log.detail(line)
    return StageError(Exit.FAULT, f"this is a bug: {error!r}; please report it with {log_file()}")


# --- lock -------------------------------------------------------------------------------------------------------------

HOLDER_WRITTEN_WITHIN_S = 1.0  # after taking the lock
RETRY_S = 0.1


def take_lock(wait_s: float) -> int:
    """Return the open descriptor of this data folder's lock; it is held while any process has that descriptor open.

    The kernel frees it on any death. Raises StageError (75), naming the holder, when it is not free within `wait_s`.
    """
    path = home() / "log" / ".lock"
    make_folder(path.parent)
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)  # a link may lead to another's file
    deadline = time.monotonic() + wait_s
    while not _is_locked_now(path, descriptor):
        if time.monotonic() >= deadline:
            holder = _holder(descriptor)
            os.close(descriptor)
            problem = f"another run is at work in {home()}: {holder}; wait for it with --wait SECONDS"
            raise StageError(Exit.LOCKED, problem)
        time.sleep(RETRY_S)
    with writing(path):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC".encode(), 0)
    sweep(home() / "results", home() / "results" / "plots", pages_folder())
    return descriptor


def _is_locked_now(path: Path, descriptor: int) -> bool:
    """Lock the file, and return whether that was possible; raises StageError (71) where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise file_problem(path, error, "lock") from error
        problem = f"cannot lock {path}: its file system has no locks ({error.strerror})"
        raise StageError(Exit.NO_RESOURCES, f"{problem}; set GDP_ETL_HOME to a folder on a local disk") from error
    return True


def _holder(descriptor: int) -> str:
    """Return the process that holds the lock, and since when; after its death its children still hold it."""
    for _ in range(int(HOLDER_WRITTEN_WITHIN_S / RETRY_S)):
        process, _, since = os.pread(descriptor, 100, 0).decode("ascii", "replace").partition(" ")
        if since:
            return f"process {process}, started {since}"
        time.sleep(RETRY_S)
    return "a process that has just started"


class _ForgivingFile(io.FileIO):
    """A standard stream whose reader may go away: what is written later goes nowhere, and nothing fails."""

    def __init__(self, descriptor: int, forgiven: type[OSError]) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._forgiven = forgiven

    def write(self, text: Any, /) -> int:
        try:
            written = super().write(text)
            if written is None:
                raise BlockingIOError(errno.EAGAIN, "it is full")
            return written
        except self._forgiven:
            return len(text)


def _open_standard_streams() -> None:
    """Make the standard streams safe to write to, and open those that were closed when this process was started.

    A message that nobody reads is in the log; a result that nobody reads is no failure, but one for a full disk is.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one, and no later file does
    for name, descriptor, forgiven in (("stdout", 1, BrokenPipeError), ("stderr", 2, OSError)):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__"):  # and not a stand-in of whoever calls us
            file = io.BufferedWriter(_ForgivingFile(descriptor, forgiven))
            encoding = stream.encoding if stream else "utf-8"
            # a name that the locale cannot write must not fail a run
            text = io.TextIOWrapper(file, encoding, errors="backslashreplace", line_buffering=True)
            setattr(sys, name, text)
            setattr(sys, f"__{name}__", text)
