"""How a stage runs: its turn, the lock, its start and end in the log, what it took, and its exit code."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple, NoReturn, TextIO

from gdp.runtime.run_log import Usage, record_run, run_log
from utils import Exit, StageError, log_file, take_lock

# etl_process.py starts a stage ahead of its turn, so that its imports overlap the stage before. This names three open
# descriptors: the pipe on which the stage waits for its turn, the pipe that takes its facts, and the lock.
DESCRIPTORS_VARIABLE = "GDP_ETL_STAGE_FDS"
LIVE_VARIABLE = "GDP_ETL_LIVE"  # set where progress may be sent along with the facts, as somebody watches
KIB_IN_MIB = 1024
STDIN_DESCRIPTOR, STDOUT_DESCRIPTOR, STDERR_DESCRIPTOR = 0, 1, 2


# --- its turn ---------------------------------------------------------------------------------------------------------


class Descriptors(NamedTuple):
    """What the orchestrator hands to a stage."""

    turn: int
    facts: int
    lock: int


def handed_descriptors() -> Descriptors | None:
    """Return what the orchestrator handed us, or None where a person or cron started us."""
    descriptors = os.environ.pop(DESCRIPTORS_VARIABLE, None)
    return Descriptors(*map(int, descriptors.split(","))) if descriptors else None


def wait_for_turn(handed: Descriptors) -> bool:
    """Wait for the turn; return False when the orchestrator went away instead. Leave when it goes away later."""
    if os.read(handed.turn, 1) != b"\n":
        return False

    def leave_when_alone() -> None:
        os.read(handed.turn, 1)
        os._exit(Exit.TERMINATED)  # as safe as any kill, and the next run need not wait for us

    threading.Thread(target=leave_when_alone, daemon=True).start()
    return True


# --- a run ------------------------------------------------------------------------------------------------------------


def run_stage(work: Callable[[], None], wait_s: float = 0) -> int:
    """Run a stage's work under the lock, between its start and end lines in the log; return its exit code."""
    open_standard_streams()
    handed = handed_descriptors()
    if handed and not wait_for_turn(handed):
        return Exit.TERMINATED
    if handed and os.environ.pop(LIVE_VARIABLE, None):
        run_log.send_progress_to(handed.facts)
    started, began = datetime.now(timezone.utc), time.monotonic()

    def begin() -> None:
        run_log.lock = handed.lock if handed else take_lock(wait_s)
        run_log.detail("start")

    code = _outcome(begin, work)
    seconds = time.monotonic() - began
    if code == Exit.DONE:
        code = _outcome(lambda: run_log.detail(f"end: done after {seconds:.2f} s"))
    else:
        with contextlib.suppress(StageError):  # the log itself may be what cannot be written, and that has been told
            run_log.detail(f"end: failed, exit {code:d}, after {seconds:.2f} s")
    if handed:
        with contextlib.suppress(OSError):
            os.write(handed.facts, json.dumps(run_log.facts).encode())
    else:
        _remember_own_run(started, seconds, code)
    return code


class _Forgiving(io.TextIOWrapper):
    """A standard stream that its reader may leave: from then on what is written goes nowhere, and nothing fails."""

    def __init__(self, descriptor: int, forgiven: type[OSError], like: TextIO | None) -> None:
        raw = open(descriptor, "wb", closefd=False)  # noqa: SIM115 - it lasts as long as we do
        encoding = like.encoding if like else "utf-8"
        # a name that the locale cannot write must not fail a run
        super().__init__(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)
        self._descriptor, self._forgiven = descriptor, forgiven

    def write(self, text: str) -> int:
        """Write a text."""
        try:
            return super().write(text)
        except self._forgiven:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        """Write what is still held back."""
        try:
            super().flush()
        except self._forgiven:
            self._give_up()

    def _give_up(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._descriptor)
        os.close(nowhere)
        super().flush()


def answer(work: Callable[[], None]) -> int:
    """Answer a question, which changes nothing and so needs no lock and has no start and end; return the exit code."""
    open_standard_streams()
    return _outcome(work)


def open_standard_streams() -> None:
    """Make the standard streams safe to write to, whoever reads them, and open those that our starter has closed.

    Messages that nobody takes are in the log; results that nobody reads on are no failure, but on a full disk they are.
    """
    for descriptor in (STDIN_DESCRIPTOR, STDOUT_DESCRIPTOR, STDERR_DESCRIPTOR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one, and no later file does
    if sys.stdout is sys.__stdout__ and not isinstance(sys.stdout, _Forgiving):
        sys.stdout = sys.__stdout__ = _Forgiving(STDOUT_DESCRIPTOR, BrokenPipeError, sys.stdout)  # type: ignore[misc]
    if sys.stderr is sys.__stderr__ and not isinstance(sys.stderr, _Forgiving):
        sys.stderr = sys.__stderr__ = _Forgiving(STDERR_DESCRIPTOR, OSError, sys.stderr)  # type: ignore[misc]


def _outcome(*steps: Callable[[], None]) -> int:
    try:
        for step in steps:
            step()
        sys.stdout.flush()
    except StageError as error:
        return run_log.fail(error.code, str(error))
    except KeyboardInterrupt:
        return run_log.stop(Exit.INTERRUPTED)
    except OSError as error:  # reading and writing files is told where it happens; what is left is standard output
        return run_log.fail(Exit.CANNOT_WRITE, f"cannot write: {error}; make room there, then run again")
    except Exception as error:  # the last resort: a fault of ours is told in one line, its traceback kept in the log
        import traceback

        for line in traceback.format_exc().splitlines():
            with contextlib.suppress(StageError):
                run_log.detail(line)
        return run_log.fail(Exit.FAULT, f"a fault of ours: {error!r}; please report it with {log_file()}")
    return Exit.DONE


def _remember_own_run(started: datetime, wall_s: float, code: int) -> None:
    with contextlib.suppress(StageError):
        spent = Usage(started, wall_s, resource.getrusage(resource.RUSAGE_SELF), _own_peak_memory_mb())
        record_run(run_log.stage, spent, code, run_log.facts)


def _own_peak_memory_mb() -> float:
    """Return the most that this program held: getrusage counts in what the program that started it held by then."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmHWM:")[2].split()[0]) / KIB_IN_MIB


def leave(code: int) -> NoReturn:
    """End the process at once: taking pandas apart piece by piece costs a tenth of a whole run, and frees nothing."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that the caller closed is None
            stream.flush()
    os._exit(code)
