"""Whose figures are shown: the institution, estimates or projections, the reference year, and who quoted them when."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from gdp.model import ESTIMATE, IMF, PROJECTION, PUBLISHERS
from gdp.report import Row
from gdp.sources.imf.releases import LAST_ACTUAL, bundle, day_of_release, year_of
from gdp.store.vintages import Vintage


class Attribution(NamedTuple):
    """Whose figures a table or a plot shows."""

    vintage: Vintage
    kind: str  # of most figures
    year: int | None  # the reference year of most figures
    exceptions: tuple[str, ...]

    def __str__(self) -> str:
        exceptions = f" ({', '.join(self.exceptions)})" if self.exceptions else ""
        figures = f"{self.kind}s for {self.year}{exceptions}" if self.year else "no figures"
        publisher = PUBLISHERS[self.vintage.publisher]
        published = "published" if publisher is IMF else f"quoted by {publisher.label}"
        return f"IMF, {figures}, as {published} on {self.vintage.as_of[:10]}"


def attribution_of(vintage: Vintage, rows: Sequence[Row]) -> Attribution:
    """Return whose figures the IMF's headlines of a vintage are; each row is given its Kind in place of its Status."""
    for row in rows:
        row["Kind"] = kind_of({**row, "Institution": "IMF", "As_of": vintage.as_of, "Status": row.pop("Status")})
    years = Counter(row["Year"] for row in rows)
    year = max(years, key=lambda one: (years[one], one), default=None)
    kinds = Counter(row["Kind"] for row in rows if row["Year"] == year)
    kind, other = sorted((PROJECTION, ESTIMATE), key=lambda one: -kinds[one])
    exceptions = [f"{len(rows) - years[year]} of {len(rows)} for another year"] * (len(years) > 1)
    exceptions += [f"{kinds[other]} {other}{'s' * (kinds[other] != 1)}"] * bool(kinds[other])
    return Attribution(vintage, kind, year, tuple(exceptions))


def kind_of(row: Mapping[str, Any]) -> str:
    """Return whether a figure is an estimate or a projection."""
    values = (row[name] for name in ("Status", "Institution", "ISO3", "Year", "As_of"))
    return PROJECTION if is_projection(*values) else ESTIMATE


def is_projection(status: str | None, institution: str, iso3: str | None, year: int, as_of: str) -> bool:
    """Return whether a figure is a projection.

    The source's Status decides. Where it has none, an IMF figure is a projection if its year is after the last actual
    year of the release known on that day; without such a release, from the year of As_of on.
    """
    if status or institution != "IMF":
        return status == PROJECTION
    last_actual = last_actual_year(iso3, as_of)
    return year >= int(as_of[:4]) if last_actual is None else year > last_actual


def last_actual_year(iso3: str | None, as_of: str) -> int | None:
    """Return a country's last actual year in the newest bundled release from before an As_of that states one."""
    days, years = last_actual_years().get(iso3 or "", ((), ()))
    place = bisect_left(days, as_of)
    return years[place - 1] if place else None


@cache
def last_actual_years() -> dict[str, tuple[list[str], list[int]]]:
    """Return by country the days of the releases that state a last actual year, and those years."""
    found: dict[str, tuple[list[str], list[int]]] = {}
    releases = bundle(LAST_ACTUAL)
    days = [day_of_release(release) for release in releases.releases]
    for row in releases.rows:
        years = [(day, year_of(text, row.iso3)) for day, text in zip(days, row.cells, strict=True)]
        stated = [(day, year) for day, year in years if year]
        found[row.iso3] = [day for day, _ in stated], [year for _, year in stated]
    return found
