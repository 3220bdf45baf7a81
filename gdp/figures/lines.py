"""A block of raw lines: the rules of cleaning.py, applied to as many records at once as are worth the call.

It becomes clean lines in the same order, rejects with their place and reason, and a tally. It is a pure function of its
lines, whoever calls it: for an array, for a stream, by one process, several, or Spark.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

import orjson

from gdp.figures.amounts import CACHED_VALUES, figure_of
from gdp.figures.cleaning import (
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
from gdp.figures.tally import BROKEN, MAX_UNKNOWN, Tally
from gdp.records import (
    BYTE_ORDER_MARK,
    LINE_LIMIT_BYTES,
    MAY_BE_ABSENT,
    RAW_FIELDS,
    length_problem,
    record_problem,
)
from gdp.running.pieces import BYTE_OFFSET, MAX_TEXT_CHARACTERS, Reject
from utils import MAX_NAMED

GDP, YEAR = b'", "GDP": "', b'", "Year": '  # what stands between the parts of a raw line
# The types that a raw record's fields can have, all at once: quicker to look up than to check one by one.
_TYPES = {
    (str, str, year, column, unit, str, str, str, status)
    for year in (str, type(None)) for column in (str, type(None)) for unit in (str, type(None))
    for status in (str, type(None))
}  # fmt: skip
DAMAGED = "\ufffd".encode()  # what readers, Spark's among them, put in the place of bytes that are no text


class CleanedBlock(NamedTuple):
    """What became of a block of raw lines: clean lines, what was set aside, and both added up."""

    lines: bytes
    rejects: list[Reject]
    tally: Tally


class _Known:
    """The parts of lines that were judged before and say nothing odd: most lines can be put together of them.

    Keyed by the raw line's own bytes, in the layout in which extract writes them: up to the figure, the figure, and
    from the year to the end. The values are bytes of the clean line; each part was found to mean by itself what it
    meant in its line, so that any of them together mean the same.
    """

    def __init__(self) -> None:
        self.countries: dict[bytes, bytes] = {}
        self.figures: dict[Decimal, dict[bytes, tuple[bytes, int]]] = {}
        self.columns: dict[bytes, tuple[str, bytes, bytes, dict[bytes, tuple[bytes, int]]]] = {}

    def learn(self, line: bytes, judged: Judged, named: Named, facts: ColumnFacts) -> None:
        """Remember the parts of a clean line, unless something about it is its own: a Note, or a year in a cell."""
        country, gdp, column = parts_of(line)
        if judged.note or named.country is None or named.year is not None or not _mean_alone(country, gdp, column):
            return
        if figure_of(orjson.loads(b'"%b"' % gdp), facts.factor).year is not None:
            return
        figures = self.figures.setdefault(facts.factor, {})
        for known, most in ((self.countries, CACHED_VALUES), (self.columns, CACHED_COLUMNS), (figures, CACHED_VALUES)):
            if len(known) >= most:
                known.clear()
        figures[gdp] = str(judged.cents / 100).encode(), judged.cents
        self.countries[country] = _text_of_country(named).encode()
        before, behind = _text_of_column(facts, judged.year, None, judged.status)
        self.columns[column] = column_name(facts, judged.year), before.encode(), behind.encode(), figures


def parts_of(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Return a line up to its figure, the figure, and what follows; a text cannot hold an unescaped quotation mark."""
    head, _, column = line.partition(YEAR)
    country, _, gdp = head.partition(GDP)
    return country, gdp, column


def _mean_alone(country: bytes, gdp: bytes, column: bytes) -> bool:
    """Tell whether each part is whole, and holds the fields that it should and no other."""
    try:
        begin, figure, rest = (orjson.loads(text) for text in (country + b'"}', b'"%b"' % gdp, b'{"Year": ' + column))
    except orjson.JSONDecodeError:
        return False
    around = [name for name in rest if name not in MAY_BE_ABSENT]
    return list(begin) == [*RAW_FIELDS][:1] and isinstance(figure, str) and around == [*RAW_FIELDS][2:]


_known = _Known()


class _Block:
    """What comes of a block, line by line."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.judged = 0
        self.rejects: list[tuple[int, str]] = []
        self.fates: Counter[str] = Counter()
        self.countries: dict[str, int] = {}  # hundredths of a billion USD, by column_name
        self.world: dict[str, int] = {}
        self.unknown: dict[str, None] = {}

    def judge(self, number: int, line: bytes) -> None:
        """Take in a line that is not put together of known parts."""
        self.judged += 1
        is_too_long = len(line) > LINE_LIMIT_BYTES  # and may stand here without its end
        text = line if is_too_long else line.removeprefix(BYTE_ORDER_MARK).strip()
        if not text:
            return
        fields, problem = _fields(text)
        if fields is None:
            self.fates[BROKEN] += 1
            self.rejects.append((number, problem))
            return
        judged = judge(fields)
        self.fates[judged.fate.value] += 1
        named, facts = judged.named, judged.facts
        if named is None or facts is None:
            if judged.reason:
                self.rejects.append((number, judged.reason))
            return
        column = column_name(facts, judged.year)
        if judged.fate is Fate.AGGREGATE:
            if named.name in WORLD:
                self.world[column] = judged.cents
            return
        _known.learn(line, judged, named, facts)
        self.countries[column] = self.countries.get(column, 0) + judged.cents
        self.texts.append(_line(judged, named, facts).encode())
        if named.country is None and len(self.unknown) < MAX_UNKNOWN:
            self.unknown[named.name] = None


def clean_lines(text: bytes, file: str, places: int | Sequence[int], counted: str = BYTE_OFFSET) -> CleanedBlock:
    """Return what becomes of raw lines that stand in `file` from a byte offset on, or each at a place of its own; pure.

    `counted` says what the places are: byte offsets, or the numbers of the records.
    """
    raws = text.split(b"\n")
    if not raws[-1]:
        raws.pop()
    block, columns, countries = _Block(), _known.columns, _known.countries
    put, sums = block.texts.extend, block.countries
    for number, line in enumerate(raws):
        try:
            head, _, column = line.partition(YEAR)  # parts_of, written out: this is where the time goes
            country, _, gdp = head.partition(GDP)
            name, before, behind, figures = columns[column]
            figure, cents = figures[gdp]
            put((countries[country], before, figure, behind))
            sums[name] = sums.get(name, 0) + cents
        except KeyError:
            block.judge(number, line)
    block.fates[Fate.CLEAN.value] += len(raws) - block.judged
    rejects = [
        Reject(file, reason, place, counted, raws[number].decode("utf-8", "replace")[:MAX_TEXT_CHARACTERS])
        for number, reason, place in _placed(block.rejects, raws, places)
    ]
    return CleanedBlock(b"".join(block.texts), rejects, _tally_of(block, rejects))


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
