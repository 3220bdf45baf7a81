"""The rules that turn a raw record into a clean one: pure, one record at a time, so that they run anywhere.

Every raw record comes out as exactly one thing: a clean record, an aggregate (a control total), an absence (a cell
that says there is no figure) or a reject with its reason. Nothing is dropped without a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from countries import reference
from records import (
    FIRST_YEAR,
    INSTITUTIONS,
    LAST_YEAR,
    MAX_BILLION_USD,
    UNSOURCED_NOTE,
    CleanRecord,
    RawRecord,
    is_as_of,
)

CACHED_VALUES = 65_536  # distinct texts of a field that are cleaned once; a page has a few hundred


class Fate(StrEnum):
    """What can become of a raw record."""

    CLEAN = "clean"
    AGGREGATE = "aggregate"
    ABSENT = "no figure"
    REJECTED = "set aside"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a raw record: its fate, the record where there is a figure, the reason where it is set aside."""

    fate: Fate
    record: CleanRecord | None = None
    reason: str | None = None


class Unreadable(ValueError):
    """A field that is neither a value nor a known sign of absence; the message says what it is."""


def clean(raw: RawRecord) -> Outcome:
    """Return what becomes of one raw record; the rules are DESIGN.md's, and each of the functions below is one."""
    try:
        cents = hundredths_of_billions(raw["GDP"], unit_factor(raw["Column"], raw["Unit"]))
        if cents is None:
            return Outcome(Fate.ABSENT)
        name, year_in_name = name_and_year(raw["Country"])
        as_of = checked_as_of(raw["As_of"])
        if raw["Institution"] not in INSTITUTIONS:
            raise Unreadable(f"Institution is {raw['Institution'][:40]!r}, not one of {', '.join(INSTITUTIONS)}")
        year, year_note = the_year(raw, year_in_name)
    except Unreadable as error:
        return Outcome(Fate.REJECTED, reason=str(error))
    country = reference().find(name)
    fate = Fate.AGGREGATE if country is None and reference().is_aggregate(name) else Fate.CLEAN
    notes = [note for note in (unsourced_note(raw["Column"]), year_note, grouping_note(raw["GDP"])) if note]
    record: CleanRecord = {
        "Country": country.name if country else name,
        "ISO3": country.iso3 if country else None,
        "Region": country.region if country else None,
        "Subregion": country.subregion if country else None,
        "Institution": raw["Institution"],
        "Year": year,
        "GDP_USD_billion": cents / 100,  # the double nearest to two decimals, which prints as those two decimals
        "As_of": as_of,
        "Source": raw["Source"],
        "Note": "; ".join(notes) or None,
    }
    return Outcome(fate, record)


# --- names ------------------------------------------------------------------------------------------------------------

_FOOTNOTE = re.compile(r"\[[^\[\]]*\]")
_MARKS = re.compile(r"[†‡*^⁺§¶#¹²³⁰-⁹]+")
_YEAR_IN_BRACKETS = re.compile(r"\(\s*((?:19|20)\d\d)[^()]*\)")


def without_marks(text: str) -> str:
    """Return a text without footnote marks ("[n 1]", "†"), white space folded."""
    return " ".join(_MARKS.sub(" ", _FOOTNOTE.sub(" ", text)).split())


@lru_cache(CACHED_VALUES)
def name_and_year(text: str) -> tuple[str, int | None]:
    """Return a country's name without marks, and the year that some pages put behind it: "Pakistan (2019)"."""
    name = without_marks(text)
    year = _YEAR_IN_BRACKETS.search(name)
    if year:
        name = " ".join(name.replace(year[0], " ").split())
    if not any(c.isalpha() for c in name):
        raise Unreadable(f"Country is {text[:40]!r}, which is no name")
    return name, int(year[1]) if year else None


# --- figures ----------------------------------------------------------------------------------------------------------

_NO_FIGURE = frozenset(
    {"", "—", "–", "-", "−", "n/a", "na", "n.a.", "n.a", "..", "...", "…", "?", "no data", "none", "unknown"}
)
_GROUP_SPACE = re.compile(r"(?<=\d)[\s\u200b\u2060'’](?=\d{3}(?!\d))")  # thin, non-breaking, plain, Swiss
_NUMBER = re.compile(r"(?:US)?\$?(\d[\d.,]*)(?:/(?:na|n/a))?", re.IGNORECASE)
_DOTTED_GROUPS = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_COMMA_GROUPS = re.compile(r"\d{1,3}(?:,\d{3})*(?:\.\d+)?|\d+(?:\.\d+)?")
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


