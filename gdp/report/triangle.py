"""Figures by reference year and vintage: revisions one by one, the real-time triangle, and statistics of revisions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from statistics import fmean
from typing import Any

from gdp.model import CURRENT, ESTIMATE_FIELDS, Field
from gdp.report.revisions import Row, confirmed_sql, is_baseline, revised_percent
from gdp.sources.imf.releases import LAST_ACTUAL, bundle
from gdp.store.database import Connection
from gdp.store.vintages import END_OF_DAY

MOST_VINTAGES = 400  # columns of the triangle, the newest: a spreadsheet has 16,384, and nobody reads so many
MONTHS_A_RELEASE = 6
BUNDLED_RELEASES = "imf releases that come with the suite"
KEY = ("Publisher", "Institution", "Country", "Year")  # of a series of figures for one reference year
PUBLISHED = """
    SELECT Publisher, Institution, Country, ISO3, Year, As_of, Until, GDP_USD_billion, GDP_USD_million, Flags,
           {confirmed} AS Confirmed
    FROM GDP_Estimates {where} ORDER BY Publisher, Institution, Country, Year, As_of
"""
NAMES = (*KEY[:3], "ISO3", "Year", "As_of", "Until", "GDP_USD_billion", "GDP_USD_million", "Flags", "Confirmed")


REVISION_FIELDS = {
    **{name: ESTIMATE_FIELDS[name] for name in ("Country", "ISO3", "Year", "Institution", "Publisher")},
    "Release_number": Field("Release_number", int, False, "0 for the first figure for this year, 1 for its revision"),
    "Published": Field("Published", str, False, "When the source published this figure: a day, or a moment in UTC"),
    "GDP_USD_billion": ESTIMATE_FIELDS["GDP_USD_billion"],
    "Revised_from_previous_percent": Field(
        "Revised_from_previous_percent", float, True, "The change from the figure before", "percent"
    ),
    "Revised_from_first_percent": Field(
        "Revised_from_first_percent", float, True, "The change from the first figure", "percent"
    ),
}


def published(connection: Connection, where: str = "", **values: str) -> Iterator[Row]:
    """Yield all figures by publisher, institution, country and year, from the first published to the last."""
    yield from as_rows(connection.execute(published_question(connection, where), values))


def as_rows(cells: Iterable[Sequence[Any]]) -> Iterator[Row]:
    """Yield rows of `published_question` by column name."""
    return (dict(zip(NAMES, row, strict=True)) for row in cells)


def published_question(connection: Connection, where: str = "") -> str:
    """Return the SELECT of `published`."""
    return PUBLISHED.format(confirmed=confirmed_sql(connection), where=where)


# --- revisions --------------------------------------------------------------------------------------------------------


def revisions(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of GDP_Revisions from `published` rows; a flagged figure is left out, unless it is confirmed."""
    for _, series in groupby(rows, itemgetter(*KEY)):
        first: Row | None = None
        previous: Row | None = None
        number = 0
        for row in filter(is_baseline, series):
            from_previous = revised_percent(previous, row) if previous else None
            if from_previous == 0 and previous and previous["GDP_USD_billion"] == row["GDP_USD_billion"]:
                continue
            first = first or row
            yield {
                **{name: row[name] for name in ("Country", "ISO3", "Year", "Institution", "Publisher")},
                "Release_number": number,
                "Published": row["As_of"],
                "GDP_USD_billion": row["GDP_USD_billion"],
                "Revised_from_previous_percent": from_previous,
                "Revised_from_first_percent": revised_percent(first, row) if previous else None,
            }
            previous, number = row, number + 1


# --- the triangle -----------------------------------------------------------------------------------------------------


def vintage_days(connection: Connection) -> list[str]:
    """Return the newest days on which a figure was published or withdrawn, from oldest to newest."""
    days = {day for (day,) in connection.execute("SELECT DISTINCT substr(As_of, 1, 10) FROM GDP_Estimates")}
    days |= {day for (day,) in connection.execute("SELECT DISTINCT substr(Until, 1, 10) FROM GDP_Estimates")}
    return sorted(days - {CURRENT})[-MOST_VINTAGES:]


