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
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from gdp.record_files import is_stream
from gdp.remote_files import MANIFEST, Facts, RemotePath, Where, ahead
from gdp.runtime.chunks import RAW_CHUNK_BYTES, Chunk, is_packed, ranges_of, read_ahead
from gdp.runtime.output import SPOOLED_BYTES, Limits, fingerprint_of, put_rejected, rejected_lines
from gdp.runtime.run_log import run_log
from gdp.runtime.terminal import progress
from gdp.runtime.worker_pool import results_in_order
from utils import Exit, StageError, make_folder, read_bytes, whole_file, write_whole, writing

if TYPE_CHECKING:
    from gdp.transform.batch import Totals

AT_ONCE = 16  # requests in flight
PAGES_PER_PARTITION = 100  # some seconds of work
FEWEST_PARTITIONS = 16  # so that all workers have work where there is little input
PAGES_AHEAD = 4  # read from a store while one is at work
PARTITION_BYTES = 8 * RAW_CHUNK_BYTES  # a second's work, and few requests
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
Maker = Callable[[Make, Sequence[Task]], Iterator[Note | StageError]]


class PartitionedOutput:
    """A stage's output in partitions; `fingerprint` identifies the input and the rules."""

    def __init__(self, folder: Where, stage: str, fingerprint: str) -> None:
        self._folder, self._stage, self._identity = folder, stage, fingerprint[:16]

    def make(self, inputs: Sequence[Any], work: Work, maker: Maker) -> list[Note]:
        """Make a partition of each input that has none yet; return the notes about all, in the order of the inputs.

        Raises StageError where one cannot be made (those that are done stay), or for a folder of other files (74).
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
        for note in maker(make, todo) if todo else ():
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
        """Write which partitions count, and their rejects; remove other partitions. Raises StageError (74)."""
        folder = self._folder
        rejected = (folder / note["rejected"] for note in notes if note["rejected"])
        lines = (line for place in rejected for line in read_bytes(place).splitlines(keepends=True))
        put_rejected(folder, self._stage, lines)
        manifest = {"stage": self._stage, "identity": self._identity, "parts": notes}
        write_whole(folder / MANIFEST, json.dumps(manifest).encode())
        count = {note[kind] for note in notes for kind in ("lines", "rejected")}
        others = [place for place in folder.iterdir() if _OURS.fullmatch(place.name) and place.name not in count]
        for _ in ahead(lambda place: place.unlink(missing_ok=True), others, AT_ONCE):
            pass


def on_this_machine(workers: int) -> Maker:
    """Return a function that makes partitions by several processes of this machine."""

    def make_all(make: Make, todo: Sequence[Task]) -> Iterator[Note | StageError]:
        with progress(len(todo), "partitions made") as advance:
            for _, note in results_in_order(make, todo, workers):
                yield note
                advance(1)

    return make_all


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
            size = lines.tell()
            lines.seek(0)
            first = lines.readline()
            note = {
                "task": task.number, "counted": counted, "bytes": size,
                "as_of": str(json.loads(first)["As_of"]) if first else "",
                "lines": _put(lines, folder / f"part-{name}.jsonl"),
                "rejected": _put(rejected, folder / f"_rejected-{name}.jsonl"),
            }  # fmt: skip
        write_whole(folder / f"_note-{name}.json", json.dumps(note).encode())
    except StageError as error:
        return error
    return note


def _put(content: IO[bytes], place: Where) -> str | None:
    """Copy a temporary file into its place, unless it is empty; return its name, or None."""
    import shutil

    if not content.seek(0, io.SEEK_END):
        return None
    content.seek(0)
    with whole_file(place) as file:
        shutil.copyfileobj(content, file, SPOOLED_BYTES)
    return place.name


def parts_in(folder: Where) -> list[Where]:
    """Return the partitions that count, oldest first line first, as load likes it; raises StageError 66, 65."""
    notes = [note for note in _manifest(folder)["parts"] if note["lines"]]
    notes.sort(key=lambda note: (note["as_of"], note["lines"]))
    if isinstance(folder, Path):
        return [folder / note["lines"] for note in notes]
    # they come with their facts, as their names are never used again
    facts = [Facts(note["bytes"], 0.0, f"{note['bytes']} bytes") for note in notes]
    return [(folder / note["lines"])._replace(known=known) for note, known in zip(notes, facts, strict=True)]


def _manifest(folder: Where) -> dict[str, Any]:
    """Return a folder's manifest; it is input like any other, so nothing in it is trusted."""
    try:
        found = json.loads(read_bytes(folder / MANIFEST, MANIFEST_LIMIT_BYTES))
        identity, notes = str(found["identity"]), list(found["parts"])
    except StageError as error:
        if error.code != Exit.NO_INPUT:
            raise
        problem = f"{folder} holds no {MANIFEST}, which lists the partitions that count"
        remedy = "run the stage that writes it to its end, or name another"
        raise StageError(Exit.NO_INPUT, f"{problem}; {remedy}") from None
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        problems = [f"{error!r:.80}"]
    else:
        problems = [f"part {number}: {what}" for number, note in enumerate(notes, 1) if (what := note_problem(note))]
        if not problems and isinstance(folder, Path):
            links = (note["lines"] for note in notes if note["lines"] and (folder / note["lines"]).is_symlink())
            problems = [f"{name} is a link, which may lead out of the folder" for name in links]
    if problems:
        problem = f"{folder / MANIFEST} is no manifest: {problems[0]}"
        raise StageError(Exit.BAD_DATA, f"{problem}; run the stage that writes it again")
    return {"identity": identity, "parts": notes}


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
    wrong = [f"its {name} is not valid" for name, kind in kinds.items() if type(note.get(name)) is not kind]
    for name, pattern in (("lines", _LINES), ("rejected", _REJECTED)):
        if note.get(name, "") is not None and not pattern.fullmatch(str(note.get(name))):
            wrong.append(f"its {name} is not the name of a partition in this folder")
    return wrong[0] if wrong else None


