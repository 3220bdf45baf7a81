"""An output that is written chunk by chunk, appears whole, and continues after an interruption where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gdp.remote_files import Where
from gdp.runtime.rejects import SPOOLED_BYTES, put_rejected
from utils import our_files, raw_file, stamp_of, sync, whole_file, write_whole, writing

SAVE_EVERY_S = 2.0  # so much work is done again after an interruption

State = dict[str, Any]  # what a stage must remember to continue, as JSON


class ResumableOutput:
    """An output with its rejects, put in place whole; `state` is the caller's own, None at the beginning.

    `fingerprint` identifies the input and the rules: an output of another fingerprint is not continued.
    """

    def __init__(self, target: Where, stage: str, fingerprint: str) -> None:
        self._target, self._stage, self._identity = target, stage, {"input": fingerprint}
        near = _local_path(target)
        self._done, self._note, *self._parts = [
            near.with_name(f".{near.name}.{what}") for what in ("done", "going", "part", "rejected.part")
        ]
        note = self._read_note()
        self.state: State | None = note["state"] if note else None
        with writing(near):
            near.parent.mkdir(parents=True, exist_ok=True)
            self._files = [part.open("ab") for part in self._parts]
            for file, size in zip(self._files, note["sizes"] if note else (0, 0), strict=True):
                file.truncate(size)
        self._saved = time.monotonic()
        self._disk = ThreadPoolExecutor(1)
        self._on_disk: Future[None] | None = None

    def _read_note(self) -> State | None:
        try:
            note: State = json.loads(self._note.read_bytes())
            is_whole = all(part.stat().st_size >= size for part, size in zip(self._parts, note["sizes"], strict=True))
            return note if is_whole and note["identity"] == self._identity else None
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def finished_state(self) -> State | None:
        """Return the last state of an earlier run that wrote this very output from this input; None if none did."""
        try:
            done: State = json.loads(self._done.read_bytes())
            is_same = done["identity"] == self._identity and done["output"] == stamp_of(self._target)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None
        return dict(done["state"]) if is_same else None

    def add(self, text: bytes | memoryview, rejected: bytes, state: Callable[[], State]) -> None:
        """Append a chunk's lines and rejects, and save from time to time; raises StageError (74)."""
        with writing(self._parts[0]):
            for file, more in zip(self._files, (text, rejected), strict=True):
                file.write(more)
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save(state(), wait=False)

    def save(self, state: State, wait: bool = True) -> None:
        """Put everything so far on the disk, and remember it; without `wait` another thread waits for the disk.

        Raises StageError (74).
        """
        self._wait_for_disk()
        with writing(self._parts[0]):
            for file in self._files:
                file.flush()
        sizes = [file.tell() for file in self._files]
        note = json.dumps({"identity": self._identity, "sizes": sizes, "state": state}).encode()
        self._on_disk = self._disk.submit(self._sync, note)
        self._saved = time.monotonic()
        if wait:
            self._wait_for_disk()

    def _sync(self, note: bytes) -> None:
        with writing(self._parts[0]):
            for file in self._files:
                sync(file.fileno())
        write_whole(self._note, note)

    def _wait_for_disk(self) -> None:
        if self._on_disk:
            self._on_disk.result()

    def put_rejected(self) -> None:
        """Put the rejects into Rejected.jsonl beside the output."""
        with self._parts[1].open("rb") as lines:
            put_rejected(self._target, self._stage, lines)

    def put(self, state: State) -> None:
        """Put the output in place; a run that a later stage interrupted need not write it again."""
        with writing(self._parts[0]):
            self._files[0].close()
            if isinstance(self._target, Path):
                self._parts[0].replace(self._target)
            else:
                with self._parts[0].open("rb") as lines, whole_file(self._target) as file:
                    while more := lines.read(SPOOLED_BYTES):
                        file.write(more)
        done = {"identity": self._identity, "output": stamp_of(self._target), "state": state}
        write_whole(self._done, json.dumps(done).encode())
        self.drop()

    def drop(self) -> None:
        """Remove what a later run would continue with."""
        with writing(self._parts[0]):
            for path in (*self._parts, self._note):
                path.unlink(missing_ok=True)


def _local_path(target: Where) -> Path:
    """Return the path beside which the output grows: its own, or one on this machine for an output in a store."""
    if isinstance(target, Path):
        return target
    return raw_file().with_name(f"{hashlib.sha256(target.url.encode()).hexdigest()[:16]}.{target.name}")


def fingerprint_of(paths: Iterable[Where]) -> str:
    """Return a hash of the names, sizes and times of files and of our own code, which holds the rules."""
    stamps = [(str(path), stamp_of(path)) for path in (*paths, *our_files())]
    return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()
