"""What the report tells, asked of the database and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, NamedTuple

from gdp.answers.changes import Changes, Row, last_refresh, tell_of_rows
from gdp.answers.questions import screens
from gdp.checks.series import headlines_of
from gdp.records import INSTITUTIONS, PAGE, WORLD_BANK_ITSELF, is_unsourced
from gdp.store.database import Connection, rows_of
from gdp.store.headlines import HEADLINES, of_vintage
from gdp.store.history import History
from gdp.store.tables import STANDS
from gdp.store.vintages import Vintage
from utils import Exit, StageError

MOST_ESTIMATES = 80_000  # of the past, in the page: about 900 kB; the newest are kept
MOST_LOADS = 15
LARGEST = 5  # of a region, named

WITH_NOTES = f"""
    WITH Headlines AS ({HEADLINES})
    SELECT rank() OVER (ORDER BY GDP_USD_billion DESC) AS Rank, Country, ISO3, Region, Year, GDP_USD_billion,
           coalesce(100 * GDP_USD_billion / nullif(sum(GDP_USD_billion) OVER (), 0), 0) AS Share_percent, Note
    FROM Headlines ORDER BY Rank, Country
"""
PAST = """
    SELECT coalesce(ISO3, Country) AS Code, Country, Institution, Publisher, Year, As_of, Until, GDP_USD_billion, Note
    FROM GDP_Estimates ORDER BY Until DESC, As_of DESC, Institution, Country, Year LIMIT :most
"""
LOADS = ("Loaded_at", "File", "SHA256", "As_of", "Rows", "Publisher", "Institutions", "Source", "Left_out", "Findings")


class Overview(NamedTuple):
    """All of the report: figures in billions of USD, shares and changes in percent."""

    newest: Vintage
    written_at: datetime
    countries: list[Row]
    large: list[Row]
    regions: list[Row]
    changes: Changes
    loads: list[Row]  # the newest first
    checked: Row  # the load of the figures shown
    all_loads: int
    all_estimates: int
    past: Row

    @property
    def left_out_of_past(self) -> int:
        """Return how many estimates, the oldest, the page has no room for."""
        return max(0, self.all_estimates - MOST_ESTIMATES)

    @property
    def as_of(self) -> str:
        """Return the day that the figures are of."""
        return self.newest.as_of[:10]

    @property
    def age_days(self) -> int:
        """Return how old the figures were when the report was written."""
        return (self.written_at.date() - datetime.fromisoformat(self.as_of).date()).days

    @property
    def said_by(self) -> str:
        """Return who says so, for a caption."""
        return "IMF, as quoted by Wikipedia" if self.newest.publisher == PAGE else "IMF"


def overview(connection: Connection) -> Overview:
    """Return what the report tells; raises StageError (66) where no figure of the IMF's is loaded."""
    history = History(connection)
    newest = history.newest_imf()
    if newest is None:
        raise StageError(Exit.NO_INPUT, "no IMF figures are loaded; run python etl_process.py first")
    countries = rows_of(connection, WITH_NOTES, **of_vintage(newest))
    both = screens(connection, newest)
    changes = last_refresh(history, newest)
    tell_of_rows(countries, changes)
    return Overview(
        newest,
        datetime.now(timezone.utc),
        countries,
        both["Countries_over_100_billion_USD"],
        [_with_largest(row, countries) for row in both["Region_top_5_mean"]],
        changes,
        _loads(connection, "", MOST_LOADS),
        _loads(connection, "WHERE As_of = :as_of AND Publisher = :publisher", 1, newest)[0],
        _count(connection, "Loads"),
        _count(connection, "GDP_Estimates"),
        past(rows_of(connection, PAST, most=MOST_ESTIMATES), history.vintages.all()),
    )


def _with_largest(region: Row, countries: list[Row]) -> Row:
    own = [row for row in countries if row["Region"] == region["Region"]]
    total = sum(row["GDP_USD_billion"] for row in own)
    return {**region, "Top": [row["Country"] for row in own[:LARGEST]], "Total": total, "Number": len(own)}


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _loads(connection: Connection, where: str, most: int, of: Vintage | None = None) -> list[Row]:
    """Return lines of Loads, the newest first; in a database from before there was such a column it is not told."""
    there = connection.columns("Loads")
    columns = ", ".join(name if name.lower() in there else f"NULL AS {name}" for name in LOADS)
    order = f"ORDER BY {connection.dialect.order_of_loads} DESC LIMIT {most}"
    values = {"as_of": of.as_of, "publisher": of.publisher} if of else {}
    rows = connection.execute(f"SELECT {columns} FROM Loads {where} {order}", values)
    loads = [dict(zip(LOADS, row, strict=True)) for row in rows]
    for load in loads:
        load["Left_out"] = json.loads(load["Left_out"]) if load["Left_out"] else None
        load["Findings"] = json.loads(load["Findings"] or "[]")
    return loads


