"""One institution's figures of one vintage, as the checks look at them, and the little arithmetic that they share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gdp.checks.findings import Finding, Notes
from gdp.records import CleanRecord, is_unsourced

MIN_PAIRS = 20  # fewer have no usual ratio
MOST_MOVED = math.log(2)  # the median country between two loads; seen: 0.08

Key = tuple[str, int]  # country and year


class Series(NamedTuple):
    """One institution's figures of one vintage, and those of the last load: by country, a year and billions of USD."""

    institution: str
    as_of: str
    records: list[CleanRecord]
    figures: dict[str, tuple[int, float]]
    all_figures: dict[tuple[str, int], float]
    years: list[tuple[int, int]]  # of `figures`: each with how many, the most frequent first
    before: dict[tuple[str, int], float]
    before_as_of: str | None
    unchanged: int  # of `all_figures`: how many are those of before

    def finding(
        self, check: str, fatal: bool, seen: str, expected: str, notes: dict[str, str] | Notes | None = None
    ) -> Finding:
        """Return a finding about this series; a Note by country is about that country's figure in `figures`."""
        by_figure: Notes = {
            (key, self.figures[key][0]) if isinstance(key, str) else key: note for key, note in (notes or {}).items()
        }
        return Finding(check, fatal, self.institution, self.as_of, seen, expected, by_figure)


Before = dict[str, tuple[str, dict[tuple[str, int], float]]]


def series_of(institution: str, own: list[CleanRecord], before: Before) -> Series:
    """Return an institution's figures, of several years the one that feeds Countries_by_GDP, and those of before."""
    all_figures = {(r["Country"], r["Year"]): r["GDP_USD_billion"] for r in own}
    sourced = {(r["Country"], r["Year"]): r["GDP_USD_billion"] for r in own if not is_unsourced(r["Note"])}
    figures = headlines_of(
        sourced or all_figures, own[0]["As_of"]
    )  # a column that nobody sources is judged all the same
    years = Counter([year for year, _ in figures.values()]).most_common()
    before_as_of, figures_before = before.get(institution, (None, {}))
    unchanged = len(all_figures.items() & figures_before.items())
    as_of = own[0]["As_of"]
    return Series(institution, as_of, own, figures, all_figures, years, figures_before, before_as_of, unchanged)


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


def day_of(as_of: str | None) -> str:
    """Return the day of an As_of, for a message."""
    return (as_of or "never")[:10]
