"""Reading clean records vintage by vintage, in order of As_of, from a file, a stream or a folder of partitions.

Each record is checked. An archive's vintages follow one another, so one at a time is in memory; a stream whose vintages
are not in order is sorted on disk first.
"""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import groupby
from operator import itemgetter, ne
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gdp.model import (
    CLEAN_FIELDS,
    DUPLICATE,
    FIRST_YEAR,
    FLAGS,
    INSTITUTIONS,
    LAST_YEAR,
    MAX_BILLION_USD,
    MAX_NAME_CHARACTERS,
    MAX_TEXT_CHARACTERS,
    STATUSES,
    CleanRecord,
    is_as_of,
    is_in_future,
    joined_flags,
)
from gdp.places import without_credentials
from gdp.record_files import (
    BYTE_ORDER_MARK,
    LINE_LIMIT_BYTES,
    PACKED,
    bad_input,
    is_stream,
    length_problem,
    read_array,
    record_problem,
)
from gdp.remote_files import RemotePath, Where
from gdp.store.vintages import Order, order_of
from gdp.validate.observations import HEAD, MILLIONS_A_BILLION, VARYING, Observations, join_parts, observations_in

if TYPE_CHECKING:
    from concurrent.futures import Future

    from gdp.runtime.chunks import Chunk

CHUNK_BYTES = 1_000_000  # about three thousand records: of smaller ones the transfer costs more
READERS = 2  # processes; a load takes longer with the records than they do
MAX_MILLION_USD = MAX_BILLION_USD * MILLIONS_A_BILLION

Packed = tuple[tuple[str, str, str], list[list[Any]]]  # HEAD, and a list for each of VARYING


class OutOfOrder(Exception):
    """A stream has an older vintage after a newer one; it must be sorted first."""


class ChunkRecords(NamedTuple):
    """The records of a chunk: packed observations, their number, and what is wrong with the next one, if anything."""

    packed: bytes
    number: int
    problem: str | None = None


class CleanFile:
    """The clean records of a file; after reading, also their number and the file's SHA-256."""

    def __init__(self, source: Where) -> None:
        self.source = source
        self.count = 0
        self.sha256 = ""

    @property
    def size_bytes(self) -> int:
        """The size of the records; for packed ones and partitions, that of very many."""
        if self.source.is_dir() or self.source.suffix in PACKED:
            return sys.maxsize
        return int(self.source.stat().st_size) if self.source.exists() else 0

    @property
    def is_sorted(self) -> bool:
        """Whether its vintages come in order in any case: an array is read whole, and sorted."""
        return not (is_stream(self.source) or self.source.is_dir())

    def identify(self) -> None:
        """Read the SHA-256 and the number of records of a local file of lines, without reading the records.

        The number is 0 where the lines are not as transform writes them: another end of line, or an empty line.
        """
        if not (isinstance(self.source, Path) and is_stream(self.source) and self.source.is_file()):
            return
        digest, last, lines, is_plain = hashlib.sha256(), b"\n", 0, True
        with self.source.open("rb") as file:
            while some := file.read(CHUNK_BYTES):
                digest.update(some)
                lines += some.count(b"\n")
                self.count += (last + some).count(b"\n{")
                is_plain &= b"\r" not in some
                last = some[-1:]
        self.sha256 = digest.hexdigest()
        self.count *= is_plain and last == b"\n" and lines == self.count

    def vintages(self) -> Iterator[list[Observations]]:
        """Yield the observations of each vintage, a part for each institution.

        Raises StageError: 66 when the file is missing, 65 for anything but clean records; OutOfOrder for a stream whose
        vintages are not in order.
        """
        if not self.is_sorted:
            yield from self._in_order(self._parts())
            return
        in_order = groupby(sorted(self._parts_of_array(), key=order_of), order_of)
        yield from (without_repeats(list(parts)) for _, parts in in_order)

    def _parts_of_array(self) -> list[Observations]:
        """Return the observations of an array; raises StageError (65) that names the first wrong record and field."""
        text, records, self.sha256 = read_array(self.source)
        self.count = len(records)
        # an escape may be half a character, and a long line may have a text that is too long
        if "\\" not in text and max(map(len, text.splitlines())) <= MAX_TEXT_CHARACTERS:
            columns = columns_of(records)
            if columns is not None:
                return join_parts(map(_unpack, parts_of(columns)))
        for number, record in enumerate(records, 1):
            if problem := record_problem(record, CLEAN_FIELDS) or value_problem(_without_credentials(record)):
                raise bad_input(self.source, f"record {number}: {problem}")
        return observations_in(records)

    def sorted_vintages(self) -> Iterator[list[Observations]]:
        """Yield the vintages of a stream that are not in order, sorted on disk."""
        with sqlite3.connect("") as disk:  # a nameless database is a temporary file that SQLite removes
            disk.execute(
                "CREATE TABLE Parts (As_of TEXT, Page INTEGER, Publisher TEXT, Size INTEGER, Source, Part BLOB)"
            )
            packed = ((*order_of(part), _pack(part)) for part in self._parts())
            disk.executemany("INSERT INTO Parts VALUES (?, ?, ?, ?, ?, ?)", packed)
            ordered = disk.execute("SELECT Part FROM Parts ORDER BY As_of, Page, Publisher, Size, Source, rowid")
            yield from self._in_order(_unpack(marshal.loads(part)) for (part,) in ordered)

    def _in_order(self, parts: Iterable[Observations]) -> Iterator[list[Observations]]:
        last: Order | None = None
        for current, some in groupby(parts, order_of):
            if last is not None and current < last:
                raise OutOfOrder
            last = current
            yield without_repeats(join_parts(some))

    def _parts(self) -> Iterator[Observations]:
        """Yield the observations of a stream chunk by chunk, read by other processes and hashed by a thread."""
        from concurrent.futures import ThreadPoolExecutor

        from gdp.runtime.chunks import chunks_in
        from gdp.runtime.worker_pool import results_in_order
        from gdp.scale.partitioned_output import parts_in

        paths = [self.source] if is_stream(self.source) else parts_in(self.source)
        self.count, digest, hashed, of_path = 0, hashlib.sha256(), None, Counter[Where]()
        chunks = chunks_in(paths, CHUNK_BYTES)
        with ThreadPoolExecutor(1) as thread, _progress(paths) as advance:
            for chunk, read in results_in_order(read_chunk, chunks, READERS):
                _wait(hashed)
                hashed = thread.submit(_hash, digest, chunk)
                self.count += read.number
                of_path[chunk.path] += read.number
                if read.problem:
                    raise bad_input(chunk.path, f"record {of_path[chunk.path]}: {read.problem}")
                advance(chunk.length)
                yield from map(_unpack, marshal.loads(read.packed))
            _wait(hashed)
        self.sha256 = digest.hexdigest()
        if not self.count:
            raise bad_input(self.source, "has no records")


