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
from typing import Any, NamedTuple, NoReturn

from gdp.running.journal import Journal
from utils import Exit, StageError, append_line, log_file, runs_file, take_lock

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
    told = os.environ.pop(DESCRIPTORS_VARIABLE, None)
    return Descriptors(*map(int, told.split(","))) if told else None


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


def run_stage(journal: Journal, work: Callable[[], None], wait_s: float = 0) -> int:
    """Run a stage's work under the lock, between its start and end lines in the log; return its exit code."""
    stand_in_for_closed_streams()
    handed = handed_descriptors()
    if handed and not wait_for_turn(handed):
        return Exit.TERMINATED
    if handed and os.environ.pop(LIVE_VARIABLE, None):
        journal.watched_by(handed.facts)
    started, began = datetime.now(timezone.utc), time.monotonic()

    def begin() -> None:
        journal.lock = handed.lock if handed else take_lock(wait_s)
        journal.log("start")

    code = _outcome(journal, begin, work)
    seconds = time.monotonic() - began
    if code == Exit.DONE:
        code = _outcome(journal, lambda: journal.log(f"end: done after {seconds:.2f} s"))
    else:
        with contextlib.suppress(StageError):  # the log itself may be what cannot be written, and that has been told
            journal.log(f"end: failed, exit {code:d}, after {seconds:.2f} s")
    if handed:
        with contextlib.suppress(OSError):
            os.write(handed.facts, json.dumps(journal.facts).encode())
    else:
        _remember_own_run(journal, started, seconds, code)
    return code


def answer(journal: Journal, work: Callable[[], None]) -> int:
    """Answer a question, which changes nothing and so needs no lock and has no start and end; return the exit code."""
    stand_in_for_closed_streams()
    return _outcome(journal, work)


def stand_in_for_closed_streams() -> None:
    """Open the standard streams that whoever started us has closed: the next file opened would take their place."""
    for descriptor in (STDIN_DESCRIPTOR, STDOUT_DESCRIPTOR, STDERR_DESCRIPTOR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the locale cannot write must not fail a run
    sys.stdout = sys.stdout or open(STDOUT_DESCRIPTOR, "w", closefd=False)  # noqa: SIM115 - it lasts as long as we do
    sys.stderr = sys.stderr or open(STDERR_DESCRIPTOR, "w", closefd=False)  # noqa: SIM115


def _outcome(journal: Journal, *steps: Callable[[], None]) -> int:
    try:
        for step in steps:
            step()
        sys.stdout.flush()
    except StageError as error:
        return journal.fail(error.code, str(error))
    except KeyboardInterrupt:
        return journal.fail(Exit.INTERRUPTED, "interrupted")
    except BrokenPipeError:
        # whoever read our output has seen enough of it; nothing is lost, and Python's own last flush must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # reading and writing files is told where it happens; what is left is standard output
        return journal.fail(Exit.CANNOT_WRITE, f"cannot write: {error}; make room there, then run again")
    except Exception as error:  # the last resort: a fault of ours is told in one line, its traceback kept in the log
        import traceback

        for line in traceback.format_exc().splitlines():
            with contextlib.suppress(StageError):
                journal.log(line)
        return journal.fail(Exit.FAULT, f"a fault of ours: {error!r}; please report it with {log_file()}")
    return Exit.DONE


def _remember_own_run(journal: Journal, started: datetime, wall_s: float, code: int) -> None:
    with contextlib.suppress(StageError):
        spent = Spent(started, wall_s, resource.getrusage(resource.RUSAGE_SELF), _own_peak_memory_mb())
        remember_run(journal.stage, spent, code, journal.facts)


class Spent(NamedTuple):
    """What a process took: when it had its turn, how long, its CPU times, and the most memory that it held at once."""

    started: datetime
    wall_s: float
    usage: resource.struct_rusage
    peak_memory_mb: float


def _own_peak_memory_mb() -> float:
    """Return the most that this program held: getrusage counts in what the program that started it held by then."""
    told = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(told.partition("VmHWM:")[2].split()[0]) / KIB_IN_MIB


def remember_run(stage: str, spent: Spent, code: int, facts: dict[str, Any]) -> None:
    """Append one object to log/runs.jsonl; raises StageError (74)."""
    told = {
        "stage": stage,
        "started": f"{spent.started:%Y-%m-%dT%H:%M:%SZ}",
        "exit_code": int(code),
        "wall_s": round(spent.wall_s, 3),
        "user_s": round(spent.usage.ru_utime, 3),
        "system_s": round(spent.usage.ru_stime, 3),
        "peak_memory_mb": round(spent.peak_memory_mb, 1),
        **facts,
    }
    append_line(runs_file(), json.dumps(told, ensure_ascii=True))


def leave(code: int) -> NoReturn:
    """End the process at once: taking pandas apart piece by piece costs a tenth of a whole run, and frees nothing."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that the caller closed is None
            stream.flush()
    os._exit(code)
