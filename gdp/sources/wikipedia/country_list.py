"""The tables of a page that are the list of countries: which they are, and their rows as raw records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from gdp.model import RawRecord
from gdp.sources import Refused
from gdp.sources.payloads import is_country, letters_of_name, today
from gdp.sources.wikipedia.headings import (
    Column,
    Headings,
    OfThePage,
    find_headings,
    not_understood,
    problem_of,
    read_columns,
    refuse_another_list,
    years_in,
)
from gdp.sources.wikipedia.tables import Cell, Table

MAX_PROJECTED_YEARS = 6  # in a column's heading, as far as the IMF projects
MIN_KNOWN_SHARE = 0.5  # of a table's names that are countries; 0.97 and more in all real lists
MIN_ROWS = 3  # of a table without headings that goes on with the list
EXCERPT_SHARE = 0.5  # of the names of a table: with more of them in another one, it is the same list again
AGREEING_SHARE = 0.9  # of the figures of two tables: with more of them equal, one is a copy of the other
MAX_BROKEN_ROW_SHARE = 0.02  # an editor's slip in a row or two is dropped; more, and the reading is wrong
BROKEN_ROW = "row of another width"
_DIGIT = re.compile(r"\d")


@dataclass
class CountryTable:
    """A table of figures by country: its headings, its columns of figures, and its rows by country."""

    table: Table
    headings: Headings
    columns: list[Column]
    rows: list[tuple[str, list[Cell]]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for row in self.table.rows[self.headings.first_row :]:
            cells = [cell for cell in row if cell]
            if problem := self._problem_of(row, cells):
                text = next((cell.text for cell in cells if cell.text), "")
                self.dropped[f"{problem}: {text[:40]!r}"] += 1
            else:
                self.rows.append((self._country(cells), cells))

    def _problem_of(self, row: list[Cell | None], cells: list[Cell]) -> str | None:
        """Return why a row is no country's, or None."""
        if not any(cell.text for cell in cells):
            return "blank row"
        if len(set(row)) == 1:
            return "row across the table"
        if not len(row) == len(cells) == len(self.headings.over):
            return BROKEN_ROW
        names = self.headings.country_columns
        if any(cells[name] is cells[column.figure] for name in names for column in self.columns):
            return "row across the table"
        return "heading repeated" if self._country(cells) == self.headings.over[names[0]][-1].text else None

    def _country(self, cells: list[Cell]) -> str:
        return next((cells[name].text for name in self.headings.country_columns if cells[name].text), "")

    @property
    def names(self) -> set[str]:
        """The bare names of its countries."""
        return {letters_of_name(country) for country, _ in self.rows}

    @property
    def known_share(self) -> float:
        """The share of its names that are countries or territories."""
        return sum(is_country(country) for country, _ in self.rows) / len(self.rows)

    @property
    def title(self) -> str:
        """The words by which a person finds it on the page."""
        texts = (self.table.caption, *self.table.titles, self.table.section, self.columns[0].heading)
        return next(text for text in (*texts, "a table without a caption") if text)[:60]

    def columns_of(self, institution: str) -> list[Column]:
        """Return the columns of an institution's figures."""
        return [column for column in self.columns if column.institution == institution]

    def year_of(self, institution: str) -> int | None:
        """Return the reference year of an institution's figures: of headings, year cells, or texts over the table."""
        columns = self.columns_of(institution)
        in_cells = Counter(
            year for column in columns if column.year is not None
            for _, cells in self.rows for year in years_in(cells[column.year].text)
        )  # fmt: skip
        over = (self.table.caption, self.table.section, *self.table.titles)
        years = [year for column in columns for year in years_in(column.heading)]
        years += [year for year, _ in in_cells.most_common(1)]
        years += [year for text in over for year in years_in(text)]
        return years[0] if years else None

    def figures_of(self, institution: str) -> dict[str, str]:
        """Return the figures of an institution by bare name, as text."""
        figure = self.columns_of(institution)[0].figure
        texts = ((country, cells[figure].text) for country, cells in self.rows)
        return {letters_of_name(country): text for country, text in texts if _DIGIT.search(text)}


# --- which tables are the list ----------------------------------------------------------------------------------------