def _hash(digest: hashlib._Hash, chunk: Chunk) -> None:
    digest.update(chunk.lines()[1])


def _pack(part: Observations) -> bytes:
    return marshal.dumps((part.head, [part.columns[name] for name in VARYING]))


def _unpack(packed: Packed) -> Observations:
    head, columns = packed
    return Observations(*head, dict(zip(VARYING, columns, strict=True)))


# --- figures that come twice ------------------------------------------------------------------------------------------


def without_repeats(parts: list[Observations]) -> list[Observations]:
    """Return parts with each figure that a vintage has twice, with the same value, once and flagged.

    Where a country has several figures of a year, all figures come highest first, in any kind of file: of two
    different ones, which --force loads, the same one is then the last.
    """
    if all(part.has_each_once for part in parts):
        return parts
    return [part.with_rows(_distinct(part.rows())) for part in parts]


def _distinct(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    alike: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for row in rows:
        alike.setdefault((row["Country"], row["Year"], row["GDP_USD_billion"], row["GDP_USD_million"]), []).append(row)
    return sorted(map(_one_of, alike.values()), key=itemgetter("GDP_USD_billion"), reverse=True)


def _one_of(alike: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one row for those alike: one without flags, if there is one, confirms the others."""
    first = min(alike, key=lambda row: row["Flags"] is not None)
    if len(alike) == 1:
        return first
    return {**first, "Flags": joined_flags([*(first["Flags"] or "").split(), DUPLICATE])}


# --- chunks of lines --------------------------------------------------------------------------------------------------


def read_chunk(chunk: Chunk) -> ChunkRecords:
    """Return the records of a chunk of lines, each checked, up to the first one that is wrong."""
    lines = [line for line in chunk.lines()[1].splitlines() if line and not line.isspace()]
    columns = right_columns(lines)
    if columns is not None:
        return ChunkRecords(marshal.dumps(parts_of(columns)), len(lines))
    return read_one_by_one(lines)


def right_columns(lines: list[bytes]) -> dict[str, list[Any]] | None:
    """Return the fields of all lines by name, or None where any line needs a look by itself."""
    import orjson

    if not all(line[0] == OPENS and line[-1] == CLOSES and len(line) <= MAX_TEXT_CHARACTERS for line in lines):
        return None
    try:
        records = orjson.loads(b"[%b]" % b",".join(lines))
    except orjson.JSONDecodeError:
        return None
    return columns_of(records) if len(records) == len(lines) else None


def columns_of(records: list[Any]) -> dict[str, list[Any]] | None:
    """Return the fields of all records by name, or None where any record needs a look by itself."""
    try:
        columns = {name: [record[name] for record in records] for name in _required_names}
        columns |= {name: [record.get(name) for record in records] for name in _optional}
    except (LookupError, TypeError, AttributeError):
        return None
    is_right = (
        all(set(map(type, columns[name])) <= set(field.json_types) for name, field in CLEAN_FIELDS.items())
        and all(is_right(columns[name]) for name, is_right in RIGHT.items())
        and max(map(len, set(columns["Country"])), default=0) <= MAX_NAME_CHARACTERS
        and not any("@" in source for source in set(columns["Source"]))  # it may have credentials
    )
    if not is_right:
        return None
    lacks_flags = columns["Flags"].count(None) and any("Flags" not in record for record in records)
    return None if lacks_flags and columns["Note"].count(None) < len(records) else columns


def _is_within(values: Collection[float], most: float, least: float = 0) -> bool:
    return all(least <= value <= most for value in (min(values, default=least), max(values, default=least)))


@cache
def _is_day(as_of: str) -> bool:
    return is_as_of(as_of) and not is_in_future(as_of)


# What transform writes, as JSON allows more than GDP does: whether all values of a field are right.
RIGHT: dict[str, Callable[[Collection[Any]], bool]] = {
    "GDP_USD_billion": lambda values: _is_within(values, MAX_BILLION_USD),
    "GDP_USD_million": lambda values: _is_within([one for one in values if one is not None], MAX_MILLION_USD),
    "Year": lambda values: _is_within(values, LAST_YEAR, FIRST_YEAR),
    "Institution": lambda values: set(values) <= set(INSTITUTIONS),
    "Country": lambda values: all(name.strip() for name in set(values)),
    "As_of": lambda values: all(map(_is_day, set(values))),
    "Status": lambda values: set(values) <= {None, *STATUSES},
    "Flags": lambda values: {flag for text in set(values) - {None} for flag in text.split()} <= FLAGS.keys(),
}


def parts_of(columns: dict[str, list[Any]]) -> list[Packed]:
    """Return columns in parts that have the same As_of, Source and institution; each text is one object."""
    heads = list(zip(*(columns[name] for name in HEAD), strict=True))
    begins = [0, *(place for place, is_new in enumerate(map(ne, heads, heads[1:]), 1) if is_new)]
    same: dict[Any, Any] = {}
    texts = [name for name in VARYING if CLEAN_FIELDS[name].python_type is str]
    for name in texts:  # packed once where it repeats
        columns[name] = [same.setdefault(value, value) for value in columns[name]]
    ends = [*begins[1:], len(heads)]
    return [
        (heads[begin], [columns[name][begin:end] for name in VARYING])
        for begin, end in zip(begins, ends, strict=True) if heads
    ]  # fmt: skip


def read_one_by_one(lines: list[bytes]) -> ChunkRecords:
    """Return the records of lines up to the first one that is wrong, and what is wrong with that."""
    records = []
    for number, line in enumerate(lines, 1):
        record = _record(line)
        if record is None:
            return ChunkRecords(b"", number, _line_problem(line))
        if problem := length_problem(record["Country"], record.values()) or value_problem(record):
            return ChunkRecords(b"", number, problem)
        records.append(record)
    columns = {name: [record.get(name) for record in records] for name in CLEAN_FIELDS}
    return ChunkRecords(marshal.dumps(parts_of(columns) if records else []), len(records))


OPENS, CLOSES = b"{}"
_required_names = tuple(name for name, field in CLEAN_FIELDS.items() if not field.may_be_absent)
_optional = tuple(name for name, field in CLEAN_FIELDS.items() if field.may_be_absent)


def _record(line: bytes) -> CleanRecord | None:
    """Return the record of a line, with fields of the right types, or None."""
    import orjson

    try:
        record: CleanRecord = orjson.loads(line.removeprefix(BYTE_ORDER_MARK))
    except orjson.JSONDecodeError:
        return None
    is_right = len(line) <= LINE_LIMIT_BYTES and record_problem(record, CLEAN_FIELDS) is None
    return _without_credentials(record) if is_right else None


def _without_credentials(record: CleanRecord) -> CleanRecord:
    """Return a record whose Source has no user and no password; transform writes none, but others may."""
    if "@" in record["Source"]:
        record["Source"] = without_credentials(record["Source"])
    return record


def _line_problem(line: bytes) -> str:
    import orjson

    if len(line) > LINE_LIMIT_BYTES:  # and may be here without its end
        return f"is a line of over {LINE_LIMIT_BYTES:,} bytes"
    try:
        return record_problem(orjson.loads(line.removeprefix(BYTE_ORDER_MARK)), CLEAN_FIELDS) or "is no clean record"
    except orjson.JSONDecodeError as error:
        return f"is not JSON: {error}"


def value_problem(record: CleanRecord) -> str | None:
    """Return which value of a record transform never writes, or None."""
    if "Flags" not in record and record["Note"] is not None:  # a file of an older version: the Note had a meaning then
        return "field Flags is missing, and the Note would be lost"
    wrong = next((name for name, is_right in RIGHT.items() if not is_right([record.get(name)])), None)
    return f"field {wrong} is {str(record[wrong])[:40]!r}" if wrong else None


def _progress(paths: list[Where]) -> AbstractContextManager[Callable[[int], None]]:
    from gdp.runtime.terminal import progress

    if any(path.suffix in PACKED for path in paths):  # nobody knows how long they will be
        return nullcontext(lambda _: None)
    there = [path for path in paths if isinstance(path, RemotePath) or path.exists()]  # what a store lists exists
    return progress(sum(path.stat().st_size for path in there), "bytes read")


def _wait(hashed: Future[None] | None) -> None:
    if hashed:
        hashed.result()
