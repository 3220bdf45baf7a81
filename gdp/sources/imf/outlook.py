"""The World Economic Outlook: the series that each of its forms is read into, their records, and the IMF's own files.

A file has a series a row and a year a column. Until April 2025 they are text under the name of .xls
(WEOApr2013all.xls), and reports with the same columns; since October 2025 they are .xlsx. The portal's CSV exports have
that layout too. Figures are in the scale that they name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from gdp.model import ESTIMATE, IMF, PROJECTION, RawRecord
from gdp.sources import Month, Reading, Refused
from gdp.sources.imf.releases import known_day, named_in, of_day, year_of
from gdp.sources.payloads import (
    check_figures,
    checked_as_of,
    day_of,
    is_absent,
    is_aggregate,
    last_day,
    name_or_code,
    plain,
    today,
)
from gdp.sources.tabular_files import (
    MAX_ROWS_BEFORE_HEADER,
    Table,
    refuse_repeated_columns,
    refuse_second_heading,
)

INDICATOR = "NGDPD"
INSTITUTION = IMF.label
BILLIONS = "Billions of U.S. dollars"  # the IMF's own words, for an answer that came without them
WHOLE_DOLLARS = "U.S. dollars, whole units (current US$)"  # SDMX's values; its SCALE is how they are shown
WORLD = ("WEOWORLD", "G001", "001")  # the codes of the control total
WORLD_NAME = "World"
SAME_COUNTRY = {"KOS": "Kosovo", "UVK": "Kosovo", "XKX": "Kosovo"}  # codes that one answer has side by side
TOO_SMALL = "--"  # less than half of the last digit that is printed
YEARS_AHEAD = 6  # the most that the IMF projects
COUNTRY_CODE = re.compile(r"[A-Z]{3}")  # groups are G001, G163 …


class Series(NamedTuple):
    """A country's figures by year, under the source's own code or name, and the last year that is no projection."""

    code: str
    name: str | None
    figures: dict[str, str | None]
    last_actual: str | None = None
    is_group: bool = False


@dataclass(frozen=True)
class Outlook:
    """What one answer or file has: its series, their unit, where they are from, and what it states of its release."""

    series: list[Series]
    unit: str
    source: str
    published: str | None = None
    release: Month | None = None
    modified: str | None = None
    fetched: str | None = None
    copyright_year: int | None = None
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def stated_release(self) -> Month | None:
        """The release that the source names, or that was published on the day it states."""
        return self.release or (of_day(self.published) if self.published else None)


def reading_of(outlook: Outlook, wanted: Month | None) -> Reading:
    """Return the raw records of every country and year, and the World's; groups are dropped and counted.

    `wanted` is the release that the user names. Raises Refused if nothing names the release, if the answer names
    another, or if it has no figure.
    """
    as_of = checked_as_of(_as_of(outlook, wanted))
    about = {"Column": None, "Unit": outlook.unit, "Institution": INSTITUTION, "Source": outlook.source, "As_of": as_of}
    records: dict[tuple[str, str], RawRecord] = {}
    dropped = Counter(outlook.dropped)
    check_figures(_figures_of(outlook.series))
    for series in outlook.series:
        name = WORLD_NAME if series.code in WORLD and not series.name else (series.name or series.code).strip()
        if not name or (series.is_group and series.code not in WORLD):
            dropped["group of countries" if name else "figures under an empty code"] += 1
            continue
        actual = year_of(series.last_actual, series.code)
        for year, figure in series.figures.items():
            key = (SAME_COUNTRY.get(series.code, name), year)
            if reason := _reason_to_drop(figure, key in records):
                dropped[reason] += 1
                continue
            records[key] = {"Country": name, "GDP": plain(figure or ""), "Year": year, **about}
            if actual and year.isdecimal() and len(year) == 4:
                records[key]["Status"] = ESTIMATE if int(year) <= actual else PROJECTION
    if not records:
        raise Refused(f"it has no figure of {INDICATOR}")
    return Reading([*records.values()], dropped)


def _reason_to_drop(figure: str | None, is_repeated: bool) -> str | None:
    if figure is None or is_absent(figure):
        return "year without a figure"
    if figure.strip() == TOO_SMALL:
        return f'figure too small to be printed ("{TOO_SMALL}")'
    return "figure repeated" if is_repeated else None


def _figures_of(all_series: list[Series]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield the figures of the countries; a country with two codes may have two figures, and the first is read."""
    for series in all_series:
        has_two_codes = series.code in SAME_COUNTRY or series.code in WORLD
        names = (series.code,) if has_two_codes else (series.name or "", series.code)
        for year, figure in () if series.is_group else series.figures.items():
            if _reason_to_drop(figure, False) is None:
                yield names, year, str(figure)


