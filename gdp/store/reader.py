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
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from gdp.model import (
    CLEAN_FIELDS,
    DUPLICATE,
    FIRST_YEAR,
    FLAGS,
    INSTITUTIONS,
    LAST_YEAR,
    MAX_BILLION_USD,
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
    read_records,
    record_problem,
)
from gdp.remote_files import RemotePath, Where
from gdp.store.vintages import Order, order_of
from gdp.validate.observations import HEAD, MILLIONS_A_BILLION, VARYING, Observations, joined, observations_in

if TYPE_CHECKING:
    from concurrent.futures import Future

    from gdp.runtime.chunks import Chunk

CHUNK_BYTES = 1_000_000  # about three thousand records: of smaller ones the transfer costs more
READERS = 2  # processes; a load takes longer with the records than they do
MAX_MILLION_USD = MAX_BILLION_USD * MILLIONS_A_BILLION

Head = tuple[str, str]  # an As_of and an institution
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

    def vintages(self) -> Iterator[list[Observations]]:
        """Yield the observations of each vintage, a part for each institution.

        Raises StageError: 66 when the file is missing, 65 for anything but clean records; OutOfOrder for a stream whose
        vintages are not in order.
        """
        if is_stream(self.source) or self.source.is_dir():
            yield from self._in_order(self._parts())
            return
        records, self.sha256 = read_records(self.source, CLEAN_FIELDS)
        records = [_without_credentials(record) for record in records]
        checked: set[Head] = set()
        for number, record in enumerate(records, 1):
            if problem := value_problem(record, checked):
                raise bad_input(self.source, f"record {number}: {problem}")
        self.count = len(records)
        in_order = groupby(sorted(observations_in(records), key=order_of), order_of)
        yield from (without_repeats(list(parts)) for _, parts in in_order)

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
            yield without_repeats(joined(some))

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
                hashed = thread.submit(digest.update, chunk.read())
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


def _pack(part: Observations) -> bytes:
    return marshal.dumps((part.head, [part.columns[name] for name in VARYING]))


def _unpack(packed: Packed) -> Observations:
    head, columns = packed
    return Observations(*head, dict(zip(VARYING, columns, strict=True)))


# --- figures that come twice ------------------------------------------------------------------------------------------


def without_repeats(parts: list[Observations]) -> list[Observations]:
    """Return parts with each figure that a vintage has twice, with the same value, once and flagged.

    Where a country has several figures of a year, all figures come highest first, whatever the kind of file: of two
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
    checked: set[Head] = set()
    countries: dict[str, str] = {}  # that were found right; a text that repeats is packed once
    parts: list[tuple[tuple[str, str, str], list[tuple[Any, ...]]]] = []
    number = 0
    for line in chunk.read().splitlines():
        if (not line or line.isspace()) and len(line) <= LINE_LIMIT_BYTES:
            continue
        number += 1
        record = _record(line)
        if record is None:
            return ChunkRecords(b"", number, _line_problem(line))
        head = _head(record)
        is_known = parts and parts[-1][0] == head and len(line) <= MAX_TEXT_CHARACTERS
        if not (is_known and record["Country"] in countries and _is_usual(record)):
            if problem := length_problem(record["Country"], record.values()) or value_problem(record, checked):
                return ChunkRecords(b"", number, problem)
            countries[record["Country"]] = record["Country"]
            if not parts or parts[-1][0] != head:
                parts.append((head, []))
        parts[-1][1].append(_values(record))
    columns = [(head, [list(map(_interned, column)) for column in zip(*rows, strict=True)]) for head, rows in parts]
    return ChunkRecords(marshal.dumps(columns), number)


_head = itemgetter(*HEAD)
_required = itemgetter(*(name for name, field in CLEAN_FIELDS.items() if not field.may_be_absent))
_optional = tuple(name for name, field in CLEAN_FIELDS.items() if field.may_be_absent)
_right_types: set[tuple[type, ...]] = set()


def _values(record: CleanRecord) -> tuple[Any, ...]:
    return tuple(map(record.get, VARYING))


def _interned(value: Any) -> Any:
    return sys.intern(value) if type(value) is str else value


def _is_usual(record: CleanRecord) -> bool:
    """Return whether the numbers of a record are in range, and it has no flags that need a look."""
    million = record.get("GDP_USD_million")
    return (
        0 <= record["GDP_USD_billion"] <= MAX_BILLION_USD
        and FIRST_YEAR <= record["Year"] <= LAST_YEAR
        and (million is None or 0 <= million <= MAX_MILLION_USD)
        and record.get("Flags") is None
        and (record["Note"] is None or "Flags" in record)
        and record.get("Status") in _STATUSES
    )


def _record(line: bytes) -> CleanRecord | None:
    """Return the record of a line, with fields of the right types, or None."""
    import orjson

    try:
        record: CleanRecord = orjson.loads(line.removeprefix(BYTE_ORDER_MARK))
        types = (*map(type, _required(record)), *(type(record.get(name)) for name in _optional))
        if types not in _right_types:
            if record_problem(record, CLEAN_FIELDS):
                return None
            _right_types.add(types)
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        return None
    return _without_credentials(record) if len(line) <= LINE_LIMIT_BYTES else None


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


_STATUSES = (None, *STATUSES)


def value_problem(record: CleanRecord, checked: set[Head]) -> str | None:
    """Return which value of a record transform never writes, as JSON allows more than GDP does, or None.

    Adds the record's As_of and institution to `checked` where they are right.
    """
    as_of, institution, million = record["As_of"], record["Institution"], record.get("GDP_USD_million")
    is_right = {
        "GDP_USD_billion": 0 <= record["GDP_USD_billion"] <= MAX_BILLION_USD,
        "GDP_USD_million": million is None or 0 <= million <= MAX_MILLION_USD,
        "Year": FIRST_YEAR <= record["Year"] <= LAST_YEAR,
        "Institution": institution in INSTITUTIONS,
        "Country": bool(record["Country"].strip()),
        "As_of": (as_of, institution) in checked or (is_as_of(as_of) and not is_in_future(as_of)),
        "Status": record.get("Status") in _STATUSES,
        "Flags": set((record.get("Flags") or "").split()) <= FLAGS.keys(),
    }
    if "Flags" not in record and record["Note"] is not None:  # a file of an older version: the Note had a meaning then
        return "field Flags is missing, and the Note would be lost"
    if all(is_right.values()):
        checked.add((as_of, institution))
        return None
    wrong = next(name for name, fits in is_right.items() if not fits)
    return f"field {wrong} is {str(record[wrong])[:40]!r}"


def _progress(paths: list[Where]) -> AbstractContextManager[Callable[[int], None]]:
    from gdp.runtime.terminal import progress

    if any(path.suffix in PACKED for path in paths):  # nobody knows how long they will be
        return nullcontext(lambda _: None)
    there = [path for path in paths if isinstance(path, RemotePath) or path.exists()]  # what a store lists exists
    return progress(sum(path.stat().st_size for path in there), "bytes read")


def _wait(hashed: Future[None] | None) -> None:
    if hashed:
        hashed.result()
