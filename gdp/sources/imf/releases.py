"""The releases of the IMF's World Economic Outlook: their names, and the day on which each was published."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gdp.sources import Month
from gdp.sources.payloads import last_day
from utils import MONTHS

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
_YEAR = re.compile(r"(?:FY)?\s*((?:19|20)\d\d)(?:\s*[/-]\s*(\d{4}|\d\d))?(?:\.0)?")


def year_of(text: str | None, iso3: str) -> int | None:
    """Return the year of a text such as "2024", or of a fiscal year such as "FY2024/25", as the IMF numbers it."""
    found = _YEAR.fullmatch((text or "").strip())
    if not found:
        return None
    first, last = found[1], found[2] if iso3 not in NUMBERED_BY_FIRST_YEAR else None
    return int(first[: 4 - len(last)] + last) if last else int(first)


def known_day(release: Month) -> str | None:
    """Return the day on which a release was published, where that is known."""
    day = PUBLISHED.get(str(release))
    return f"{release}-{day:02}" if day else None


def possible_days(release: Month) -> set[str]:
    """Return the days with which a release may be dated: the known one, and the last of its month."""
    return {known_day(release) or last_day(release), last_day(release)}


_NAMED = re.compile(r"\b(Apr|Sep|Oct)[a-z]*\.? ?((?:19|20)\d\d)\b", re.IGNORECASE)
_CODED = re.compile(r"\b((?:19|20)\d\d)[-_](04|09|10|APR|SEP|OCT)(?![0-9A-Z])")
_CODES = {"04": APRIL, "09": SEPTEMBER, "10": OCTOBER}


def named_in(text: str) -> Month | None:
    """Return the release named in a text: "Database, October 2022", "WEO:2013-04", "WEO_2025_OCT_VINTAGE"."""
    if found := _NAMED.search(text):
        return Month(int(found[2]), _month(found[1]))
    if found := _CODED.search(text.replace("WEO_", "WEO ")):
        return Month(int(found[1]), _CODES.get(found[2]) or _month(found[2]))
    return None


def _month(name: str) -> int:
    return next(number for number, month in enumerate(MONTHS, 1) if month.startswith(name.capitalize()))


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
        for month in (APRIL, autumn(year)):
            if first <= (year, month) <= last:
                yield Month(year, month)
