"""What a stage writes: an output that continues after an interruption where it stopped, and the rejected records."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gdp.places import without_credentials
from gdp.remote_files import Where
from utils import Exit, StageError, open_to_read, our_files, raw_file, stamp_of, sync, whole_file, write_whole, writing

if TYPE_CHECKING:
    from concurrent.futures import Future

# A typo or two in each column of a page of 600 figures; more, and the page was read wrong.
MAX_REJECTED_SHARE = 0.02
BYTE_OFFSET, RECORD = "Byte_offset", "Record"  # what a reject's place counts: bytes of a stream, records of an array
MAX_TEXT_CHARACTERS = 1000  # of a rejected record
SHOWN_CHARACTERS = 60  # of its text in a message: up to the figure
SPOOLED_BYTES = 8_000_000  # in memory, before it goes to the disk
SAVE_EVERY_S = 2.0  # so much work is done again after an interruption


class Limits(NamedTuple):
    """How many processes may work, and which share of the records may be rejected."""

    workers: int
    max_rejected: float

    def check_rejected(self, rejected: int, total: int, what: str) -> None:
        """Raise StageError (65) when too many were rejected."""
        if rejected > self.max_rejected * total:
            problem = f"{rejected:,} of {total:,} {what} were rejected, over --max-rejected {self.max_rejected:g}"
            raise StageError(Exit.BAD_DATA, f"{problem}; look at Rejected.jsonl, or allow more")


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Reject(NamedTuple):
    """A rejected record: its file, the reason, its place in the file, what that place counts, and its text."""

    file: str
    reason: str
    place: int | None = None
    counted: str = BYTE_OFFSET
    text: str = ""

    def __str__(self) -> str:
        where = f"{self.counted.replace('_', ' ').lower()} {self.place} of {self.file}"
        return f"{where}: {self.reason}: {without_credentials(self.text)[:SHOWN_CHARACTERS]}"


def rejected_file(beside: Where) -> Where:
    """Return the path of Rejected.jsonl, which is beside the stage's output."""
    return beside.with_name("Rejected.jsonl")


def rejected_lines(stage: str, rejects: Iterable[Reject]) -> bytes:
    """Return a stage's rejects as lines of Rejected.jsonl."""
    lines = [
        {
            "Stage": stage, "File": one.file, one.counted: one.place, "Reason": one.reason,
            "Text": without_credentials(one.text)[:MAX_TEXT_CHARACTERS],
        }
        for one in rejects
    ]  # fmt: skip
    return b"".join(json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n" for line in lines)


def put_rejected(target: Where, stage: str, lines: Iterable[bytes]) -> None:
    """Replace a stage's lines in the Rejected.jsonl beside its output; raises StageError (74)."""
    path, mine = rejected_file(target), json.dumps({"Stage": stage})[:-1].encode()
    exists = path.exists()
    if not lines and not exists:
        return
    import shutil
    import tempfile

    old = open_to_read(path) if exists else io.BytesIO()
    with old, tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as new:
        new.writelines(line for line in old if not line.startswith(mine))
        new.writelines(lines)
        if new.tell():
            new.seek(0)
            with whole_file(path) as file:
                shutil.copyfileobj(new, file)
        elif exists:
            path.unlink()


State = dict[str, Any]  # what a stage must remember to continue, as JSON


class ResumableOutput:
    """An output with its rejects, put in place whole; `state` is the caller's own, None at the beginning.

    `fingerprint` identifies the input and the rules: an output of another fingerprint is not continued.
    """

    def __init__(self, target: Where, stage: str, fingerprint: str) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._target, self._stage, self._identity = target, stage, fingerprint
        near = target  # it grows beside its place; that of a store, on this machine
        if not isinstance(near, Path):
            near = raw_file().with_name(f"{hashlib.sha256(near.url.encode()).hexdigest()[:16]}.{near.name}")
        self._done, self._note, *self._parts = [
            near.with_name(f".{near.name}.{what}") for what in ("done", "going", "part", "rejected.part")
        ]
        note = self._noted(
            self._note,
            lambda note: all(
                part.stat().st_size >= size for part, size in zip(self._parts, note["sizes"], strict=True)
            ),
        )
        self.state: State | None = note["state"] if note else None
        with writing(near):
            near.parent.mkdir(parents=True, exist_ok=True)
            self._files = [part.open("ab") for part in self._parts]
            for file, size in zip(self._files, note["sizes"] if note else (0, 0), strict=True):
                file.truncate(size)
        self._saved = time.monotonic()
        self._disk = ThreadPoolExecutor(1)
        self._on_disk: Future[None] | None = None

    def _noted(self, path: Path, is_there: Callable[[State], bool]) -> State | None:
        """Return a note of a run with this input, if what it is about is there."""
        try:
            note: State = json.loads(path.read_bytes())
            return note if note["identity"] == self._identity and is_there(note) else None
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def finished_state(self) -> State | None:
        """Return the last state of an earlier run that wrote this very output from this input; None if none did."""
        done = self._noted(self._done, lambda note: bool(note["output"] == stamp_of(self._target)))
        return dict(done["state"]) if done else None

    def add(self, text: bytes | memoryview, rejected: bytes, state: Callable[[], State]) -> None:
        """Append a chunk's lines and rejects, and save from time to time; raises StageError (74)."""
        with writing(self._parts[0]):
            for file, more in zip(self._files, (text, rejected), strict=True):
                file.write(more)
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save(state(), wait=False)

    def save(self, state: State, wait: bool = True) -> None:
        """Put everything so far on the disk, and remember it; a thread waits for the disk. Raises StageError (74)."""
        if self._on_disk:
            self._on_disk.result()
        with writing(self._parts[0]):
            for file in self._files:
                file.flush()
        sizes = [file.tell() for file in self._files]
        note = json.dumps({"identity": self._identity, "sizes": sizes, "state": state}).encode()
        self._on_disk = self._disk.submit(self._sync, note)
        self._saved = time.monotonic()
        if wait:
            self._on_disk.result()

    def _sync(self, note: bytes) -> None:
        with writing(self._parts[0]):
            for file in self._files:
                sync(file.fileno())
        write_whole(self._note, note)

    def put_rejected(self) -> None:
        """Put the rejects into Rejected.jsonl beside the output."""
        with self._parts[1].open("rb") as lines:
            put_rejected(self._target, self._stage, lines)

    def put(self, state: State) -> None:
        """Put the output in place; a run that a later stage interrupted need not write it again."""
        import shutil

        with writing(self._parts[0]):
            self._files[0].close()
            if isinstance(self._target, Path):
                self._parts[0].replace(self._target)
            else:
                with self._parts[0].open("rb") as lines, whole_file(self._target) as file:
                    shutil.copyfileobj(lines, file, SPOOLED_BYTES)
        done = {"identity": self._identity, "output": stamp_of(self._target), "state": state}
        write_whole(self._done, json.dumps(done).encode())
        self.drop()

    def drop(self) -> None:
        """Remove what a later run would continue with."""
        with writing(self._parts[0]):
            for path in (*self._parts, self._note):
                path.unlink(missing_ok=True)


def fingerprint_of(paths: Iterable[Where]) -> str:
    """Return a hash of the names, sizes and times of files and of our own code, which holds the rules."""
    stamps = [(str(path), _stamp_or_none(path)) for path in (*paths, *our_files())]
    return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()


def _stamp_or_none(path: Where) -> str | None:
    """Return a file's stamp; None for a link that leads nowhere, which whoever reads it explains."""
    try:
        return stamp_of(path)
    except FileNotFoundError:
        return None
