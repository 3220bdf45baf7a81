"""Transform by blocks of lines: the rules of cleaning.py, applied to streams of any size.

A block of raw lines becomes clean lines in the same order, rejects with their place and reason, and counts. It is a
pure function of its lines, whoever calls it: one process, several, or Spark.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from gdp.figures.cleaning import (
    CACHED_COLUMNS,
    CACHED_VALUES,
    WORLD,
    ColumnFacts,
    Fate,
    Judged,
    Named,
    RawFields,
    fields_of,
    figure_of,
    judge,
)
from gdp.records import RAW_FIELDS, record_problem

BROKEN = "no record"
GDP, YEAR = b'", "GDP": "', b'", "Year": '  # what stands between the parts of a raw line
# The types that a raw record's fields can have, all at once: quicker to look up than to check one by one.
_TYPES = {
    (str, str, year, column, unit, str, str, str)
    for year in (str, type(None)) for column in (str, type(None)) for unit in (str, type(None))
}  # fmt: skip
DAMAGED = "\ufffd".encode()  # what readers, Spark's among them, put in the place of bytes that are no text
MAX_UNKNOWN = 100  # how many unknown names are remembered, to be told
MAX_TEXT_CHARACTERS = 1000  # of a rejected line

Sums = dict[str, list[int]]  # by As_of, year and institution: hundredths of a billion, of the countries and of World


class Cleaned(NamedTuple):
    """What became of a block: clean lines, rejects as lines, the count of each fate, control sums, unknown names."""

    lines: bytes
    rejects: bytes
    counts: dict[str, int]
    sums: Sums
    unknown: list[str]


class Told:
    """What became of many blocks: counts, control sums and unknown names, added up."""

    def __init__(self, saved: dict[str, Any] | None = None) -> None:
        saved = saved or {"counts": {}, "sums": {}, "unknown": []}
        self.counts: Counter[str] = Counter(saved["counts"])
        self.sums: Sums = saved["sums"]
        self.unknown: dict[str, None] = dict.fromkeys(saved["unknown"])

    def add(self, more: Cleaned) -> None:
        """Add what became of one more block."""
        self.counts.update(more.counts)
        for name, (own, world) in more.sums.items():
            column = self.sums.setdefault(name, [0, 0])
            column[0] += own
            column[1] = world or column[1]
        if len(self.unknown) < MAX_UNKNOWN:
            self.unknown.update(dict.fromkeys(more.unknown))

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"counts": dict(self.counts), "sums": self.sums, "unknown": list(self.unknown)}

    @property
    def total(self) -> int:
        """How many lines there were."""
        return self.counts.total()

    @property
    def rejected(self) -> int:
        """How many of them were set aside."""
        return self.counts[Fate.REJECTED.value] + self.counts[BROKEN]


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
        before, behind = _text_of_column(facts, judged.year)
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
    return list(begin) == [*RAW_FIELDS][:1] and isinstance(figure, str) and list(rest) == [*RAW_FIELDS][2:]


_known = _Known()


class _Block:
    """What comes of a block, line by line."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.judged = 0
        self.rejects: list[tuple[int, str]] = []
        self.fates: Counter[str] = Counter()
        self.own: dict[str, int] = {}
        self.world: dict[str, int] = {}
        self.unknown: dict[str, None] = {}

    def judge(self, number: int, line: bytes) -> None:
        """Take in a line that is not put together of known parts."""
        self.judged += 1
        fields, problem = _fields(line)
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
        self.own[column] = self.own.get(column, 0) + judged.cents
        self.texts.append(_line(judged, named, facts).encode())
        if named.country is None and len(self.unknown) < MAX_UNKNOWN:
            self.unknown[named.name] = None


def clean_lines(text: bytes, file: str, offset: int | Sequence[int]) -> Cleaned:
    """Return what becomes of raw lines that stand in `file` at a byte offset, or each at one of its own; pure."""
    raws = text.split(b"\n")
    if not raws[-1]:
        raws.pop()
    block, columns, countries = _Block(), _known.columns, _known.countries
    put, own = block.texts.extend, block.own
    for number, line in enumerate(raws):
        try:
            head, _, column = line.partition(YEAR)  # parts_of, written out: this is where the time goes
            country, _, gdp = head.partition(GDP)
            name, before, behind, figures = columns[column]
            figure, cents = figures[gdp]
            put((countries[country], before, figure, behind))
            own[name] = own.get(name, 0) + cents
        except KeyError:
            block.judge(number, line)
    block.fates[Fate.CLEAN.value] += len(raws) - block.judged
    sums = {name: [block.own.get(name, 0), block.world.get(name, 0)] for name in {**block.own, **block.world}}
    rejects = _rejected_lines(raws, block.rejects, file, offset)
    return Cleaned(b"".join(block.texts), rejects, dict(block.fates), sums, list(block.unknown))


def _fields(line: bytes) -> tuple[RawFields | None, str]:
    """Return the fields of a raw line, or why it is no raw record."""
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
            return fields, ""
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
    before, behind = _text_of_column(facts, judged.year, judged.note)
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
def _text_of_column(facts: ColumnFacts, year: int, note: str | None = None) -> tuple[str, str]:
    said = {"As_of": facts.as_of, "Source": facts.source, "Note": note}
    rest = json.dumps(said, ensure_ascii=False).removeprefix("{")
    return f', "Institution": "{facts.institution}", "Year": {year}, "GDP_USD_billion": ', f", {rest}\n"


# --- rejects ----------------------------------------------------------------------------------------------------------


def _rejected_lines(raws: list[bytes], rejects: list[tuple[int, str]], file: str, offset: int | Sequence[int]) -> bytes:
    """Return rejects as lines of results/Rejected.jsonl: where each stands, why it was set aside, and what it says."""
    if not rejects:
        return b""
    told: list[bytes] = []
    start, before = (offset, 0) if isinstance(offset, int) else (0, 0)
    for number, reason in rejects:
        start += sum(map(len, raws[before:number])) + number - before  # an end of line each
        before = number
        place = start if isinstance(offset, int) else offset[number]
        told.append(rejected_line("transform", file, place, reason, raws[number].decode("utf-8", "replace")))
    return b"".join(told)


def rejected_line(stage: str, file: str, offset: int | None, reason: str, text: str = "") -> bytes:
    """Return one line of results/Rejected.jsonl."""
    told = {"Stage": stage, "File": file, "Byte_offset": offset, "Reason": reason, "Text": text[:MAX_TEXT_CHARACTERS]}
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
