"""What was revised: between two vintages, one by one, as the real-time triangle, and in statistics.

A revision is a changed figure for the same country, institution and reference year. It is measured from the last
unflagged figure: a flagged one is no baseline, unless a person confirmed it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from math import fsum
from operator import itemgetter
from typing import Any, NamedTuple

from gdp.model import CURRENT, ESTIMATE_FIELDS, Field, is_flagged_by_check
from gdp.report import Row
from gdp.sources.imf.releases import LAST_ACTUAL, bundle
from gdp.store.database import Connection
from gdp.store.history import History, is_baseline
from gdp.store.vintages import END_OF_DAY, Vintage
from utils import percent, with_commas

REVISED, OTHER_YEAR, NEW, GONE, MOVED = "revised", "other year", "new", "gone", "rank"
COUNTED = {REVISED: "revised", OTHER_YEAR: "for another year", NEW: "new", GONE: "gone"}  # in the order of a summary
UNCHANGED = "unchanged"  # the difference, if any, is below rounding
PERCENT_DIGITS = 2
MOST_VINTAGES = 400  # columns of the triangle, the newest: a spreadsheet has 16,384, and nobody reads so many
MONTHS_A_RELEASE = 6
BUNDLED_RELEASES = "imf releases that come with the suite"

KEY = ("Publisher", "Institution", "Country", "Year")  # of a series of figures for one reference year
TRIANGLE_KEY = (*KEY[:3], "ISO3", "Year")
NAMES = (*TRIANGLE_KEY, "As_of", "Until", "GDP_USD_billion", "GDP_USD_million", "Flags")
PUBLISHED = f"SELECT {', '.join(NAMES)} FROM GDP_Estimates {{where}} ORDER BY {', '.join(KEY)}, As_of"
OF_A_COUNTRY = (  # on a screen
    "Rank", "Country", "ISO3", "Region", "Year", "GDP_USD_billion", "Share_percent", "Note", "Flags", "Status",
)  # fmt: skip
REVISION_KEY = ("Country", "ISO3", "Year", "Institution", "Publisher")
REVISION_FIELDS = {name: ESTIMATE_FIELDS[name] for name in REVISION_KEY} | {
    field.name: field
    for field in (
        Field("Release_number", int, False, "0 for the first figure for this year, 1 for its revision"),
        Field("Published", str, False, "When the source published this figure: a day, or a moment in UTC"),
        ESTIMATE_FIELDS["GDP_USD_billion"],
        Field("Revised_from_previous_percent", float, True, "The change from the figure before", "percent"),
        Field("Revised_from_first_percent", float, True, "The change from the first figure", "percent"),
    )
}


def revised_percent(before: Row, now: Row) -> float | None:
    """Return by how many percent a figure was revised, rounded; 0.0 below rounding, None from a figure of zero.

    Figures are compared as published, in millions, where both are known.
    """
    unit = "GDP_USD_million" if before["GDP_USD_million"] and now["GDP_USD_million"] else "GDP_USD_billion"
    was, figure = float(before[unit]), float(now[unit])
    if was == figure:
        return 0.0
    return round((figure / was - 1) * 100, PERCENT_DIGITS) + 0.0 if was and figure else None  # + 0.0: never -0.0


def revision_words(revised: float) -> str:
    """Return a revision in words: in percent, or that there is none."""
    return percent(revised) if revised else UNCHANGED


# --- between two vintages ---------------------------------------------------------------------------------------------


class Ranking(NamedTuple):
    """Countries_by_GDP as of a vintage: by ISO code (or name, where there is none) the rank, year and figure."""

    vintage: Vintage | None
    rows: dict[str, Row]


class Changes(NamedTuple):
    """What differs between two rankings: a row a country, the largest revision first."""

    since: str | None
    until: str | None
    rows: list[Row]
    unchanged: list[Row]  # of the same figure and rank
    before: Vintage | None = None  # that of the earlier ranking

    def number(self, kind: str) -> int:
        """Return how many countries changed in that way."""
        return sum(row["Change"] == kind for row in self.rows)

    def as_object(self) -> Row:
        """Return the changes as one JSON object."""
        return {"Since": self.since, "As_of": self.until, "Countries": self.rows}

    def revisions_in_lines(self, most: int) -> Iterator[tuple[Row, str]]:
        """Yield the largest revisions, each with a line about it."""
        for row in [row for row in self.rows if row["Change"] == REVISED][:most]:
            was, now = with_commas(row["Was_USD_billion"]), with_commas(row["GDP_USD_billion"])
            revised = "" if row["Revised_percent"] is None else f", {revision_words(row['Revised_percent'])}"
            yield row, f"{row['Country']} {row['Year']}: {was} → {now} billion USD{revised}"


def with_shares(headlines: Sequence[Row]) -> list[Row]:
    """Return headlines as the screens have them: with each one's share of all of them together, in percent."""
    total = fsum(row["GDP_USD_billion"] for row in headlines) or 1.0
    shares = [100 * row["GDP_USD_billion"] / total for row in headlines]
    rows = [{**row, "Share_percent": share} for row, share in zip(headlines, shares, strict=True)]
    return [{name: row[name] for name in OF_A_COUNTRY} for row in rows]


