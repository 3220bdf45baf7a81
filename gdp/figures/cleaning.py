"""The rules that turn a raw record into a clean one: pure, one record at a time, so that they run anywhere.

Every raw record comes out as exactly one thing: a clean record, an aggregate (a control total), an absence (a cell
that says there is no figure) or a reject with its reason. Nothing is dropped without a name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from gdp.figures.countries import Country, reference, without_rank
from gdp.figures.doubts import source_note
from gdp.records import (
    FIRST_YEAR,
    INSTITUTIONS,
    LAST_YEAR,
    MAX_BILLION_USD,
    STATUSES,
    CleanRecord,
    RawRecord,
    is_as_of,
    is_to_come,
)

WORLD = ("World", "WEOWORLD")  # the control total, and its code where the IMF's answer came without names
CACHED_VALUES = 16_384  # distinct texts of a field that are cleaned once; a page has a few hundred
CACHED_COLUMNS = 2_048  # what all figures of a column share is long, and an archive does not come back to it


class Fate(StrEnum):
    """What can become of a raw record."""

    CLEAN = "clean"
    AGGREGATE = "aggregate"
    ABSENT = "no figure"
    REJECTED = "set aside"


def left_out(counts: Mapping[str, int]) -> dict[str, int]:
    """Return, by reason, how many records gave no row: counts[fate] without those that are clean."""
    return {fate: count for fate, count in counts.items() if count and fate != Fate.CLEAN.value}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a raw record: its fate, the record where there is a figure, the reason where it is set aside."""

    fate: Fate
    record: CleanRecord | None = None
    reason: str | None = None


class Unreadable(ValueError):
    """A field that is neither a value nor a known sign of absence; the message says what it is."""


class Judged(NamedTuple):
    """What a raw record means, in parts that many records share: its clean record is made of them, or its line."""

    fate: Fate
    reason: str | None = None
    named: Named | None = None
    facts: ColumnFacts | None = None
    year: int = 0
    cents: int = 0  # hundredths of a billion US dollars
    note: str | None = None
    status: str | None = None


RawFields = tuple[str, str, str | None, str | None, str | None, str, str, str, str | None]
ABSENT = Judged(Fate.ABSENT)


def clean(raw: RawRecord) -> Outcome:
    """Return what becomes of one raw record; the rules are DESIGN.md's, and each of the functions below is one."""
    judged = judge(fields_of(raw))
    named, facts = judged.named, judged.facts
    if named is None or facts is None:
        return Outcome(judged.fate, reason=judged.reason)
    country = named.country
    record: CleanRecord = {
        "Country": named.name,
        "ISO3": country.iso3 if country else None,
        "Region": country.region if country else None,
        "Subregion": country.subregion if country else None,
        "Institution": facts.institution,
        "Year": judged.year,
        "GDP_USD_billion": judged.cents / 100,  # the double nearest to two decimals, which prints as those two decimals
        "As_of": facts.as_of,
        "Source": facts.source,
        "Note": judged.note,
        "Status": judged.status,
    }
    return Outcome(judged.fate, record)


_always_there = itemgetter("Country", "GDP", "Year", "Column", "Unit", "Institution", "Source", "As_of")


def fields_of(raw: Mapping[str, Any]) -> RawFields:
    """Return the fields of a raw record in their order; the Status is null where it is absent."""
    return (*_always_there(raw), raw.get("Status"))


def judge(fields: RawFields) -> Judged:
    """Return what the fields of one raw record mean; each distinct text is understood once.

    The year of a figure stands in the cell's own brackets, else behind the name, else in the year cell, else in the
    heading, else in the caption. A page that states none (those before 2014) means the year it was saved in.
    """
    country, gdp, *around, status = fields
    facts = column_facts(*around)
    figure = figure_of(gdp, facts.factor)
    if figure.cents is None:
        return Judged(Fate.REJECTED, figure.problem) if figure.problem else ABSENT
    named = named_of(country)
    stated: Figure | Named | ColumnFacts = figure
    doubt = None
    if figure.year is None:
        stated, doubt = (named, None) if named.year is not None else (facts, facts.year_note)
    problem = named.problem or facts.problem or stated.year_problem
    if status is not None and status not in STATUSES:
        problem = f"Status is {status[:40]!r}, not one of {', '.join(STATUSES)}"
    if problem or stated.year is None:
        return Judged(Fate.REJECTED, problem)
    note = None
    if facts.unsourced or doubt or figure.note:
        note = "; ".join(text for text in (facts.unsourced, doubt, figure.note) if text)
    fate = Fate.AGGREGATE if named.is_aggregate else Fate.CLEAN
    return Judged(fate, None, named, facts, stated.year, figure.cents, note, status)


