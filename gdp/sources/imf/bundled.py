"""The IMF's releases that come with the suite: nominal GDP by country, year and release, since April 2019.

They are a second witness when a page is checked, and the answer to `extract.py --release` where there is no network.
tests/make_imf_releases.py writes the file; docs/data.md has its provenance.
"""

from __future__ import annotations

import gzip
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from gdp.sources import Answer, Month
from gdp.sources.imf.releases import PUBLISHED
from utils import PROJECT, read_bytes

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
        return len(self.texts(release)) > WHOLE_RELEASE

    def released_before(self, as_of: str) -> list[str]:
        """Return the releases that were published before an As_of, from oldest to newest."""
        return [release for release in self.releases if day_of_release(release) < as_of]


@cache
def bundle() -> Bundle:
    """Return the bundled releases, read once a process; raises StageError (66) where the file is missing."""
    return _bundle_of(_lines())


@cache
def last_actual_years() -> Bundle:
    """Return the bundled releases with their last actual years only: two hundred of ten thousand rows."""
    first, *lines = _lines()
    return _bundle_of([first, *(line for line in lines if f",{LAST_ACTUAL}," in line)])


@cache
def _lines() -> list[str]:
    return gzip.decompress(read_bytes(RELEASES_FILE)).decode().splitlines()


def _bundle_of(lines: list[str]) -> Bundle:
    rows = (line.split(",") for line in lines[1:])
    return Bundle(lines[0].split(",")[2:], [Row(iso3, year, cells) for iso3, year, *cells in rows])


def bundled_answer(release: Month) -> Answer | None:
    """Return a whole bundled release in the form of SDMX's CSV; None for any other."""
    from gdp.sources.imf.sdmx import dataflow_of  # the checks read the bundle without it
    from gdp.sources.payloads import page_of_download

    name = str(release)
    if name not in bundle().releases or not bundle().is_whole(name):
        return None
    texts = bundle().texts(name)
    last_actual = {code: text for (code, year), text in texts.items() if year == LAST_ACTUAL}
    about = f"IMF.RES:{dataflow_of(release)}(1.0.0),NGDPD,A"
    rows = [
        f"{about},{code},{year},{Decimal(text).scaleb(9):f},{day_of_release(name)},{last_actual.get(code, '')}"
        for (code, year), text in texts.items() if year != LAST_ACTUAL
    ]  # fmt: skip
    content = "\n".join([SDMX_HEADER, *rows, ""]).encode()
    return Answer(page_of_download(content, "the bundled releases"), "the bundled releases")


def day_of_release(release: str) -> str:
    """Return the day on which a bundled release was published."""
    return f"{release}-{PUBLISHED[release]:02}"
