"""A block of raw lines: the rules of cleaning.py, applied to as many records at once as are worth the call.

It becomes clean lines in the same order, rejects with their place and reason, and a tally. It is a pure function of its
lines, whoever calls it: for an array, for a stream, by one process, several, or Spark.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

import orjson

from gdp.records import (
    BYTE_ORDER_MARK,
    LINE_LIMIT_BYTES,
    MAY_BE_ABSENT,
    RAW_FIELDS,
    length_problem,
    record_problem,
)
from gdp.runtime.pieces import BYTE_OFFSET, MAX_TEXT_CHARACTERS, Reject
from gdp.transform.amounts import CACHED_VALUES, hundredths_at_once, texts_of_billions
from gdp.transform.rules import (
    CACHED_COLUMNS,
    WORLD,
    ColumnFacts,
    Fate,
    Judged,
    Named,
    RawFields,
    fields_of,
    judge,
)
from gdp.transform.totals import BROKEN, MAX_UNKNOWN, Tally
from utils import MAX_NAMED

YEAR = b'", "Year": '  # what stands behind the figure of a raw line
# The types that a raw record's fields can have, all at once: quicker to look up than to check one by one.
_TYPES = {
    (str, str, year, column, unit, str, str, str, status)
    for year in (str, type(None)) for column in (str, type(None)) for unit in (str, type(None))
    for status in (str, type(None))
}  # fmt: skip
NOTHING = b"\n"  # what no line ends in
PARTS = 5  # of a clean line: the country, what stands before the figure, its whole, its fraction, what stands behind
JUDGED = b"judged"  # stands for the figure of a line that is understood already
DAMAGED = "\ufffd".encode()  # what readers, Spark's among them, put in the place of bytes that are no text


class CleanedBlock(NamedTuple):
    """What became of a block of raw lines: clean lines, what was set aside, and both added up."""

    lines: bytes
    rejects: list[Reject]
    tally: Tally


class _Column(NamedTuple):
    """What the clean lines of a column share: the name of its sum, the text around a figure, and the figures' unit."""

    sum: str
    before: bytes
    behind: bytes
    factor: Decimal


class _Known:
    """What lines say beside their figures, where it is nothing odd: most lines come back to it, whatever the figure.

    Keyed by the raw line's own bytes, in the layout in which extract writes them: up to the figure, and from the year
    to the end. Each part was found to mean by itself what it meant in its line, so that any two of them together with a
    whole figure mean the same.
    """

    def __init__(self) -> None:
        self.countries: dict[bytes, bytes] = {}
        self.columns: dict[bytes, _Column] = {}

    def learn(self, line: bytes, judged: Judged, named: Named, facts: ColumnFacts) -> None:
        """Remember the parts of a clean line, unless its year or its Note can be of the name or of the figure."""
        head, column = _cut(line)
        country, _, gdp = head.rpartition(b'"')
        is_whole = gdp.replace(b",", b"").isdigit()
        if named.country is None or named.year is not None or not is_whole or not _mean_alone(country, column):
            return
        for known, most in ((self.countries, CACHED_VALUES), (self.columns, CACHED_COLUMNS)):
            if len(known) >= most:
                known.clear()
        before, behind = _text_of_column(facts, judged.year, judged.note, judged.status)
        self.countries[country] = _text_of_country(named).encode()
        shared = column_name(facts, judged.year), before.encode(), behind.encode(), facts.factor
        self.columns[column] = _Column(*shared)


def _cut(line: bytes) -> tuple[bytes, bytes]:
    """Return a raw line up to the end of its figure, and the rest; a text cannot hold an unescaped quotation mark."""
    head, year, column = line.partition(YEAR)
    return head, year + column


def _mean_alone(country: bytes, column: bytes) -> bool:
    """Tell whether what stands on both sides of a figure is whole, and holds the fields that it should and no other."""
    try:
        begin, rest = (orjson.loads(text) for text in (country + b'""}', b'{"GDP": "' + column))
    except orjson.JSONDecodeError:
        return False
    around = [name for name in rest if name not in MAY_BE_ABSENT]
    return list(begin) == [*RAW_FIELDS][:2] and around == [*RAW_FIELDS][1:]


_known = _Known()


