"""The tables of a page that are the list of countries: which they are, and their rows as raw records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from gdp.model import RawRecord
from gdp.sources import Refused
from gdp.sources.payloads import bare_name, is_country, today
from gdp.sources.wikipedia.headings import (
    MAX_PROJECTED_YEARS,
    Column,
    Headings,
    find_headings,
    not_understood,
    problem_of,
    read_columns,
    refuse_another_list,
)
from gdp.sources.wikipedia.tables import Cell, Table
from gdp.sources.wikipedia.vocabulary import years_in

MIN_KNOWN_SHARE = 0.5  # of a table's names that are countries; 0.97 and more in all real lists
MIN_ROWS = 3  # of a table without headings that goes on with the list
EXCERPT_SHARE = 0.5  # of the names of a table: with more of them in another one, it is the same list again
AGREEING_SHARE = 0.9  # of the figures of two tables: with more of them equal, one is a copy of the other
MAX_BROKEN_ROW_SHARE = 0.02  # an editor's slip in a row or two is dropped; more, and the reading is wrong
BROKEN_ROW = "row of another width"
_DIGIT = re.compile(r"\d")

Row = list[Cell | None]


@dataclass
class CountryTable:
    """A table of figures by country: its headings, its columns of figures, and its rows by country."""

    table: Table
    headings: Headings
    columns: list[Column]
    rows: list[tuple[str, Row]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for row in self.table.rows[self.headings.first_row :]:
            if problem := self._problem_of(row):
                self.dropped[f"{problem}: {_first_text(row)!r}"] += 1
            else:
                self.rows.append((self._country(row), row))

    def _problem_of(self, row: Row) -> str | None:
        """Return why a row is no country's, or None."""
        cells = dict.fromkeys(row)
        if not any(cell.text for cell in cells if cell):
            return "blank row"
        if len(cells) == 1:
            return "row across the table"
        if len(row) != len(self.headings.over) or None in cells:
            return BROKEN_ROW
        names = self.headings.country_columns
        if any(row[name] is row[column.figure] for name in names for column in self.columns):
            return "row across the table"
        return "heading repeated" if self._country(row) == self.headings.country_text else None

    def _country(self, row: Row) -> str:
        for column in self.headings.country_columns:
            if (cell := row[column]) and cell.text:
                return cell.text
        return ""

    @property
    def names(self) -> set[str]:
        """The bare names of its countries."""
        return {bare_name(country) for country, _ in self.rows}

    @property
    def title(self) -> str:
        """The words by which a person finds it on the page."""
        texts = (self.table.caption, *self.table.titles, self.table.section, self.columns[0].heading)
        return next(text for text in (*texts, "a table without a caption") if text)[:60]

    def year_of(self, institution: str) -> int | None:
        """Return the reference year of an institution's figures: of headings, year cells, or texts over the table."""
        columns = [column for column in self.columns if column.institution == institution]
        cells = Counter(
            year for column in columns if column.year is not None for _, row in self.rows
            if (cell := row[column.year]) for year in years_in(cell.text)
        )  # fmt: skip
        in_headings = [year for column in columns for year in years_in(column.heading)]
        over = (self.table.caption, self.table.section, *self.table.titles)
        stated = [
            *in_headings,
            *(year for year, _ in cells.most_common(1)),
            *(y for text in over for y in years_in(text)),
        ]
        return stated[0] if stated else None

    def figures_of(self, institution: str) -> dict[str, str]:
        """Return the figures of an institution by bare name, as text."""
        column = next(column for column in self.columns if column.institution == institution)
        cells = ((country, row[column.figure]) for country, row in self.rows)
        return {bare_name(country): cell.text for country, cell in cells if cell and _DIGIT.search(cell.text)}


def _first_text(row: Row) -> str:
    return next((cell.text[:40] for cell in row if cell and cell.text), "")


# --- which tables are the list ----------------------------------------------------------------------------------------


def country_tables(
    tables: list[Table], of_the_page: Callable[[], str | None], saved_year: int, dropped: Counter[str]
) -> list[CountryTable]:
    """Return the tables of the list, each with the columns that count; what is dropped is counted by its reason.

    Raises Refused when two tables could be the list and their texts do not show which.
    """
    found: list[CountryTable] = []
    for table in tables:
        try:
            ours = _country_table(table, of_the_page, saved_year, dropped) or _continuation(table, found)
        except Refused as reason:
            dropped[f"table: {reason}"] += 1
            continue
        if ours and ours.rows and known_share(ours) < MIN_KNOWN_SHARE:
            dropped[f"table: most names of {ours.title!r} are no countries"] += 1
        elif ours:
            found.append(ours)
    for institution in dict.fromkeys(column.institution for ours in found for column in ours.columns):
        _choose(found, institution, saved_year, dropped)
    return [ours for ours in found if ours.columns]


def _country_table(
    table: Table, of_the_page: Callable[[], str | None], saved_year: int, dropped: Counter[str]
) -> CountryTable | None:
    headings = find_headings(table)
    columns = read_columns(table, headings, of_the_page) if headings else []
    if not headings or not columns:
        return None
    refuse_another_list(table, headings, saved_year)
    last_year = max(saved_year, today().year) + MAX_PROJECTED_YEARS
    for column in [*columns]:
        if problem := problem_of(column.heading, last_year):
            columns.remove(column)
            dropped[f'column: the heading "{column.heading[:80]}" has {problem}'] += 1
    if not columns:
        return None
    dropped.update(f"column of figures not understood: {text!r}" for text in not_understood(table, headings, columns))
    return CountryTable(table, headings, columns)


