"""The rules that turn a raw record into a clean one: pure, one record at a time, so that they run anywhere.

Every raw record comes out as exactly one thing: a clean record, an aggregate (a control total), an absence (a cell
that says there is no figure) or a reject with its reason. Nothing is dropped without a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from gdp.records import (
    INSTITUTIONS,
    STATUSES,
    CleanRecord,
    RawRecord,
    is_as_of,
    is_to_come,
)
from gdp.transform.amounts import CACHED_VALUES, NO_FIGURE, Figure, figure_of, unit_factor
from gdp.transform.countries import Country, bare_name, reference
from gdp.transform.source_marks import source_note
from gdp.transform.years import (
    YEAR_IN_BRACKETS,
    Unreadable,
    checked_year,
    without_marks,
    year_in_range,
    year_of_cell,
    year_of_heading,
)

WORLD = ("World", "WEOWORLD")  # the control total, and its code where the IMF's answer came without names
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
    year = YEAR_IN_BRACKETS.search(name)  # "Pakistan (2019)"
    if year:
        name = " ".join(name.replace(year[0], " ").split())
    if not any(c.isalpha() for c in name):
        return Named(name, problem=f"Country is {text[:40]!r}, which is no name")
    whole, name = name, bare_name(name)
    country = reference().find_beside_code(name)
    is_aggregate = country is None and reference().is_aggregate(name)
    if not country and not is_aggregate:
        name = whole  # nothing says that the number is a rank
    stated, problem = checked_year(int(year[1])) if year else (None, None)
    return Named(country.name if country else name, country, is_aggregate, stated, problem)


# --- what a column's texts say ----------------------------------------------------------------------------------------


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
        if year_cell.casefold() not in NO_FIGURE:
            return year_of_cell(year_cell), None, None
        for heading in headings:
            if heading and (stated := year_of_heading(heading)):
                return stated[0], None, stated[1]
        year = year_in_range(int(as_of[:4]))
        return year, None, f"no year stated; {year} is when the page was saved"
    except Unreadable as error:
        return None, str(error), None
