"""Wikipedia's "List of countries by GDP (nominal)": fetched politely, and read by what its headings say.

The page's editors rearrange its tables about twice a year. So nothing here counts tables or columns: a table is one of
ours when a heading says "country" and another names an institution; a column is told by the headings over it, a heading
of an outer layout table included. What cannot be told for certain is refused, with what was found.
"""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from gdp.records import RawRecord
from gdp.sources import Extracted, Refused, Revision, Unreachable
from gdp.sources.http import Download, download
from gdp.sources.wikipedia.headings import (
    Column,
    Headings,
    find_headings,
    folded,
    named_institutions,
    not_understood,
    read_columns,
)
from gdp.sources.wikipedia.page_metadata import read_revision, refuse_other_page, what_stands_there
from gdp.sources.wikipedia.tables import Cell, Table, visible_tables
from gdp.sources.wikipedia.unwrap import page_in

SITE_URL = "https://en.wikipedia.org"
REVISION_URL = "https://en.wikipedia.org/w/index.php?title={title}&oldid={revision}"
PAGE_TITLE = "List_of_countries_by_GDP_(nominal)"

MIN_IMF_COUNTRIES = 100  # every page since 2005 had 170 and more; the IMF has had over 180 members since 2000
EXCERPT_SHARE = 0.5  # of the countries of a table: with more of them in a longer one, it is an excerpt of that
BROKEN_ROW = "row of another width"
MAX_REASON_CHARACTERS = 1000
MAX_BROKEN_ROW_SHARE = 0.02  # an editor's slip in a row or two is set aside; more, and it is the reading that is wrong


def site() -> str:
    """Return where MediaWiki answers: Wikipedia, or the mirror that GDP_ETL_WIKIPEDIA_URL names."""
    return os.environ.get("GDP_ETL_WIKIPEDIA_URL") or SITE_URL


def page_url() -> str:
    """Return the address of the live page."""
    return f"{site()}/wiki/{PAGE_TITLE}"


def fetch(url: str, patient: bool = False) -> Download:
    """Return the whole page at `url`, in whatever form it is sent.

    Raises Unreachable also when the page breaks off before its end, and Refused when it is no page.
    """
    answer = download(url, patient)
    if not answer.content.strip():
        raise Unreachable("it sent an empty page")
    if not is_whole(page_in(answer.content)):
        raise Unreachable(f"its page broke off after {len(answer.content)} bytes")
    return answer


_HTML = re.compile(r"<html", re.IGNORECASE)


def is_whole(page: str) -> bool:
    """Tell whether a page reaches its end: <html> is closed behind the last table; a bare table closes too."""
    before, *comments = page.split("<!--")  # no pattern: it would look for each one's end to the end of the page
    page = before + "".join(comment.partition("-->")[2] for comment in comments)
    if _HTML.search(page):
        end = page.rfind("</html>")
        return (end if end >= 0 else page.lower().rfind("</html>")) > page.rfind("<table")
    page = page.lower()
    return page.count("<table") == page.count("</table>")


def parse(content: bytes, location: str, as_of: datetime | None = None) -> Extracted:
    """Return every figure of every institution on a page, as raw records (DESIGN.md) with the source's own words.

    `location` is told as the Source of a page that does not say its revision; `as_of` serves where it does not say
    when it was saved. Raises Refused, with what was found, when it is not this page or cannot be read right.
    """
    page = page_in(content)
    if not is_whole(page):
        raise Refused(f"the page breaks off after {len(content)} bytes")
    revision = read_revision(page)
    refuse_other_page(page, revision.title)
    saved = revision.saved or as_of
    if saved is None:
        raise Refused("the page does not say when it was saved")
    if saved > datetime.now(timezone.utc) + timedelta(days=1):
        raise Refused(f"the page says that it was saved on {saved:%Y-%m-%d}, which is to come")
    source = _source(revision) or location
    tables = visible_tables(page)
    left_out: Counter[str] = Counter()
    stamp = f"{saved:%Y-%m-%dT%H:%M:%SZ}"
    found = _country_tables(tables, page, left_out)
    records = [record for ours in found for record in _records(ours, source, stamp, left_out)]
    _refuse_too_few(records, tables, left_out, page)
    return Extracted(records, +left_out, revision)


def _source(revision: Revision) -> str | None:
    if revision.number is None:
        return None
    title = quote((revision.title or PAGE_TITLE).replace(" ", "_"), safe="()_,:-.'/")
    return REVISION_URL.format(title=title, revision=revision.number)


# --- from tables to records -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _CountryTable:
    """A table of figures by country: what its headings say, and its columns of figures."""

    table: Table
    headings: Headings
    columns: list[Column]

    @property
    def rows(self) -> list[list[Cell | None]]:
        return self.table.rows[self.headings.first_row :]


