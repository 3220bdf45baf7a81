"""The IMF's own files of the World Economic Outlook, a series a row and a year a column.

Until April 2025 they are text under the name of .xls (WEOApr2013all.xls), and reports with the same columns; since
October 2025 they are .xlsx. The portal's CSV exports have that layout too. Figures are in the scale that they name.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from gdp.sources import Month, Refused
from gdp.sources.country_names import is_aggregate, name_or_code
from gdp.sources.imf.releases import named_in
from gdp.sources.imf.weo_model import INDICATOR, Outlook, Series
from gdp.sources.payloads import day_of
from gdp.sources.tabular_files import Table

DATABASE_URL = "https://www.imf.org/en/Publications/WEO/weo-database"
DESCRIBED = "gross domestic product, current prices"
MAX_ROWS_BEFORE_HEADER = 20
WORLD_NAME = "World"  # the control total, which the file of groups has
# What a column is for, by the names that it has had. The portal names "COUNTRY.Name", in its exports "COUNTRY.ID"; R
# writes points for spaces.
COLUMNS = {
    "code": ("iso", "country.id", "weo country group code"),
    "name": ("country", "country.name", "country group name"),
    "series": ("series_code",),
    "subject": ("weo subject code", "weo.subject.code", "indicator.id"),
    "described": ("subject descriptor", "subject.descriptor", "indicator", "indicator.name"),
    "units": ("units", "unit", "unit.name"),
    "scale": ("scale", "scale.name"),
    "last_actual": ("estimates start after", "estimates.start.after", "latest_actual_annual_data"),
    "published": ("publication_date",),
}
WHOLE_UNITS = "units"
SCALES = ("billions", "millions", "thousands", WHOLE_UNITS)
_YEAR = re.compile(r"X?((?:19|20)\d\d)")  # R puts an X before a number
_COPYRIGHT = re.compile(r"World Economic Outlook Database\b", re.IGNORECASE)
_A_COUNTRY = re.compile(r"[A-Z]{3}")


class _Layout(NamedTuple):
    """A table's layout: the row of its header, and the columns by what they hold and by year."""

    header: int
    columns: dict[str, int]
    years: dict[str, int]

    def of(self, row: list[str], what: str) -> str:
        """Return a row's cell in a column, "" if there is none."""
        place = self.columns.get(what)
        return row[place] if place is not None and place < len(row) else ""


def layout_of(table: Table) -> _Layout | None:
    """Return a table's layout, or None if it is no file of the World Economic Outlook."""
    for number, row in enumerate(table[:MAX_ROWS_BEFORE_HEADER]):
        names = [cell.lstrip("\ufeff").strip('"').casefold() for cell in row]
        years = {found[1]: place for place, cell in enumerate(row) if (found := _YEAR.fullmatch(cell))}
        columns = {what: names.index(name) for what, known in COLUMNS.items() for name in reversed(known)
                   if name in names}  # fmt: skip
        is_ours = "country.code" not in names  # the World Bank's in R
        if (
            is_ours
            and years
            and columns.keys() & {"name", "code", "series"}
            and columns.keys() & {"subject", "described"}
        ):
            return _Layout(number, columns, years)
    return None


def outlook_of_tables(tables: list[Table]) -> Outlook:
    """Return the nominal GDP in a file's tables; raises Refused if they are cut short or of other subjects."""
    series: list[Series] = []
    units: Counter[str] = Counter()
    others: Counter[str] = Counter()
    published: set[str] = set()
    release: Month | None = None
    for table in tables:
        release = _release_of(table) or release
        layout = layout_of(table)
        for row in table[layout.header + 1 :] if layout else ():
            if layout is None or not _is_series(layout, row):
                continue
            if not _is_nominal_gdp(layout, row):
                others[_subject(layout, row)] += 1
                continue
            _check_whole(layout, row)
            series.append(_series(layout, row))
            units[_unit(layout, row)] += 1
            published |= {day for day in (day_of(layout.of(row, "published")),) if day}
    if not series:
        raise Refused(f"it has {', '.join(list(others)[:3]) or 'no series'}, not {INDICATOR}")
    if len(units) > 1:
        raise Refused(f"its figures are in several units: {', '.join(units)}")
    return Outlook(
        series, next(iter(units)), DATABASE_URL, published=max(published, default=None), release=release,
        dropped=Counter({"series of another subject": others.total()}) if others else Counter(),
    )  # fmt: skip


def _is_series(layout: _Layout, row: list[str]) -> bool:
    """Return whether a row has figures: it is not empty, and not the line of copyright."""
    return any(row) and not _COPYRIGHT.search(row[0]) and bool(_subject(layout, row))


def _subject(layout: _Layout, row: list[str]) -> str:
    series = layout.of(row, "series").split(".")
    return layout.of(row, "subject") or (series[1] if len(series) > 1 else "") or layout.of(row, "described")


def _is_nominal_gdp(layout: _Layout, row: list[str]) -> bool:
    """Return whether a row is nominal GDP in US dollars, by its code, or by its words if there are no codes."""
    subject = _subject(layout, row)
    if subject.upper() == subject and " " not in subject:
        return subject == INDICATOR
    units = layout.of(row, "units").casefold()
    return subject.casefold().startswith(DESCRIBED) and ("u.s. dollar" in units or "us dollar" in subject.casefold())


def _check_whole(layout: _Layout, row: list[str]) -> None:
    """Raise Refused when a row ends before its last year: the download was cut short."""
    if len(row) <= max(layout.years.values()):
        raise Refused(f"the row of {(layout.of(row, 'name') or row[0])[:40]} is cut short; fetch it again")


def _series(layout: _Layout, row: list[str]) -> Series:
    code = layout.of(row, "code") or layout.of(row, "series").partition(".")[0]
    named = layout.of(row, "name")
    is_group = (bool(code) and not _A_COUNTRY.fullmatch(code)) or (named != WORLD_NAME and is_aggregate(named))
    figures: dict[str, str | None] = {year: row[place] for year, place in layout.years.items()}
    name = name_or_code(named, code)
    return Series(code, name or None, figures, layout.of(row, "last_actual"), is_group)


def _unit(layout: _Layout, row: list[str]) -> str:
    """Return the unit in the file's own words; raises Refused if the scale or the money is not known."""
    units, scale = layout.of(row, "units"), layout.of(row, "scale")
    if not scale:
        raise Refused(f"it states no scale for its figures, such as {', '.join(SCALES)}")
    if not re.match(r"u\.?s\.? dollars?\b", units.casefold()):
        raise Refused(f"its figures are in {units[:40]!r}, not in U.S. dollars")
    if scale.casefold() not in SCALES:
        raise Refused(f"the scale of its figures is {scale[:40]!r}, not one of {', '.join(SCALES)}")
    if scale.casefold() == WHOLE_UNITS:
        return f"{units}, whole units (current US$)"
    return f"{scale} of {units}"


def _release_of(table: Table) -> Month | None:
    """Return the release in the line of copyright, which is at the end, and sometimes over the header."""
    lines = (" ".join(row) for row in reversed(table) if len(row) and _COPYRIGHT.search(" ".join(row[:2])))
    return next((release for line in lines if (release := named_in(line))), None)