# --- names ------------------------------------------------------------------------------------------------------------

_FOOTNOTE = re.compile(r"\[[^\[\]]*\]")
_MARKS = re.compile(r"[†‡*^⁺§¶#¹²³⁰-⁹]+")
_YEAR_IN_BRACKETS = re.compile(r"\(\s*((?:19|20)\d\d)[^()]*\)")


def without_marks(text: str) -> str:
    """Return a text without footnote marks ("[n 1]", "†"), white space folded."""
    return " ".join(_MARKS.sub(" ", _FOOTNOTE.sub(" ", text)).split())


class Named(NamedTuple):
    """What a country cell says: the name without marks, which country that is, and a year that may follow."""

    name: str
    country: Country | None = None
    is_aggregate: bool = False
    year: int | None = None
    year_problem: str | None = None
    problem: str | None = None


@lru_cache(CACHED_VALUES)
def named_of(text: str) -> Named:
    """Return what a country cell says."""
    name = without_marks(text)
    year = _YEAR_IN_BRACKETS.search(name)  # "Pakistan (2019)"
    if year:
        name = " ".join(name.replace(year[0], " ").split())
    if not any(c.isalpha() for c in name):
        return Named(name, problem=f"Country is {text[:40]!r}, which is no name")
    ranked, name = name, without_rank(name)
    country = reference().find_beside_code(name)
    is_aggregate = country is None and reference().is_aggregate(name)
    if not country and not is_aggregate:
        name = ranked  # nothing says that the number is a rank
    stated, problem = _checked(int(year[1])) if year else (None, None)
    return Named(country.name if country else name, country, is_aggregate, stated, problem)


# --- figures ----------------------------------------------------------------------------------------------------------

_NO_FIGURE = frozenset(
    {"", "—", "–", "-", "−", "n/a", "na", "n.a.", "n.a", "..", "...", "…", "?", "no data", "none", "unknown"}
)
_GROUP_SPACE = re.compile(r"(?<=\d)[\s\u200b\u2060'’](?=\d{3}(?!\d))")  # thin, non-breaking, plain, Swiss
_NUMBER = re.compile(r"(?:US)?\$?(\d[\d.,]*)(?:/(?:na|n/a))?", re.IGNORECASE)
_DOTTED_GROUPS = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_COMMA_GROUPS = re.compile(r"\d{1,3}(?:,\d{3})*(?:\.\d+)?|\d+(?:\.\d+)?")
_MARK_INSIDE = re.compile(rf"\d\s*(?:{_FOOTNOTE.pattern}|{_MARKS.pattern})+\s*\d")
_WIDE = {"\uff0c": ",", "\uff0e": ".", "\uff04": "$"}
# What a reader passes over. "Int$" is not here: it is purchasing power; nor is "<", which is no figure.
_BEFORE = re.compile(
    r"(?:(?:US\s?\$|USD|\$|[~≈≃▲▼△▽↑↓]|approx\.?|circa|ca?\.|est\.?|increase|decrease|steady)\s*)+(?=\d)", re.IGNORECASE
)
# Shares and ranks in brackets, and the marks of estimates; a list has no rank over 299.
_BEHIND = re.compile(
    r"(?<=\d)(?:\s*(?:USD|US\$|[▲▼△▽↑↓]|est\.?|\((?:est\.?|[efp]|\d+(?:\.\d+)?\s?%|[12]?\d?\d(?:st|nd|rd|th)?)\)|e)|\s+a)+$",
    re.IGNORECASE,
)
# How many billions a unit is; the last are the World Bank's own words for plain dollars. A page that names none has
# always meant millions.
_UNITS = (
    (re.compile(r"\btrillions?\b|\btn\b", re.IGNORECASE), Decimal(1000)),
    (re.compile(r"\bbillions?\b|\bbn\b", re.IGNORECASE), Decimal(1)),
    (re.compile(r"\bmillions?\b|\bm[mn]\b|\$mm?\b", re.IGNORECASE), Decimal("1e-3")),
    (re.compile(r"\bthousands?\b", re.IGNORECASE), Decimal("1e-6")),
    (re.compile(r"\bcurrent US\$", re.IGNORECASE), Decimal("1e-9")),
)
_MILLION = Decimal("1e-3")
_DOUBLE_DIGITS = 17  # a number in more digits is a binary double written out


