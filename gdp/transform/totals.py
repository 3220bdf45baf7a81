"""Totals of many raw records: how many had which fate, control sums, unknown names, the first rejects."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gdp.transform.rules import Fate
from utils import MAX_NAMED

BROKEN = "no record"  # the fate of a line that is no raw record at all
MAX_UNKNOWN = 25  # unknown names that are remembered for messages; no real page has one

Sums = dict[str, list[int]]  # by As_of, year and institution: hundredths of a billion, of the countries and of World


class ControlTotal(NamedTuple):
    """The sum of an institution's countries, and its World row, both in billions of US dollars."""

    as_of: str
    institution: str
    year: int
    countries: float
    world: float

    def as_json(self) -> dict[str, Any]:
        """Return the World row as results/Checks.json has it, in millions of USD."""
        million = round(self.world * 1000, 1)
        return {"Institution": self.institution, "As_of": self.as_of, "Year": self.year, "GDP_USD_million": million}


class Totals:
    """Totals of raw records, added up chunk by chunk; `saved` is what an earlier one's as_json returned."""

    def __init__(self, saved: Mapping[str, Any] | None = None) -> None:
        saved = saved or {"counts": {}, "sums": {}, "unknown": [], "first_rejects": []}
        self.counts: Counter[str] = Counter(saved["counts"])
        self.sums: Sums = dict(saved["sums"])
        self.unknown: list[str] = list(saved["unknown"])
        self.first_rejects: list[str] = list(saved["first_rejects"])

    def sums_of(self, name: str) -> list[int]:
        """Return the sums of a name, which may be changed: those of the countries and of World."""
        return self.sums.setdefault(name, [0, 0])

    def add(self, more: Totals) -> None:
        """Add the totals of more records."""
        self.counts.update(more.counts)
        for name, (countries, world) in more.sums.items():
            before = self.sums.get(name, [0, 0])
            self.sums[name] = [before[0] + countries, world or before[1]]
        self.unknown = list(dict.fromkeys([*self.unknown, *more.unknown]))[:MAX_UNKNOWN]
        self.first_rejects = [*self.first_rejects, *more.first_rejects][:MAX_NAMED]

    def as_json(self) -> dict[str, Any]:
        """Return the totals as a JSON object."""
        return vars(self)

    @property
    def by_fate(self) -> dict[str, int]:
        """How many records had each fate, in the order of Fate; fates of no record are left out."""
        return {fate: self.counts[fate] for fate in (*map(str, Fate), BROKEN) if self.counts[fate]}

    @property
    def left_out(self) -> dict[str, int]:
        """How many records gave no row, by reason: `by_fate` without the clean ones."""
        return {fate: count for fate, count in self.by_fate.items() if fate != Fate.CLEAN.value}

    @property
    def total(self) -> int:
        """How many records there were."""
        return self.counts.total()

    @property
    def written(self) -> int:
        """How many records gave a clean record."""
        return self.counts[Fate.CLEAN.value]

    @property
    def rejected(self) -> int:
        """How many records were rejected."""
        return self.counts[Fate.REJECTED.value] + self.counts[BROKEN]

    @property
    def newest(self) -> str:
        """The newest As_of of a figure, or an empty text where there is no figure."""
        return max((name.partition(" ")[0] for name in self.sums), default="")

    def control_totals(self) -> Iterator[ControlTotal]:
        """Yield the sum of the countries of each institution and As_of, and its World row.

        A column may have figures for other years, so all of them are compared with the only World row of a page. Where
        there are several World rows, one a year, each is compared with the countries of its year.
        """
        of_series: dict[tuple[str, str], dict[int, list[int]]] = defaultdict(dict)
        for name, cents in self.sums.items():
            as_of, stated_year, institution = name.split(" ", 2)
            of_series[as_of, institution][int(stated_year)] = cents
        for (as_of, institution), by_year in sorted(of_series.items()):
            worlds = {year: world for year, (_, world) in by_year.items() if world}
            for year, world in sorted(worlds.items()):
                years = list(by_year) if len(worlds) == 1 else [year]
                countries = sum(by_year[one][0] for one in years)
                yield ControlTotal(as_of, institution, year, countries / 100, world / 100)
