"""Clean records as load reads them: vintage by vintage, checked on the way, from a file, a stream or a folder of parts.

An archive's vintages follow one another, so one at a time is in memory; a stream that mixes them is sorted on disk.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from history import Which, vintages_in, which
from records import (
    CLEAN_FIELDS,
    FIRST_YEAR,
    INSTITUTIONS,
    LAST_YEAR,
    MAX_BILLION_USD,
    CleanRecord,
    bad_input,
    is_as_of,
    is_stream,
    read_records,
    record_problem,
)
from utils import StageError

if TYPE_CHECKING:
    from concurrent.futures import Future

BLOCK_BYTES = 250_000  # some eight hundred records, which the processor's cache holds
PARTS = "part-*"  # what Spark calls the files in its output folder


class Mixed(Exception):
    """A stream came back to a vintage that it had left; it must be sorted first."""


class Reading:
    """The clean records of a file, and after reading them how many they were and the file's SHA-256."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.count = 0
        self.sha256 = ""
        self._right: set[tuple[str, str]] = set()  # As_of and institution that were found right

    def vintages(self) -> Iterator[list[CleanRecord]]:
        """Yield the records of each vintage.

        Raises StageError: 66 when the file is missing, 65 for anything but clean records; Mixed where those are mixed.
        """
        if self.source.is_dir() or is_stream(self.source):
            yield from self._in_turn(record for records, _ in self._blocks() for record in records)
            return
        records, self.sha256 = read_records(self.source, CLEAN_FIELDS)
        for number, record in enumerate(records, 1):
            self._check_values(record, f"record {number}")
        self.count = len(records)
        yield from (said for _, said in vintages_in(records))

    def sorted_vintages(self) -> Iterator[list[CleanRecord]]:
        """Yield the records of each vintage of a stream that mixes them, by way of the disk."""
        import orjson

        with sqlite3.connect("") as disk:  # a nameless database is a temporary file that SQLite removes
            disk.execute(
                "CREATE TABLE Lines (As_of TEXT, Page INTEGER, Publisher TEXT, Size INTEGER, Source, Line BLOB)"
            )
            for records, lines in self._blocks():
                found = ((*which(record), line) for record, line in zip(records, lines, strict=True))
                disk.executemany("INSERT INTO Lines VALUES (?, ?, ?, ?, ?, ?)", found)
            in_order = disk.execute("SELECT Line FROM Lines ORDER BY As_of, Page, Publisher, Size, Source, rowid")
            yield from self._in_turn(orjson.loads(line) for (line,) in in_order)

    def _in_turn(self, records: Iterable[CleanRecord]) -> Iterator[list[CleanRecord]]:
        left: set[Which] = set()
        current: Which | None = None
        said: list[CleanRecord] = []
        as_of = source = ""
        for record in records:
            if record["As_of"] != as_of or record["Source"] != source:
                as_of, source = record["As_of"], record["Source"]
                following = which(record)
                if current is not None and following != current:
                    left.add(current)
                    yield said
                    said = []
                if following in left:
                    raise Mixed
                current = following
            said.append(record)
        if said:
            yield said

    def _blocks(self) -> Iterator[tuple[list[CleanRecord], list[bytes]]]:
        """Yield the records of a stream, block by block, and their lines; a thread takes the hash meanwhile."""
        from concurrent.futures import ThreadPoolExecutor

        from blocks import blocks_of

        paths = sorted(self.source.glob(PARTS)) if self.source.is_dir() else [self.source]
        if not paths:
            raise bad_input(self.source, "holds no parts")
        self.count, digest, hashed = 0, hashlib.sha256(), None
        with ThreadPoolExecutor(1) as thread:
            for block in (block for path in paths for block in blocks_of(path, BLOCK_BYTES)):
                text = block.read()
                _wait(hashed)
                hashed = thread.submit(digest.update, text)
                lines = text.splitlines()
                yield self._checked(lines, block.path), lines
            _wait(hashed)
        self.sha256 = digest.hexdigest()
        if not self.count:
            raise bad_input(self.source, "holds no records")

    def _checked(self, lines: list[bytes], path: Path) -> list[CleanRecord]:
        """Return the records of lines; raises StageError (65) for the first one that is wrong."""
        import orjson

        records: list[CleanRecord] = []
        for line in lines:
            self.count += 1
            try:
                record = orjson.loads(line)
                values = _fields(record)
            except (orjson.JSONDecodeError, LookupError, TypeError):
                raise self._bad(line, path) from None
            if tuple(map(type, values)) not in _TYPES:
                raise self._bad(line, path)
            country, _, _, _, institution, year, figure, as_of, _, _ = values
            seen = (as_of, institution) in self._right and country and not country.isspace()
            if not (seen and 0 <= figure <= MAX_BILLION_USD and FIRST_YEAR <= year <= LAST_YEAR):
                self._check_values(record, f"record {self.count}")
            records.append(record)
        return records

    def _bad(self, line: bytes, path: Path) -> StageError:
        import orjson

        try:
            problem = record_problem(orjson.loads(line), CLEAN_FIELDS) or "is no clean record"
        except orjson.JSONDecodeError as error:
            problem = f"is not JSON: {error}"
        return bad_input(path, f"record {self.count}: {problem}")

    def _check_values(self, record: CleanRecord, place: str) -> None:
        """Raise StageError (65) for a value that transform would not have written; JSON allows more than GDP does."""
        as_of, institution = record["As_of"], record["Institution"]
        right = {
            "GDP_USD_billion": 0 <= record["GDP_USD_billion"] <= MAX_BILLION_USD,
            "Year": FIRST_YEAR <= record["Year"] <= LAST_YEAR,
            "Institution": institution in INSTITUTIONS,
            "Country": bool(record["Country"].strip()),
            "As_of": is_as_of(as_of),
        }
        for name in (name for name, is_right in right.items() if not is_right):
            raise bad_input(self.source, f"{place}: field {name} is {str(record[name])[:40]!r}")  # type: ignore[literal-required]
        self._right.add((as_of, institution))


_fields = itemgetter(*CLEAN_FIELDS)


def _all_types() -> set[tuple[type, ...]]:
    """Return the types that a clean record's fields can have, all at once: quicker to look up than one by one."""
    found: list[tuple[type, ...]] = [()]
    for types in CLEAN_FIELDS.values():
        found = [(*some, one) for some in found for one in types]
    return set(found)


_TYPES = _all_types()


def _wait(hashed: Future[None] | None) -> None:
    if hashed:
        hashed.result()