def _as_of(outlook: Outlook, wanted: Month | None) -> str:
    """Return the day of publication: the stated one, else the known one, else when the figures were last changed.

    If no day is known it is the last day of the release's month, or the day it was fetched if that was earlier, so that
    a question about a day is never answered with what was published after it.
    """
    stated = outlook.stated_release
    if stated and wanted and stated != wanted:
        raise Refused(f"it is the release of {stated}, not of {wanted}")
    release = stated or wanted
    if release is None:
        raise Refused("nothing in it names its release; name it with --release, as 2025-10")
    if not stated:
        _check_named_release(outlook, release)
    if f"{release}-01" > today().isoformat():
        raise Refused(f"it states that it is the release of {release}, which is in the future")
    day = outlook.published or known_day(release) or outlook.modified
    return day or min(last_day(release), outlook.fetched or today().isoformat())


def _check_named_release(outlook: Outlook, release: Month) -> None:
    """Raise Refused where the copyright or the last year of figures contradicts the release that the user names."""
    noted = outlook.copyright_year
    if noted and release.year not in (noted, noted - 1):  # an export is dated with the year in which it was made
        raise Refused(f"it has the copyright of {noted}, and cannot be the release of {release}; name another")
    years = (
        int(year)
        for series in outlook.series
        for year, figure in series.figures.items()
        if year.isdecimal() and figure is not None and not is_absent(figure)
    )
    if (last := max(years, default=0)) > release.year + YEARS_AHEAD:
        at_most = f"projects at most {YEARS_AHEAD} years ahead"
        raise Refused(f"it has figures to {last}, and the IMF {at_most}: it cannot be the release of {release}")


# --- the IMF's own files ----------------------------------------------------------------------------------------------

DATABASE_URL = "https://www.imf.org/en/Publications/WEO/weo-database"
DESCRIBED = "gross domestic product, current prices"
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
SCALES = ("billions", "millions", "thousands", "units")
_YEAR = re.compile(r"X?((?:19|20)\d\d)")  # R puts an X before a number
_COPYRIGHT = re.compile(r"World Economic Outlook Database\b", re.IGNORECASE)
Cells = dict[str, str]


class _Layout(NamedTuple):
    """A table's layout: the row of its header, and the columns by what they hold and by year."""

    header: int
    columns: dict[str, int]
    years: dict[str, int]

    def is_header(self, row: list[str]) -> bool:
        """Return whether a row names the columns of countries or subjects again."""
        cell = self.cells(row)
        return any(cell[what].casefold() in COLUMNS[what] for what in ("name", "code", "subject", "series"))

    def cells(self, row: list[str]) -> Cells:
        """Return a row's cells by what they hold, "" where it has none."""
        places = {what: self.columns.get(what, len(row)) for what in COLUMNS}
        return {what: row[place] if place < len(row) else "" for what, place in places.items()}


