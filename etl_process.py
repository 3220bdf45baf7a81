"""Run the stages one after another, each as a process of its own: extract, transform, load.

A stage is started while the one before is at work, so that its imports cost no time, and waits for its turn at a pipe.
A failed stage does not stop the next where the file that it reads is there; the exit code is the first failure's.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from utils import (
    PROJECT,
    TURN_VARIABLE,
    Exit,
    Journal,
    StageError,
    clean_file,
    command_line,
    database_file,
    leave,
    log_file,
    raw_file,
    run_stage,
)

RULE = "=" * 24


class Stage(NamedTuple):
    """A stage to run: its script's name, the file that it reads if that is another stage's, and its arguments."""

    name: str
    reads: Callable[[], Path] | None
    arguments: list[str]


class Started(NamedTuple):
    """A stage's process that waits for its turn, and our end of the pipe that gives it."""

    process: subprocess.Popen[bytes]
    turn: int


class Ended(NamedTuple):
    """How a stage ended: its exit code, or None when it was not run, and after how long."""

    stage: str
    code: int | None
    seconds: float

    def __str__(self) -> str:
        if self.code is None:
            return f"{self.stage:<10} not run"
        outcome = "done" if self.code == Exit.DONE else f"failed, exit {self.code}"
        return f"{self.stage:<10} {outcome:<16} {self.seconds:6.2f} s"


class Stopped(BaseException):
    """SIGINT or SIGTERM reached us; the exit code tells which."""

    def __init__(self, code: Exit) -> None:
        super().__init__(code)
        self.code = code


def main(arguments: list[str] | None = None) -> int:
    """Run the stages asked for; return the first failure's exit code."""
    options = parse_arguments(arguments)
    journal = Journal("etl", options.quiet)
    ended: list[Ended] = []

    def work() -> None:
        journal.log(f"{RULE} run of {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC, process {os.getpid()} {RULE}")
        run_all(stages_asked_for(options), ended, journal)
        sum_up(ended, journal)

    catch_signals()
    try:
        return run_stage(journal, work)
    except Stopped as stopped:
        print(f"[etl] stopped by signal, exit {stopped.code:d}", file=sys.stderr)
        return stopped.code


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_line(
        "Refresh the table of GDP by country: extract, transform, load.",
        "python etl_process.py --from transform",
    )
    parser.add_argument("--page", metavar="FILE_OR_URL", help="a saved page or an address (default: the live page)")
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--from", dest="first", choices=("extract", "transform", "load"), help="begin with this stage")
    some.add_argument("--only", choices=("extract", "transform", "load"), help="run this stage alone")
    parser.add_argument(
        "--max-age", type=int, metavar="DAYS", help="when the network fails, refuse a kept page older than this"
    )
    parser.add_argument(
        "--force", action="store_true", help="load in spite of fatal findings, and note them on the rows"
    )
    parser.add_argument("--json", action="store_true", help="print the results as one JSON object")
    return parser.parse_args(arguments)


def stages_asked_for(options: argparse.Namespace) -> list[Stage]:
    """Return the stages to run, in order, with the arguments that are theirs."""
    quiet = ["--quiet"] * options.quiet
    page = [f"--page={options.page}"] if options.page else []
    max_age = [f"--max-age={options.max_age}"] if options.max_age is not None else []
    stages = [
        Stage("extract", None, [*page, *max_age, *quiet]),
        Stage("transform", raw_file, quiet),
        Stage("load", clean_file, [*["--json"] * options.json, *["--force"] * options.force, *quiet]),
    ]
    names = [stage.name for stage in stages]
    if options.only:
        return [stages[names.index(options.only)]]
    return stages[names.index(options.first) if options.first else 0 :]


def catch_signals() -> None:
    """Let SIGINT and SIGTERM raise Stopped, so that the children end before we do."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(Exit.INTERRUPTED if number == signal.SIGINT else Exit.TERMINATED)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def run_all(stages: list[Stage], ended: list[Ended], journal: Journal) -> None:
    """Run the stages in turn, one started ahead; append how each ended to `ended`."""
    started: list[Started] = []
    try:
        for number, stage in enumerate(stages):
            started += [start(ahead) for ahead in stages[len(started) : number + 2]]
            ended.append(take_turn(stage, started[number], ended, journal))
    finally:
        for waiting in started:
            end(waiting)


def start(stage: Stage) -> Started:
    """Start a stage's process, which waits for its turn; raises StageError (1) when the system cannot."""
    waits_at, turn = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, str(PROJECT / f"{stage.name}.py"), *stage.arguments],
            env={**os.environ, TURN_VARIABLE: str(waits_at)},
            pass_fds=(waits_at,),
        )
    except OSError as error:
        raise StageError(
            Exit.FAULT, f"cannot start {stage.name}.py: {error}; free memory or processes, run again"
        ) from error
    finally:
        os.close(waits_at)
    return Started(process, turn)


def take_turn(stage: Stage, started: Started, ended: list[Ended], journal: Journal) -> Ended:
    """Give a stage its turn and wait for its end, unless it would read what a failed stage never wrote."""
    failed = [before.stage for before in ended if before.code != Exit.DONE]
    if failed and stage.reads and not stage.reads().exists():
        journal.warn(f"{stage.name} is not run: {failed[-1]} failed, and {stage.reads()} is not there")
        return Ended(stage.name, None, 0.0)
    if failed and stage.reads:
        journal.warn(f"{failed[-1]} failed; {stage.name} goes on with {stage.reads()} of {written_at(stage.reads())}")
    began = time.monotonic()
    with contextlib.suppress(BrokenPipeError):  # it ended before its turn, and its exit code tells why
        os.write(started.turn, b"\n")
    result = Ended(stage.name, as_shells_say(started.process.wait()), time.monotonic() - began)
    journal.log(str(result))
    return result


def written_at(path: Path) -> str:
    """Return when a file was last written, in UTC."""
    return f"{datetime.fromtimestamp(path.stat().st_mtime, timezone.utc):%Y-%m-%d %H:%M}"


def as_shells_say(code: int) -> int:
    """Return an exit code as a shell gives it: 128 and the signal's number for a process that a signal ended."""
    return code if code >= 0 else 128 - code


def end(started: Started) -> None:
    """End a stage that is still there, and wait for it."""
    os.close(started.turn)
    if started.process.poll() is None:
        started.process.terminate()
        started.process.wait()


def sum_up(ended: list[Ended], journal: Journal) -> None:
    """Tell how each stage ended and where the results lie; raises StageError with the first failure's exit code."""
    for result in ended:
        if not journal.quiet or result.code != Exit.DONE:
            print(f"[etl] {result}", file=sys.stderr)
    journal.say(f"results: {clean_file()} and {database_file()}; log: {log_file()}")
    failure = next((result for result in ended if result.code != Exit.DONE), None)
    if failure and failure.code:
        raise StageError(failure.code, f"{failure.stage} failed; its error stands above and in {log_file()}")


if __name__ == "__main__":
    leave(main())