class _Block:
    """What comes of a block: line by line, and the figures of lines of known parts in stretches, of one unit each."""

    def __init__(self, raws: list[bytes]) -> None:
        self.raws = raws
        self.lines: list[bytes] = []
        self.rejects: list[tuple[int, str]] = []
        self.fates: Counter[str] = Counter()
        self.countries: dict[str, int] = {}  # hundredths of a billion USD, by column_name
        self.world: dict[str, int] = {}
        self.unknown: dict[str, None] = {}
        # of the stretch:
        self.factor = Decimal(1)
        self.columns: list[tuple[int, _Column]] = []  # with the places where they begin
        self.said: list[bytes] = []  # of each line's country; or the whole line, where it was judged by itself
        self.figures: list[bytes] = []  # JUDGED of a line that was judged by itself

    def read(self) -> None:
        """Take in every line."""
        countries, end = _known.countries, NOTHING
        put_said, put_figure = self.said.append, self.figures.append
        for number, line in enumerate(self.raws):
            head = line.removesuffix(end)
            if head is line:
                head, end = self.begin_column(number)
            country, _, figure = head.rpartition(b'"')
            said = countries.get(country)
            put_figure(figure if said else JUDGED)
            put_said(said or self.judge(number))
        self.end_stretch(len(self.raws))

    def begin_column(self, number: int) -> tuple[bytes, bytes]:
        """Begin a column with a line, if it is known; return the line up to the end of its figure, and the rest."""
        head, rest = _cut(self.raws[number])
        column = _known.columns.get(rest)
        if not column:
            return b"", NOTHING
        if column.factor != self.factor:
            self.end_stretch(number)
            self.factor = column.factor
        self.columns.append((len(self.said), column))
        return head, rest

    def end_stretch(self, number: int) -> None:
        """Understand the figures before a line all at once; a line whose figure is not whole goes the long way."""
        length = len(self.said)
        cents, odd = hundredths_at_once(self.figures, self.factor)
        for place in odd:
            if self.figures[place] is not JUDGED:
                self.said[place] = self.judge(number - length + place)
        parts = [b""] * (length * PARTS)
        parts[::PARTS] = self.said
        parts[2::PARTS], parts[3::PARTS] = texts_of_billions(cents)
        ends = [*(begin for begin, _ in self.columns[1:]), length]
        for (begin, column), end in zip(self.columns, ends, strict=False):
            for part, text in ((1, column.before), (PARTS - 1, column.behind)):
                parts[begin * PARTS + part : end * PARTS : PARTS] = [text] * (end - begin)
            count = end - begin - (bisect_left(odd, end) - bisect_left(odd, begin))
            self.add(column.sum, count, sum(cents[begin:end]))
        for place in odd:
            parts[place * PARTS + 1 : (place + 1) * PARTS] = [b""] * (PARTS - 1)
        self.lines.append(b"".join(parts))
        for of_lines in (self.columns, self.said, self.figures):
            of_lines.clear()

    def add(self, column: str, count: int, cents: int) -> None:
        """Add clean lines of a column to the counts and sums."""
        if count:
            self.fates[Fate.CLEAN.value] += count
            self.countries[column] = self.countries.get(column, 0) + cents

    def judge(self, number: int) -> bytes:
        """Take in a line by itself; return its clean line, or nothing."""
        line = self.raws[number]
        is_too_long = len(line) > LINE_LIMIT_BYTES  # and may stand here without its end
        text = line if is_too_long else line.removeprefix(BYTE_ORDER_MARK).strip()
        if not text:
            return b""
        fields, problem = _fields(text)
        if fields is None:
            self.fates[BROKEN] += 1
            self.rejects.append((number, problem))
            return b""
        judged = judge(fields)
        self.fates[judged.fate.value] += 1
        named, facts = judged.named, judged.facts
        if named is None or facts is None:
            if judged.reason:
                self.rejects.append((number, judged.reason))
            return b""
        column = column_name(facts, judged.year)
        if judged.fate is Fate.AGGREGATE:
            if named.name in WORLD:
                self.world[column] = judged.cents
            return b""
        _known.learn(line, judged, named, facts)
        self.countries[column] = self.countries.get(column, 0) + judged.cents
        if named.country is None and len(self.unknown) < MAX_UNKNOWN:
            self.unknown[named.name] = None
        return _line(judged, named, facts).encode()