# --- the past, as the page's script takes it --------------------------------------------------------------------------


def past(rows: Iterable[Row], vintages: Iterable[Vintage]) -> Row:
    """Return what was said of each country, and which year's figure was its headline when.

    days: As_ofs as YYYY-MM-DD, ascending; a number in what follows is a place in them.
    series: names of an institution and its publisher; vintages: by series the days on which it spoke.
    countries: by code a name, said[series][year] = [day, billions of USD or null, …] and
    headlines[series] = [day, year or null, …], both ascending and flat; each holds until the next, null means none.
    A year of a column without a source is marked "2025*", and is never a headline.
    """
    kept = sorted(rows, key=lambda row: str(row["As_of"]))
    spoken = [((name, v.publisher), v.as_of) for v in vintages for name in v.institutions]
    days = _days_shown(kept, spoken)
    at = {day: number for number, day in enumerate(days)}
    order = sorted({(INSTITUTIONS.index(row["Institution"]), row["Publisher"]) for row in kept})
    series = {(INSTITUTIONS[number], publisher): place for place, (number, publisher) in enumerate(order)}
    countries: dict[str, Row] = {}
    for row in kept:
        country = countries.setdefault(row["Code"], {"name": "", "said": {}, "headlines": {}})
        country["name"] = row["Country"]
        year = f"{row['Year']}{'*' if is_unsourced(row['Note']) else ''}"
        said = country["said"].setdefault(series[row["Institution"], row["Publisher"]], {}).setdefault(year, [])
        if said and said[-2] == at[row["As_of"]]:
            del said[-2:]  # it was said until this one
        said += [at[row["As_of"]], row["GDP_USD_billion"]]
        if row["Until"] != STANDS:
            said += [at[row["Until"]], None]
    own: list[set[int]] = [set() for _ in series]
    for whose, as_of in spoken:
        if whose in series and as_of in at:
            own[series[whose]].add(at[as_of])
    for country in countries.values():
        for number, by_year in country["said"].items():
            country["headlines"][number] = _years_of_headlines(by_year, sorted(own[number]), days)
    return {
        "days": [day[:10] for day in days],
        "series": [_name_of_series(*key) for key in series],
        "vintages": [sorted(places) for places in own],
        "countries": countries,
    }


def _days_shown(rows: list[Row], spoken: list[tuple[tuple[str, str], str]]) -> list[str]:
    """Return the As_ofs at which a figure changed, and of each series the first of each year: it may choose another."""
    days = {row["As_of"] for row in rows} | {row["Until"] for row in rows if row["Until"] != STANDS}
    first_of_year: dict[tuple[tuple[str, str], str], str] = {}
    for whose, as_of in sorted(spoken, key=lambda one: one[1]):
        first_of_year.setdefault((whose, as_of[:4]), as_of)
    return sorted(days | {as_of for as_of in first_of_year.values() if days and as_of >= min(days)})


def _years_of_headlines(by_year: dict[str, list[Any]], own: list[int], days: list[str]) -> list[int | None]:
    """Return which year's figure was the headline from which of a series' own days on: [day, year or None, …]."""
    changes: dict[int, list[tuple[int, float | None]]] = {}  # by day: years and figures
    for name, said in by_year.items():
        if not name.endswith("*"):
            for day, figure in zip(said[::2], said[1::2], strict=True):
                changes.setdefault(day, []).append((int(name), figure))
    standing: dict[tuple[str, int], float] = {}
    found: list[int | None] = []
    for day in own:
        for year, figure in changes.get(day, ()):
            standing.pop(("", year), None)
            if figure is not None:
                standing["", year] = figure
        chosen = headlines_of(standing, days[day])
        headline = chosen[""][0] if chosen else None
        if headline != (found[-1] if found else None):
            found += [day, headline]
    return found


def _name_of_series(institution: str, publisher: str) -> str:
    if publisher == PAGE:
        return f"{institution} (Wikipedia)"
    return f"{institution} ({'its API' if publisher == WORLD_BANK_ITSELF else 'DataMapper'})"
