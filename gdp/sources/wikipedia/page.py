"""Wikipedia's "List of countries by GDP (nominal)": fetched politely, and read by its headings.

The page's editors rearrange its tables about twice a year. So nothing here counts tables or columns: a table belongs to
the list if one heading is "country" and another names an institution. A column is recognised by the headings over it,
those of an outer layout table included. What is not certain is refused, with what was found.
"""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from gdp.model import WIKIPEDIA, RawRecord
from gdp.places import without_credentials
from gdp.sources import Answer, Month, Page, Reading, Refused, Revision, Source, Unreachable
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
from gdp.sources.wikipedia.page_metadata import kind_of_page, read_revision, refuse_other_page
from gdp.sources.wikipedia.tables import Cell, Table, prose, visible_tables
from gdp.sources.wikipedia.unwrap import is_page, page_in

VARIABLE = "GDP_ETL_WIKIPEDIA_URL"
SITE_URL = "https://en.wikipedia.org"
REVISION_URL = "https://en.wikipedia.org/w/index.php?title={title}&oldid={revision}"
PAGE_TITLE = "List_of_countries_by_GDP_(nominal)"

MIN_IMF_COUNTRIES = 100  # every page since 2005 had 170 and more; the IMF has had over 180 members since 2000
EXCERPT_SHARE = 0.5  # of the countries of a table: with more of them in a longer one, it is an excerpt of that
BROKEN_ROW = "row of another width"
MAX_REASON_CHARACTERS = 1000
MAX_BROKEN_ROW_SHARE = 0.02  # an editor's slip in a row or two is dropped; more, and the reading is wrong
FIRST_DAY = datetime(2001, 1, 15, tzinfo=timezone.utc)  # Wikipedia's: no page was changed before


def site() -> str:
    """Return the address of MediaWiki: Wikipedia, or the mirror in GDP_ETL_WIKIPEDIA_URL."""
    return os.environ.get(VARIABLE) or SITE_URL


def page_url() -> str:
    """Return the address of the live page."""
    return f"{site()}/wiki/{PAGE_TITLE}"


# --- fetching ---------------------------------------------------------------------------------------------------------


def fetch(_release: Month | None = None) -> Answer:
    """Return the live page; raises Unreachable and Refused."""
    return fetch_from(page_url())


def fetch_from(url: str) -> Answer:
    """Return the page at an address, with the revision that it states; raises Unreachable and Refused."""
    found = download_page(url)
    page = Page(found.content, without_credentials(found.url), _last_modified(found.last_modified))
    return Answer(page, without_credentials(url), read_revision(page_in(found.content)))


def _last_modified(header: str | None) -> datetime:
    """Return the moment in a Last-Modified header, or now if no page can have been changed then."""
    now = datetime.now(timezone.utc)
    try:
        moment = parsedate_to_datetime(header or "").astimezone(timezone.utc)
        return moment if FIRST_DAY <= moment <= now + timedelta(days=1) else now
    except (ValueError, OverflowError):  # no date, or one that no calendar has
        return now