@lru_cache(CACHED_VALUES)
def unit_factor(column: str | None, unit: str | None) -> Decimal:
    """Return how many billions of US dollars one of the source's units is: the heading tells, or else the caption."""
    named = [factor for text in (column, unit) if text for pattern, factor in _UNITS if pattern.search(text)]
    return named[0] if named else _MILLION


class Figure(NamedTuple):
    """What a GDP cell says: hundredths of a billion US dollars, the year in its brackets, and what is odd about it."""

    cents: int | None
    problem: str | None = None
    year: int | None = None
    year_problem: str | None = None
    note: str | None = None


@lru_cache(CACHED_VALUES)
def figure_of(text: str, factor: Decimal) -> Figure:
    """Return what a GDP cell says, in a unit that is `factor` billions of US dollars."""
    try:
        cents = hundredths_of_billions(text, factor)
    except Unreadable as error:
        return Figure(None, str(error))
    in_brackets = _YEAR_IN_BRACKETS.search(_FOOTNOTE.sub(" ", text))
    year, problem = _checked(int(in_brackets[1])) if in_brackets else (None, None)
    return Figure(cents, None, year, problem, source_note(text))


def hundredths_of_billions(text: str, factor: Decimal) -> int | None:
    """Return a figure in hundredths of a billion US dollars, halves up, exactly; None for a known sign of absence.

    Raises Unreadable for anything else: "abc" is no figure, nor is 0 or a negative number.
    """
    figure = figure_text(text)
    if figure.casefold() in _NO_FIGURE:
        return None
    found = _NUMBER.fullmatch(figure)
    if found and not _is_well_grouped(found[1]):
        raise Unreadable(f"GDP is {text[:40]!r}, whose commas do not stand in threes; a footnote may be stuck to it")
    number = _decimal(found[1], factor) if found else None
    if not number or number * factor > MAX_BILLION_USD:
        raise Unreadable(f"GDP is {text[:40]!r}, which is no figure")
    return int(number * factor * 100 + Decimal("0.5"))


def figure_text(text: str) -> str:
    """Return a GDP cell without marks, spaces, hidden sort key ("7007…♠"), what stands around it and its year."""
    if _MARK_INSIDE.search(text):
        return text  # its two halves are not one figure
    figure = _YEAR_IN_BRACKETS.sub(" ", without_marks(text)).rpartition("♠")[2]
    figure = _BEHIND.sub("", _BEFORE.sub("", "".join(map(_plain_digit, figure)).strip())).strip()
    return _GROUP_SPACE.sub("", figure)


def _plain_digit(character: str) -> str:
    return str(unicodedata.decimal(character)) if character.isdecimal() else _WIDE.get(character, character)


def _is_well_grouped(digits: str) -> bool:
    return "," not in digits or bool(_COMMA_GROUPS.fullmatch(digits) or _DOTTED_GROUPS.fullmatch(digits))


def _decimal(digits: str, factor: Decimal) -> Decimal | None:
    """Return the number that digits with separators mean, or None.

    A dot before three digits is a thousands separator, unless it stands alone in a figure in billions: nobody gives
    thousandths of a million, and the IMF gives thousandths of a billion.
    """
    if _DOTTED_GROUPS.fullmatch(digits) and (digits.count(".") > 1 or "," in digits or factor < 1):
        digits = digits.replace(".", "").replace(",", ".")
    digits = digits.replace(",", "")
    if not re.fullmatch(r"\d+(?:\.\d+)?", digits):
        return None
    number = Decimal(digits)
    # the IMF sends 9.095 as 9.0950000000000006394884621840901672840118408203125
    return Decimal(repr(float(number))) if len(number.as_tuple().digits) >= _DOUBLE_DIGITS else number


# --- years ------------------------------------------------------------------------------------------------------------