@lru_cache(CACHED_VALUES)
def hundredths_of_billions(text: str, factor: Decimal) -> int | None:
    """Return a figure in hundredths of a billion US dollars, halves up, exactly; None for a known sign of absence.

    Raises Unreadable for anything else: "abc" is no figure, nor is 0 or a negative number.
    """
    figure = figure_text(text)
    if figure.casefold() in _NO_FIGURE:
        return None
    found = _NUMBER.fullmatch(figure)
    number = _decimal(found[1], factor) if found else None
    if not number or number * factor > MAX_BILLION_USD:
        raise Unreadable(f"GDP is {text[:40]!r}, which is no figure")
    return int(number * factor * 100 + Decimal("0.5"))


def figure_text(text: str) -> str:
    """Return a GDP cell without marks, spaces, hidden sort key ("7007…♠") and the year in brackets."""
    figure = _YEAR_IN_BRACKETS.sub(" ", without_marks(text)).rpartition("♠")[2].strip()
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


@lru_cache(CACHED_VALUES)
def grouping_note(text: str) -> str | None:
    """Return a Note when the commas of a figure stand where none belong: "1115,494,312" may have a digit too many."""
    found = _NUMBER.fullmatch(figure_text(text))
    if not found or "," not in found[1] or _COMMA_GROUPS.fullmatch(found[1]) or _DOTTED_GROUPS.fullmatch(found[1]):
        return None
    return f"written {found[1]}"


# --- years ------------------------------------------------------------------------------------------------------------

_YEARS = re.compile(r"(?<!\d)((?:19|20)\d\d)(?:\s?[-–—/]\s?((?:19|20)?\d\d)(?!\d))?(?!\d)")


def the_year(raw: RawRecord, year_in_name: int | None) -> tuple[int, str | None]:
    """Return the year of a figure, and a Note where the source does not state it.

    It stands in the cell's own brackets, else behind the name, else in the year cell, else in the heading, else in the
    caption. A page that states none (those before 2014) means the year it was saved in.
    """
    in_cell = _YEAR_IN_BRACKETS.search(_FOOTNOTE.sub(" ", raw["GDP"]))
    if in_cell:
        return _in_range(int(in_cell[1])), None
    if year_in_name:
        return _in_range(year_in_name), None
    year_cell = without_marks(raw["Year"] or "")
    if year_cell.casefold() not in _NO_FIGURE:
        return _year_of_cell(year_cell), None
    for heading in (raw["Column"], raw["Unit"]):
        if heading and (year := year_of_heading(heading)):
            return year, None
    year = int(checked_as_of(raw["As_of"])[:4])
    return year, f"no year stated; {year} is when the page was saved"


@lru_cache(CACHED_VALUES)
def _year_of_cell(text: str) -> int:
    found = _YEARS.fullmatch(text)
    if not found:
        raise Unreadable(f"Year is {text[:40]!r}, which is no year")
    return _last_year(found)


@lru_cache(CACHED_VALUES)
def year_of_heading(text: str) -> int | None:
    """Return the year that a heading states, of a range ("2022–24") the last; raises Unreadable when it states two."""
    years = {_last_year(found) for found in _YEARS.finditer(_FOOTNOTE.sub(" ", text))}
    if len(years) > 1:
        raise Unreadable(f"the heading {text[:80]!r} states more than one year")
    return years.pop() if years else None


def _last_year(found: re.Match[str]) -> int:
    first, last = found[1], found[2] or found[1]
    year = int(first[: 4 - len(last)] + last)
    return _in_range(year if year >= int(first) else year + 100)  # 1999–00


def _in_range(year: int) -> int:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Unreadable(f"Year is {year}, not between {FIRST_YEAR} and {LAST_YEAR}")
    return year


@lru_cache(CACHED_VALUES)
def checked_as_of(text: str) -> str:
    """Return As_of as it stands, a moment in UTC or a day; raises Unreadable when it is neither."""
    if not is_as_of(text):
        raise Unreadable(f"As_of is {text[:40]!r}, which is no date")
    return text


# --- notes ------------------------------------------------------------------------------------------------------------

_UNSOURCED = re.compile(
    r"\[[^\[\]]*\b(?:citations?|sources?|references?)\s+(?:needed|missing)\b[^\[\]]*\]|\b(?:unsourced|uncited)\b",
    re.IGNORECASE,
)


@lru_cache(CACHED_VALUES)
def unsourced_note(column: str | None) -> str | None:
    """Return the Note of figures whose column the page itself marks as without a source."""
    return UNSOURCED_NOTE if column and _UNSOURCED.search(column) else None
