"""An output in partitions: each is made by itself, anywhere, and a manifest, written last, lists those that count.

Whoever makes a partition needs only the store: it reads the input that its task names, puts the partition there under
a name of its own, and then a note about it. So a partition that is made twice counts once, and one that is done is not
made again.
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
from gdp.runtime.output import SPOOLED_BYTES, put_rejected
from gdp.runtime.run_log import run_log
from gdp.runtime.terminal import progress
from gdp.runtime.worker_pool import results_in_order
from utils import Exit, StageError, make_folder, open_to_read, read_bytes, whole_file, write_whole, writing

AT_ONCE = 16  # requests in flight
MANIFEST_LIMIT_BYTES = 100_000_000
_NAME = r"{}-[0-9a-f]{{16}}-\d{{5}}-[0-9a-f]{{16}}\.{}"
_LINES, _REJECTED = re.compile(_NAME.format("part", "jsonl")), re.compile(_NAME.format("_rejected", "jsonl"))
_OURS = re.compile(
    rf"{_LINES.pattern}|{_REJECTED.pattern}|{_NAME.format('_note', 'json')}"
    r"|\.(?:part-|_rejected-|_note-|_manifest).*\.tmp"  # half written, by a killed process
    r"|\.?(?:part-\d{5}|_SUCCESS)(?:\.crc)?"  # as Spark itself writes them, and older versions of this suite
)

Note = dict[str, Any]  # about a partition: task, names of lines and rejected (or null), bytes, first As_of, counted


class ChunkOutput(NamedTuple):
    """The output for a chunk of a task: lines, lines of Rejected.jsonl, and what was counted, as JSON."""

    lines: bytes
    rejected: bytes
    counted: Any


class Task(NamedTuple):
    """The task that makes one partition: its number, and the input that it reads."""

    number: int
    reads: Any

    def __str__(self) -> str:
        return f"partition {self.number}"


Work = Callable[[Any], Iterator[ChunkOutput]]
Make = Callable[[Task], Note | StageError]
Run = Callable[[Make, Sequence[Task]], Iterator[Note | StageError]]


class PartitionedOutput:
    """A stage's output in partitions; `fingerprint` identifies the input and the rules."""

    def __init__(self, folder: Where, stage: str, fingerprint: str) -> None:
        self._folder, self._stage, self._identity = folder, stage, fingerprint[:16]

    def make(self, inputs: Sequence[Any], work: Work, run: Run) -> list[Note]:
        """Make a partition of each input that has none yet; return the notes about all, in the order of the inputs.

        Raises StageError where one cannot be made; those that are done stay, for the next time. A folder with other
        files than partitions is refused (74).
        """
        if isinstance(self._folder, Path):
            make_folder(self._folder.absolute().parent)
            with writing(self._folder):
                self._folder.mkdir(exist_ok=True)
        done = self._notes_of_done()
        if done:
            run_log.info(f"continuing: {len(done)} of {len(inputs)} partitions were made before")
        todo = [Task(number, reads) for number, reads in enumerate(inputs) if number not in done]
        make = partial(_make_partition, folder=self._folder, identity=self._identity, work=work)
        for note in run(make, todo) if todo else ():
            if isinstance(note, StageError):
                raise note
            done[note["task"]] = note
        return [done[number] for number in range(len(inputs))]

    def _notes_of_done(self) -> dict[int, Note]:
        """Return the notes about the partitions that were made of the same input, by the number of the task."""
        folder = self._folder
        names = sorted(place.name for place in folder.iterdir()) if folder.exists() else []
        if others := [name for name in names if name != MANIFEST and not _OURS.fullmatch(name)]:
            problem = f"cannot write {folder}: it holds {others[0]}, which is no partition; name another"
            raise StageError(Exit.CANNOT_WRITE, problem)
        if MANIFEST in names and (manifest := _manifest(folder))["identity"] == self._identity:
            found = manifest["parts"]
        else:
            ours = [name for name in names if name.startswith(f"_note-{self._identity}") and _OURS.fullmatch(name)]
            texts = ahead(read_bytes, [folder / name for name in ours], AT_ONCE)
            found = [note for text in texts if (note := _note_in(text))]
        existing = {None, *names}
        return {note["task"]: note for note in found if {note["lines"], note["rejected"]} <= existing}

    def put(self, notes: list[Note]) -> None:
        """Write which partitions count, and their rejects beside the folder; remove other partitions in it.

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


# --- making them ------------------------------------------------------------------------------------------------------


def on_this_machine(workers: int) -> Run:
    """Return a function that makes partitions by several processes of this machine."""

    def run(make: Make, todo: Sequence[Task]) -> Iterator[Note | StageError]:
        with progress(len(todo), "partitions made") as advance:
            for _, note in results_in_order(make, todo, workers):
                yield note
                advance(1)

    return run


def _make_partition(task: Task, folder: Where, identity: str, work: Work) -> Note | StageError:
    """Put a task's output into the folder under a new name, and then a note about it; return that, or the problem."""
    import tempfile

    name = f"{identity}-{task.number:05}-{os.urandom(8).hex()}"
    counted = []
    try:
        with (
            tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as lines,
            tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as rejected,
        ):
            for output in work(task.reads):
                lines.write(output.lines)
                rejected.write(output.rejected)
                counted.append(output.counted)
            note = {
                "task": task.number, "counted": counted, "bytes": lines.tell(), "as_of": _first_as_of(lines),
                "lines": _put(lines, folder / f"part-{name}.jsonl"),
                "rejected": _put(rejected, folder / f"_rejected-{name}.jsonl"),
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
    """Copy a temporary file into its place, unless it is empty; return its name, or None."""
    if not content.seek(0, io.SEEK_END):
        return None
    content.seek(0)
    with whole_file(place) as file:
        while more := content.read(SPOOLED_BYTES):
            file.write(more)
    return place.name


# --- reading them -----------------------------------------------------------------------------------------------------


def parts_in(folder: Where) -> list[Where]:
    """Return the partitions of a folder that count, oldest first line first, in which order load is quickest.

    Raises StageError: 66 where no manifest lists any, 65 where that is none.
    """
    notes = [note for note in _manifest(folder)["parts"] if note["lines"]]
    return [_partition(folder, note) for note in sorted(notes, key=lambda note: (note["as_of"], note["lines"]))]


def _partition(folder: Where, note: Note) -> Where:
    """Return a partition; one in a store comes with its facts, as its name is never used again."""
    place = folder / note["lines"]
    size = note["bytes"]
    return place._replace(known=Facts(size, 0.0, f"{size} bytes")) if isinstance(place, RemotePath) else place


def _manifest(folder: Where) -> dict[str, Any]:
    """Return a folder's manifest; it is input like any other, so nothing in it is trusted."""
    try:
        found = json.loads(read_bytes(folder / MANIFEST, MANIFEST_LIMIT_BYTES))
        identity, notes = str(found["identity"]), list(found["parts"])
    except StageError as error:
        if error.code != Exit.NO_INPUT:
            raise
        problem = f"{folder} holds no {MANIFEST}, which lists the partitions that count"
        raise StageError(
            Exit.NO_INPUT, f"{problem}; run the stage that writes it to its end, or name another"
        ) from None
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _no_manifest(folder, f"{error!r:.80}") from None
    wrong = ((number, what) for number, note in enumerate(notes, 1) if (what := note_problem(note)))
    for number, what in wrong:
        raise _no_manifest(folder, f"part {number}: {what}")
    return {"identity": identity, "parts": notes}


def _no_manifest(folder: Where, problem: str) -> StageError:
    return StageError(
        Exit.BAD_DATA, f"{folder / MANIFEST} is no manifest: {problem}; run the stage that writes it again"
    )


def _note_in(text: bytes) -> Note | None:
    """Return the note in a text; None for a broken one, whose partition is made again."""
    try:
        note = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return None if note_problem(note) else note


def note_problem(note: Any) -> str | None:
    """Return what is wrong with a note about a partition, or None: a name must be one that we give."""
    if not isinstance(note, dict):
        return "it is no object"
    kinds = {"task": int, "counted": list, "bytes": int, "as_of": str}
    for name, kind in kinds.items():
        if not isinstance(note.get(name), kind) or isinstance(note[name], bool):
            return f"its {name} is not valid"
    for name, pattern in (("lines", _LINES), ("rejected", _REJECTED)):
        value = note.get(name, "")
        if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
            return f"its {name} is not the name of a partition in this folder"
    return None
