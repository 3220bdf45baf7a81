"""An output in parts: each made by itself, anywhere, and a manifest, written last, that names those that count.

Who makes a part needs nothing but the store: it reads what its task names, and puts the part there under a name of its
own, and then a note of it. So a part made twice counts once, and one that is done is not made again.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from gdp.remote_files import MANIFEST, Facts, RemotePath, Where, ahead
from gdp.runtime.rejects import SPOOLED_BYTES, put_rejected
from gdp.runtime.run_log import run_log
from gdp.runtime.terminal import progress
from gdp.runtime.worker_pool import results_in_order
from utils import Exit, StageError, open_to_read, read_bytes, whole_file, write_whole, writing

AT_ONCE = 16  # requests on their way
_OURS = re.compile(
    r"(?:part|_rejected|_note)-[0-9a-f]{16}-\d{5}-[0-9a-f]{16}\.jsonl?"
    r"|\.(?:part-|_rejected-|_note-|_manifest).*\.tmp"  # half written, by who was killed
    r"|\.?(?:part-\d{5}|_SUCCESS)(?:\.crc)?"  # as Spark itself writes them, and we did before
)

Note = dict[str, Any]  # of a part: task, names of lines and rejected (or null), bytes, first line's As_of, counted


class ChunkOutput(NamedTuple):
    """What a piece of a task gives: lines of the output, lines of Rejected.jsonl, and what was counted, as JSON."""

    lines: bytes
    rejected: bytes
    counted: Any


class Task(NamedTuple):
    """What makes one part: its number, and what of the input goes into it, as a stage's work takes it."""

    number: int
    reads: Any

    def __str__(self) -> str:
        return f"part {self.number}"


Work = Callable[[Any], Iterator[ChunkOutput]]
Make = Callable[[Task], Note | StageError]
Run = Callable[[Make, Sequence[Task]], Iterator[Note | StageError]]


class PartitionedOutput:
    """A stage's output in partitions; `fingerprint` identifies the input and the rules."""

    def __init__(self, folder: Where, stage: str, fingerprint: str) -> None:
        self._folder, self._stage, self._identity = folder, stage, fingerprint[:16]

    def make(self, inputs: Sequence[Any], work: Work, run: Run) -> list[Note]:
        """Make a part of each input, those that are not done yet; return the notes of all, in the order of the inputs.

        Raises StageError where one cannot be made; those that are done stay, for the next time. A folder that holds
        anything but parts is somebody else's, and refused (74).
        """
        if isinstance(self._folder, Path):
            with writing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
        done = self._done_before()
        if done:
            run_log.info(f"going on: {len(done)} of {len(inputs)} parts were done before")
        todo = [Task(number, reads) for number, reads in enumerate(inputs) if number not in done]
        make = partial(_make_part, folder=self._folder, identity=self._identity, work=work)
        for note in run(make, todo) if todo else ():
            if isinstance(note, StageError):
                raise note
            done[note["task"]] = note
        return [done[number] for number in range(len(inputs))]

    def _done_before(self) -> dict[int, Note]:
        """Return the notes of the parts of the same tasks that are there already, by the number of the input."""
        folder = self._folder
        names = sorted(place.name for place in folder.iterdir()) if folder.exists() else []
        if others := [name for name in names if name != MANIFEST and not _OURS.fullmatch(name)]:
            raise StageError(Exit.CANNOT_WRITE, f"cannot write {folder}: it holds {others[0]}, not parts; name another")
        if MANIFEST in names and (manifest := _manifest(folder))["identity"] == self._identity:
            found = manifest["parts"]
        else:
            ours = [name for name in names if name.startswith(f"_note-{self._identity}") and _OURS.fullmatch(name)]
            found = [json.loads(note) for note in ahead(read_bytes, [folder / name for name in ours], AT_ONCE)]
        there = {None, *names}
        return {note["task"]: note for note in found if {note["lines"], note["rejected"]} <= there}

    def put(self, notes: list[Note]) -> None:
        """Say which parts count, with what was set aside beside them; what else was made there is removed.

        Raises StageError (74) when something cannot be written.
        """
        folder = self._folder
        put_rejected(folder, self._stage, _lines_of(folder / note["rejected"] for note in notes if note["rejected"]))
        manifest = {"stage": self._stage, "identity": self._identity, "parts": notes}
        write_whole(folder / MANIFEST, json.dumps(manifest).encode())
        count = {note[kind] for note in notes for kind in ("lines", "rejected")}
        others = [place for place in folder.iterdir() if _OURS.fullmatch(place.name) and place.name not in count]
        for _ in ahead(lambda place: place.unlink(missing_ok=True), others, AT_ONCE):
            pass


