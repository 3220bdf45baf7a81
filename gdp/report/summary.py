"""What the report shows, read from the database in one transaction."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import NamedTuple

from gdp.model import LOAD_FIELDS, is_flagged_by_check
from gdp.report.attribution import Attribution, attribution_of
from gdp.report.revisions import Changes, Row, add_changes, last_refresh
from gdp.report.tables import REGION_MEANS, THRESHOLD_BILLION_USD, TOP
from gdp.report.time_series import MOST_ESTIMATES, time_series
from gdp.store.database import Connection, rows_of
from gdp.store.headlines import HEADLINES, of_vintage
from gdp.store.history import History
from gdp.store.vintages import Vintage
from utils import Exit, StageError

MOST_LOADS = 15

COUNTRIES = f"""
    WITH Headlines AS ({HEADLINES})
    SELECT rank() OVER (ORDER BY GDP_USD_billion DESC) AS Rank, coalesce(ISO3, Country) AS Code, Country, ISO3, Region,
           Year, GDP_USD_billion, Note, Flags,
           coalesce(100 * GDP_USD_billion / nullif(sum(GDP_USD_billion) OVER (), 0), 0) AS Share_percent
    FROM Headlines ORDER BY Rank, Country
"""


class Summary(NamedTuple):
    """All of the report: figures in billions of USD, shares and changes in percent."""

    newest: Vintage
    attribution: Attribution
    written_at: datetime
    countries: list[Row]
    large: list[Row]
    regions: list[Row]
    changes: Changes
    loads: list[Row]  # the newest first
    checked: Row  # the load of the figures shown
    all_loads: int
    all_estimates: int
    series: Row

    @property
    def omitted_estimates(self) -> int:
        """How many estimates, the oldest, the page has no room for."""
        return max(0, self.all_estimates - MOST_ESTIMATES)

    @property
    def as_of(self) -> str:
        """The day that the figures are of."""
        return self.newest.as_of[:10]

    @property
    def age_days(self) -> int:
        """How old the figures were when the report was written."""
        return (self.written_at.date() - datetime.fromisoformat(self.as_of).date()).days

    @property
    def flagged(self) -> list[Row]:
        """The countries whose figure a check flagged."""
        return [row for row in self.countries if is_flagged_by_check(row["Flags"])]

    @property
    def has_flagged_among_largest(self) -> bool:
        """Whether a check flagged a figure of one of a region's largest."""
        return any(is_flagged_by_check(one["Flags"]) for row in self.regions for one in row["Largest"])

    @property
    def caption(self) -> str:
        """The line beneath every plot: whose figures, for which year, and when they were published."""
        return f"Source: {self.attribution}"


def summarize(connection: Connection) -> Summary:
    """Return what the report shows; raises StageError (66) where no IMF figure is loaded."""
    history = History(connection)
    newest = history.newest_imf()
    if newest is None:
        raise StageError(Exit.NO_INPUT, "no IMF figures are loaded; run python etl_process.py first")
    countries = rows_of(connection, COUNTRIES, **of_vintage(newest))
    changes = last_refresh(connection, history, newest)
    add_changes(countries, changes)
    _add_parts(countries, "GDP_USD_billion")
    return Summary(
        newest,
        attribution_of(connection, newest, countries),
        datetime.now(timezone.utc),
        countries,
        [row for row in countries if row["GDP_USD_billion"] >= THRESHOLD_BILLION_USD],
        _regions(rows_of(connection, REGION_MEANS, top=TOP, **of_vintage(newest)), countries),
        changes,
        _loads(connection, MOST_LOADS),
        _loads(connection, 1, newest)[0],
        _count(connection, "Loads"),
        _count(connection, "GDP_Estimates"),
        time_series(connection),
    )


def _add_parts(rows: list[Row], name: str) -> None:
    """Add to each row its part of the largest figure, which is the length of its bar."""
    most = max((row[name] for row in rows), default=0) or 1
    for row in rows:
        row["Part"] = row[name] / most


def _regions(means: list[Row], countries: list[Row]) -> list[Row]:
    """Return each region's mean with its largest countries and the total of all."""
    _add_parts(means, "Mean_GDP_USD_billion")
    return [_with_largest(row, [one for one in countries if one["Region"] == row["Region"]]) for row in means]


def _with_largest(region: Row, own: list[Row]) -> Row:
    total = sum(row["GDP_USD_billion"] for row in own)
    return {**region, "Largest": own[:TOP], "Total": total, "Number": len(own)}


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _loads(connection: Connection, most: int, vintage: Vintage | None = None) -> list[Row]:
    """Return rows of Loads, the newest first."""
    where = "WHERE As_of = :as_of AND Publisher = :publisher" if vintage else ""
    values = {"as_of": vintage.as_of, "publisher": vintage.publisher} if vintage else {}
    order = f"ORDER BY {connection.dialect.order_of_loads} DESC LIMIT {most}"
    rows = connection.execute(f"SELECT {', '.join(LOAD_FIELDS)} FROM Loads {where} {order}", values)
    loads = [dict(zip(LOAD_FIELDS, row, strict=True)) for row in rows]
    for load in loads:
        load["Left_out"] = json.loads(load["Left_out"]) if load["Left_out"] else None
        load["Findings"] = json.loads(load["Findings"] or "[]")
    return loads