def ranking(history: History, vintage: Vintage | None) -> Ranking:
    """Return the ranking of a vintage, or an empty one."""
    return ranking_of(vintage, history.headlines(vintage) if vintage else [])


def ranking_of(vintage: Vintage | None, headlines: Iterable[Row]) -> Ranking:
    """Return a vintage's headlines, highest first, as its ranking."""
    return Ranking(vintage, {row["ISO3"] or row["Country"]: row for row in headlines})


def changed(history: History, before: Ranking, now: Ranking) -> Changes:
    """Return what differs between two rankings."""
    baselines = _baselines(history, before, now)
    rows = [_change(before.rows.get(code), now.rows.get(code), baselines.get(code)) for code in now.rows | before.rows]
    found = [row for row in rows if row["Change"]]
    found.sort(key=lambda row: (-abs(row["Revised_percent"] or 0), row["Change"], row["Country"]))
    since, until = (one.vintage and one.vintage.as_of for one in (before, now))
    return Changes(since, until, found, [row for row in rows if not row["Change"]], before.vintage)


def _baselines(history: History, before: Ranking, now: Ranking) -> dict[str, Row]:
    """Return by code the figures that those of a ranking are compared with."""
    same_year = {
        code: was for code, row in now.rows.items() if (was := before.rows.get(code)) and was["Year"] == row["Year"]
    }
    found = {
        code: was for code, was in same_year.items()
        if not is_flagged_by_check(was["Flags"]) or revised_percent(was, now.rows[code]) == 0  # as it was: no revision
    }  # fmt: skip
    others = {(row["Country"], row["Year"]): code for code, row in now.rows.items() if code not in found}
    if before.vintage and others:
        flagged = [key for key, code in others.items() if code in same_year and same_year[code]["Country"] == key[0]]
        looked_up = history.older_baselines(before.vintage, "IMF", flagged)
        looked_up |= history.baselines(before.vintage, "IMF", others.keys() - flagged)
        found |= {others[key]: estimate._asdict() for key, estimate in looked_up.items()}
    return found


def _change(was: Row | None, now: Row | None, baseline: Row | None) -> Row:
    some = now or was or {}
    shown = baseline or was  # what the figure is compared with, or else what was shown before
    revised = revised_percent(baseline, now) if baseline and now else None
    return {
        "Country": some["Country"],
        "ISO3": some["ISO3"],
        "Change": _kind(was, now, baseline, revised),
        "Was_USD_billion": shown and shown["GDP_USD_billion"],
        "Was_for_year": shown and shown["Year"],
        "Was_as_of": baseline and baseline["As_of"],
        "Was_Flags": shown and shown["Flags"],
        "Was_Note": shown and shown["Note"],
        "Last_Flags": was and was["Flags"],  # of what was shown last, which is no baseline if it is flagged
        "Last_Note": was and was["Note"],
        "GDP_USD_billion": now and now["GDP_USD_billion"],
        "Year": now and now["Year"],
        "Flags": now and now["Flags"],
        "Note": now and now["Note"],
        "Revised_percent": revised,
        "Was_rank": was and was["Rank"],
        "Rank": now and now["Rank"],
    }


