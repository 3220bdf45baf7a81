"""What a vintage says of one institution, and what it states by that: what others are measured by.

It is kept a list a field, which is read, packed and compared faster than a record at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from functools import cached_property
from itertools import groupby
from operator import eq, itemgetter
from typing import NamedTuple

from gdp.records import CleanRecord, is_unsourced

Key = tuple[str, int]  # country and year


class Row(NamedTuple):
    """What is said of one figure, in billions of USD."""

    country: str
    code: str | None
    region: str | None
    subregion: str | None
    year: int
    figure: float
    note: str | None
    status: str | None


class Statement:
    """What a publisher states of one institution at one As_of, in billions of USD: what others are measured by.

    `figures` has every figure whose column has a source. `sound` has those that nothing is held against; where
    something is, the one that was said of that country and year before, if any was. They are not changed any more:
    what follows from them is asked for again and again.
    """

    def __init__(self, as_of: str, figures: Mapping[Key, float], sound: Mapping[Key, float]) -> None:
        self.as_of, self.figures, self.sound = as_of, figures, sound
        self._alike: tuple[Mapping[Key, float], int] | None = None  # as many figures as those that were compared last

    def with_sound(self, sound: Mapping[Key, float]) -> Statement:
        """Return the same, with what is known by now of the figures in doubt; what follows from the others is kept."""
        other = copy(self)
        other.sound = sound
        return other

    @property
    def day(self) -> str:
        """Return the day of the statement, for a message."""
        return self.as_of[:10]

    def number_alike(self, other: Statement) -> int:
        """Return how many figures are the very same in another statement."""
        if self._alike is None or self._alike[0] is not other.figures:
            others = map(other.figures.get, self.figures)
            self._alike = other.figures, sum(map(eq, others, self.figures.values()))
        return self._alike[1]

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


class _Fields(NamedTuple):
    as_of: str
    source: str
    institution: str
    countries: list[str]
    codes: list[str | None]
    regions: list[str | None]
    subregions: list[str | None]
    years: list[int]
    figures: list[float]
    notes: list[str | None]
    statuses: list[str | None]


class Said(_Fields):
    """What a vintage says of one institution: lists of the same length, the fields of a Row each."""

    @cached_property
    def keys(self) -> list[Key]:
        """Return the country and year of each figure."""
        return list(zip(self.countries, self.years, strict=True))

    @cached_property
    def has_each_once(self) -> bool:
        """Tell whether no country has two figures of a year."""
        return len(dict.fromkeys(self.keys)) == len(self.years)

    @cached_property
    def stated(self) -> Statement:
        """What this states: the figures whose column has a source, until something is held against one."""
        figures = dict(zip(self.keys, self.figures, strict=True))
        if any(self.notes):
            noted = zip(self.keys, self.figures, self.notes, strict=True)
            figures = {key: figure for key, figure, note in noted if not is_unsourced(note)}
        return Statement(self.as_of, figures, figures)

    def rows(self) -> list[Row]:
        """Return what is said figure by figure."""
        return list(map(Row._make, zip(*self[3:], strict=True)))

    def with_rows(self, rows: Iterable[Iterable[object]]) -> Said:
        """Return the same said of other figures, of one at least."""
        return Said._make([*self[:3], *map(list, zip(*rows, strict=True))])

    def add(self, more: Said) -> None:
        """Add what the same vintage says further on."""
        for mine, others in zip(self[3:], more[3:], strict=True):
            mine.extend(others)  # type: ignore[attr-defined]


def said_in(records: Iterable[CleanRecord]) -> list[Said]:
    """Return what records say, by As_of, Source and institution, in their order."""
    found: list[Said] = []
    for head, some in groupby(records, key=_head):
        fields = [(*_fields(record), record.get("Status")) for record in some]
        found.append(Said._make([*head, *map(list, zip(*fields, strict=True))]))
    return put_together(found)


def put_together(parts: Iterable[Said]) -> list[Said]:
    """Return parts of what is said, those of one As_of, Source and institution together."""
    found: dict[tuple[object, ...], Said] = {}
    for part in parts:
        if found.setdefault(part[:3], part) is not part:
            found[part[:3]].add(part)
    return list(found.values())


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


_head = itemgetter("As_of", "Source", "Institution")
_fields = itemgetter("Country", "ISO3", "Region", "Subregion", "Year", "GDP_USD_billion", "Note")