def extract_parts(paths: Sequence[Where], folder: Where, limits: Limits, maker: Maker) -> None:
    """Read pages into a folder of partitions; unreadable ones are rejected. Raises StageError (65), or as `maker`."""
    from gdp.sources import folder_of_pages as pages

    per_partition = max(1, min(PAGES_PER_PARTITION, len(paths) // FEWEST_PARTITIONS))
    inputs = [paths[begin : begin + per_partition] for begin in range(0, len(paths), per_partition)]
    output = PartitionedOutput(folder, "extract", fingerprint_of(paths))
    notes = output.make(inputs, read_pages, maker)
    state: dict[str, Any] = dict(pages.NOTHING_YET)
    for counted in (counted for note in notes for counted in note["counted"]):
        pages.add_page(state, pages.PageLines(b"", *counted))
    pages.refuse_pages(state, limits, folder)
    output.put(notes)
    pages.report_pages(state, folder)


def read_pages(paths: Sequence[Where]) -> Iterator[ChunkOutput]:
    """Yield the records of pages, each opened while those before it are read."""
    from gdp.sources.folder_of_pages import opened_page, page_lines, rejected_page

    for path, opened in zip(paths, ahead(opened_page, paths, PAGES_AHEAD), strict=True):
        page = page_lines(path, opened)
        yield ChunkOutput(page.lines, rejected_page(path, page), page[1:])


def transform_parts(sources: list[Where], folder: Where, limits: Limits, maker: Maker) -> Totals:
    """Clean the raw lines of files, or of folders of partitions, into a folder of partitions; return the totals.

    Raises StageError, and then no new partition counts: 66 for a missing source, 65 too many rejects, or as `maker`.
    """
    from gdp.transform.batch import Totals
    from gdp.transform.run import refuse

    found = files_of(sources)
    output = PartitionedOutput(folder, "transform", fingerprint_of(found))
    notes = output.make(ranges_for_partitions(found), clean_range, maker)
    totals = Totals()
    for saved in (saved for note in notes for saved in note["counted"]):
        totals.add(Totals(saved))
    refuse(totals, sources, limits)
    output.put(notes)
    return totals


def files_of(sources: list[Where]) -> list[Where]:
    """Return the files of sources, and the partitions of folders; raises StageError (66) for a missing source."""
    found: list[Where] = []
    for source in sources:
        if not is_stream(source) and source.is_dir():
            found += parts_in(source)
        elif isinstance(source, RemotePath):
            found.append(source._replace(known=source.stat()))
        elif source.is_file():
            found.append(source)
        else:
            raise StageError(Exit.NO_INPUT, f"{source} is not there; run extract.py, or name another with --input")
    return found


def ranges_for_partitions(files: list[Where]) -> list[Chunk]:
    """Return ranges of files, one a partition, so that all workers have work; a packed file is one range."""
    sizes = [file.stat().st_size for file in files]
    range_bytes = max(RAW_CHUNK_BYTES // 4, min(PARTITION_BYTES, sum(sizes) // FEWEST_PARTITIONS))
    return [
        one for file, size in zip(files, sizes, strict=True)
        for one in ranges_of(file, size or 1 if is_packed(file) else range_bytes)
    ]  # fmt: skip


def clean_range(task: Chunk) -> Iterator[ChunkOutput]:
    """Yield the clean records of a range of a file, chunk by chunk."""
    from gdp.transform.batch import clean_lines

    for offset, text in read_ahead(task):
        cleaned = clean_lines(text, str(task.path), offset)
        yield ChunkOutput(cleaned.lines, rejected_lines("transform", cleaned.rejects), cleaned.totals.as_json())