def clean_lines(text: bytes, file: str, places: int | Sequence[int], counted: str = BYTE_OFFSET) -> CleanedBlock:
    """Return what becomes of raw lines that stand in `file` from a byte offset on, or each at a place of its own; pure.

    `counted` says what the places are: byte offsets, or the numbers of the records.
    """
    if text.endswith(b"\n\n"):
        text = text.rstrip(b"\n")  # a kilobyte may unpack to a hundred million ends of lines
    raws = text.split(b"\n")
    if not raws[-1]:
        raws.pop()
    block = _Block(raws)
    block.read()
    rejects = [
        Reject(file, reason, place, counted, raws[number].decode("utf-8", "replace")[:MAX_TEXT_CHARACTERS])
        for number, reason, place in _placed(sorted(block.rejects), raws, places)
    ]
    return CleanedBlock(b"".join(block.lines), rejects, _tally_of(block, rejects))


def _placed(
    rejects: list[tuple[int, str]], raws: list[bytes], places: int | Sequence[int]
) -> Iterator[tuple[int, str, int]]:
    """Yield the number of each rejected line, the reason, and its place."""
    if not isinstance(places, int):
        yield from ((number, reason, places[number]) for number, reason in rejects)
        return
    place, before = places, 0
    for number, reason in rejects:
        place += sum(map(len, raws[before:number])) + number - before  # an end of line each
        before = number
        yield number, reason, place


def _tally_of(block: _Block, rejects: list[Reject]) -> Tally:
    columns = {**block.countries, **block.world}
    sums = {name: [block.countries.get(name, 0), block.world.get(name, 0)] for name in columns}
    counts = {fate: count for fate, count in block.fates.items() if count}
    first = list(map(str, rejects[:MAX_NAMED]))
    return Tally({"counts": counts, "sums": sums, "unknown": list(block.unknown), "first_rejects": first})


def _fields(line: bytes) -> tuple[RawFields | None, str]:
    """Return the fields of a raw line, or why it is no raw record."""
    if len(line) > LINE_LIMIT_BYTES:
        return None, f"is a line of over {LINE_LIMIT_BYTES:,} bytes, where a record has some hundred"
    try:
        if DAMAGED in line:
            raise UnicodeError
        raw = orjson.loads(line.decode())
    except UnicodeError:
        return None, "is not text in UTF-8"
    except orjson.JSONDecodeError as error:
        return None, f"is not JSON: {error}"
    try:
        fields = fields_of(raw)
        if tuple(map(type, fields)) in _TYPES:
            problem = length_problem(fields[0], fields)
            return (None, problem) if problem else (fields, "")
    except (LookupError, TypeError):
        pass
    problem = record_problem(raw, RAW_FIELDS)
    return (None, problem) if problem else (fields_of(raw), "")


# --- clean lines ------------------------------------------------------------------------------------------------------


def column_name(facts: ColumnFacts, year: int) -> str:
    """Return what a column's control sum is told under: its As_of, year and institution."""
    return f"{facts.as_of} {year} {facts.institution}"


def _line(judged: Judged, named: Named, facts: ColumnFacts) -> str:
    """Return a clean record as write_records writes it."""
    before, behind = _text_of_column(facts, judged.year, judged.note, judged.status)
    return f"{_text_of_country(named)}{before}{judged.cents / 100}{behind}"


@lru_cache(CACHED_COLUMNS)
def _text_of_country(named: Named) -> str:
    country = named.country
    said = {
        "Country": named.name,
        "ISO3": country.iso3 if country else None,
        "Region": country.region if country else None,
        "Subregion": country.subregion if country else None,
    }
    return json.dumps(said, ensure_ascii=False).removesuffix("}")


@lru_cache(CACHED_COLUMNS)
def _text_of_column(facts: ColumnFacts, year: int, note: str | None, status: str | None) -> tuple[str, str]:
    said = {"As_of": facts.as_of, "Source": facts.source, "Note": note, "Status": status}
    rest = json.dumps(said, ensure_ascii=False).removeprefix("{")
    return f', "Institution": "{facts.institution}", "Year": {year}, "GDP_USD_billion": ', f", {rest}\n"