def _lines_of(places: Iterable[Where]) -> Iterator[bytes]:
    for place in places:
        with open_to_read(place) as file:
            yield from file


# --- who makes them ---------------------------------------------------------------------------------------------------


def on_this_machine(workers: int) -> Run:
    """Return what makes parts by several processes of this machine."""

    def run(make: Make, todo: Sequence[Task]) -> Iterator[Note | StageError]:
        with progress(len(todo), "parts made") as advance:
            for _, note in results_in_order(make, todo, workers):
                yield note
                advance(1)

    return run


def _make_part(task: Task, folder: Where, identity: str, work: Work) -> Note | StageError:
    """Put what a task gives into the folder under a new name, and then a note of it; return that, or what is wrong."""
    import tempfile

    name = f"{identity}-{task.number:05}-{os.urandom(8).hex()}"
    counted = []
    try:
        with (
            tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as lines,
            tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as rest,
        ):
            for given in work(task.reads):
                lines.write(given.lines)
                rest.write(given.rejected)
                counted.append(given.counted)
            note = {
                "task": task.number, "counted": counted, "bytes": lines.tell(), "as_of": _first_as_of(lines),
                "lines": _put(lines, folder / f"part-{name}.jsonl"),
                "rejected": _put(rest, folder / f"_rejected-{name}.jsonl"),
            }  # fmt: skip
        write_whole(folder / f"_note-{name}.json", json.dumps(note).encode())
    except StageError as error:
        return error
    return note


def _first_as_of(lines: IO[bytes]) -> str:
    lines.seek(0)
    first = lines.readline()
    return str(json.loads(first)["As_of"]) if first else ""


def _put(content: IO[bytes], place: Where) -> str | None:
    """Put what was written to a file in its place, unless it is nothing; return its name, or None."""
    if not content.seek(0, io.SEEK_END):
        return None
    content.seek(0)
    with whole_file(place) as file:
        while piece := content.read(SPOOLED_BYTES):
            file.write(piece)
    return place.name


# --- those that count -------------------------------------------------------------------------------------------------


def parts_in(folder: Where) -> list[Where]:
    """Return the parts of a folder that count, oldest first line first: so load is quickest.

    Raises StageError: 66 where no manifest names any, 65 where that is none.
    """
    notes = [note for note in _manifest(folder)["parts"] if note["lines"]]
    return [_part(folder, note) for note in sorted(notes, key=lambda note: (note["as_of"], note["lines"]))]


def _part(folder: Where, note: Note) -> Where:
    """Return a part; of a stored one all is known, as its name is its own."""
    place = folder / note["lines"]
    size = note["bytes"]
    return place._replace(known=Facts(size, 0.0, f"{size} bytes")) if isinstance(place, RemotePath) else place


def _manifest(folder: Where) -> dict[str, Any]:
    try:
        found = json.loads(read_bytes(folder / MANIFEST))
        return {"identity": str(found["identity"]), "parts": [dict(note) for note in found["parts"]]}
    except StageError as error:
        if error.code != Exit.NO_INPUT:
            raise
        problem = f"{folder} holds no {MANIFEST}, which would say which parts count; run the stage that writes it"
        raise StageError(Exit.NO_INPUT, f"{problem} to its end, or name another") from None
    except (ValueError, LookupError, TypeError) as error:
        problem = f"{folder / MANIFEST} is no manifest: {error!r}; run the stage that writes it again"
        raise StageError(Exit.BAD_DATA, problem) from None
