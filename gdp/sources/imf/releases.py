"""The releases of the World Economic Outlook: their names and days, and those that come with the suite.

The bundled ones have nominal GDP by country, year and release, since April 2019. They are a second witness when a page
is checked, and the answer to `extract.py --release` without network. tests/make_imf_releases.py writes the file;
docs/data.md has its provenance.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from gdp.sources import Answer, Month
from gdp.sources.payloads import answer_of, last_day
from utils import MONTHS, PROJECT, read_bytes

APRIL, SEPTEMBER, OCTOBER = 4, 9, 10
EARLY_AUTUMN = 2011  # the one year whose second release came in September
FIRST_YEAR = 1990  # before there was a database to release

# In April 2020 six series were published, and nominal GDP was none of them.
WITHOUT_GDP = Month(2020, APRIL)

# The days on which the IMF presented each release to the press and put its database online. To 2018 from transcripts
# and recordings of those conferences (imf.org/external/np/tr/…, UN and agency footage); from 2019 on also from the
# PUBLICATION_DATE of SDMX and other lists. No day was found for 2007-10, 2010-04, 2012-10 and 2016-10.
PUBLISHED = {
    "2008-04": 9, "2008-10": 8, "2009-04": 22, "2009-10": 1, "2010-10": 6, "2011-04": 11, "2011-09": 20,
    "2012-04": 17, "2013-04": 16, "2013-10": 8, "2014-04": 8, "2014-10": 7, "2015-04": 14, "2015-10": 6,
    "2016-04": 12, "2017-04": 18, "2017-10": 10, "2018-04": 17, "2018-10": 9, "2019-04": 9, "2019-10": 15,
    "2020-04": 14, "2020-10": 13, "2021-04": 6, "2021-10": 12, "2022-04": 19, "2022-10": 11, "2023-04": 11,
    "2023-10": 10, "2024-04": 16, "2024-10": 22, "2025-04": 22, "2025-10": 14, "2026-04": 14,
}  # fmt: skip

# Fiscal years that begin in March or April; the IMF numbers all others by their last year.
NUMBERED_BY_FIRST_YEAR = ("AFG", "IND", "IRN", "LSO", "MMR")
_FISCAL_YEAR = re.compile(r"(?:FY)?\s*((?:19|20)\d\d)(?:\s*[/-]\s*(\d{4}|\d\d))?(?:\.0)?")
_NAMED = re.compile(r"\b(Apr|Sep|Oct)[a-z]*\.? ?((?:19|20)\d\d)\b", re.IGNORECASE)
_CODED = re.compile(r"\b((?:19|20)\d\d)[-_](04|09|10|APR|SEP|OCT)(?![0-9A-Z])")
_MONTHS = {"04": APRIL, "09": SEPTEMBER, "10": OCTOBER, "apr": APRIL, "sep": SEPTEMBER, "oct": OCTOBER}


def year_of(text: str | None, iso3: str) -> int | None:
    """Return the year of a text such as "2024", or of a fiscal year such as "FY2024/25", as the IMF numbers it."""
    found = _FISCAL_YEAR.fullmatch((text or "").strip())
    if not found:
        return None
    first, last = found[1], found[2] if iso3 not in NUMBERED_BY_FIRST_YEAR else None
    return int(first[: 4 - len(last)] + last) if last else int(first)


def known_day(release: Month | str) -> str | None:
    """Return the day on which a release was published, where that is known."""
    day = PUBLISHED.get(str(release))
    return f"{release}-{day:02}" if day else None


def possible_days(release: Month) -> set[str]:
    """Return the days with which a release may be dated: the known one, and the last of its month."""
    return {known_day(release) or last_day(release), last_day(release)}


def named_in(text: str) -> Month | None:
    """Return the release named in a text: "Database, October 2022", "WEO:2013-04", "WEO_2025_OCT_VINTAGE"."""
    if found := _NAMED.search(text):
        return Month(int(found[2]), _MONTHS[found[1].casefold()])
    if found := _CODED.search(text.replace("WEO_", "WEO ")):
        return Month(int(found[1]), _MONTHS[found[2].casefold()])
    return None


def of_day(day: str) -> Month:
    """Return the release that was published on a day: a day in spring is April's."""
    year, month = int(day[:4]), int(day[5:7])
    return Month(year, APRIL if month < 7 else autumn(year))


