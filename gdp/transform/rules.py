"""The rules that turn a raw record into a clean one: pure, one record at a time, so that they run anywhere.

Every raw record has exactly one outcome: a clean record, an aggregate (a control total), an absence (a cell that states
no figure) or a rejection with its reason. Nothing is dropped without being counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from gdp import model
from gdp.model import INSTITUTIONS, RAW_FIELDS, STATUSES, CleanRecord, RawRecord, note_of_source
from gdp.transform import years
from gdp.transform.amounts import NO_FIGURE, Figure, figure_of, unit_factor
from gdp.transform.countries import Country, bare_name, is_part_of_country, reference, visible
from gdp.transform.years import CACHED_TEXTS, YEAR_IN_BRACKETS, Unreadable, source_flag, without_marks

WORLD = ("World", "WEOWORLD")  # the control total, and its code in an answer of the IMF without names
CACHED_COLUMNS = 2_048  # the text that a column's figures share is long, and an archive does not come back to it


class Fate(StrEnum):
    """What can become of a raw record."""

    CLEAN = "clean"
    AGGREGATE = "aggregate"
    ABSENT = "no figure"
    REJECTED = "rejected"


class Meaning(NamedTuple):
    """What a raw record means, in parts that many records share; its clean record or line is made of them."""

    fate: Fate
    reason: str | None = None
    name: Name | None = None
    column: ColumnFacts | None = None
    year: int = 0
    figure: Figure = Figure(None)
    flags: str | None = None
    status: str | None = None

    @property
    def record(self) -> CleanRecord | None:
        """The clean record, or the control total of an aggregate; None for any other fate."""
        if self.name is None or self.column is None or self.figure.cents is None:
            return None
        return {
            **country_fields(self.name),
            "Institution": self.column.institution,
            "Year": self.year,
            # the double nearest to two decimals, which prints as those two decimals
            "GDP_USD_billion": self.figure.cents / 100,
            **column_fields(self.column, self.flags, self.status),
            "GDP_USD_million": self.figure.million,
        }


RawValues = tuple[str, str, str | None, str | None, str | None, str, str, str, str | None]
ABSENT = Meaning(Fate.ABSENT)


def clean(raw: RawRecord) -> Meaning:
    """Return what one raw record means."""
    return meaning(values_of(raw))


def country_fields(name: Name) -> dict[str, str | None]:
    """Return the fields of a clean record that depend on the country alone."""
    iso3, _, region, subregion, _ = name.country or (None,) * 5
    return {"Country": name.text, "ISO3": iso3, "Region": region, "Subregion": subregion}


def column_fields(column: ColumnFacts, flags: str | None, status: str | None) -> dict[str, str | None]:
    """Return the fields of a clean record that depend on the column alone, but for figures with flags of their own."""
    around = {"As_of": column.as_of, "Source": column.source, "Note": note_of_source(flags)}
    return {**around, "Status": status, "Flags": flags}


_required = itemgetter(*(name for name, field in RAW_FIELDS.items() if not field.may_be_absent))


def values_of(raw: Mapping[str, Any]) -> RawValues:
    """Return the values of a raw record in the order of its fields; Status is null where it is absent."""
    return (*_required(raw), raw.get("Status"))


def meaning(values: RawValues) -> Meaning:
    """Return what the values of one raw record mean; each distinct text is read once.

    The year of a figure is in the cell's own brackets, else after the name, else in the year cell, else in the
    heading, else in the caption. A page that states none (those before 2014) means the year in which it was saved.
    """
    country, gdp, *around, status = values
    column = column_facts(*around)
    figure = figure_of(gdp, column.factor, column.is_of_page)
    if figure.cents is None:
        return Meaning(Fate.REJECTED, figure.problem) if figure.problem else ABSENT
    name = name_of(country)
    dated: Figure | Name | ColumnFacts = figure
    year_flag = None
    if figure.year is None:
        dated, year_flag = (name, None) if name.year is not None else (column, column.year_flag)
    problem = name.problem or column.problem or dated.year_problem
    if status is not None and status not in STATUSES:
        problem = f"Status is {status[:40]!r}, not one of {', '.join(STATUSES)}"
    if problem or dated.year is None:
        return Meaning(Fate.REJECTED, problem)
    if name.is_aggregate:
        return Meaning(Fate.AGGREGATE, None, name, column, dated.year, figure, None, status)
    codes = column.source_flag, year_flag, figure.flag, model.UNKNOWN_NAME if name.country is None else None
    flags = model.joined_flags(filter(None, codes)) if any(codes) else None
    return Meaning(Fate.CLEAN, None, name, column, dated.year, figure, flags, status)


class Name(NamedTuple):
    """What a country cell means: the name without marks, the country, and a year that may follow."""

    text: str
    country: Country | None = None
    is_aggregate: bool = False
    year: int | None = None
    year_problem: str | None = None
    problem: str | None = None


@lru_cache(CACHED_TEXTS)
def name_of(cell: str) -> Name:
    """Return what a country cell means."""
    name = without_marks(visible(cell))
    year = YEAR_IN_BRACKETS.search(name)  # "Pakistan (2019)"
    if year:
        name = " ".join(name.replace(year[0], " ").split())
    if not any(c.isalpha() for c in name):
        return Name(name, problem=f"Country is {cell[:40]!r}, which is no name")
    whole, name = name, bare_name(name)
    country = None if is_part_of_country(name) else reference().find_beside_code(name)
    is_aggregate = country is None and reference().is_aggregate(name)
    if not country and not is_aggregate:
        name = whole  # the number may be part of the name and not a rank
    stated, problem = years.checked_year(int(year[1])) if year else (None, None)
    return Name(country.name if country else name, country, is_aggregate, stated, problem)


class ColumnFacts(NamedTuple):
    """What the texts around a figure mean, which a whole column shares."""

    factor: Decimal
    institution: str
    source: str
    as_of: str
    problem: str | None
    year: int | None
    year_problem: str | None
    year_flag: str | None
    source_flag: str | None
    is_of_page: bool  # and not of a file or an answer, whose numbers have one form


@lru_cache(CACHED_COLUMNS)
def column_facts(  # noqa: PLR0913, PLR0917 - these are the record's fields
    year: str | None, column: str | None, unit: str | None, institution: str, source: str, as_of: str
) -> ColumnFacts:
    """Return what the texts around a figure mean."""
    problem = None
    if not model.is_as_of(as_of):
        problem = f"As_of is {as_of[:40]!r}, which is no date"
    elif model.is_in_future(as_of):
        problem = f"As_of is {as_of[:40]!r}, which is in the future"
    elif institution not in INSTITUTIONS:
        problem = f"Institution is {institution[:40]!r}, not one of {', '.join(INSTITUTIONS)}"
    stated, year_problem, flag = (None, None, None) if problem else _stated_year(year, (column, unit), as_of)
    factor = unit_factor(column, unit)
    is_of_page = model.publisher_of(source) == model.WIKIPEDIA.name
    return ColumnFacts(
        factor, institution, source, as_of, problem, stated, year_problem, flag, source_flag(column), is_of_page
    )


def _stated_year(
    cell: str | None, headings: tuple[str | None, ...], as_of: str
) -> tuple[int | None, str | None, str | None]:
    """Return the year of a column, or what is wrong with it; and a flag where the source does not state it clearly."""
    try:
        year_cell = without_marks(cell or "")
        if year_cell.casefold() not in NO_FIGURE:
            return years.year_of_cell(year_cell), None, None
        for heading in headings:
            if heading and (stated := years.year_of_heading(heading)):
                year, has_another = stated
                return year, None, model.TWO_YEARS if has_another else None
        return years.year_in_range(int(as_of[:4])), None, model.YEAR_ASSUMED
    except Unreadable as error:
        return None, str(error), None