def _kind(was: Row | None, now: Row | None, baseline: Row | None, revised: float | None) -> str | None:
    if now is None:
        return GONE
    if baseline and revised != 0:
        return REVISED
    if was is None:
        return NEW
    if was["Year"] != now["Year"]:
        return OTHER_YEAR
    return MOVED if was["Rank"] != now["Rank"] else None


def summary(changes: Changes) -> str:
    """Return in one line what changed, or since when nothing did."""
    until = (changes.until or "never")[:10]
    if changes.since is None:
        return f"first load: {len(changes.rows)} countries and territories as of {until}"
    span = f"between {changes.since[:10]} and {until}"
    if not changes.rows:
        return f"unchanged since {until}" if changes.since == changes.until else f"nothing changed {span}"
    moves = sum(row["Rank"] != row["Was_rank"] for row in changes.rows if row["Rank"] and row["Was_rank"])
    counts = ", ".join(f"{changes.number(kind)} {words}" for kind, words in COUNTED.items())
    return f"changed {span}: {counts}, {moves} moved in rank"


def vintage_before(history: History, moment: str, near: Vintage | None = None) -> Vintage | None:
    """Return the newest vintage before a moment, of the publisher of another one if it has one, else of any."""
    return (near and history.newest_imf(moment, near.publisher)) or history.newest_imf(moment)


def is_earlier(vintage: Vintage, other: Vintage) -> bool:
    """Return whether a vintage is of the same publisher as another one and from before it."""
    return vintage.publisher == other.publisher and vintage.as_of < other.as_of


def last_refresh(history: History, newest: Vintage | None, latest: Changes | None = None) -> Changes:
    """Return what changed when the figures last changed, which may be longer ago than the newest vintage.

    `latest` is what changed with the newest vintage, if that is known.
    """
    if newest is None:
        return Changes(None, None, [], [])
    if latest and latest.rows and latest.before and is_earlier(latest.before, newest):
        return latest
    before = vintage_before(history, newest.as_of, newest)
    now = ranking(history, newest)
    changes = changed(history, ranking(history, before), now)
    if changes.rows or before is None or before.publisher != newest.publisher:
        return changes
    # when the year moves on, other figures become headlines, though none changed
    moments = (history.last_change(newest), newest.as_of[:4])
    candidates = {history.newest_imf(min(moment, newest.as_of), newest.publisher) for moment in moments}
    for candidate in sorted(filter(None, candidates), key=lambda one: one.as_of, reverse=True):
        changes = changed(history, ranking(history, candidate), now)
        if changes.rows:
            break
    return changes


def add_changes(rows: list[Row], changes: Changes) -> None:
    """Add to each country's row what changed of it: Change, Revised_percent, Was_rank, Last_Flags, Last_Note."""
    by_country = {row["Country"]: row for row in (*changes.rows, *changes.unchanged)} if changes.since else {}
    for row in rows:
        change = by_country.get(row["Country"], {})
        names = ("Change", "Revised_percent", "Was_rank", "Was_USD_billion", "Was_as_of", "Last_Flags", "Last_Note")
        row |= {name: change.get(name) for name in names}


# --- one by one, and as the triangle ----------------------------------------------------------------------------------


def published(connection: Connection, where: str = "", **values: str) -> Iterator[Row]:
    """Return all figures by publisher, institution, country and year, from the first published to the last."""
    return as_rows(connection.execute(PUBLISHED.format(where=where), values))


def as_rows(cells: Iterable[Sequence[Any]]) -> Iterator[Row]:
    """Return rows of PUBLISHED by column name."""
    return (dict(zip(NAMES, row, strict=True)) for row in cells)


def revision_rows(rows: Iterable[Row]) -> Iterator[list[Any]]:
    """Yield the rows of GDP_Revisions from `published` rows; a flagged figure is left out, unless it is confirmed."""
    for _, series in groupby(rows, itemgetter(*KEY)):
        first: Row | None = None
        previous: Row | None = None
        number = 0
        for row in series:
            if not is_baseline(row["Flags"]):
                continue
            from_previous = revised_percent(previous, row) if previous else None
            if from_previous == 0 and previous and previous["GDP_USD_billion"] == row["GDP_USD_billion"]:
                continue
            from_first = revised_percent(first, row) if first else None
            figure = row["As_of"], row["GDP_USD_billion"]
            yield [*(row[name] for name in REVISION_KEY), number, *figure, from_previous, from_first]
            first, previous, number = first or row, row, number + 1