def release_on(day: str) -> Month:
    """Return the release that was the current one on a day."""
    releases = releases_between(Month(FIRST_YEAR, APRIL), Month(int(day[:4]), int(day[5:7])))
    published = [release for release in releases if (known_day(release) or last_day(release)) <= day]
    return published[-1] if published else Month(FIRST_YEAR, APRIL)


def autumn(year: int) -> int:
    """Return the month of a year's second release."""
    return SEPTEMBER if year == EARLY_AUTUMN else OCTOBER


def releases_between(first: Month, last: Month) -> Iterator[Month]:
    """Yield the releases from one month to another, in order."""
    for year in range(max(first.year, FIRST_YEAR), last.year + 1):
        yield from (Month(year, month) for month in (APRIL, autumn(year)) if first <= (year, month) <= last)


def dataflow_of(release: Month) -> str:
    """Return the name that a past release's dataflow has in SDMX, if there is one."""
    return f"WEO_{release.year}_{MONTHS[release.month - 1][:3].upper()}_VINTAGE"


# --- bundled releases -------------------------------------------------------------------------------------------------

RELEASES_FILE = PROJECT / "data" / "imf_releases.csv.gz"
LAST_ACTUAL = "last_actual"  # instead of a year: the last year that is no projection, in the IMF's words
SDMX_HEADER = (
    "STRUCTURE_ID,INDICATOR,FREQUENCY,COUNTRY,TIME_PERIOD,OBS_VALUE,PUBLICATION_DATE,LATEST_ACTUAL_ANNUAL_DATA"
)
WHOLE_RELEASE = 1_000  # figures; of the release of April 2026 only those of one year are known


class Row(NamedTuple):
    """A line of the file: a country's figures for one year, one a release, in billions of USD; "" for none."""

    iso3: str
    year: str
    cells: list[str]


class Bundle(NamedTuple):
    """The file: its releases ("2019-04") from oldest to newest, and its rows."""

    releases: list[str]
    rows: list[Row]

    def texts(self, release: str) -> dict[tuple[str, str], str]:
        """Return a release's cells as published, by ISO3 and year; under LAST_ACTUAL the last year that is actual."""
        column = self.releases.index(release)
        return {(row.iso3, row.year): row.cells[column] for row in self.rows if row.cells[column]}

    def is_whole(self, release: str) -> bool:
        """Return whether all that the IMF published is here, within the years that the file has."""
        column = self.releases.index(release)
        return sum(1 for row in self.rows if row.cells[column]) > WHOLE_RELEASE


@cache
def bundle(year: str = "") -> Bundle:
    """Return the bundled releases, or their rows of one year; raises StageError (66) where the file is missing."""
    first, *lines = gzip.decompress(read_bytes(RELEASES_FILE)).decode().splitlines()
    rows = (line.split(",") for line in lines if not year or f",{year}," in line)
    return Bundle(first.split(",")[2:], [Row(iso3, of_year, cells) for iso3, of_year, *cells in rows])


def bundled_answer(release: Month) -> Answer | None:
    """Return a whole bundled release in the form of SDMX's CSV; None for any other."""
    name = str(release)
    if name not in bundle().releases or not bundle().is_whole(name):
        return None
    texts = bundle().texts(name)
    about = f"IMF.RES:{dataflow_of(release)}(1.0.0),NGDPD,A"
    rows = [
        f"{about},{code},{year},{Decimal(text).scaleb(9):f},{known_day(name)},{texts.get((code, LAST_ACTUAL), '')}"
        for (code, year), text in texts.items() if year != LAST_ACTUAL
    ]  # fmt: skip
    return answer_of("\n".join([SDMX_HEADER, *rows, ""]).encode(), "the bundled releases")


def day_of_release(release: str) -> str:
    """Return the day on which a bundled release was published."""
    return f"{release}-{PUBLISHED[release]:02}"
