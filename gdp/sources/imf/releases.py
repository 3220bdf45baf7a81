"""The releases of the IMF's World Economic Outlook: what they are called, and on which day each was published."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from utils import MONTHS

APRIL, SEPTEMBER, OCTOBER = 4, 9, 10
EARLY_AUTUMN = 2011  # the one year whose second release came in September
FIRST_YEAR = 1990  # before there was a database to release


class ReleaseMonth(NamedTuple):
    """The year and month that name a release: the World Economic Outlook of October 2024."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02}"


# In April 2020 six series were published, and nominal GDP was none of them.
WITHOUT_GDP = ReleaseMonth(2020, APRIL)

# The days on which the IMF presented each release to the press, and put its database online. To 2018 by the transcripts
# and recordings of those conferences (imf.org/external/np/tr/…, UN and agency footage); from 2019 on also by the
# PUBLICATION_DATE of SDMX and lists of others. Releases for which none was found are not here: 2007-10, 2010-04,
# 2012-10, 2016-10.
PUBLISHED = {
    "2008-04": 9, "2008-10": 8, "2009-04": 22, "2009-10": 1, "2010-10": 6, "2011-04": 11, "2011-09": 20,
    "2012-04": 17, "2013-04": 16, "2013-10": 8, "2014-04": 8, "2014-10": 7, "2015-04": 14, "2015-10": 6,
    "2016-04": 12, "2017-04": 18, "2017-10": 10, "2018-04": 17, "2018-10": 9, "2019-04": 9, "2019-10": 15,
    "2020-04": 14, "2020-10": 13, "2021-04": 6, "2021-10": 12, "2022-04": 19, "2022-10": 11, "2023-04": 11,
    "2023-10": 10, "2024-04": 16, "2024-10": 22, "2025-04": 22, "2025-10": 14, "2026-04": 14,
}  # fmt: skip


def known_day(release: ReleaseMonth) -> str | None:
    """Return the day on which a release was published, where that is known."""
    day = PUBLISHED.get(str(release))
    return f"{release}-{day:02}" if day else None


def last_day(year: int, month: int) -> str:
    """Return the last day of a month: what is said to be of a month was known by then, and maybe not before."""
    return f"{year}-{month:02}-{calendar.monthrange(year, month)[1]}"


_NAMED = re.compile(r"\b(Apr|Sep|Oct)[a-z]*\.? ?((?:19|20)\d\d)\b", re.IGNORECASE)
_CODED = re.compile(r"\b((?:19|20)\d\d)[-_](04|09|10|APR|SEP|OCT)(?![0-9A-Z])")
_CODES = {"04": APRIL, "09": SEPTEMBER, "10": OCTOBER}


def named_in(text: str) -> ReleaseMonth | None:
    """Return the release that a text names: "Database, October 2022", "WEO:2013-04", "WEO_2025_OCT_VINTAGE"."""
    if found := _NAMED.search(text):
        return ReleaseMonth(int(found[2]), _month(found[1]))
    if found := _CODED.search(text.replace("WEO_", "WEO ")):
        return ReleaseMonth(int(found[1]), _CODES.get(found[2]) or _month(found[2]))
    return None


def _month(name: str) -> int:
    return next(number for number, month in enumerate(MONTHS, 1) if month.startswith(name.capitalize()))


def of_day(day: str) -> ReleaseMonth:
    """Return the release that was published on a day: what came out in spring is April's."""
    year, month = int(day[:4]), int(day[5:7])
    return ReleaseMonth(year, APRIL if month < 7 else autumn(year))


def autumn(year: int) -> int:
    """Return the month of a year's second release."""
    return SEPTEMBER if year == EARLY_AUTUMN else OCTOBER


def releases_between(first: ReleaseMonth, last: ReleaseMonth) -> Iterator[ReleaseMonth]:
    """Yield the releases from one month to another, in order."""
    for year in range(max(first.year, FIRST_YEAR), last.year + 1):
        for month in (APRIL, autumn(year)):
            if first <= (year, month) <= last:
                yield ReleaseMonth(year, month)


def month_span(text: str) -> tuple[ReleaseMonth, ReleaseMonth]:
    """Return the first and last month of "2013-04" or "2007-10..2026-04"; raises ValueError for what is neither."""
    first, dots, last = text.partition("..")
    span = _year_month(first), _year_month(last if dots else first)
    if span[0] > span[1]:
        raise ValueError(text)
    return span


def _year_month(text: str) -> ReleaseMonth:
    if not re.fullmatch(r"\d{4}-\d\d", text):
        raise ValueError(text)
    day = date.fromisoformat(f"{text}-01")
    return ReleaseMonth(day.year, day.month)


_AMERICAN_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")


def day_of(text: str) -> str | None:
    """Return the day in a text, as YYYY-MM-DD: "2025-10-14T13:00:00Z", or "11/13/2024" as Americans and Excel write."""
    found = _AMERICAN_DAY.match(text.strip())
    day = f"{found[3]}-{int(found[1]):02}-{int(found[2]):02}" if found else text.strip()[:10]
    try:
        return date.fromisoformat(day).isoformat() if re.fullmatch(r"\d{4}-\d\d-\d\d", day) else None
    except ValueError:
        return None
