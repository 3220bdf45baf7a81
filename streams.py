"""Transform by blocks of lines: the rules of cleaning.py, applied to streams of any size.

A block of raw lines becomes clean lines in the same order, rejects with their place and reason, and counts. It is a
pure function of its lines, whoever calls it: one process, several, or Spark.
"""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from itertools import accumulate
from typing import Any, NamedTuple

import orjson

from cleaning import CACHED_VALUES, WORLD, Fate, Judged, Named, RawFields, Series, fields_of, figure_of, judge
from records import RAW_FIELDS, record_problem

BROKEN = "no record"
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

    A country's four fields as text; a figure's text and hundredths, by its unit; and of all that a column shares a
    number, what goes before the figure, what goes behind it, and the figures of its unit.
    """

    def __init__(self) -> None:
        self.countries: dict[str, str] = {}
        self.figures: dict[Decimal, dict[str, tuple[str, int]]] = {}
        self.columns: dict[tuple[Any, ...], tuple[str, str, str, dict[str, tuple[str, int]]]] = {}

    def learn(self, fields: RawFields, judged: Judged, named: Named, series: Series) -> None:
        """Remember the parts of a clean record, unless something about it is its own: a Note, or a year in a cell."""
        country, gdp, *column = fields
        own_year = named.year is not None or figure_of(gdp, series.factor).year is not None
        if judged.note or named.country is None or own_year:
            return
        figures = self.figures.setdefault(series.factor, {})
        for known in (self.countries, self.columns, figures):
            if len(known) >= CACHED_VALUES:
                known.clear()
        figures[gdp] = str(judged.cents / 100), judged.cents
        self.countries[country] = _text_of_country(named)
        before, behind = _text_of_column(series, judged.year)
        self.columns[tuple(column)] = column_name(series, judged.year), before, behind, figures


_known = _Known()


class _Block:
    """What comes of a block, line by line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.rejects: list[tuple[int, str]] = []
        self.fates: Counter[str] = Counter()
        self.own: dict[str, int] = {}
        self.world: dict[str, int] = {}
        self.unknown: dict[str, None] = {}

    def judge(self, number: int, line: bytes) -> None:
        """Take in a line that is not put together of known parts."""
        fields, problem = _fields(line)
        if fields is None:
            self.fates[BROKEN] += 1
            self.rejects.append((number, problem))
            return
        judged = judge(fields)
        self.fates[judged.fate.value] += 1
        named, series = judged.named, judged.series
        if named is None or series is None:
            if judged.reason:
                self.rejects.append((number, judged.reason))
            return
        column = column_name(series, judged.year)
        if judged.fate is Fate.AGGREGATE:
            if named.name in WORLD:
                self.world[column] = judged.cents
            return
        _known.learn(fields, judged, named, series)
        self.own[column] = self.own.get(column, 0) + judged.cents
        self.lines.append(_line(judged, named, series))
        if named.country is None and len(self.unknown) < MAX_UNKNOWN:
            self.unknown[named.name] = None


def clean_lines(text: bytes, file: str, offset: int | None) -> Cleaned:
    """Return what becomes of raw lines that stand in `file` at a byte offset (None: not known); pure."""
    raws = text.split(b"\n")
    if not raws[-1]:
        raws.pop()
    block, loads, columns, countries = _Block(), orjson.loads, _known.columns, _known.countries
    lines, own, is_damaged = block.lines, block.own, DAMAGED in text
    for number, line in enumerate(raws):
        try:
            if is_damaged and DAMAGED in line:
                raise TypeError
            country, gdp, *column = fields_of(loads(line))
            name, before, behind, figures = columns[tuple(column)]
            figure, cents = figures[gdp]
            lines.append(f"{countries[country]}{before}{figure}{behind}")
            own[name] = own.get(name, 0) + cents
        except (KeyError, TypeError, orjson.JSONDecodeError):
            block.judge(number, line)
    block.fates[Fate.CLEAN.value] = len(lines)
    sums = {name: [block.own.get(name, 0), block.world.get(name, 0)] for name in {**block.own, **block.world}}
    rejects = _rejected_lines(raws, block.rejects, file, offset)
    return Cleaned("".join(lines).encode(), rejects, dict(block.fates), sums, list(block.unknown))


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
    problem = record_problem(raw, RAW_FIELDS)
    return (None, problem) if problem else (fields_of(raw), "")


# --- clean lines ------------------------------------------------------------------------------------------------------


def column_name(series: Series, year: int) -> str:
    """Return what a column's control sum is told under: its As_of, year and institution."""
    return f"{series.as_of} {year} {series.institution}"


def _line(judged: Judged, named: Named, series: Series) -> str:
    """Return a clean record as write_records writes it."""
    before, behind = _text_of_column(series, judged.year, judged.note)
    return f"{_text_of_country(named)}{before}{judged.cents / 100}{behind}"


def _text_of_country(named: Named) -> str:
    country = named.country
    said = {
        "Country": named.name,
        "ISO3": country.iso3 if country else None,
        "Region": country.region if country else None,
        "Subregion": country.subregion if country else None,
    }
    return json.dumps(said, ensure_ascii=False).removesuffix("}")


def _text_of_column(series: Series, year: int, note: str | None = None) -> tuple[str, str]:
    said = {"As_of": series.as_of, "Source": series.source, "Note": note}
    rest = json.dumps(said, ensure_ascii=False).removeprefix("{")
    return f', "Institution": "{series.institution}", "Year": {year}, "GDP_USD_billion": ', f", {rest}\n"


# --- rejects ----------------------------------------------------------------------------------------------------------


def _rejected_lines(raws: list[bytes], rejects: list[tuple[int, str]], file: str, offset: int | None) -> bytes:
    """Return rejects as lines of results/Rejected.jsonl: where each stands, why it was set aside, and what it says."""
    if not rejects:
        return b""
    starts = list(accumulate((len(line) + 1 for line in raws), initial=offset or 0))
    return b"".join(
        rejected_line(
            "transform",
            file,
            None if offset is None else starts[number],
            reason,
            raws[number].decode("utf-8", "replace"),
        )
        for number, reason in rejects
    )


def rejected_line(stage: str, file: str, offset: int | None, reason: str, text: str = "") -> bytes:
    """Return one line of results/Rejected.jsonl."""
    told = {"Stage": stage, "File": file, "Byte_offset": offset, "Reason": reason, "Text": text[:MAX_TEXT_CHARACTERS]}
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