def _country_tables(tables: list[Table], page: str, left_out: Counter[str]) -> list[_CountryTable]:
    """Return the tables of figures by country, without what is an excerpt of a longer one for the same institution."""
    of_the_page = functools.cache(lambda: _institution_in_prose(page))
    found: list[_CountryTable] = []
    for table in tables:
        headings = find_headings(table)
        try:
            columns = read_columns(table, headings, of_the_page) if headings else []
        except Refused as reason:
            left_out[f"table: {reason}"] += 1
            continue
        if headings and columns:
            found.append(_CountryTable(table, headings, columns))
            left_out.update(
                f"column of figures not understood: {text!r}" for text in not_understood(table, headings, columns)
            )
    _leave_out_excerpts(found, left_out)
    return [ours for ours in found if ours.columns]


def _leave_out_excerpts(tables: list[_CountryTable], left_out: Counter[str]) -> None:
    """Leave out, and count, the columns of tables that say again what a longer one says of the same countries.

    A table with other countries is part of the list: territories by themselves, its second half, a table a letter.
    """
    seen: dict[str, set[str]] = {}  # by institution: the countries of the longer tables
    for ours in sorted(tables, key=lambda one: len(one.rows), reverse=True):
        names = {folded(_country(row, ours)) for row in ours.rows if not _row_problem(row, ours)}
        again = {
            column.institution for column in ours.columns
            if len(names & seen.get(column.institution, set())) > EXCERPT_SHARE * len(names)
        }  # fmt: skip
        for institution in {column.institution for column in ours.columns}:
            seen[institution] = seen.get(institution, set()) | names
        kept = [column for column in ours.columns if column.institution not in again]
        left_out["column of an excerpt"] += len(ours.columns) - len(kept)
        ours.columns[:] = kept


def _institution_in_prose(page: str) -> str | None:
    """Return the one institution that the page names outside its tables: the page of 2005 says it nowhere else."""
    from bs4 import BeautifulSoup  # only where a page is read as prose: its import costs more than the tables

    soup = BeautifulSoup(page, "lxml")
    for unread in soup.find_all(["table", "script", "style"]):
        unread.decompose()
    names = named_institutions(soup.get_text(" "))
    return names[0] if len(names) == 1 else None


def _records(ours: _CountryTable, source: str, as_of: str, left_out: Counter[str]) -> Iterator[RawRecord]:
    broken = 0
    for row in ours.rows:
        problem = _row_problem(row, ours)
        if problem:
            broken += problem == BROKEN_ROW
            left_out[f"{problem}: {_first_text(row)!r}"] += 1
            continue
        for column in ours.columns:
            yield _record(row, column, ours, source, as_of)
    if broken > MAX_BROKEN_ROW_SHARE * len(ours.rows):
        raise Refused(
            f"{broken} of {len(ours.rows)} rows have not the {len(ours.headings.over)} cells under the headings"
        )


def _row_problem(row: list[Cell | None], ours: _CountryTable) -> str | None:
    """Return why a row is no country's, or None."""
    cells = list(dict.fromkeys(cell for cell in row if cell))
    if not any(cell.text for cell in cells):
        return "blank row"
    if len(cells) == 1:
        return "row across the table"
    if len(row) != len(ours.headings.over) or None in row:
        return BROKEN_ROW
    if any(row[country] is row[column.figure] for country in ours.headings.country_columns for column in ours.columns):
        return "row across the table"
    if _country(row, ours) == ours.headings.country_text:
        return "heading said again"
    return None


def _first_text(row: list[Cell | None]) -> str:
    return next((cell.text[:40] for cell in row if cell and cell.text), "")


def _country(row: list[Cell | None], ours: _CountryTable) -> str:
    texts = [cell.text for column in ours.headings.country_columns if (cell := row[column])]
    return next((text for text in texts if text), "")


def _record(row: list[Cell | None], column: Column, ours: _CountryTable, source: str, as_of: str) -> RawRecord:
    figure = row[column.figure]
    year = row[column.year] if column.year is not None else None
    return {
        "Country": _country(row, ours),
        "GDP": figure.text if figure else "",
        "Year": year.text if year and year is not figure else None,
        "Column": column.heading,
        "Unit": ours.table.caption or None,
        "Institution": column.institution,
        "Source": source,
        "As_of": as_of,
    }


def _refuse_too_few(records: list[RawRecord], tables: list[Table], left_out: Counter[str], page: str) -> None:
    with_figure = {r["Country"] for r in records if r["Institution"] == "IMF" and any(c.isdigit() for c in r["GDP"])}
    if len(with_figure) >= MIN_IMF_COUNTRIES:
        return
    headings = " | ".join(_first_headings(table) for table in tables if table.rows) or "none"
    reasons = "".join(f"; {reason}" for reason in left_out if reason.startswith("table: "))
    what = what_stands_there(page)
    is_it = f"it is {what}: " if what else ""
    raise Refused(
        f"{is_it}{len(with_figure)} countries under IMF, fewer than {MIN_IMF_COUNTRIES}, in {len(tables)} tables"
        f" with the headings {headings}{reasons}"[:MAX_REASON_CHARACTERS]
    )


def _first_headings(table: Table) -> str:
    texts = [cell.text[:30] for cell in dict.fromkeys(cell for cell in table.rows[0] if cell)][:8]
    return ", ".join(repr(text) for text in texts)
