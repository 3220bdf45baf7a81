"""One institution's figures of one vintage, as the checks look at them, and the little arithmetic that they share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gdp.checks.findings import Finding, Notes
from gdp.records import CleanRecord, is_unsourced

MIN_PAIRS = 20  # fewer have no usual ratio
MOST_MOVED = math.log(2)  # the median country between two vintages; seen: 0.08

Key = tuple[str, int]  # country and year


class Statement(NamedTuple):
    """What a publisher states of one institution at one As_of, in billions of USD: what others are measured by.

    `figures` has every figure whose column has a source. `sound` has those that nothing is held against; where
    something is, the one that was said of that country and year before, if any was.
    """

    as_of: str
    figures: Mapping[Key, float]
    sound: Mapping[Key, float]

    @property
    def day(self) -> str:
        """Return the day of the statement, for a message."""
        return self.as_of[:10]


Statements = Mapping[str, Statement]  # by institution


class Series(NamedTuple):
    """One institution's figures of one vintage, in billions of USD, beside those of the vintage that measures them."""

    institution: str
    as_of: str
    records: list[CleanRecord]
    headlines: dict[str, tuple[int, float]]  # by country: the year and figure that Countries_by_GDP would have
    figures: dict[Key, float]  # every figure whose column has a source
    unsourced: dict[Key, float]
    years: list[tuple[int, int]]  # of `headlines`: each with how many, the most frequent first
    last: Statement | None
    unchanged: int  # of `figures`: how many are those of `last`

    def finding(
        self, check: str, fatal: bool, seen: str, expected: str, notes: Mapping[str, str] | Notes | None = None
    ) -> Finding:
        """Return a finding about this series; a Note by country is about that country's headline figure."""
        by_figure: Notes = {
            (key, self.headlines[key][0]) if isinstance(key, str) else key: note for key, note in (notes or {}).items()
        }
        return Finding(check, fatal, self.institution, self.as_of, seen, expected, by_figure)


def series_of(institution: str, records: list[CleanRecord], last: Statement | None = None) -> Series:
    """Return an institution's figures as one series, beside its statement in the vintage that measures them."""
    figures: dict[Key, float] = {}
    unsourced: dict[Key, float] = {}
    for record in records:
        series = unsourced if is_unsourced(record["Note"]) else figures
        series[record["Country"], record["Year"]] = record["GDP_USD_billion"]
    as_of = records[0]["As_of"]
    headlines = headlines_of(figures, as_of)
    years = Counter([year for year, _ in headlines.values()]).most_common()
    unchanged = len(figures.items() & last.figures.items()) if last else 0
    return Series(institution, as_of, records, headlines, figures, unsourced, years, last, unchanged)


def headlines_of(figures: Mapping[Key, float], as_of: str) -> dict[str, tuple[int, float]]:
    """Return by country the year and figure that stand for it: of As_of's year, else the nearest before, else after."""
    now = int(as_of[:4])
    chosen: dict[str, tuple[int, float]] = {}
    for (country, year), figure in figures.items():
        other = chosen.get(country)
        if other is None or _distance(year, now) < _distance(other[0], now):
            chosen[country] = year, figure
    return chosen


def _distance(year: int, now: int) -> tuple[bool, int]:
    return year > now, abs(year - now)


# --- words and numbers ------------------------------------------------------------------------------------------------


def median(values: Iterable[float]) -> float:
    """Return the middle value; statistics.median is the same, and its import a third of load's start-up."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def log_ratio(new: float, old: float) -> float:
    """Return the natural logarithm of a ratio of figures."""
    # 0.00 is less than half a hundredth of a billion; the smallest economies are rounded to it
    return math.log((new or 0.005) / (old or 0.005))
