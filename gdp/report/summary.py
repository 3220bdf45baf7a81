"""What the report shows, read from the database in one transaction, and the figures behind the page's charts.

The charts have every estimate by country, series and year, written short. A series is one institution's figures from
one publisher. The newest IMF release that comes with the suite is one more where nothing newer is loaded, so that a
fresh database has a chart of many years.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import cache
from typing import NamedTuple

from gdp.model import CURRENT, IMF, INSTITUTIONS, LOAD_FIELDS, PUBLISHERS, is_flagged_by_check
from gdp.report import Row
from gdp.report.attribution import Attribution, attribution_of, is_projection
from gdp.report.revisions import Changes, add_changes, last_refresh, with_shares
from gdp.report.svg import institution_colour
from gdp.report.tables import REGION_MEANS, THRESHOLD_BILLION_USD, TOP, vintage_at
from gdp.sources.imf.releases import LAST_ACTUAL, bundle, day_of_release, year_of
from gdp.store.database import Connection, rows_of
from gdp.store.headlines import of_vintage
from gdp.store.history import History
from gdp.store.vintages import Vintage
from gdp.transform.countries import reference

MOST_LOADS = 15
MOST_ESTIMATES = 80_000  # about 900 kB; the newest are kept
MOST_NOTE_CHARACTERS = 200_000  # of all Notes together; beyond them a figure is marked and the database has the Note
LONG_NOTE = "the database has the note"
ESTIMATES = """
    SELECT As_of, coalesce(ISO3, Country), Year, Publisher, Institution, Until, Country, ISO3, GDP_USD_billion, Note,
           Flags, Status
    FROM GDP_Estimates ORDER BY Until DESC, As_of DESC, Institution, Country, Year LIMIT :most
"""

Figures = list[float | int | None]


class Summary(NamedTuple):
    """All of the report: figures in billions of USD, shares and changes in percent."""

    newest: Vintage
    attribution: Attribution
    written_at: datetime
    countries: list[Row]
    regions: list[Row]
    changes: Changes
    loads: list[Row]  # the newest first
    checked: Row  # the load of the figures shown
    all_loads: int
    all_estimates: int
    series: Row

    @property
    def large(self) -> list[Row]:
        """The countries at or above 100 billion USD."""
        return [row for row in self.countries if row["GDP_USD_billion"] >= THRESHOLD_BILLION_USD]

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


def summarize(connection: Connection) -> Summary:
    """Return what the report shows; raises StageError (66) where no IMF figure is loaded."""
    history = History(connection)
    newest = vintage_at(history, None)
    countries = with_shares(history.headlines(newest))
    regions = rows_of(connection, REGION_MEANS, top=TOP, **of_vintage(newest))
    changes = last_refresh(history, newest)
    add_changes(countries, changes)
    for rows, name in ((countries, "GDP_USD_billion"), (regions, "Mean_GDP_USD_billion")):
        most = max((row[name] for row in rows), default=0) or 1
        for row in rows:
            row["Part"] = row[name] / most  # of the largest, which is the length of its bar
    for row in countries:
        row["Code"] = row["ISO3"] or row["Country"]
    for region in regions:
        own = [row for row in countries if row["Region"] == region["Region"]]
        region |= {"Largest": own[:TOP], "Total": sum(row["GDP_USD_billion"] for row in own), "Number": len(own)}
    of_newest = "WHERE As_of = :as_of AND Publisher = :publisher"
    return Summary(
        newest,
        attribution_of(newest, countries),
        datetime.now(timezone.utc),
        countries,
        regions,
        changes,
        _loads(connection),
        _loads(connection, of_newest, as_of=newest.as_of, publisher=newest.publisher)[0],
        _rows_in(connection, "Loads"),
        _rows_in(connection, "GDP_Estimates"),
        time_series(connection),
    )


def _rows_in(connection: Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _loads(connection: Connection, where: str = "", **values: str) -> list[Row]:
    """Return rows of Loads, the newest first."""
    which = f"{where} ORDER BY {connection.dialect.order_of_loads} DESC LIMIT {MOST_LOADS}"
    loads = rows_of(connection, f"SELECT {', '.join(LOAD_FIELDS)} FROM Loads {which}", **values)
    for load in loads:
        load["Left_out"] = json.loads(load["Left_out"]) if load["Left_out"] else None
        load["Findings"] = json.loads(load["Findings"] or "[]")
    return loads


# --- the charts -------------------------------------------------------------------------------------------------------


class _Estimate(NamedTuple):
    """A row of ESTIMATES; sorted, each series of a country is in the order of publication."""

    as_of: str
    code: str
    year: int
    publisher: str
    institution: str
    until: str
    country: str
    iso3: str | None
    figure: float
    note: str | None
    flags: str | None
    status: str | None


def time_series(connection: Connection) -> Row:
    """Return the newest estimates: days, series, remarks, the bundled release, and by code each country.

    A country has its name, its other names, and by series and year a flat list: the place of a day, the figure in
    billions of USD that was published from that day on, or null where it was no longer published, and so on. A negative
    number after a figure is -1 less the place of its remark: its Note, and whether it is a projection, and flagged.
    """
    rows = sorted(map(_Estimate._make, connection.execute(ESTIMATES, {"most": MOST_ESTIMATES})))
    days = sorted({row.as_of for row in rows} | {row.until for row in rows} - {CURRENT})
    places = {day: place for place, day in enumerate(days)}
    changed: dict[tuple[str, str], set[int]] = {}  # by series the places of the days on which it changed
    for row in rows:
        changed.setdefault((row.institution, row.publisher), set()).update(
            places[day] for day in (row.as_of, row.until) if day != CURRENT
        )
    order = sorted(changed, key=lambda one: (INSTITUTIONS.index(one[0]), one[1]))
    remarks = _Remarks()
    return {
        "days": days,
        "series": [_series(*one) | {"vintages": sorted(changed[one])} for one in order],
        "countries": _countries(rows, places, {one: number for number, one in enumerate(order)}, remarks),
        "remarks": [list(remark) for remark in remarks.places],
        "release": bundled_release(max((row.as_of for row in rows if row.publisher == IMF.name), default="")),
    }


class _Remarks:
    """What is remarkable about the page's figures, each remark once: a Note, a projection, a flagged figure."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, int, int], int] = {}
        self._characters = 0

    def place_of(self, remark: tuple[str, int, int]) -> int:
        if remark not in self.places and self._characters + len(remark[0]) > MOST_NOTE_CHARACTERS:
            remark = LONG_NOTE, remark[1], remark[2]
        if remark not in self.places:
            self._characters += len(remark[0])
        return self.places.setdefault(remark, len(self.places))


