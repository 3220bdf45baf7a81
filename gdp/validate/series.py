"""One institution's figures of one vintage, as the checks look at them, and the little arithmetic that they share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gdp.validate.findings import Finding, Notes
from gdp.validate.observations import MILLIONS_A_BILLION, Key, Observations, Statement, is_left_out
from utils import with_commas

MIN_PAIRS = 20  # fewer have no usual ratio
MOST_MOVED = math.log(2)  # the median country between two vintages; seen: 0.08


Statements = Mapping[str, Statement]  # by institution


class Series(NamedTuple):
    """One institution's figures of one vintage, in millions of USD, beside those of the vintage that measures them."""

    part: Observations
    statement: Statement  # every figure that has a source and a known country
    unsourced: dict[Key, float]
    years: list[tuple[int, int]]  # of the headlines: each with how many, the most frequent first
    last: Statement | None = None
    unchanged: int = 0  # of `figures`: how many are those of `last`

    @property
    def institution(self) -> str:
        """Return whose figures they are."""
        return self.part.institution

    @property
    def as_of(self) -> str:
        """Return when they were said."""
        return self.part.as_of

    @property
    def figures(self) -> Mapping[Key, float]:
        """Return every figure whose column has a source."""
        return self.statement.figures

    @property
    def headlines(self) -> dict[str, tuple[int, float]]:
        """Return by country the year and figure that Countries_by_GDP would have."""
        return self.statement.headlines

    def beside(self, last: Statement | None) -> Series:
        """Return the series beside what the vintage that measures it states."""
        return self._replace(last=last, unchanged=self.statement.number_alike(last) if last else 0)

    def finding(
        self,
        check: str,
        fatal: bool,
        seen: str,
        expected: str,
        notes: Mapping[str, str] | Notes | None = None,
        flag: str | None = None,
    ) -> Finding:
        """Return a finding about this series; a Note by country is about that country's headline figure."""
        by_figure: Notes = {
            (key, self.headlines[key][0]) if isinstance(key, str) else key: note for key, note in (notes or {}).items()
        }
        return Finding(check, fatal, self.institution, self.as_of, seen, expected, by_figure, flag=flag)


def series_of(part: Observations) -> Series:
    """Return an institution's observations in a vintage as one series."""
    all_of_them = zip(part.keys, part.millions, part.flags, strict=True)
    unsourced = {key: figure for key, figure, flags in all_of_them if is_left_out(flags)} if any(part.flags) else {}
    years = Counter([year for year, _ in part.statement.headlines.values()]).most_common()
    return Series(part, part.statement, unsourced, years)


# --- words and numbers ------------------------------------------------------------------------------------------------


def median(values: Iterable[float]) -> float:
    """Return the middle value; statistics.median is the same, and its import a third of load's start-up."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def billions(million: float) -> str:
    """Return a figure in millions as messages show it, in billions."""
    return with_commas(million / MILLIONS_A_BILLION)


LEAST = 5.0  # million USD: a row from before millions were kept may have 0.00 billion


def log_ratio(new: float, old: float) -> float:
    """Return the natural logarithm of a ratio of figures."""
    return math.log((new or LEAST) / (old or LEAST))


def log_ratios(pairs: Iterable[tuple[float, float]]) -> list[float]:
    """Return log_ratio of many pairs, a new figure and an old one each; it is called for every figure of an archive."""
    log = math.log
    return [log((new or LEAST) / (old or LEAST)) for new, old in pairs]