def vintage_days(connection: Connection) -> list[str]:
    """Return the newest days on which a figure was published or withdrawn, from oldest to newest."""
    days = {
        day
        for name in ("As_of", "Until")
        for (day,) in connection.execute(f"SELECT DISTINCT substr({name}, 1, 10) FROM GDP_Estimates")
    }
    return sorted(days - {CURRENT})[-MOST_VINTAGES:]


def triangle_fields(days: Sequence[str]) -> dict[str, Field]:
    """Return the columns of the triangle: the key of a series, then a column a vintage, named as ALFRED does."""
    fields = {name: ESTIMATE_FIELDS[name] for name in TRIANGLE_KEY}
    for day in days:
        name = f"GDP_{day.replace('-', '')}"
        fields[name] = Field(name, float, True, f"Nominal GDP as published at the end of {day}", "billion USD")
    return fields


def triangle_rows(rows: Iterable[Row], days: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the rows of the triangle from `published` rows: a figure for each day on which it was current."""
    ends = [day + END_OF_DAY for day in days]
    for _, series in groupby(rows, itemgetter(*KEY)):
        cells: list[float | None] = [None] * len(days)
        for row in series:
            first, last = bisect_right(ends, row["As_of"]), bisect_left(ends, row["Until"])
            cells[first:last] = [row["GDP_USD_billion"]] * (last - first)
        if cells.count(None) < len(cells):
            yield [*(row[name] for name in TRIANGLE_KEY), *cells]


# --- statistics -------------------------------------------------------------------------------------------------------


def revision_statistics(connection: Connection, code: str) -> list[Row]:
    """Return by publisher, institution and distance between releases how much a country's figures were revised.

    A release is the last vintage of a half-year, as the IMF publishes two a year. With the figures of the database come
    those of the IMF's releases that the suite brings along.
    """
    series: dict[tuple[str, str], dict[int, dict[int, float]]] = {}  # by year, then by half-year
    newest = dict(connection.execute("SELECT Publisher, max(As_of) FROM Loads GROUP BY Publisher").fetchall())
    for row in published(connection, "WHERE coalesce(ISO3, Country) = :code", code=code):
        if not is_baseline(row["Flags"]):
            continue
        is_current = row["Until"] == CURRENT
        begin = half_year(row["As_of"])
        end = half_year(newest[row["Publisher"]]) + 1 if is_current else half_year(row["Until"])
        releases = range(begin, max(end, begin + 1))  # a later figure of the last one replaces it
        by_year = series.setdefault((row["Publisher"], row["Institution"]), {})
        by_year.setdefault(row["Year"], {}).update(dict.fromkeys(releases, float(row["GDP_USD_billion"])))
    bundled = _bundled_figures(code)
    if bundled:
        series[BUNDLED_RELEASES, "IMF"] = bundled
    return [
        {"Publisher": publisher, "Institution": institution, **row}
        for (publisher, institution), by_year in series.items()
        for row in _statistics(by_year)
    ]


def half_year(as_of: str) -> int:
    """Return the number of the half-year from April or October that an As_of is in."""
    year, month = int(as_of[:4]), int(as_of[5:7])
    return (12 * year + month - 4) // MONTHS_A_RELEASE


def _bundled_figures(code: str) -> dict[int, dict[int, float]]:
    half_years = list(map(half_year, bundle().releases))
    return {
        int(row.year): {number: float(text) for number, text in zip(half_years, row.cells, strict=True) if text}
        for row in bundle().rows
        if row.iso3 == code and row.year != LAST_ACTUAL
    }


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
            "Mean_revision_percent": round(fsum(sizes) / len(sizes), 2) + 0.0,
            "Mean_absolute_revision_percent": round(fsum(map(abs, sizes)) / len(sizes), 2),
        }