def _countries(
    rows: list[_Estimate], places: dict[str, int], numbers: dict[tuple[str, str], int], remarks: _Remarks
) -> dict[str, Row]:
    names: dict[str, list[str]] = {}  # folded, of each country; its two-letter code first where it has one
    for name, known in reference().countries.items():
        names.setdefault(known.iso3, [(known.alpha2 or known.iso3).lower()]).append(name)
    countries: dict[str, Row] = {}
    for row in rows:
        country = countries.get(row.code)
        if country is None:
            country = countries[row.code] = {"names": names.get(row.code, []), "figures": {}}
        country["name"] = row.country  # the newest
        by_year = country["figures"].setdefault(numbers[row.institution, row.publisher], {})
        _add(by_year.setdefault(row.year, []), row, places, remarks)
    return countries


def _add(figures: Figures, row: _Estimate, places: dict[str, int], remarks: _Remarks) -> None:
    place = places[row.as_of]
    if figures and figures[-1] is None and figures[-2] == place:
        del figures[-2:]  # this figure follows at once
    figures += [place, row.figure]
    is_ahead = is_projection(row.status, row.institution, row.iso3, row.year, row.as_of)
    if row.note or row.flags or is_ahead:
        remark = row.note or "", int(is_ahead), int(is_flagged_by_check(row.flags))
        figures.append(-1 - remarks.place_of(remark))
    if row.until != CURRENT:
        figures += [places[row.until], None]


def _series(institution: str, publisher: str) -> Row:
    """Return a series: its key in an address, its name for people, and its colour."""
    label = PUBLISHERS[publisher].label
    name = institution if label == institution else f"{institution}, quoted by {label}"
    return {
        "key": f"{institution.replace(' ', '-')}.{publisher}".lower(), "name": name, "institution": institution,
        "publisher": publisher, "colour": institution_colour(institution),
    }  # fmt: skip


def bundled_release(loaded_as_of: str) -> Row | None:
    """Return the newest whole IMF release that comes with the suite, or None if one as new is loaded.

    By country it has the first year, the last actual year, and a figure a year in billions of USD, null for none.
    """
    release = newest_bundled()
    return release if release and release["day"] > loaded_as_of[:10] else None


@cache
def newest_bundled() -> Row | None:
    """Return the newest whole IMF release that comes with the suite, as bundled_release does."""
    release = next(filter(bundle().is_whole, reversed(bundle().releases)), None)
    if release is None:
        return None
    cells = bundle().texts(release)
    figures: dict[str, dict[int, float]] = {}
    for (iso3, year), text in cells.items():
        if year != LAST_ACTUAL:
            figures.setdefault(iso3, {})[int(year)] = float(text)
    return {
        "key": "imf.bundled", "name": f"IMF, release of {release}", "institution": "IMF", "publisher": IMF.name,
        "colour": institution_colour("IMF"), "day": day_of_release(release),
        "countries": {code: _in_a_row(years, cells.get((code, LAST_ACTUAL)), code) for code, years in figures.items()},
    }  # fmt: skip


def _in_a_row(years: dict[int, float], last_actual: str | None, iso3: str) -> Figures:
    first, last = min(years), max(years)
    return [first, year_of(last_actual, iso3), *(years.get(year) for year in range(first, last + 1))]