def _continuation(table: Table, found: list[CountryTable]) -> CountryTable | None:
    """Return a table without headings that goes on with the last one of the list; None for any other table."""
    if not found or len(table.rows) < MIN_ROWS or find_headings(table):
        return None
    last = found[-1]
    if any(len(row) != len(last.headings.over) for row in table.rows):
        return None
    headings = replace(last.headings, first_row=0)
    ours = CountryTable(replace(table, caption=table.caption or last.table.caption), headings, [*last.columns])
    is_new = not ours.names & last.names
    return ours if ours.rows and is_new and known_share(ours) >= MIN_KNOWN_SHARE else None


def _choose(found: list[CountryTable], institution: str, saved_year: int, dropped: Counter[str]) -> None:
    """Keep an institution's figures in one of several tables of the same countries, and drop them in the others.

    Excerpts come last, the nearest reference year first, then the longer table. A table of other countries is a part of
    the list.
    """
    ours = [one for one in found if any(column.institution == institution for column in one.columns)]
    if len(ours) < 2:
        return
    kept: list[CountryTable] = []
    longest = max(len(one.rows) for one in ours)

    def order(one: CountryTable) -> tuple[bool, float, int]:
        is_excerpt = len(one.rows) < EXCERPT_SHARE * longest
        return is_excerpt, _distance(one.year_of(institution), saved_year), -len(one.rows)

    for one in sorted(ours, key=order):
        reason = next((reason for other in kept if (reason := _repetition(one, other, institution))), None)
        if reason is None:
            kept.append(one)
            continue
        before = len(one.columns)
        one.columns[:] = [column for column in one.columns if column.institution != institution]
        dropped[reason] += before - len(one.columns)


def _distance(year: int | None, saved_year: int) -> float:
    """Return how far a reference year is from the page's; later years are further than earlier ones."""
    if year is None:
        return 0
    return saved_year - year if year <= saved_year else year - saved_year + 0.5


def _repetition(one: CountryTable, other: CountryTable, institution: str) -> str | None:
    """Return the reason to drop a table's figures beside those of a better one; None if it has other countries.

    Raises Refused when neither is better.
    """
    names = one.names
    if len(names & other.names) <= EXCERPT_SHARE * len(names):
        return None
    years = one.year_of(institution), other.year_of(institution)
    if years[0] != years[1] and None not in years:
        return f"column of another year: {years[0]}"
    if len(names) < EXCERPT_SHARE * len(other.names):
        return "column of an excerpt"
    mine, theirs = one.figures_of(institution), other.figures_of(institution)
    common = mine.keys() & theirs.keys()
    if sum(mine[name] == theirs[name] for name in common) < AGREEING_SHARE * len(common):
        raise Refused(f'two tables could be the list of {institution}: "{other.title}" and "{one.title}"')
    return "column of an excerpt"


def known_share(ours: CountryTable) -> float:
    """Return the share of a table's names that are countries or territories."""
    return sum(is_country(name) for name, _ in ours.rows) / len(ours.rows)


# --- from rows to records ---------------------------------------------------------------------------------------------


def records_of(ours: CountryTable, source: str, as_of: str, dropped: Counter[str]) -> Iterator[RawRecord]:
    """Yield the raw records of a table; raises Refused when too many rows do not fit the headings."""
    dropped.update(ours.dropped)
    shared = _shared_figures(ours)
    for country, row in ours.rows:
        for column in ours.columns:
            figure = row[column.figure]
            if figure in shared or (figure and figure.tables):
                dropped[f"figure across cells: {country[:40]!r}"] += 1
                continue
            year = row[column.year] if column.year is not None else None
            yield {
                "Country": country,
                "GDP": figure.text if figure else "",
                "Year": year.text if year and year is not figure else None,
                "Column": column.heading,
                "Unit": ours.table.caption or None,
                "Institution": column.institution,
                "Source": source,
                "As_of": as_of,
            }
    broken = sum(count for reason, count in ours.dropped.items() if reason.startswith(BROKEN_ROW))
    total = len(ours.rows) + ours.dropped.total()
    if broken > MAX_BROKEN_ROW_SHARE * total:
        raise Refused(f"{broken} of {total} rows do not have the {len(ours.headings.over)} cells of the headings")


def _shared_figures(ours: CountryTable) -> set[Cell | None]:
    """Return the cells whose figure is in two countries' rows or in two columns of figures: it belongs to neither."""
    rows_of: dict[Cell, set[int]] = {}
    columns_of: dict[Cell, set[int]] = {}
    for number, (_, row) in enumerate(ours.rows):
        for column in ours.columns:
            cell = row[column.figure]
            if cell and (cell.rowspan != 1 or cell.colspan != 1) and _DIGIT.search(cell.text):
                rows_of.setdefault(cell, set()).add(number)
                columns_of.setdefault(cell, set()).add(column.figure)
    return {cell for cell, rows in rows_of.items() if len(rows) > 1 or len(columns_of[cell]) > 1}
