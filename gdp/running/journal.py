"""What a stage has to say: lines on screen and in the log, and the facts of its run for log/runs.jsonl."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from gdp.running.runs import warnings_of_last_run
from gdp.running.storage import Where
from utils import Exit, StageError, append_log, from_here, printable

MOST_WARNINGS, MOST_CHARACTERS = 100, 500  # of a run that log/runs.jsonl remembers, and of each


class Journal:
    """What a stage has to say: every line goes to the log, and to standard error unless the run is quiet.

    `facts` are what log/runs.jsonl tells of the run: rows, bytes, files and their SHA-256, As_of, the error.
    """

    def __init__(self, stage: str, quiet: bool = False) -> None:
        self.stage = stage
        self.quiet = quiet
        self.warnings: list[str] = []
        self.facts: dict[str, Any] = {"warnings": self.warnings}
        self.lock: int | None = None
        self.settled = False
        self._warned_before: list[str] | None = None
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
        """Tell of a step: log and screen, but not the screen of a quiet run; the screen has paths from where we are."""
        self.log(message)
        if not self.quiet:
            print(f"[{self.stage}] {from_here(printable(message))}", file=sys.stderr, flush=True)

    def warn(self, message: str, in_lines: Sequence[str] = ()) -> None:
        """Tell of something that deserves a look: log and screen, quiet or not; the screen may have shorter lines.

        A quiet run does not say on the screen what the last run warned of too: cron would mail it every day.
        """
        self.log(f"warning: {message}")
        if len(self.warnings) < MOST_WARNINGS:
            self.warnings.append(message[:MOST_CHARACTERS])
        if not (self.quiet and self._was_warned_before(message)):
            first, *others = in_lines or (message,)
            lines = [f"[{self.stage}] warning: {printable(first)}", *(f"  {printable(line)}" for line in others)]
            print("\n".join(lines), file=sys.stderr, flush=True)

    def _was_warned_before(self, message: str) -> bool:
        if self._warned_before is None:
            self._warned_before = warnings_of_last_run(self.stage)
        return message[:MOST_CHARACTERS] in self._warned_before

    def note_input(self, path: Where, rows: int, sha256: str) -> None:
        """Remember the file that was read."""
        self.facts |= {"input": str(path), "input_sha256": sha256, "rows_in": rows, "bytes_in": path.stat().st_size}

    def note_output(self, place: Where | str, rows: int, sha256: str | None = None) -> None:
        """Remember what was written."""
        size = None if isinstance(place, str) else place.stat().st_size
        self.facts |= {"output": str(place), "output_sha256": sha256, "rows_out": rows, "bytes_out": size}

    def settle(self) -> None:
        """Say that the output is in place: from here on nothing undoes it, and what cannot be logged is a warning."""
        self.settled = True

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

    def stop(self, code: int) -> int:
        """Tell that a person, or the system, stopped us; return the exit code."""
        self.facts["error"] = "interrupted" if code == Exit.INTERRUPTED else "terminated"
        print(f"[{self.stage}] {self.facts['error']}", file=sys.stderr, flush=True)
        with contextlib.suppress(StageError):
            self.log(self.facts["error"])
        return code

    def fail(self, code: int, message: str) -> int:
        """Tell of a failure, also where the log cannot be written; return its exit code."""
        self.facts["error"] = message
        print(f"[{self.stage}] error: {printable(message)}", file=sys.stderr, flush=True)
        with contextlib.suppress(StageError):
            self.log(f"error: {message}")
        return code
