"""How a stage starts, speaks and ends: its command line, its turn, its log lines, what it did, and its exit code."""

from __future__ import annotations

import argparse
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

from gdp.records import PUBLISHERS
from utils import Exit, StageError, append_line, append_log, log_file, printable, runs_file, take_lock

# etl_process.py starts a stage ahead of its turn, so that its imports overlap the stage before. This names three open
# descriptors: the pipe on which the stage waits for its turn, the pipe that takes its facts, and the lock.
DESCRIPTORS_VARIABLE = "GDP_ETL_STAGE_FDS"
LIVE_VARIABLE = "GDP_ETL_LIVE"  # set where progress may be sent along with the facts, as somebody watches
KIB_IN_MIB = 1024
MIN_SECONDS, MAX_SECONDS = 0.1, 1_000_000  # more than a week and a half is no timeout, and overflows a lock's
STDIN_DESCRIPTOR, STDOUT_DESCRIPTOR, STDERR_DESCRIPTOR = 0, 1, 2


# --- the command line -------------------------------------------------------------------------------------------------


def command_line(description: str, *examples: str) -> argparse.ArgumentParser:
    """Return a parser with what every script takes; its help ends in commands that can be pasted."""
    told = "".join(f"\n  {example}" for example in examples)
    parser = argparse.ArgumentParser(
        description=description, epilog=f"examples:{told}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quiet", action="store_true", help="say only warnings and errors, and print no tables")
    parser.add_argument("--wait", type=seconds, default=0, metavar="SECONDS", help="wait for another run to end")
    return parser


def seconds(text: str) -> float:
    """Return a number of seconds from the command line; raises ArgumentTypeError for what no clock can count."""
    number = float(text)
    if not 0 <= number <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {MAX_SECONDS}")
    return number


def some_seconds(text: str) -> float:
    """Return a number of seconds that is not 0."""
    number = seconds(text)
    if number < MIN_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} is less than {MIN_SECONDS}")
    return number


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add --source, which takes one or several, apart or with commas; options.source is a list of lists."""

    def names(text: str) -> list[str]:
        for name in text.split(","):
            if name not in PUBLISHERS:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(PUBLISHERS)}")
        return text.split(",")

    said = f"one or several of {', '.join(PUBLISHERS)} (default: {PUBLISHERS[0]})"
    parser.add_argument("--source", type=names, nargs="+", action="extend", metavar="SOURCE", help=said)


def sources_of(options: argparse.Namespace) -> list[str]:
    """Return the sources that --source names, each once; none where it was not given."""
    return list(dict.fromkeys(name for names in options.source or () for name in names))


def add_many(parser: argparse.ArgumentParser) -> None:
    """Add what tells how much is worked through, and by whom: --workers, --max-rejected, --engine and --master."""
    many = parser.add_argument_group("for more than fits in memory")
    many.add_argument("--workers", type=a_number, metavar="N", help="processes (default: the cores we may use)")
    many.add_argument(
        "--max-rejected", type=share, metavar="SHARE", help="fail when more than this is set aside (default: 0.01)"
    )
    many.add_argument("--engine", choices=("local", "spark"), help="who does it (default: local, on this machine)")
    many.add_argument("--master", metavar="URL", help="with --engine spark: whose (default: local[*])")


def many_of(options: argparse.Namespace, most: float = 0.01) -> Many:
    """Return what add_many's options say; `most` is the share that may be set aside where they do not say."""
    rejected = most if options.max_rejected is None else options.max_rejected
    return Many(options.workers or len(os.sched_getaffinity(0)), rejected)


class Many(NamedTuple):
    """How much is worked through: by how many processes, and which share of it may be set aside."""

    workers: int
    max_rejected: float

    def refuse(self, rejected: int, total: int, what: str) -> None:
        """Raise StageError (65) when too much was set aside."""
        if rejected > self.max_rejected * total:
            raise StageError(
                Exit.BAD_DATA,
                f"{rejected:,} of {total:,} {what} were set aside, over --max-rejected {self.max_rejected:g};"
                " look at Rejected.jsonl, or allow more",
            )


def a_number(text: str) -> int:
    """Return a number of at least 1 from the command line."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def share(text: str) -> float:
    """Return a share from the command line."""
    if not 0 <= float(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return float(text)


def day(text: str) -> str:
    """Return a day from the command line, as YYYY-MM-DD; raises ArgumentTypeError for what no calendar has."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date().isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no day; write it as 2024-07-01") from None


def days(text: str) -> int:
    """Return a number of days from the command line."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return number


# --- what a stage says ------------------------------------------------------------------------------------------------


class Journal:
    """What a stage has to say: every line goes to the log, and to standard error unless the run is quiet.

    `facts` are what log/runs.jsonl tells of the run: rows, bytes, files and their SHA-256, As_of, the error.
    """

    def __init__(self, stage: str, quiet: bool = False) -> None:
        self.stage = stage
        self.quiet = quiet
        self.facts: dict[str, Any] = {}
        self.lock: int | None = None
        self.settled = False
        self._watched: int | None = None  # the descriptor on which progress is sent

    def log(self, message: str) -> None:
        """Write a line to the log only; raises StageError (74), but not once the output is in place."""
        if self.settled:
            self.attempt(lambda: append_log(f"[{self.stage}] {message}"))
        else:
            append_log(f"[{self.stage}] {message}")

    def attempt(self, work: Callable[[], None]) -> None:
        """Do what is good to have beside an output that is in place: where it fails, tell, and go on."""
        try:
            work()
        except StageError as error:
            print(f"[{self.stage}] warning: {printable(str(error))}", file=sys.stderr, flush=True)

    def say(self, message: str) -> None:
        """Tell of a step: log and screen, but not the screen of a quiet run."""
        self.log(message)
        if not self.quiet:
            print(f"[{self.stage}] {printable(message)}", file=sys.stderr, flush=True)

    def warn(self, message: str) -> None:
        """Tell of something that deserves a look: log and screen, quiet or not."""
        self.log(f"warning: {message}")
        print(f"[{self.stage}] warning: {printable(message)}", file=sys.stderr, flush=True)

    def took(self, path: Path, rows: int, sha256: str) -> None:
        """Remember the file that was read."""
        self.facts |= {"input": str(path), "input_sha256": sha256, "rows_in": rows, "bytes_in": path.stat().st_size}

    def gave(self, place: Path | str, rows: int, sha256: str | None = None) -> None:
        """Remember what was written; from here on nothing can undo it, nor should it fail the run."""
        self.settled = True
        size = place.stat().st_size if isinstance(place, Path) else None
        self.facts |= {"output": str(place), "output_sha256": sha256, "rows_out": rows, "bytes_out": size}

    @property
    def is_watched(self) -> bool:
        """Tell whether somebody looks at our progress, who started us."""
        return self._watched is not None

    def watched_by(self, descriptor: int) -> None:
        """Remember where progress is to be sent."""
        self._watched = descriptor

    def send_progress(self, done: int, total: int, what: str, seconds_left: float) -> None:
        """Send how far we are to whoever watches."""
        if self._watched is not None:
            with contextlib.suppress(OSError):
                os.write(self._watched, json.dumps({"progress": [done, total, what, seconds_left]}).encode() + b"\n")

    def fail(self, code: int, message: str) -> int:
        """Tell of a failure, also where the log cannot be written; return its exit code."""
        self.facts["error"] = message
        print(f"[{self.stage}] error: {printable(message)}", file=sys.stderr, flush=True)
        with contextlib.suppress(StageError):
            self.log(f"error: {message}")
        return code


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
