"""What the report tells, asked of the database and of nothing else."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timezone
from typing import NamedTuple

from gdp.records import PAGE
from gdp.report.revisions import Changes, Row, last_refresh, tell_of_rows
from gdp.report.tables import REGION_MEANS, THRESHOLD_BILLION_USD, TOP
from gdp.report.time_series import MOST_ESTIMATES, past
from gdp.store.database import Connection, rows_of
from gdp.store.headlines import HEADLINES, of_vintage
from gdp.store.history import History
from gdp.store.vintages import Vintage
from utils import Exit, StageError

MOST_LOADS = 15

COUNTRIES = f"""
    WITH Headlines AS ({HEADLINES})
    SELECT rank() OVER (ORDER BY GDP_USD_billion DESC) AS Rank, coalesce(ISO3, Country) AS Code, Country, ISO3, Region,
           Year, GDP_USD_billion, Note,
           coalesce(100 * GDP_USD_billion / nullif(sum(GDP_USD_billion) OVER (), 0), 0) AS Share_percent
    FROM Headlines ORDER BY Rank, Country
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
    def years(self) -> str:
        """Return for which year the figures are, and how many are for another."""
        if not self.countries:
            return "for no year"
        ((year, number),) = Counter(row["Year"] for row in self.countries).most_common(1)
        others = len(self.countries) - number
        return f"for {year}" + (f" ({others} of {len(self.countries)} for another year)" if others else "")

    @property
    def any_largest_noted(self) -> bool:
        """Tell whether one of a region's largest has a Note."""
        return any(one["Note"] for row in self.regions for one in row["Largest"])

    @property
    def caption(self) -> str:
        """Return what stands beneath every plot: whose figures, as of when, for which year."""
        return f"Source: {self.said_by}, as of {self.as_of}; figures {self.years}"

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
    countries = rows_of(connection, COUNTRIES, **of_vintage(newest))
    changes = last_refresh(history, newest)
    tell_of_rows(countries, changes)
    _tell_parts(countries, "GDP_USD_billion")
    return Overview(
        newest,
        datetime.now(timezone.utc),
        countries,
        [row for row in countries if row["GDP_USD_billion"] >= THRESHOLD_BILLION_USD],
        _regions(rows_of(connection, REGION_MEANS, top=TOP, **of_vintage(newest)), countries),
        changes,
        _loads(connection, "", MOST_LOADS),
        _loads(connection, "WHERE As_of = :as_of AND Publisher = :publisher", 1, newest)[0],
        _count(connection, "Loads"),
        _count(connection, "GDP_Estimates"),
        past(connection),
    )


def _tell_parts(rows: list[Row], of: str) -> None:
    """Add to each row which part of the largest figure its own is: how long its bar is."""
    most = max((row[of] for row in rows), default=0) or 1
    for row in rows:
        row["Part"] = row[of] / most


def _regions(means: list[Row], countries: list[Row]) -> list[Row]:
    """Return each region's mean with its largest countries and the total of all."""
    _tell_parts(means, "Mean_GDP_USD_billion")
    return [_with_largest(row, [one for one in countries if one["Region"] == row["Region"]]) for row in means]


def _with_largest(region: Row, own: list[Row]) -> Row:
    total = sum(row["GDP_USD_billion"] for row in own)
    return {**region, "Largest": own[:TOP], "Total": total, "Number": len(own)}


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
