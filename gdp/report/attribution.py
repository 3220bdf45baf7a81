"""Whose figures are shown: the institution, estimates or projections, the reference year, and who quoted them when."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from gdp.model import ESTIMATE, IMF, PROJECTION, PUBLISHERS
from gdp.sources.imf.releases import LAST_ACTUAL, bundle, day_of_release, year_of
from gdp.store.database import Connection
from gdp.store.vintages import Vintage

Row = dict[str, Any]


class Attribution(NamedTuple):
    """Whose figures a table or a plot shows."""

    publisher: str
    as_of: str
    kind: str  # of most figures
    year: int | None  # the reference year of most figures
    exceptions: tuple[str, ...]

    @property
    def figures(self) -> str:
        """Return the kind and the reference year of the figures, and how many are exceptions."""
        exceptions = f" ({', '.join(self.exceptions)})" if self.exceptions else ""
        return f"{self.kind}s for {self.year}{exceptions}" if self.year else "no figures"

    @property
    def publication(self) -> str:
        """Return who published the figures, and when."""
        if self.publisher == IMF.name:
            return f"as published on {self.as_of[:10]}"
        return f"as quoted by {PUBLISHERS[self.publisher].label} on {self.as_of[:10]}"

    def __str__(self) -> str:
        return f"IMF, {self.figures}, {self.publication}"


def attribution_of(connection: Connection, vintage: Vintage, rows: Sequence[Row]) -> Attribution:
    """Return whose figures the IMF's headlines of a vintage are; each row is given its Kind."""
    statuses = _statuses(connection, vintage)
    for row in rows:
        status = statuses.get((row["Country"], row["Year"]))
        row["Kind"] = kind_of({**row, "Institution": "IMF", "As_of": vintage.as_of, "Status": status})
    years = Counter(row["Year"] for row in rows)
    year = max(years, key=lambda one: (years[one], one), default=None)
    kinds = Counter(row["Kind"] for row in rows if row["Year"] == year)
    kind, other = sorted((PROJECTION, ESTIMATE), key=lambda one: -kinds[one])
    exceptions = [f"{len(rows) - years[year]} of {len(rows)} for another year"] * (len(years) > 1)
    exceptions += [f"{kinds[other]} {other}{'s' * (kinds[other] != 1)}"] * bool(kinds[other])
    return Attribution(vintage.publisher, vintage.as_of, kind, year, tuple(exceptions))


def _statuses(connection: Connection, vintage: Vintage) -> dict[tuple[str, int], str]:
    """Return the statuses that a source states of its IMF figures, by country and year."""
    rows = connection.execute(
        "SELECT Country, Year, Status FROM GDP_Estimates WHERE Publisher = :publisher AND Institution = 'IMF'"
        " AND As_of <= :as_of AND Until > :as_of AND Status IS NOT NULL",
        {"publisher": vintage.publisher, "as_of": vintage.as_of},
    )
    return {(country, year): status for country, year, status in rows}


def kind_of(row: Mapping[str, Any]) -> str:
    """Return whether a figure is an estimate or a projection.

    The source's Status decides. Where it has none, an IMF figure is a projection if its year is after the last actual
    year of the release known on that day; without such a release, from the year of As_of on.
    """
    values = (row[name] for name in ("Institution", "ISO3", "Year", "As_of"))
    return PROJECTION if is_projection(row.get("Status"), *values) else ESTIMATE


def is_projection(status: str | None, institution: str, iso3: str | None, year: int, as_of: str) -> bool:
    """Return whether a figure is a projection, as kind_of does."""
    if status or institution != "IMF":
        return status == PROJECTION
    last_actual = last_actual_year(iso3, as_of)
    return year >= int(as_of[:4]) if last_actual is None else year > last_actual


def last_actual_year(iso3: str | None, as_of: str) -> int | None:
    """Return a country's last actual year in the newest bundled release from before an As_of that states one."""
    days, years = _last_actual_years().get(iso3 or "", ((), ()))
    place = bisect_left(days, as_of)
    return years[place - 1] if place else None


@cache
def _last_actual_years() -> dict[str, tuple[list[str], list[int]]]:
    """Return by country the days of the releases that state a last actual year, and those years."""
    found: dict[str, tuple[list[str], list[int]]] = {}
    releases = bundle(LAST_ACTUAL)
    days = [day_of_release(release) for release in releases.releases]
    for row in releases.rows:
        years = [(day, year_of(text, row.iso3)) for day, text in zip(days, row.cells, strict=True)]
        stated = [(day, year) for day, year in years if year]
        found[row.iso3] = [day for day, _ in stated], [year for _, year in stated]
    return found
