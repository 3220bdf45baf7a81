"""What a vintage says of one institution, a list a field: read, packed and compared faster than a record at a time."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from gdp.records import CleanRecord

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


class Said(NamedTuple):
    """What a vintage says of one institution: lists of the same length, the fields of a Row each."""

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

    @property
    def keys(self) -> list[Key]:
        """Return the country and year of each figure."""
        return list(zip(self.countries, self.years, strict=True))

    @property
    def has_each_once(self) -> bool:
        """Tell whether no country has two figures of a year."""
        return len(set(self.keys)) == len(self.years)

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
    return joined(found)


def joined(parts: Iterable[Said]) -> list[Said]:
    """Return parts of what is said, those of one As_of, Source and institution together."""
    found: dict[tuple[object, ...], Said] = {}
    for part in parts:
        if found.setdefault(part[:3], part) is not part:
            found[part[:3]].add(part)
    return list(found.values())


_head = itemgetter("As_of", "Source", "Institution")
_fields = itemgetter("Country", "ISO3", "Region", "Subregion", "Year", "GDP_USD_billion", "Note")
