"""Clean records as load reads them: vintage by vintage, checked on the way, from a file, a stream or a folder of parts.

An archive's vintages follow one another, so one at a time is in memory; a stream that mixes them is sorted on disk.
"""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from gdp.records import (
    BYTE_ORDER_MARK,
    CLEAN_FIELDS,
    FIRST_YEAR,
    INSTITUTIONS,
    LAST_YEAR,
    LINE_LIMIT_BYTES,
    MAX_BILLION_USD,
    PACKED,
    SAID_TWICE,
    STATUSES,
    CleanRecord,
    bad_input,
    is_as_of,
    is_stream,
    is_to_come,
    length_problem,
    read_records,
    record_problem,
)
from gdp.running.journal import Journal
from gdp.running.storage import Where
from gdp.store.vintages import Which, vintages_in, which

if TYPE_CHECKING:
    from concurrent.futures import Future

    from gdp.running.blocks import Block

LONG_LINE_BYTES = 200  # shorter ones hold no name and no text that is too long
CLEAN_BLOCK_BYTES = 250_000  # some eight hundred records, which the processor's cache holds
READERS = 2  # processes; what is done with the records takes longer than to read them


Run = list[CleanRecord]  # of one As_of and Source, as they follow one another
Right = tuple[str, str]  # an As_of and an institution that were found right


class Mixed(Exception):
    """A stream came back to a vintage that it had left; it must be sorted first."""


class ReadBlock(NamedTuple):
    """What was read of a block: runs of records of one As_of and Source, packed; up to what is wrong, if anything."""

    lines: bytes
    number: int
    problem: str | None = None


class CleanFile:
    """The clean records of a file, and after reading them how many they were and the file's SHA-256."""

    def __init__(self, source: Where, journal: Journal) -> None:
        self.source = source
        self.count = 0
        self.sha256 = ""
        self._journal = journal

    @property
    def size_bytes(self) -> int:
        """Return the size of the records; of packed ones and of parts no less than very many would have."""
        if self.source.is_dir() or self.source.suffix in PACKED:
            return sys.maxsize
        return int(self.source.stat().st_size) if self.source.exists() else 0

    def vintages(self) -> Iterator[list[CleanRecord]]:
        """Yield the records of each vintage.

        Raises StageError: 66 when the file is missing, 65 for anything but clean records; Mixed where those are mixed.
        """
        if is_stream(self.source) or self.source.is_dir():
            yield from self._in_turn(self._runs())
            return
        records, self.sha256 = read_records(self.source, CLEAN_FIELDS)
        right: set[Right] = set()
        for number, record in enumerate(records, 1):
            if problem := _problem_of_values(record, right):
                raise bad_input(self.source, f"record {number}: {problem}")
        self.count = len(records)
        yield from (merged(said) for _, said in vintages_in(records))

    def sorted_vintages(self) -> Iterator[list[CleanRecord]]:
        """Yield the records of each vintage of a stream that mixes them, by way of the disk."""
        with sqlite3.connect("") as disk:  # a nameless database is a temporary file that SQLite removes
            disk.execute("CREATE TABLE Runs (As_of TEXT, Page INTEGER, Publisher TEXT, Size INTEGER, Source, Run BLOB)")
            packed = ((*which(run[0]), marshal.dumps(run)) for run in self._runs())
            disk.executemany("INSERT INTO Runs VALUES (?, ?, ?, ?, ?, ?)", packed)
            in_order = disk.execute("SELECT Run FROM Runs ORDER BY As_of, Page, Publisher, Size, Source, rowid")
            yield from self._in_turn(marshal.loads(run) for (run,) in in_order)

    def _in_turn(self, runs: Iterable[Run]) -> Iterator[list[CleanRecord]]:
        left: set[Which] = set()
        current: Which | None = None
        said: list[CleanRecord] = []
        for run in runs:
            following = which(run[0])
            if following == current:
                said += run
                continue
            if current is not None:
                left.add(current)
                yield merged(said)
            if following in left:
                raise Mixed
            current, said = following, run
        if said:
            yield merged(said)

    def _runs(self) -> Iterator[Run]:
        """Yield a stream's records in runs, read by other processes; a thread takes the hash meanwhile."""
        from concurrent.futures import ThreadPoolExecutor

        from gdp.running.blocks import blocks_in
        from gdp.running.parts import parts_in
        from gdp.running.pieces import results_in_order

        paths = [self.source] if is_stream(self.source) else parts_in(self.source)
        self.count, digest, hashed, of_part = 0, hashlib.sha256(), None, Counter[Where]()
        blocks = blocks_in(paths, CLEAN_BLOCK_BYTES)
        with ThreadPoolExecutor(1) as thread, _progress(paths, self._journal) as advance:
            for block, read in results_in_order(read_block, blocks, READERS, self._journal):
                _wait(hashed)
                hashed = thread.submit(digest.update, block.read())
                self.count += read.number
                of_part[block.path] += read.number
                if read.problem:
                    raise bad_input(block.path, f"record {of_part[block.path]}: {read.problem}")
                advance(block.length)
                yield from marshal.loads(read.lines)
            _wait(hashed)
        self.sha256 = digest.hexdigest()
        if not self.count:
            raise bad_input(self.source, "holds no records")


# --- what is said twice -----------------------------------------------------------------------------------------------