def layout_of(table: Table) -> _Layout | None:
    """Return a table's layout, or None if it is no file of the World Economic Outlook."""
    for number, row in enumerate(table[:MAX_ROWS_BEFORE_HEADER]):
        names = [cell.lstrip("\ufeff").strip('"').casefold() for cell in row]
        years = {found[1]: place for place, cell in enumerate(row) if (found := _YEAR.fullmatch(cell))}
        columns = {
            what: names.index(name) for what, known in COLUMNS.items() for name in reversed(known) if name in names
        }
        is_ours = "country.code" not in names  # the World Bank's in R
        has_subject = columns.keys() & {"name", "code", "series"} and columns.keys() & {"subject", "described"}
        if is_ours and years and has_subject:
            return _Layout(number, columns, years)
    return None


def outlook_of_tables(tables: list[Table]) -> Outlook:
    """Return the nominal GDP in a file's tables; raises Refused if they are cut short or of other subjects."""
    series: list[Series] = []
    units: Counter[str] = Counter()
    others: Counter[str] = Counter()
    published: set[str | None] = set()
    for table in tables:
        layout = layout_of(table)
        if layout:
            refuse_repeated_columns(table[layout.header], _YEAR)
            refuse_second_heading(table, layout.is_header, layout.header)
        for row in table[layout.header + 1 :] if layout else ():
            if layout is None or not any(row) or _COPYRIGHT.search(row[0]):
                continue
            cell = layout.cells(row)
            subject = cell["subject"] or cell["series"].partition(".")[2].partition(".")[0] or cell["described"]
            if not _is_nominal_gdp(subject, cell["units"]):
                others.update([subject] if subject else [])
                continue
            if len(row) <= max(layout.years.values()):
                raise Refused(f"the row of {(cell['name'] or row[0])[:40]} is cut short; fetch it again")
            series.append(_series(cell, {year: row[place] for year, place in layout.years.items()}))
            units[_unit(cell["units"], cell["scale"])] += 1
            published.add(day_of(cell["published"]))
    if not series:
        raise Refused(f"it has {', '.join(list(others)[:3]) or 'no series'}, not {INDICATOR}")
    if len(units) > 1:
        raise Refused(f"its figures are in several units: {', '.join(units)}")
    return Outlook(
        series, next(iter(units)), DATABASE_URL, published=max(filter(None, published), default=None),
        release=next(filter(None, map(_release_of, reversed(tables))), None),
        dropped=Counter({"series of another subject": others.total()} if others else {}),
    )  # fmt: skip


def _is_nominal_gdp(subject: str, units: str) -> bool:
    """Return whether a subject is nominal GDP in US dollars, by its code, or by its words if there are no codes."""
    if subject.upper() == subject and " " not in subject:
        return subject == INDICATOR
    is_in_dollars = "u.s. dollar" in units.casefold() or "us dollar" in subject.casefold()
    return subject.casefold().startswith(DESCRIBED) and is_in_dollars


def _series(cell: Cells, figures: dict[str, str | None]) -> Series:
    code, name = cell["code"] or cell["series"].partition(".")[0], cell["name"]
    is_group = (bool(code) and not COUNTRY_CODE.fullmatch(code)) or (name != WORLD_NAME and is_aggregate(name))
    return Series(code, name_or_code(name, code) or None, figures, cell["last_actual"], is_group)


def _unit(units: str, scale: str) -> str:
    """Return the unit in the file's own words; raises Refused if the scale or the money is not known."""
    if not scale:
        raise Refused(f"it states no scale for its figures, such as {', '.join(SCALES)}")
    if not re.match(r"u\.?s\.? dollars?\b", units.casefold()):
        raise Refused(f"its figures are in {units[:40]!r}, not in U.S. dollars")
    if scale.casefold() not in SCALES:
        raise Refused(f"the scale of its figures is {scale[:40]!r}, not one of {', '.join(SCALES)}")
    return f"{units}, whole units (current US$)" if scale.casefold() == "units" else f"{scale} of {units}"


def _release_of(table: Table) -> Month | None:
    """Return the release in the line of copyright, which is at the end, and sometimes over the header."""
    lines = (" ".join(row) for row in reversed(table) if _COPYRIGHT.search(" ".join(row[:2])))
    return next((release for line in lines if (release := named_in(line))), None)
