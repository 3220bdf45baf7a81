"""The figures behind the page's charts: every estimate by country, series and year, written short.

A series is one institution's figures from one publisher. The newest IMF release that comes with the suite is one more
where nothing newer is loaded, so that a fresh database has a chart of many years.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from gdp.model import CURRENT, IMF, INSTITUTIONS, PUBLISHERS, is_flagged_by_check
from gdp.report.attribution import is_projection
from gdp.report.svg import institution_colour
from gdp.sources.imf.releases import LAST_ACTUAL, WHOLE_RELEASE, bundle, day_of_release, year_of
from gdp.store.database import Connection
from gdp.transform.countries import reference

Row = dict[str, Any]
Figures = list[float | int | None]

MOST_ESTIMATES = 80_000  # about 900 kB; the newest are kept
MOST_NOTE_CHARACTERS = 200_000  # of all Notes together; beyond them a figure is marked and the database has the Note
LONG_NOTE = "the database has the note"
BUNDLED = "imf.bundled"
ESTIMATES = """
    SELECT As_of, coalesce(ISO3, Country), Year, Publisher, Institution, Until, Country, ISO3, GDP_USD_billion, Note,
           Flags, Status
    FROM GDP_Estimates ORDER BY Until DESC, As_of DESC, Institution, Country, Year LIMIT :most
"""


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
    rows = [_Estimate._make(row) for row in connection.execute(ESTIMATES, {"most": MOST_ESTIMATES})]
    rows.sort()
    days = sorted({row.as_of for row in rows} | {row.until for row in rows} - {CURRENT})
    places = {day: place for place, day in enumerate(days)}
    order = sorted({(INSTITUTIONS.index(row.institution), row.publisher) for row in rows})
    series = [_series(INSTITUTIONS[number], publisher) for number, publisher in order]
    _add_vintages(series, rows, places)
    remarks = _Remarks()
    return {
        "days": days,
        "series": series,
        "countries": _countries(rows, places, series, remarks),
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
    rows: Iterable[_Estimate], places: dict[str, int], series: list[Row], remarks: _Remarks
) -> dict[str, Row]:
    numbers = {(one["institution"], one["publisher"]): number for number, one in enumerate(series)}
    names = _names_by_code()
    countries: dict[str, Row] = {}
    for row in rows:
        country = countries.get(row.code)
        if country is None:
            country = countries[row.code] = {"names": names.get(row.code, []), "figures": {}}
        country["name"] = row.country  # the newest
        by_year = country["figures"].setdefault(numbers[row.institution, row.publisher], {})
        _add(by_year.setdefault(row.year, []), row, places, remarks)
    return countries


def _names_by_code() -> dict[str, list[str]]:
    """Return the known names of each country, folded, its two-letter code first where it has one."""
    names: dict[str, list[str]] = {}
    for name, country in reference().countries.items():
        names.setdefault(country.iso3, [(country.alpha2 or country.iso3).lower()]).append(name)
    return names


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


def _add_vintages(series: list[Row], rows: Iterable[_Estimate], places: dict[str, int]) -> None:
    """Add to each series the places of the days on which it changed."""
    found: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        days = found.setdefault((row.institution, row.publisher), set())
        days.add(row.as_of)
        days.add(row.until)
    for one in series:
        days = found[one["institution"], one["publisher"]] - {CURRENT}
        one["vintages"] = sorted(places[day] for day in days)


def bundled_release(loaded_as_of: str) -> Row | None:
    """Return the newest whole IMF release that comes with the suite, or None if one as new is loaded.

    By country it has the first year, the last actual year, and a figure a year in billions of USD, null for none.
    """
    newest = newest_whole_release()
    if newest is None or day_of_release(newest[0]) <= loaded_as_of[:10]:
        return None
    release, cells = newest
    figures: dict[str, dict[int, float]] = {}
    for (iso3, year), text in cells.items():
        if year != LAST_ACTUAL:
            figures.setdefault(iso3, {})[int(year)] = float(text)
    return {
        "key": BUNDLED, "name": f"IMF, release of {release}", "institution": "IMF", "publisher": IMF.name,
        "colour": institution_colour("IMF"), "day": day_of_release(release),
        "countries": {code: _in_a_row(years, cells.get((code, LAST_ACTUAL)), code) for code, years in figures.items()},
    }  # fmt: skip


def newest_whole_release() -> tuple[str, dict[tuple[str, str], str]] | None:
    """Return the name of the newest bundled release of all years, and its cells."""
    for release in reversed(bundle().releases):
        cells = bundle().texts(release)
        if len(cells) > WHOLE_RELEASE:
            return release, cells
    return None


def _in_a_row(years: dict[int, float], last_actual: str | None, iso3: str) -> Figures:
    first, last = min(years), max(years)
    return [first, year_of(last_actual, iso3), *(years.get(year) for year in range(first, last + 1))]