_YEARS = re.compile(r"(?<!\d)((?:19|20)\d\d)(?:\s?[-–—/]\s?((?:19|20)?\d\d)(?!\d))?(?!\d)")
_SHORT_YEAR = re.compile(r"(?:\bFY\s?|(?<!\w)['’])(\d\d)(?!\d)", re.IGNORECASE)  # FY25, '25
_LAST_SHORT_YEAR = 49  # '49 is 2049 and '50 is 1950: no list projects so far, nor reaches further back
_ESTIMATED = re.compile(r"^(?:FY\s?)?(.*?)\s*(?:\(?(?:est\.?|estimates?|[efp])\)?)?$", re.IGNORECASE)
# A year behind these words is when the figures were published, and none that they are of.
_RELEASE = re.compile(
    r"\b(?:WEO|World Economic Outlook|as of|updated?|retrieved|accessed|released?|published)\b[^\d()\[\]]{0,20}\d{4}\b",
    re.IGNORECASE,
)


class ColumnFacts(NamedTuple):
    """What the texts around a figure say, which a whole column shares: unit, year, institution, source and As_of."""

    factor: Decimal
    institution: str
    source: str
    as_of: str
    problem: str | None
    year: int | None
    year_problem: str | None
    year_note: str | None
    unsourced: str | None


@lru_cache(CACHED_COLUMNS)
def column_facts(  # noqa: PLR0913, PLR0917 - these are the record's fields
    year: str | None, column: str | None, unit: str | None, institution: str, source: str, as_of: str
) -> ColumnFacts:
    """Return what the texts around a figure say."""
    problem = None
    if not is_as_of(as_of):
        problem = f"As_of is {as_of[:40]!r}, which is no date"
    elif is_to_come(as_of):
        problem = f"As_of is {as_of[:40]!r}, which is to come"
    elif institution not in INSTITUTIONS:
        problem = f"Institution is {institution[:40]!r}, not one of {', '.join(INSTITUTIONS)}"
    stated, year_problem, note = (None, None, None) if problem else _stated_year(year, (column, unit), as_of)
    factor = unit_factor(column, unit)
    return ColumnFacts(factor, institution, source, as_of, problem, stated, year_problem, note, source_note(column))


def _stated_year(
    cell: str | None, headings: tuple[str | None, ...], as_of: str
) -> tuple[int | None, str | None, str | None]:
    """Return the year of a column, or what is wrong with it; and a Note where the source does not state it."""
    try:
        year_cell = without_marks(cell or "")
        if year_cell.casefold() not in _NO_FIGURE:
            return _year_of_cell(year_cell), None, None
        for heading in headings:
            if heading and (stated := year_of_heading(heading)):
                return stated[0], None, stated[1]
        year = _in_range(int(as_of[:4]))
        return year, None, f"no year stated; {year} is when the page was saved"
    except Unreadable as error:
        return None, str(error), None


def _year_of_cell(text: str) -> int:
    estimated = _ESTIMATED.fullmatch(_with_full_years(text))
    found = _YEARS.fullmatch(estimated[1]) if estimated else None
    if not found:
        raise Unreadable(f"Year is {text[:40]!r}, which is no year")
    return _last_year(found)


@lru_cache(CACHED_VALUES)
def year_of_heading(text: str) -> tuple[int, str | None] | None:
    """Return the year that a heading states, of a range ("2022–24") the last, and a Note where another stands there.

    Returns None when it states no year; raises Unreadable when it states two of which none is that of a release.
    """
    heading = _with_full_years(_FOOTNOTE.sub(" ", text))
    years = {_last_year(found) for found in _YEARS.finditer(heading)}
    if len(years) < 2:
        return (years.pop(), None) if years else None
    of_figures = {_last_year(found) for found in _YEARS.finditer(_RELEASE.sub(" ", heading))}
    if len(of_figures) != 1:
        raise Unreadable(f"the heading {text[:80]!r} states more than one year")
    year = of_figures.pop()
    released = ", ".join(str(other) for other in sorted(years - {year}))
    return year, f"the heading states {year} and {released}; {year} is taken, {released} is when it was published"


def _with_full_years(text: str) -> str:
    """Return a text with "FY25" and "'25" written as 2025."""
    return _SHORT_YEAR.sub(lambda found: f"{'20' if int(found[1]) <= _LAST_SHORT_YEAR else '19'}{found[1]}", text)


def _last_year(found: re.Match[str]) -> int:
    first, last = found[1], found[2] or found[1]
    year = int(first[: 4 - len(last)] + last)
    return _in_range(year if year >= int(first) else year + 100)  # 1999–00


def _in_range(year: int) -> int:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Unreadable(f"Year is {year}, not between {FIRST_YEAR} and {LAST_YEAR}")
    return year


def _checked(year: int) -> tuple[int, str | None]:
    try:
        return _in_range(year), None
    except Unreadable as error:
        return year, str(error)
