"""Work that is cut in pieces: done by several processes, handed back in order, and gone on with after an interruption.

A piece is a page, or a block of lines. What is made of it is a pure function of it, so that the output is the same to
the byte whatever the number of processes; memory is bounded by the pieces that are on their way.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import cycle, islice
from mmap import mmap
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from gdp.remote_files import Where
from gdp.runtime.run_log import run_log
from utils import (
    Exit,
    StageError,
    open_to_read,
    our_files,
    raw_file,
    stamp_of,
    whole_file,
    write_whole,
    writing,
)

IN_FLIGHT = 2  # pieces a process: one at work, one waiting
TRAY_BYTES = 16 * 2**20  # room for five times what a block of raw lines has; what is not used costs nothing
MAX_DEATHS = 3  # of processes without a piece done in between; then it is the piece that kills
SAVE_EVERY_S = float(os.environ.get("GDP_ETL_SAVE_EVERY_S") or 2.0)  # so much is done again after an interruption
SPOOLED_BYTES = 8_000_000  # in memory, before it goes to the disk
PR_SET_PDEATHSIG = 1  # prctl(2)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
KEPT_BYTES = 32_000_000  # of memory that is free: several times a block


# --- several processes ------------------------------------------------------------------------------------------------


Piece = TypeVar("Piece")
Result = TypeVar("Result")


@dataclass
class _Waiting(Generic[Piece, Result]):
    """A piece on its way, and what will come of it."""

    piece: Piece
    future: Future[Result] | None = None

    def forget_unless_done(self) -> None:
        if self.future and not (self.future.done() and self.future.exception() is None):
            self.future = None


def results_in_order(
    work: Callable[[Piece], Result], pieces: Iterable[Piece], workers: int
) -> Iterator[tuple[Piece, Result]]:
    """Yield each piece with what `work` makes of it, in order, done by `workers` processes.

    A process that is killed costs its pieces a retry; raises StageError (1) when one piece kills MAX_DEATHS of them.
    """
    if workers == 1:
        yield from ((piece, work(piece)) for piece in pieces)
        return
    todo, deaths, pool = iter(pieces), 0, _new_pool(workers)
    waiting: deque[_Waiting[Piece, Result]] = deque()
    try:
        while True:
            waiting.extend(_Waiting(piece) for piece in islice(todo, workers * IN_FLIGHT - len(waiting)))
            if not waiting:
                return
            try:
                for one in waiting:
                    one.future = one.future or pool.submit(work, one.piece)
                assert waiting[0].future
                result = waiting[0].future.result()
            except BrokenProcessPool:
                deaths += 1
                _tell_death(waiting[0].piece, deaths)
                for one in waiting:
                    one.forget_unless_done()
                pool = _new_pool(workers)
                continue
            deaths = 0
            yield waiting.popleft().piece, result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _new_pool(workers: int) -> ProcessPoolExecutor:
    # forked, so that the workers share the modules and the reference table that we have read
    return ProcessPoolExecutor(workers, get_context("fork"), _become_worker, (os.getpid(),))


def _become_worker(parent: int) -> None:
    """Let the kernel kill this process when its parent dies, however that dies: it would hold the lock for ever.

    And let it keep a block's memory for the next one: to give it back and ask for it anew takes a sixth of the time.
    """
    import ctypes

    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(AttributeError):  # another C library than glibc
        for threshold in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            libc.mallopt(threshold, KEPT_BYTES)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if os.getppid() != parent:
        os._exit(Exit.TERMINATED)


def _tell_death(piece: object, deaths: int) -> None:
    if deaths >= MAX_DEATHS:
        remedy = "look whether memory runs out, or run with --workers 1"
        raise StageError(Exit.FAULT, f"{deaths} worker processes were killed over {piece}; {remedy}") from None
    run_log.warn(f"a worker process was killed; what was on its way is done again, from {piece} on")


# --- what workers and we share ----------------------------------------------------------------------------------------


_trays: list[mmap] = []  # the workers are forked from us when it is filled


def with_trays(pieces: Iterable[Piece], workers: int) -> Iterator[tuple[Piece, int]]:
    """Return each piece with the number of a tray, memory that is shared, for what is made of it.

    Through the pool's pipe a text is copied five times, which takes a fifth of the time. A tray serves again as soon as
    the next result is asked for.
    """
    _trays[:] = [mmap(-1, TRAY_BYTES) for _ in range(workers * IN_FLIGHT if workers > 1 else 0)]
    return zip(pieces, cycle(range(max(1, len(_trays)))), strict=False)


def lay(text: bytes, tray: int) -> bytes | int:
    """Lay a text into a tray, and return its length; where there is no tray, or too little room, the text itself."""
    if not _trays or len(text) > TRAY_BYTES:
        return text
    _trays[tray][: len(text)] = text
    return len(text)


def laid(text: bytes | int, tray: int) -> bytes | memoryview:
    """Return a text that was laid into a tray."""
    return text if isinstance(text, bytes) else memoryview(_trays[tray])[:text]


# --- what is set aside ------------------------------------------------------------------------------------------------

BYTE_OFFSET, RECORD = "Byte_offset", "Record"  # how a place in a file is told: of a line, and of a record in an array
MAX_TEXT_CHARACTERS = 1000  # of what is set aside
SHOWN_CHARACTERS = 60  # of its text in a message: up to the figure


class Reject(NamedTuple):
    """What was set aside: the file, where it stands there and how that is counted, why, and its text."""

    file: str
    reason: str
    place: int | None = None
    counted: str = BYTE_OFFSET
    text: str = ""

    def __str__(self) -> str:
        where = f"{self.counted.replace('_', ' ').lower()} {self.place} of {self.file}"
        return f"{where}: {self.reason}: {self.text[:SHOWN_CHARACTERS]}"


def rejected_file(beside: Where) -> Where:
    """Return where what was set aside goes, with its reason: beside the stage's output."""
    return beside.with_name("Rejected.jsonl")


