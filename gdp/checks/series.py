"""One institution's figures of one vintage, as the checks look at them, and the little arithmetic that they share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

from gdp.checks.findings import Finding, Notes
from gdp.checks.said import Key, Said
from gdp.records import is_unsourced

MIN_PAIRS = 20  # fewer have no usual ratio
MOST_MOVED = math.log(2)  # the median country between two vintages; seen: 0.08


class Statement:
    """What a publisher states of one institution at one As_of, in billions of USD: what others are measured by.

    `figures` has every figure whose column has a source. `sound` has those that nothing is held against; where
    something is, the one that was said of that country and year before, if any was. They are not changed any more:
    what follows from them is asked for again and again.
    """

    def __init__(self, as_of: str, figures: Mapping[Key, float], sound: Mapping[Key, float]) -> None:
        self.as_of, self.figures, self.sound = as_of, figures, sound

    @property
    def day(self) -> str:
        """Return the day of the statement, for a message."""
        return self.as_of[:10]

    @cached_property
    def headlines(self) -> dict[str, tuple[int, float]]:
        """By country: the year and figure that Countries_by_GDP would have."""
        return headlines_of(self.figures, self.as_of)

    @cached_property
    def by_country(self) -> set[tuple[str, float]]:
        """The headline figures whatever their years: a copy may stand under another year."""
        return {(country, figure) for country, (_, figure) in self.headlines.items()}

    @cached_property
    def every_year(self) -> set[tuple[str, float]]:
        """Every figure, whatever its year."""
        if len(self.headlines) == len(self.figures):
            return self.by_country
        return {(country, figure) for (country, _), figure in self.figures.items()}


Statements = Mapping[str, Statement]  # by institution


class Series(NamedTuple):
    """One institution's figures of one vintage, in billions of USD, beside those of the vintage that measures them."""

    said: Said
    stated: Statement  # every figure whose column has a source
    unsourced: dict[Key, float]
    years: list[tuple[int, int]]  # of the headlines: each with how many, the most frequent first
    last: Statement | None = None
    unchanged: int = 0  # of `figures`: how many are those of `last`

    @property
    def institution(self) -> str:
        """Return whose figures they are."""
        return self.said.institution

    @property
    def as_of(self) -> str:
        """Return when they were said."""
        return self.said.as_of

    @property
    def figures(self) -> Mapping[Key, float]:
        """Return every figure whose column has a source."""
        return self.stated.figures

    @property
    def headlines(self) -> dict[str, tuple[int, float]]:
        """Return by country the year and figure that Countries_by_GDP would have."""
        return self.stated.headlines

    def beside(self, last: Statement | None) -> Series:
        """Return the series beside what the vintage that measures it states."""
        unchanged = len(self.figures.items() & last.figures.items()) if last else 0
        return self._replace(last=last, unchanged=unchanged)

    def finding(
        self, check: str, fatal: bool, seen: str, expected: str, notes: Mapping[str, str] | Notes | None = None
    ) -> Finding:
        """Return a finding about this series; a Note by country is about that country's headline figure."""
        by_figure: Notes = {
            (key, self.headlines[key][0]) if isinstance(key, str) else key: note for key, note in (notes or {}).items()
        }
        return Finding(check, fatal, self.institution, self.as_of, seen, expected, by_figure)


def series_of(said: Said) -> Series:
    """Return what a vintage says of an institution as one series."""
    figures: dict[Key, float] = dict(zip(said.keys, said.figures, strict=True))
    unsourced: dict[Key, float] = {}
    if any(said.notes):
        sourced = [not is_unsourced(note) for note in said.notes]
        unsourced = {key: figure for key, figure, has in zip(said.keys, said.figures, sourced, strict=True) if not has}
        figures = {key: figure for key, figure, has in zip(said.keys, said.figures, sourced, strict=True) if has}
    stated = Statement(said.as_of, figures, figures)
    years = Counter([year for year, _ in stated.headlines.values()]).most_common()
    return Series(said, stated, unsourced, years)


def headlines_of(figures: Mapping[Key, float], as_of: str) -> dict[str, tuple[int, float]]:
    """Return by country the year and figure that stand for it: of As_of's year, else the nearest before, else after."""
    now = int(as_of[:4])
    chosen = {country: (year, figure) for (country, year), figure in figures.items()}
    if len(chosen) == len(figures):
        return chosen
    distances = {year: (year > now, abs(year - now)) for _, year in figures}
    chosen = {}
    for (country, year), figure in figures.items():
        other = chosen.get(country)
        if other is None or distances[year] < distances[other[0]]:
            chosen[country] = year, figure
    return chosen


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
