"""What every form of the World Economic Outlook has in common: series of nominal GDP, and raw records made of them.

The DataMapper, SDMX, DBnomics and the IMF's files have the same content in different shapes. Each is read into an
Outlook.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from gdp.model import ESTIMATE, IMF, PROJECTION, RawRecord
from gdp.sources import Month, Reading, Refused
from gdp.sources.imf.releases import known_day, of_day, year_of
from gdp.sources.payloads import checked_as_of, is_absent, last_day, plain, today

INDICATOR = "NGDPD"
INSTITUTION = IMF.label
BILLIONS = "Billions of U.S. dollars"  # the IMF's own words, for an answer that came without them
WHOLE_DOLLARS = "U.S. dollars, whole units (current US$)"  # SDMX's values; its SCALE is how they are shown
WORLD = ("WEOWORLD", "G001", "001")  # the codes of the control total
SAME_COUNTRY = {"KOS": "Kosovo", "UVK": "Kosovo", "XKX": "Kosovo"}  # codes that one answer has side by side
TOO_SMALL = "--"  # less than half of the last digit that is printed


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
    records = _Records(outlook, checked_as_of(_as_of(outlook, wanted)))
    for series in outlook.series:
        name = "World" if series.code in WORLD and not series.name else (series.name or series.code).strip()
        if not name:
            records.dropped["figures under an empty code"] += 1
        elif series.is_group and series.code not in WORLD:
            records.dropped["group of countries"] += 1
        else:
            records.add(series, name)
    if not records.found:
        raise Refused(f"it has no figure of {INDICATOR}")
    return Reading(records.found, records.dropped)


class _Records:
    """The raw records of an outlook: each country and year once."""

    def __init__(self, outlook: Outlook, as_of: str) -> None:
        self.found: list[RawRecord] = []
        self.dropped = Counter(outlook.dropped)
        self._seen: set[tuple[str, str]] = set()
        self._shared = {"Unit": outlook.unit, "Institution": INSTITUTION, "Source": outlook.source, "As_of": as_of}

    def add(self, series: Series, name: str) -> None:
        """Add a country's figures under a name."""
        actual = year_of(series.last_actual, series.code)
        for year, figure in series.figures.items():
            key = (SAME_COUNTRY.get(series.code, name), year)
            if figure is None or is_absent(figure):
                self.dropped["year without a figure"] += 1
            elif figure.strip() == TOO_SMALL:
                self.dropped[f'figure too small to be printed ("{TOO_SMALL}")'] += 1
            elif key in self._seen:
                self.dropped["figure repeated under another code"] += 1
            else:
                self._seen.add(key)
                self.found.append({"Country": name, "GDP": plain(figure), "Year": year, "Column": None, **self._shared})
                if actual and year.isdecimal() and len(year) == 4:
                    self.found[-1]["Status"] = ESTIMATE if int(year) <= actual else PROJECTION


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
    if f"{release}-01" > today().isoformat():
        raise Refused(f"it states that it is the release of {release}, which is in the future")
    day = outlook.published or known_day(release) or outlook.modified
    return day or min(last_day(release), outlook.fetched or today().isoformat())