def download_page(url: str, patient: bool = False) -> Download:
    """Return the whole page at `url`, in any form.

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
    """Return whether a page reaches its end: <html> closes after the last table; a bare table closes too."""
    end = page.rfind("</html>")
    if end > page.rfind("<table") and page.rfind("<!--", 0, end) <= page.rfind("-->", 0, end):
        return True
    before, *comments = page.split("<!--")  # no pattern: it would look for each one's end to the end of the page
    page = before + "".join(comment.partition("-->")[2] for comment in comments)
    if _HTML.search(page):
        end = page.rfind("</html>")
        return (end if end >= 0 else page.lower().rfind("</html>")) > page.rfind("<table")
    page = page.lower()
    return page.count("<table") == page.count("</table>")


# --- reading ----------------------------------------------------------------------------------------------------------


def read(page: Page, _release: Month | None = None) -> Reading:
    """Return the records of a page; raises Refused."""
    return parse(page.content, page.location, page.saved)


def parse(content: bytes, location: str, as_of: datetime | None = None) -> Reading:
    """Return every figure of every institution on a page, as raw records in the source's own words.

    `location` is the Source of a page that does not state its revision, `as_of` the date of one that does not state
    when it was saved. Raises Refused, with what was found, when it is not this page or cannot be read right.
    """
    page = page_in(content)
    if not is_whole(page):
        raise Refused(f"the page breaks off after {len(content)} bytes")
    revision = read_revision(page)
    refuse_other_page(page, revision.title)
    saved = revision.saved or as_of
    if saved is None:
        raise Refused("the page does not state when it was saved")
    if saved > datetime.now(timezone.utc) + timedelta(days=1):
        raise Refused(f"the page states that it was saved on {saved:%Y-%m-%d}, which is in the future")
    source = _source(revision) or location
    tables = visible_tables(page)
    dropped: Counter[str] = Counter()
    stamp = f"{saved:%Y-%m-%dT%H:%M:%SZ}"
    found = _country_tables(tables, page, dropped)
    records = [record for ours in found for record in _records(ours, source, stamp, dropped)]
    _refuse_too_few(records, tables, dropped, page)
    return Reading(records, +dropped, revision)


def _source(revision: Revision) -> str | None:
    if revision.number is None:
        return None
    title = quote((revision.title or PAGE_TITLE).replace(" ", "_"), safe="()_,:-.'/")
    return REVISION_URL.format(title=title, revision=revision.number)


# --- from tables to records -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _CountryTable:
    """A table of figures by country, its headings, and its columns of figures."""

    table: Table
    headings: Headings
    columns: list[Column]

    @property
    def rows(self) -> list[list[Cell | None]]:
        return self.table.rows[self.headings.first_row :]


def _country_tables(tables: list[Table], page: str, dropped: Counter[str]) -> list[_CountryTable]:
    """Return the tables of figures by country, without excerpts of a longer one for the same institution."""
    of_the_page = functools.cache(lambda: _institution_in_prose(page))
    found: list[_CountryTable] = []
    for table in tables:
        headings = find_headings(table)
        try:
            columns = read_columns(table, headings, of_the_page) if headings else []
        except Refused as reason:
            dropped[f"table: {reason}"] += 1
            continue
        if headings and columns:
            found.append(_CountryTable(table, headings, columns))
            dropped.update(
                f"column of figures not understood: {text!r}" for text in not_understood(table, headings, columns)
            )
    _drop_excerpts(found, dropped)
    return [ours for ours in found if ours.columns]


def _drop_excerpts(tables: list[_CountryTable], dropped: Counter[str]) -> None:
    """Drop, and count, the columns of tables that repeat a longer one's countries.

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
        dropped["column of an excerpt"] += len(ours.columns) - len(kept)
        ours.columns[:] = kept


def _institution_in_prose(page: str) -> str | None:
    """Return the one institution that the page names outside its tables: the page of 2005 names it nowhere else."""
    names = named_institutions(prose(page))
    return names[0] if len(names) == 1 else None


def _records(ours: _CountryTable, source: str, as_of: str, dropped: Counter[str]) -> Iterator[RawRecord]:
    broken = 0
    for row in ours.rows:
        problem = _row_problem(row, ours)
        if problem:
            broken += problem == BROKEN_ROW
            dropped[f"{problem}: {_first_text(row)!r}"] += 1
            continue
        for column in ours.columns:
            yield _record(row, column, ours, source, as_of)
    if broken > MAX_BROKEN_ROW_SHARE * len(ours.rows):
        raise Refused(
            f"{broken} of {len(ours.rows)} rows do not have the {len(ours.headings.over)} cells of the headings"
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
        return "heading repeated"
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


def _refuse_too_few(records: list[RawRecord], tables: list[Table], dropped: Counter[str], page: str) -> None:
    with_figure = {r["Country"] for r in records if r["Institution"] == "IMF" and any(c.isdigit() for c in r["GDP"])}
    if len(with_figure) >= MIN_IMF_COUNTRIES:
        return
    headings = " | ".join(_first_headings(table) for table in tables if table.rows) or "none"
    reasons = "".join(f"; {reason}" for reason in dropped if reason.startswith("table: "))
    kind = kind_of_page(page)
    is_it = f"it is {kind}: " if kind else ""
    raise Refused(
        f"{is_it}{len(with_figure)} countries under IMF, fewer than {MIN_IMF_COUNTRIES}, in {len(tables)} tables"
        f" with the headings {headings}{reasons}"[:MAX_REASON_CHARACTERS]
    )


def _first_headings(table: Table) -> str:
    texts = [cell.text[:30] for cell in dict.fromkeys(cell for cell in table.rows[0] if cell)][:8]
    return ", ".join(repr(text) for text in texts)


SOURCE = Source(WIKIPEDIA, None, {VARIABLE: SITE_URL}, fetch, is_page, read)