def country_tables(
    tables: list[Table], of_the_page: OfThePage, saved_year: int, dropped: Counter[str]
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
        if ours and ours.rows and ours.known_share < MIN_KNOWN_SHARE:
            dropped[f"table: most names of {ours.title!r} are no countries"] += 1
        elif ours:
            found.append(ours)
    for institution in dict.fromkeys(column.institution for ours in found for column in ours.columns):
        _drop_repetitions(found, institution, saved_year, dropped)
    return [ours for ours in found if ours.columns]


def _country_table(table: Table, of_the_page: OfThePage, saved_year: int, dropped: Counter[str]) -> CountryTable | None:
    headings = find_headings(table)
    columns = read_columns(table, headings, of_the_page) if headings else []
    if not headings or not columns:
        return None
    refuse_another_list(table, headings, saved_year)
    last_year = max(saved_year, today().year) + MAX_PROJECTED_YEARS
    problems = {column: problem_of(column.heading, last_year) for column in columns}
    for column, problem in problems.items():
        if problem:
            dropped[f'column: the heading "{column.heading[:80]}" has {problem}'] += 1
    columns = [column for column in columns if not problems[column]]
    if columns:
        strange = not_understood(table, headings, columns)
        dropped.update(f"column of figures not understood: {text!r}" for text in strange)
    return CountryTable(table, headings, columns) if columns else None


def _continuation(table: Table, found: list[CountryTable]) -> CountryTable | None:
    """Return a table without headings that goes on with the last one of the list; None for any other table."""
    if not found or len(table.rows) < MIN_ROWS or find_headings(table):
        return None
    last = found[-1]
    if any(len(row) != len(last.headings.over) for row in table.rows):
        return None
    captioned = replace(table, caption=table.caption or last.table.caption)
    ours = CountryTable(captioned, replace(last.headings, first_row=0), [*last.columns])
    is_ours = ours.rows and not ours.names & last.names and ours.known_share >= MIN_KNOWN_SHARE
    return ours if is_ours else None


def _drop_repetitions(found: list[CountryTable], institution: str, saved_year: int, dropped: Counter[str]) -> None:
    """Keep an institution's figures in one of several tables of the same countries, and drop them in the others.

    Excerpts come last, the nearest reference year first (an earlier one before a later), then the longer table. A table
    of other countries is a part of the list.
    """
    ours = [one for one in found if one.columns_of(institution)]
    if len(ours) < 2:
        return
    longest = max(len(one.rows) for one in ours)

    def order(one: CountryTable) -> tuple[bool, float, int]:
        year = one.year_of(institution) or saved_year
        distance = abs(year - saved_year) + (0.5 if year > saved_year else 0)
        return len(one.rows) < EXCERPT_SHARE * longest, distance, -len(one.rows)

    kept: list[CountryTable] = []
    for one in sorted(ours, key=order):
        reason = next((reason for other in kept if (reason := _repetition(one, other, institution))), None)
        if reason is None:
            kept.append(one)
            continue
        repeated = one.columns_of(institution)
        one.columns = [column for column in one.columns if column not in repeated]
        dropped[reason] += len(repeated)


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
    if len(names) >= EXCERPT_SHARE * len(other.names):
        mine, theirs = one.figures_of(institution), other.figures_of(institution)
        common = mine.keys() & theirs.keys()
        if sum(mine[name] == theirs[name] for name in common) < AGREEING_SHARE * len(common):
            raise Refused(f'two tables could be the list of {institution}: "{other.title}" and "{one.title}"')
    return "column of an excerpt"


# --- from rows to records ---------------------------------------------------------------------------------------------


def records_of(ours: CountryTable, source: str, as_of: str, dropped: Counter[str]) -> Iterator[RawRecord]:
    """Yield the raw records of a table; raises Refused when too many rows do not fit the headings."""
    dropped.update(ours.dropped)
    places = Counter(cells[column.figure] for _, cells in ours.rows for column in ours.columns)
    for country, cells in ours.rows:
        for column in ours.columns:
            figure = cells[column.figure]
            year = cells[column.year] if column.year is not None else figure
            is_shared = places[figure] > 1 and _DIGIT.search(figure.text)  # in two rows or columns: it is of neither
            if is_shared or figure.tables:
                dropped[f"figure across cells: {country[:40]!r}"] += 1
                continue
            yield {
                "Country": country,
                "GDP": figure.text,
                "Year": None if year is figure else year.text,
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