def merged(records: list[CleanRecord]) -> list[CleanRecord]:
    """Return a vintage's records, of those that give a country's figure of a year twice, alike, one with a Note.

    Where any figure is given twice they come highest first, whichever kind of file they are from: of two different
    ones, which --force loads, the same one is then the last.
    """
    if len(set(map(_figure_of, records))) == len(records):
        return records
    alike: dict[tuple[object, ...], list[CleanRecord]] = {}
    for record in records:
        alike.setdefault((*_figure_of(record), record["GDP_USD_billion"]), []).append(record)
    return sorted(map(_one_of, alike.values()), key=itemgetter("GDP_USD_billion"), reverse=True)


def said_twice(records: list[CleanRecord]) -> dict[str, list[str]]:
    """Return by institution the countries of which a vintage's merged records gave a figure twice, alike."""
    found: dict[str, list[str]] = {}
    for record in records:
        if record["Note"] and record["Note"].endswith(SAID_TWICE):
            found.setdefault(record["Institution"], []).append(record["Country"])
    return found


def _one_of(alike: list[CleanRecord]) -> CleanRecord:
    """Return the record that stands for those alike: one without a Note, if there is one, confirms the others."""
    first = min(alike, key=lambda record: record["Note"] is not None)
    if len(alike) == 1:
        return first
    return {**first, "Note": "; ".join(note for note in (first["Note"], SAID_TWICE) if note)}


_figure_of = itemgetter("Institution", "Country", "Year")


# --- blocks of lines --------------------------------------------------------------------------------------------------


def read_block(block: Block) -> ReadBlock:
    """Return the records of a block of lines, each checked, or what is wrong with the first one that is not right."""
    import orjson

    runs: list[Run] = []
    right: set[Right] = set()
    as_of = source = None
    number = 0
    for line in block.read().splitlines():
        is_too_long = len(line) > LINE_LIMIT_BYTES  # and may stand here without its end
        if not is_too_long and not line.strip():
            continue
        number += 1
        if is_too_long:
            return ReadBlock(b"", number, f"is a line of over {LINE_LIMIT_BYTES:,} bytes")
        try:
            record = orjson.loads(line.removeprefix(BYTE_ORDER_MARK))
            values = _fields(record)
        except (orjson.JSONDecodeError, LookupError, TypeError):
            return ReadBlock(b"", number, _problem_of_line(line))
        if tuple(map(type, values)) not in _TYPES or record.get("Status") not in _STATUSES:
            return ReadBlock(b"", number, _problem_of_line(line))
        country, _, _, _, institution, year, figure, now_as_of, now_source, _ = values
        if len(line) > LONG_LINE_BYTES and (problem := length_problem(country, values)):
            return ReadBlock(b"", number, problem)
        seen = (now_as_of, institution) in right and country and not country.isspace()
        in_range = seen and 0 <= figure <= MAX_BILLION_USD and FIRST_YEAR <= year <= LAST_YEAR
        if not in_range and (problem := _problem_of_values(record, right)):
            return ReadBlock(b"", number, problem)
        if now_as_of != as_of or now_source != source:
            as_of, source = now_as_of, now_source
            runs.append([])
        record["As_of"], record["Source"] = as_of, source  # packed once a run, and not once a record
        runs[-1].append(record)
    return ReadBlock(marshal.dumps(runs), number)


def _problem_of_line(line: bytes) -> str:
    import orjson

    try:
        record = orjson.loads(line.removeprefix(BYTE_ORDER_MARK))
        return record_problem(record, CLEAN_FIELDS) or f"field Status is {str(record.get('Status'))[:40]!r}"
    except orjson.JSONDecodeError as error:
        return f"is not JSON: {error}"


def _problem_of_values(record: CleanRecord, right: set[Right]) -> str | None:
    """Return which value transform would not have written, as JSON allows more than GDP does, or None.

    `right` is given the As_of and institution that were found right.
    """
    as_of, institution = record["As_of"], record["Institution"]
    is_right = {
        "GDP_USD_billion": 0 <= record["GDP_USD_billion"] <= MAX_BILLION_USD,
        "Year": FIRST_YEAR <= record["Year"] <= LAST_YEAR,
        "Institution": institution in INSTITUTIONS,
        "Country": bool(record["Country"].strip()),
        "As_of": is_as_of(as_of) and not is_to_come(as_of),
        "Status": record.get("Status") in _STATUSES,
    }
    if all(is_right.values()):
        right.add((as_of, institution))
        return None
    wrong = next(name for name, fits in is_right.items() if not fits)
    return f"field {wrong} is {str(record[wrong])[:40]!r}"  # type: ignore[literal-required]


_fields = itemgetter(*CLEAN_FIELDS)
_STATUSES = (None, *STATUSES)


def _all_types() -> set[tuple[type, ...]]:
    """Return the types that a clean record's fields can have, all at once: quicker to look up than one by one."""
    found: list[tuple[type, ...]] = [()]
    for types in CLEAN_FIELDS.values():
        found = [(*some, one) for some in found for one in types]
    return set(found)


_TYPES = _all_types()


def _progress(paths: list[Where], journal: Journal) -> AbstractContextManager[Callable[[int], None]]:
    from gdp.running.screen import progress

    if any(path.suffix in (".gz", ".zst") for path in paths):  # packed: nobody knows how long they will be
        return nullcontext(lambda _: None)
    return progress(sum(path.stat().st_size for path in paths if path.exists()), "bytes read", journal)


def _wait(hashed: Future[None] | None) -> None:
    if hashed:
        hashed.result()
