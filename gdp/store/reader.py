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
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple

from gdp.model import CLEAN_FIELDS, CleanRecord, FIRST_YEAR, INSTITUTIONS, LAST_YEAR, MAX_BILLION_USD, MAX_TEXT_CHARACTERS, STATUSES, is_as_of, is_in_future
from gdp.record_files import BYTE_ORDER_MARK, LINE_LIMIT_BYTES, PACKED, bad_input, is_stream, length_problem, read_records, record_problem
from gdp.records_left import SAID_TWICE
from gdp.remote_files import RemotePath, Where
from gdp.store.vintages import Which, which
from gdp.validate.observations import Key, Row, Said, put_together, said_in

if TYPE_CHECKING:
    from concurrent.futures import Future

    from gdp.runtime.chunks import Chunk

CLEAN_BLOCK_BYTES = 1_000_000  # some three thousand records: of smaller ones the handing over costs more
READERS = 2  # processes; what is done with the records takes longer than to read them


Right = tuple[str, str]  # an As_of and an institution that were found right


class Mixed(Exception):
    """A stream came back to a vintage that it had left; it must be sorted first."""


class ReadBlock(NamedTuple):
    """What was read of a block: what is said there, packed, in how many records; up to what is wrong, if anything."""

    said: bytes
    number: int
    problem: str | None = None


class CleanFile:
    """The clean records of a file, and after reading them how many they were and the file's SHA-256."""

    def __init__(self, source: Where) -> None:
        self.source = source
        self.count = 0
        self.sha256 = ""

    @property
    def size_bytes(self) -> int:
        """Return the size of the records; of packed ones and of parts no less than very many would have."""
        if self.source.is_dir() or self.source.suffix in PACKED:
            return sys.maxsize
        return int(self.source.stat().st_size) if self.source.exists() else 0

    def vintages(self) -> Iterator[list[Said]]:
        """Yield what each vintage says, by institution.

        Raises StageError: 66 when the file is missing, 65 for anything but clean records; Mixed where those are mixed.
        """
        if is_stream(self.source) or self.source.is_dir():
            yield from self._in_turn(self._parts())
            return
        records, self.sha256 = read_records(self.source, CLEAN_FIELDS)
        right: set[Right] = set()
        for number, record in enumerate(records, 1):
            if problem := _problem_of_values(record, right):
                raise bad_input(self.source, f"record {number}: {problem}")
        self.count = len(records)
        # the oldest first, and the IMF's own before the page that quotes it
        yield from (merged(list(said)) for _, said in groupby(sorted(said_in(records), key=which), which))

    def sorted_vintages(self) -> Iterator[list[Said]]:
        """Yield what each vintage of a stream that mixes them says, by way of the disk."""
        with sqlite3.connect("") as disk:  # a nameless database is a temporary file that SQLite removes
            disk.execute(
                "CREATE TABLE Parts (As_of TEXT, Page INTEGER, Publisher TEXT, Size INTEGER, Source, Part BLOB)"
            )
            packed = ((*which(part), marshal.dumps(tuple(part))) for part in self._parts())
            disk.executemany("INSERT INTO Parts VALUES (?, ?, ?, ?, ?, ?)", packed)
            in_order = disk.execute("SELECT Part FROM Parts ORDER BY As_of, Page, Publisher, Size, Source, rowid")
            yield from self._in_turn(Said._make(marshal.loads(part)) for (part,) in in_order)

    def _in_turn(self, parts: Iterable[Said]) -> Iterator[list[Said]]:
        left: set[Which] = set()
        for current, said in groupby(parts, which):
            if current in left:
                raise Mixed
            left.add(current)
            yield merged(put_together(said))

    def _parts(self) -> Iterator[Said]:
        """Yield what a stream says part by part, read by other processes; a thread takes the hash meanwhile."""
        from concurrent.futures import ThreadPoolExecutor

        from gdp.runtime.chunks import chunks_in
        from gdp.runtime.worker_pool import results_in_order
        from gdp.scale.partitioned_output import parts_in

        paths = [self.source] if is_stream(self.source) else parts_in(self.source)
        self.count, digest, hashed, of_part = 0, hashlib.sha256(), None, Counter[Where]()
        blocks = chunks_in(paths, CLEAN_BLOCK_BYTES)
        with ThreadPoolExecutor(1) as thread, _progress(paths) as advance:
            for block, read in results_in_order(read_block, blocks, READERS):
                _wait(hashed)
                hashed = thread.submit(digest.update, block.read())
                self.count += read.number
                of_part[block.path] += read.number
                if read.problem:
                    raise bad_input(block.path, f"record {of_part[block.path]}: {read.problem}")
                advance(block.length)
                yield from map(Said._make, marshal.loads(read.said))
            _wait(hashed)
        self.sha256 = digest.hexdigest()
        if not self.count:
            raise bad_input(self.source, "holds no records")


