"""The rules that turn a raw record into a clean one: pure, one record at a time, so that they run anywhere.

Every raw record comes out as exactly one thing: a clean record, an aggregate (a control total), an absence (a cell
that says there is no figure) or a reject with its reason. Nothing is dropped without a name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from gdp.figures.countries import Country, reference
from gdp.records import (
    FIRST_YEAR,
    INSTITUTIONS,
    LAST_YEAR,
    MAX_BILLION_USD,
    UNSOURCED_NOTE,
    CleanRecord,
    RawRecord,
    is_as_of,
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


RawFields = tuple[str, str, str | None, str | None, str | None, str, str, str]
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
    }
    return Outcome(judged.fate, record)


fields_of: Callable[[Mapping[str, Any]], RawFields] = itemgetter(
    "Country", "GDP", "Year", "Column", "Unit", "Institution", "Source", "As_of"
)


def judge(fields: RawFields) -> Judged:
    """Return what the fields of one raw record mean; each distinct text is understood once.

    The year of a figure stands in the cell's own brackets, else behind the name, else in the year cell, else in the
    heading, else in the caption. A page that states none (those before 2014) means the year it was saved in.
    """
    country, gdp, *around = fields
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
    if problem or stated.year is None:
        return Judged(Fate.REJECTED, problem)
    note = None
    if facts.unsourced or doubt or figure.note:
        note = "; ".join(text for text in (facts.unsourced, doubt, figure.note) if text)
    fate = Fate.AGGREGATE if named.is_aggregate else Fate.CLEAN
    return Judged(fate, None, named, facts, stated.year, figure.cents, note)


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
    country = reference().find(name)
    is_aggregate = country is None and reference().is_aggregate(name)
    stated, problem = _checked(int(year[1])) if year else (None, None)
    return Named(country.name if country else name, country, is_aggregate, stated, problem)


# --- figures ----------------------------------------------------------------------------------------------------------

_NO_FIGURE = frozenset(
    {"", "—", "–", "-", "−", "n/a", "na", "n.a.", "n.a", "..", "...", "…", "?", "no data", "none", "unknown"}
)
_GROUP_SPACE = re.compile(r"(?<=\d)[\s\u200b\u2060'’](?=\d{3}(?!\d))")  # thin, non-breaking, plain, Swiss
_NUMBER = re.compile(r"(\d[\d.,]*)(?:/(?:na|n/a))?", re.IGNORECASE)
# What stands before a figure and says nothing of its size: an arrow, "about", the currency.
_BEFORE = re.compile(r"(?:[▲▼△▽↑↓↗↘~≈∼]|ca?\.(?=\s*[\d$U])|US\s?\$|\$|USD\b|\s)+", re.IGNORECASE)
# What stands behind it: an estimate's mark, a share or a rank in brackets, or an arrow.
_BEHIND = re.compile(
    r"(?:\s*(?:[▲▼△▽↑↓↗↘]|\(?\b(?:est\.?|estimated?|e|f|p)\)?(?![\w(])"
    r"|\(\d{1,3}(?:\.\d+)?\s?%\)|\(#?\d{1,3}\)|\bUSD\b))+",
    re.IGNORECASE,
)
_LEADING_DIGITS = re.compile(r"\d(?:[\d.,]|[\s\u200b\u2060'’](?=\d{3}(?!\d)))*")
_RAISED_MARK = re.compile(r"(?<=\d)((?:,\d{3})+(?:\.\d+)?)\s\d{1,2}")  # "19,398,577 1": behind whole groups only
_WELL_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\d+(?:,\d{1,2})?")
_DOTTED_GROUPS = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
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
    note: str | None = None  # the editors' mark on this cell alone


@lru_cache(CACHED_VALUES)
def figure_of(text: str, factor: Decimal) -> Figure:
    """Return what a GDP cell says, in a unit that is `factor` billions of US dollars."""
    try:
        cents = hundredths_of_billions(text, factor)
    except Unreadable as error:
        return Figure(None, str(error))
    in_brackets = _YEAR_IN_BRACKETS.search(_FOOTNOTE.sub(" ", text))
    year, problem = _checked(int(in_brackets[1])) if in_brackets else (None, None)
    return Figure(cents, None, year, problem, unsourced_note(text, "figure"))


def hundredths_of_billions(text: str, factor: Decimal) -> int | None:
    """Return a figure in hundredths of a billion US dollars, halves up, exactly; None for a known sign of absence.

    Raises Unreadable for anything else: "abc" is no figure, nor is 0 or a negative number.
    """
    figure = figure_text(text)
    if figure.casefold() in _NO_FIGURE:
        return None
    found = _NUMBER.fullmatch(figure)
    if found and not _WELL_GROUPED.fullmatch(found[1]) and not _DOTTED_GROUPS.fullmatch(found[1]):
        raise Unreadable(f"GDP is {text[:40]!r}, whose digits are not grouped in threes: one may be a footnote's")
    number = _decimal(found[1], factor) if found else None
    if not number or number * factor > MAX_BILLION_USD:
        raise Unreadable(f"GDP is {text[:40]!r}, which is no figure")
    return int(number * factor * 100 + Decimal("0.5"))


def figure_text(text: str) -> str:
    """Return a GDP cell without marks, spaces, hidden sort key ("7007…♠") and the year in brackets."""
    figure = _YEAR_IN_BRACKETS.sub(" ", without_marks(text)).rpartition("♠")[2].strip()
    if not figure.isdecimal() and any(c.isdecimal() for c in figure):
        figure = unicodedata.normalize("NFKC", figure)  # full-width digits
        if start := _BEFORE.match(figure):
            figure = figure[start.end() :]
        digits = _LEADING_DIGITS.match(figure)
        if digits and _BEHIND.fullmatch(figure, digits.end()):
            figure = digits[0]
        if mark := _RAISED_MARK.search(figure):
            figure = figure[: mark.end(1)] if mark.end() == len(figure) else figure
    return _GROUP_SPACE.sub("", figure)


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
_SHORT_YEAR = re.compile(r"(?:\bFY\s?['’]?|(?<![\w)])['’])(\d\d)(?!\d)", re.IGNORECASE)  # FY25, '25
_AROUND_YEAR = re.compile(r"^(?:FY\s?|c\.\s?)|\s?\(?(?:est\.?|estimates?|e|f|p)\)?$", re.IGNORECASE)
# "2025, WEO April 2024", "2025 (April 2024)": when the estimate was made, not what for
_RELEASE = re.compile(
    r"(?:WEO|database|edition|as of|released?|updated|published|retrieved|accessed)[^\d\[]{0,30}"
    r"(?:\d{1,2}\s)?(?:[A-Z][a-z]+\s)?(?:19|20)\d\d"
    r"|\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\s(?:19|20)\d\d",
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
    elif institution not in INSTITUTIONS:
        problem = f"Institution is {institution[:40]!r}, not one of {', '.join(INSTITUTIONS)}"
    stated, year_problem, note = (None, None, None) if problem else _stated_year(year, (column, unit), as_of)
    factor = unit_factor(column, unit)
    return ColumnFacts(factor, institution, source, as_of, problem, stated, year_problem, note, unsourced_note(column))


def _stated_year(
    cell: str | None, headings: tuple[str | None, ...], as_of: str
) -> tuple[int | None, str | None, str | None]:
    """Return the year of a column, or what is wrong with it; and a Note where the source does not state it."""
    try:
        year_cell = without_marks(cell or "")
        if year_cell.casefold() not in _NO_FIGURE:
            return _year_of_cell(year_cell), None, None
        for heading in headings:
            if heading and (year := year_of_heading(heading)):
                return year, None, _year_note(heading, year)
        year = _in_range(int(as_of[:4]))
        return year, None, f"no year stated; {year} is when the page was saved"
    except Unreadable as error:
        return None, str(error), None


def _year_of_cell(text: str) -> int:
    found = _YEARS.fullmatch(_AROUND_YEAR.sub("", _long_years(text)))
    if not found:
        raise Unreadable(f"Year is {text[:40]!r}, which is no year")
    return _last_year(found)


@lru_cache(CACHED_VALUES)
def year_of_heading(text: str) -> int | None:
    """Return the year that a heading states, of a range ("2022–24") the last; raises Unreadable when it states two."""
    said = _long_years(_FOOTNOTE.sub(" ", text))
    years = {_last_year(found) for found in _YEARS.finditer(_RELEASE.sub(" ", said))}
    years = years or {_last_year(found) for found in _YEARS.finditer(said)}
    if len(years) > 1:
        raise Unreadable(f"the heading {text[:80]!r} states more than one year")
    return years.pop() if years else None


def _long_years(text: str) -> str:
    """Return a text in which "FY25" and "'25" are 2025."""
    return _SHORT_YEAR.sub(r"20\1", text)


def _year_note(heading: str, year: int) -> str | None:
    """Return the Note of a heading that states two years: which was taken, and why."""
    said = _long_years(_FOOTNOTE.sub(" ", heading))
    if release := _RELEASE.search(said):
        others = _YEARS.findall(release[0])
        if any(int(first) != year for first, _ in others) and _YEARS.search(_RELEASE.sub(" ", said)):
            return f"{year} taken for the year, {' '.join(release[0].split())} being when the estimate was made"
    split = re.search(r"(?:19|20)\d\d/\d\d(?:\d\d)?", said)
    return f"{year} taken for the year of {split[0]}, in which that ends" if split else None


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


# --- notes ------------------------------------------------------------------------------------------------------------

# What editors write where they doubt the source; "needs update", "when?" and "page needed" ask for something else.
_UNSOURCED = re.compile(
    r"\[[^\[\]]*\b(?:(?:citations?|sources?|references?|verification|attribution)\s+(?:needed|missing|required)"
    r"|dubious|disputed|unreliable|failed\s+verification|not\s+in\s+(?:the\s+)?(?:citation|source)(?:\s+given)?"
    r"|original\s+research"
    r"|self[-\s]published|circular\s+(?:reference|reporting)|unverified|ai[-\s]generated"
    r"|fabricated|predatory\s+publisher"
    r"|deprecated\s+source)\b[^\[\]]*\]|\b(?:unsourced|uncited)\b",
    re.IGNORECASE,
)


@lru_cache(CACHED_VALUES)
def unsourced_note(text: str | None, of_what: str = "column") -> str | None:
    """Return the Note of figures whose column or cell the page itself marks as of doubtful source."""
    found = _UNSOURCED.search(text) if text else None
    if not found:
        return None
    mark = found[0].strip("[]").replace(";", ",").strip()
    usual = mark.casefold() in {"citation needed", "unsourced", "uncited"} and of_what == "column"
    return UNSOURCED_NOTE if usual else f"{UNSOURCED_NOTE}: the {of_what} is marked {mark[:40]!r}"
