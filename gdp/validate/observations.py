"""The observations of one institution in one vintage: a list a field, which is read and compared faster than records.

Figures are in millions of US dollars, as published; of a row from before millions were kept, from its billions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain, groupby
from math import log
from operator import itemgetter
from typing import Any

from gdp import model
from gdp.model import CLEAN_FIELDS, CleanRecord, has_flag, publisher_of, source_flags
from gdp.validate.thresholds import ROUNDED_BILLION_USD, ROUNDING_MILLION_USD

Key = tuple[str, int]  # country and reference year; of a release, ISO code and reference year
Row = dict[str, Any]
HEAD = ("As_of", "Source", "Institution")  # the same for all observations of a vintage's institution
NEAREST_YEARS = (-1, -2, 1, -3)  # in which a figure for another year is looked for, in this order
VARYING = tuple(name for name in CLEAN_FIELDS if name not in HEAD)
MILLIONS_A_BILLION = 1000
LEAST_MILLION_USD = 5.0  # half a hundredth of a billion, to which older rows are rounded
A_DOLLAR = 1e-6  # no figure is less; a ratio to 1e-320 is no number
Facts = tuple[float, float | None, str | None, str | None]
"""What was published of a figure: billions, millions, the flags that the source set, and Status."""

Columns = dict[str, list[Any]]  # by VARYING, all of the same length


class Observations:
    """What a vintage has of one institution."""

    def __init__(self, as_of: str, source: str, institution: str, columns: Columns) -> None:
        self.as_of, self.source, self.institution, self.columns = as_of, source, institution, columns
        self.head = as_of, source, institution
        self.countries: list[str] = columns["Country"]
        self.codes: list[str | None] = columns["ISO3"]
        self.years: list[int] = columns["Year"]
        self.flags: list[str | None] = columns["Flags"]

    def __len__(self) -> int:
        return len(self.countries)

    @cached_property
    def keys(self) -> list[Key]:
        """The country and reference year of each observation."""
        return list(zip(self.countries, self.years, strict=True))

    @cached_property
    def millions(self) -> list[float]:
        """The figure of each observation in millions of USD."""
        millions = self.columns["GDP_USD_million"]
        return list(map(million_of, millions, self.columns["GDP_USD_billion"])) if None in millions else millions

    @property
    def is_unflagged(self) -> bool:
        """Whether no observation has a flag."""
        return self.flags.count(None) == len(self)

    @cached_property
    def published_flags(self) -> list[str | None]:
        """The flags that the source set."""
        return self.flags if self.is_unflagged else list(map(source_flags, self.flags))

    @cached_property
    def facts(self) -> list[Facts]:
        """What was published of each observation: the figure, the page's marks and Status."""
        billions, millions, statuses = map(self.columns.get, ("GDP_USD_billion", "GDP_USD_million", "Status"))
        return list(zip(billions, millions, self.published_flags, statuses, strict=True))  # type: ignore[arg-type]

    @cached_property
    def _million_of(self) -> dict[Key, float]:
        return dict(zip(self.keys, self.millions, strict=True))

    @property
    def has_each_once(self) -> bool:
        """Whether no country has two figures of a year."""
        return len(self._million_of) == len(self)

    @cached_property
    def statement(self) -> Statement:
        """The figures that have a source and a known country: what other vintages are compared with."""
        every = zip(self.keys, self.millions, self.flags, strict=True)
        if self.is_unflagged:
            return Statement(self.as_of, self._million_of)
        return Statement(self.as_of, {key: figure for key, figure, flags in every if not is_left_out(flags)})

    @cached_property
    def unsourced(self) -> dict[Key, float]:
        """The figures that have no source, or that the page disputes."""
        marked = () if self.is_unflagged else zip(self.keys, self.millions, self.flags, strict=True)
        return {key: figure for key, figure, flags in marked if has_flag(flags, model.UNSOURCED, model.DISPUTED)}

    @cached_property
    def iso3_of(self) -> dict[str, str]:
        """The ISO code by country, empty for an unknown name."""
        return {country: code or "" for country, code in zip(self.countries, self.codes, strict=True)}

    @cached_property
    def headline_codes(self) -> list[Key]:
        """The ISO code and year of each headline."""
        iso3_of = self.iso3_of
        return [(iso3_of[country], year) for country, year in self.statement.headline_keys]

    @cached_property
    def headlines_by_code(self) -> set[Key]:
        """The ISO code and the figure in whole millions of each headline."""
        codes = map(self.iso3_of.__getitem__, self.statement.headlines)
        return set(zip(codes, self.statement.whole_headlines, strict=True))

    @cached_property
    def headline_years(self) -> list[tuple[int, int]]:
        """The years of the headlines, each with its number of countries, the most frequent first."""
        return Counter([year for _, year in self.statement.headline_keys]).most_common()

    @property
    def publisher(self) -> str:
        """Who published the vintage."""
        return publisher_of(self.source)

    @cached_property
    def rounding(self) -> float:
        """The distance, in millions, that rounding alone can make between a figure here and the same elsewhere."""
        return ROUNDED_BILLION_USD if None in self.columns["GDP_USD_million"] else ROUNDING_MILLION_USD

    def rows(self) -> list[Row]:
        """Return the observations one by one, each by field name."""
        return [dict(zip(VARYING, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]

    def with_rows(self, rows: Sequence[Mapping[str, Any]]) -> Observations:
        """Return the same institution and vintage with other observations, at least one."""
        return Observations(*self.head, {name: [row[name] for row in rows] for name in VARYING})

    def extend(self, more: Observations) -> None:
        """Add further observations of the same institution and vintage."""
        for name, values in more.columns.items():
            self.columns[name].extend(values)


class Statement:
    """A list of figures that others are compared with, in millions, by country and year: of an institution's vintage.

    `name` is what a message calls it. A release of the IMF's has its figures by ISO code and year.
    """

    is_release = False

    def __init__(self, as_of: str, figures: Mapping[Key, float], name: str = "") -> None:
        self.as_of, self._figures = as_of, figures
        self.day = as_of[:10]
        self.name = name or f"the vintage of {self.day}"

    @cached_property
    def figures(self) -> Mapping[Key, float]:
        """The figures."""
        return self._figures

    @cached_property
    def headlines(self) -> dict[str, tuple[int, float]]:
        """By country: the year and figure that Countries_by_GDP would have."""
        return headlines_of(self.figures, self.as_of)

    @cached_property
    def headline_keys(self) -> list[Key]:
        """The country and year of each headline."""
        return [(country, year) for country, (year, _) in self.headlines.items()]

    @cached_property
    def headline_figures(self) -> list[float]:
        """The figure of each headline."""
        return [figure for _, figure in self.headlines.values()]

    @cached_property
    def headline_logs(self) -> list[float]:
        """The natural logarithm of the figure of each headline."""
        return logs_of(self.headline_figures)

    @cached_property
    def log_of(self) -> dict[str, float]:
        """The natural logarithm of the headline of each country."""
        return dict(zip(self.headlines, self.headline_logs, strict=True))

    @cached_property
    def whole_headlines(self) -> list[int]:
        """The figure of each headline in whole millions."""
        return list(map(round, self.headline_figures))

    @cached_property
    def by_country(self) -> set[Key]:
        """The country and the figure in whole millions of each headline: a copy may have another year."""
        return set(zip(self.headlines, self.whole_headlines, strict=True))

    @cached_property
    def of_each(self) -> set[Key]:
        """The country and the figure in whole millions of each figure, for any year."""
        if len(self.headlines) == len(self.figures):
            return self.by_country
        return {(country, round(figure)) for (country, _), figure in self.figures.items()}

    @cached_property
    def country_of(self) -> dict[tuple[float, int], str]:
        """A country that has a figure for a year, by figure and year."""
        return {(figure, year): country for (country, year), figure in self.figures.items()}


Statements = Mapping[str, Statement]  # by institution


def is_left_out(flags: str | None) -> bool:
    """Return whether a figure is no headline, and so not compared."""
    return has_flag(flags, *model.NOT_A_HEADLINE)


def million_of(million: float | None, billion: float) -> float:
    """Return a figure in millions, from its billions if the millions are not known."""
    return billion * MILLIONS_A_BILLION if million is None else million


def observations_in(records: Iterable[CleanRecord]) -> list[Observations]:
    """Return records by As_of, Source and institution, in their order."""
    found = []
    for head, some in groupby(records, key=itemgetter(*HEAD)):
        (as_of, source, institution), rows = head, list(some)
        columns = {name: [row.get(name) for row in rows] for name in VARYING}
        found.append(Observations(as_of, source, institution, columns))
    return join_parts(found)


def join_parts(parts: Iterable[Observations]) -> list[Observations]:
    """Return parts with those of one As_of, Source and institution joined."""
    found: dict[tuple[str, str, str], Observations] = {}
    for part in parts:
        known = found.setdefault(part.head, part)
        if known is not part:
            known.extend(part)
    return list(found.values())


def headlines_of(figures: Mapping[Key, float], as_of: str) -> dict[str, tuple[int, float]]:
    """Return by country the year and figure of its headline: of As_of's year, else the nearest before, else after."""
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


class Baseline:
    """The last figure of each country and year that nothing was found against, in millions of USD.

    Figures from before a load are asked for when one of them is needed, once.
    """

    def __init__(self, older: Callable[[], Iterable[tuple[Key, float]]]) -> None:
        self._figures: dict[Key, float] = {}
        self._older: Callable[[], Iterable[tuple[Key, float]]] | None = older

    def add(self, figures: Iterable[tuple[Key, float]]) -> None:
        """Add newer figures that nothing was found against."""
        self._figures.update(figures)

    def of(self, keys: Iterable[Key]) -> list[float | None]:
        """Return the figure of each key, or None where there is none."""
        wanted = list(keys)
        found = list(map(self._figures.get, wanted))
        if self._older and None in found:
            self._figures = {**dict(self._older()), **self._figures}
            self._older = None
            found = list(map(self._figures.get, wanted))
        return found

    def nearest(self, keys: Iterable[Key]) -> dict[Key, tuple[float, int]]:
        """Return the figure of each key, or the country's for the nearest year, and how many years that one is off."""
        left = list(keys)
        nearest: dict[Key, tuple[float, int]] = {}
        for step in (0, *NEAREST_YEARS) if left else ():
            found = self.of([(country, year + step) for country, year in left])
            nearest |= {key: (figure, step) for key, figure in zip(left, found, strict=True) if figure is not None}
            left = [key for key in left if key not in nearest]
        return nearest


def median(values: Iterable[float]) -> float:
    """Return the middle value; statistics.median is the same, and its import a third of load's start-up."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def logs_of(figures: Collection[float]) -> list[float]:
    """Return the natural logarithm of each figure; 0.00 billion counts as half a hundredth of one."""
    if min(figures, default=A_DOLLAR) >= A_DOLLAR:
        return list(map(log, figures))
    return [log(max(figure or LEAST_MILLION_USD, A_DOLLAR)) for figure in figures]


def change(new: float, old: float) -> float:
    """Return the natural logarithm of a ratio of figures; 0.00 billion counts as half a hundredth of one."""
    return log(max(new or LEAST_MILLION_USD, A_DOLLAR) / max(old or LEAST_MILLION_USD, A_DOLLAR))


def changes_of(new: Collection[float], old: Collection[float]) -> list[float]:
    """Return the change of each figure from an old one."""
    if min(chain(new, old), default=A_DOLLAR) < A_DOLLAR:
        return list(map(change, new, old))
    return [log(one / other) if one != other else 0.0 for one, other in zip(new, old, strict=True)]