def rejected_lines(stage: str, rejects: Iterable[Reject]) -> bytes:
    """Return what a stage set aside as lines of Rejected.jsonl."""
    lines = [
        {
            "Stage": stage,
            "File": one.file,
            one.counted: one.place,
            "Reason": one.reason,
            "Text": one.text[:MAX_TEXT_CHARACTERS],
        }
        for one in rejects
    ]
    return b"".join(json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n" for line in lines)


def put_rejected(target: Where, stage: str, lines: Iterable[bytes]) -> None:
    """Put a stage's rejects into Rejected.jsonl beside its output, in the place of those of its last run.

    Raises StageError (74) when it cannot be written.
    """
    path, mine = rejected_file(target), json.dumps({"Stage": stage})[:-1].encode()
    if not lines and not path.exists():
        return
    import shutil
    import tempfile

    others = open_to_read(path) if path.exists() else io.BytesIO()
    with others, tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as kept:
        kept.writelines(line for line in others if not line.startswith(mine))
        kept.writelines(lines)
        if kept.tell():
            kept.seek(0)
            with whole_file(path) as file:
                shutil.copyfileobj(kept, file)
        elif path.exists():
            path.unlink()


# --- outputs that grow ------------------------------------------------------------------------------------------------


class Growing:
    """An output that grows piece by piece, with what is set aside; put in place whole, and gone on with if interrupted.

    `state` is what the caller remembers with the pieces done, as JSON; None at the beginning.
    """

    def __init__(self, target: Where, stage: str, identity: dict[str, Any]) -> None:
        self._target, self._stage, self._identity = target, stage, identity
        near = _grows_at(target)
        self._done, self._note, *self._parts = [
            near.with_name(f".{near.name}.{what}") for what in ("done", "going", "part", "rejected.part")
        ]
        note = self._read_note()
        self.state: dict[str, Any] | None = note["state"] if note else None
        with writing(near):
            near.parent.mkdir(parents=True, exist_ok=True)
            self._files = [part.open("ab") for part in self._parts]
            for file, size in zip(self._files, note["sizes"] if note else (0, 0), strict=True):
                file.truncate(size)
        self._saved = time.monotonic()
        self._disk = ThreadPoolExecutor(1)
        self._on_disk: Future[None] | None = None

    def _read_note(self) -> dict[str, Any] | None:
        try:
            note: dict[str, Any] = json.loads(self._note.read_bytes())
            whole = all(part.stat().st_size >= size for part, size in zip(self._parts, note["sizes"], strict=True))
            return note if whole and note["identity"] == self._identity else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def was_done(self) -> dict[str, Any] | None:
        """Return the last state of a run that made this very output of these very pieces; None where none did."""
        try:
            done: dict[str, Any] = json.loads(self._done.read_bytes())
            same = done["identity"] == self._identity and done["output"] == stamp_of(self._target)
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return dict(done["state"]) if same else None

    def add(self, text: bytes | memoryview, rejected: bytes, state: Callable[[], dict[str, Any]]) -> None:
        """Add what a piece gave, and from time to time remember how far we are; raises StageError (74)."""
        with writing(self._parts[0]):
            for file, more in zip(self._files, (text, rejected), strict=True):
                file.write(more)
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save(state(), wait=False)

    def save(self, state: dict[str, Any], wait: bool = True) -> None:
        """Make what there is last, and remember it; raises StageError (74). Without `wait` the disk takes its time."""
        self._wait_for_disk()
        with writing(self._parts[0]):
            for file in self._files:
                file.flush()
        sizes = [file.tell() for file in self._files]
        note = json.dumps({"identity": self._identity, "sizes": sizes, "state": state}).encode()
        self._on_disk = self._disk.submit(self._make_last, note)
        self._saved = time.monotonic()
        if wait:
            self._wait_for_disk()

    def _make_last(self, note: bytes) -> None:
        with writing(self._parts[0]):
            for file in self._files:
                os.fsync(file.fileno())
        write_whole(self._note, note)

    def _wait_for_disk(self) -> None:
        if self._on_disk:
            self._on_disk.result()

    def put_rejected(self) -> None:
        """Put what was set aside beside the output."""
        with self._parts[1].open("rb") as lines:
            put_rejected(self._target, self._stage, lines)

    def put(self, state: dict[str, Any]) -> None:
        """Put the output in place; all is done, and a run that a later stage interrupted need not do it again."""
        with writing(self._parts[0]):
            self._files[0].close()
            if isinstance(self._target, Path):
                self._parts[0].replace(self._target)
            else:
                with self._parts[0].open("rb") as grown, whole_file(self._target) as file:
                    while piece := grown.read(SPOOLED_BYTES):
                        file.write(piece)
        done = {"identity": self._identity, "output": stamp_of(self._target), "state": state}
        write_whole(self._done, json.dumps(done).encode())
        self.drop()

    def drop(self) -> None:
        """Leave nothing to go on with."""
        with writing(self._parts[0]):
            for path in (*self._parts, self._note):
                path.unlink(missing_ok=True)


def _grows_at(target: Where) -> Path:
    """Return beside what an output grows: itself or, where that is in a store, what stands for it on this machine."""
    if isinstance(target, Path):
        return target
    return raw_file().with_name(f"{hashlib.sha256(target.url.encode()).hexdigest()[:16]}.{target.name}")


def identity_of(paths: Iterable[Where]) -> str:
    """Return what tells that files, and the rules that read them, are still the same: a hash of names, sizes, times."""
    stamps = [(str(path), stamp_of(path)) for path in (*paths, *our_files())]
    return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()