# --- what is said twice -----------------------------------------------------------------------------------------------


def merged(said: list[Said]) -> list[Said]:
    """Return what a vintage says, of the figures that it gives twice, alike, one with a Note.

    Where any figure is given twice they come highest first, whichever kind of file they are from: of two different
    ones, which --force loads, the same one is then the last.
    """
    if all(one.has_each_once for one in said):
        return said
    return [one.with_rows(_each_told_once(one)) for one in said]


def said_twice(said: Said) -> list[str]:
    """Return the countries of which a vintage's merged figures were given twice, alike."""
    if not any(said.notes):
        return []
    noted = zip(said.countries, said.notes, strict=True)
    return [country for country, note in noted if note and note.endswith(SAID_TWICE)]


def _each_told_once(said: Said) -> list[Row]:
    alike: dict[tuple[Key, float], list[Row]] = {}
    for row in said.rows():
        alike.setdefault(((row.country, row.year), row.figure), []).append(row)
    return sorted(map(_one_of, alike.values()), key=attrgetter("figure"), reverse=True)


def _one_of(alike: list[Row]) -> Row:
    """Return the row that stands for those alike: one without a Note, if there is one, confirms the others."""
    first = min(alike, key=lambda row: row.note is not None)
    if len(alike) == 1:
        return first
    return first._replace(note="; ".join(note for note in (first.note, SAID_TWICE) if note))


# --- blocks of lines --------------------------------------------------------------------------------------------------


def read_block(block: Chunk) -> ReadBlock:
    """Return the records of a block of lines, each checked, or what is wrong with the first one that is not right."""
    right: set[Right] = set()
    countries: dict[str, str] = {}  # that were found right; a text that comes again is packed once
    same: dict[str | None, str | None] = {}
    parts: list[tuple[tuple[str, str, str], list[tuple[object, ...]]]] = []
    number = 0
    for line in block.read().splitlines():
        if (not line or line.isspace()) and len(line) <= LINE_LIMIT_BYTES:
            continue
        number += 1
        record = _record(line)
        if record is None:
            return ReadBlock(b"", number, _problem_of_line(line))
        country, code, region, subregion, institution, year, figure, as_of, source, note = _fields(record)
        head = as_of, source, institution
        is_known = parts and parts[-1][0] == head and len(line) <= MAX_TEXT_CHARACTERS
        in_range = 0 <= figure <= MAX_BILLION_USD and FIRST_YEAR <= year <= LAST_YEAR
        if not (is_known and in_range and country in countries):
            if problem := length_problem(country, record.values()) or _problem_of_values(record, right):
                return ReadBlock(b"", number, problem)
            countries[country] = country
            if not parts or parts[-1][0] != head:
                parts.append((head, []))
        texts = countries[country], same.setdefault(code, code), same.setdefault(region, region)
        row = (*texts, same.setdefault(subregion, subregion), year, figure, note, record.get("Status"))
        parts[-1][1].append(row)
    return ReadBlock(marshal.dumps([(*of, *map(list, zip(*rows, strict=True))) for of, rows in parts]), number)


def _record(line: bytes) -> CleanRecord | None:
    """Return the record that a line holds, with fields of the right types, or None."""
    import orjson

    try:
        record: CleanRecord = orjson.loads(line.removeprefix(BYTE_ORDER_MARK))
        is_right = tuple(map(type, _fields(record))) in _TYPES and record.get("Status") in _STATUSES
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
    return record if is_right and len(line) <= LINE_LIMIT_BYTES else None


def _problem_of_line(line: bytes) -> str:
    import orjson

    if len(line) > LINE_LIMIT_BYTES:  # and may stand here without its end
        return f"is a line of over {LINE_LIMIT_BYTES:,} bytes"
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
        "As_of": is_as_of(as_of) and not is_in_future(as_of),
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


def _progress(paths: list[Where]) -> AbstractContextManager[Callable[[int], None]]:
    from gdp.runtime.terminal import progress

    if any(path.suffix in (".gz", ".zst") for path in paths):  # packed: nobody knows how long they will be
        return nullcontext(lambda _: None)
    there = [path for path in paths if isinstance(path, RemotePath) or path.exists()]  # what a store lists is there
    return progress(sum(path.stat().st_size for path in there), "bytes read")


def _wait(hashed: Future[None] | None) -> None:
    if hashed:
        hashed.result()