def triangle_fields(days: Sequence[str]) -> dict[str, Field]:
    """Return the columns of the triangle: the key of a series, then a column a vintage, named as ALFRED does."""
    key = {name: ESTIMATE_FIELDS[name] for name in (*KEY[:3], "ISO3", "Year")}
    for day in days:
        name = f"GDP_{day.replace('-', '')}"
        key[name] = Field(name, float, True, f"Nominal GDP as published at the end of {day}", "billion USD")
    return key


def triangle(rows: Iterable[Row], days: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the rows of the triangle from `published` rows: a figure for each day on which it was current."""
    ends = [day + END_OF_DAY for day in days]
    for _, figures in groupby(rows, itemgetter(*KEY)):
        series = list(figures)
        cells: list[float | None] = [None] * len(days)
        for row in series:
            first, last = bisect_right(ends, row["As_of"]), bisect_left(ends, row["Until"])
            cells[first:last] = [row["GDP_USD_billion"]] * (last - first)
        if any(cell is not None for cell in cells):
            newest = series[-1]
            yield [*(newest[name] for name in (*KEY[:3], "ISO3", "Year")), *cells]


# --- statistics -------------------------------------------------------------------------------------------------------


def revision_statistics(connection: Connection, code: str) -> list[Row]:
    """Return by publisher, institution and distance between releases how much a country's figures were revised.

    A release is the last vintage of a half-year, as the IMF publishes two a year. With the figures of the database come
    those of the IMF's releases that the suite brings along.
    """
    series: dict[tuple[str, str], dict[int, dict[int, float]]] = {}  # by year, then by half-year
    where = "WHERE coalesce(ISO3, Country) = :code"
    newest = dict(connection.execute("SELECT Publisher, max(As_of) FROM Loads GROUP BY Publisher").fetchall())
    for row in filter(is_baseline, published(connection, where, code=code)):
        by_year = series.setdefault((row["Publisher"], row["Institution"]), {})
        is_current = row["Until"] == CURRENT
        end = half_year(newest[row["Publisher"]]) + 1 if is_current else half_year(row["Until"])
        begin = half_year(row["As_of"])
        releases = range(begin, max(end, begin + 1))  # a later figure of the last one replaces it
        by_year.setdefault(row["Year"], {}).update(dict.fromkeys(releases, float(row["GDP_USD_billion"])))
    bundled = _bundled_figures(code)
    if bundled:
        series[BUNDLED_RELEASES, "IMF"] = bundled
    found = []
    for (publisher, institution), by_year in series.items():
        found += [{"Publisher": publisher, "Institution": institution, **row} for row in _statistics(by_year)]
    return found


def half_year(as_of: str) -> int:
    """Return the number of the half-year from April or October that an As_of is in."""
    year, month = int(as_of[:4]), int(as_of[5:7])
    return (12 * year + month - 4) // MONTHS_A_RELEASE


def _bundled_figures(code: str) -> dict[int, dict[int, float]]:
    by_year: dict[int, dict[int, float]] = {}
    releases = bundle()
    for row in releases.rows:
        if row.iso3 == code and row.year != LAST_ACTUAL:
            cells = zip(releases.releases, row.cells, strict=True)
            by_year[int(row.year)] = {half_year(release): float(text) for release, text in cells if text}
    return by_year


def _statistics(by_year: Mapping[int, Mapping[int, float]]) -> Iterator[Row]:
    """Yield for each distance in releases the number, mean and mean absolute size of revisions in percent."""
    found: dict[int, list[float]] = {}
    for releases in by_year.values():
        for earlier, was in releases.items():
            for later, now in releases.items():
                if later > earlier and was:
                    found.setdefault(later - earlier, []).append((now / was - 1) * 100)
    for distance, sizes in sorted(found.items()):
        yield {
            "Releases_apart": distance,
            "Months_apart": distance * MONTHS_A_RELEASE,
            "Figures": len(sizes),
            "Mean_revision_percent": round(fmean(sizes), 2) + 0.0,
            "Mean_absolute_revision_percent": round(fmean(map(abs, sizes)), 2),
        }
