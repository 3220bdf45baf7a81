"""A series while its vintages come in order: what stands is in memory, and each row is written once, when it is over.

A series is what one publisher says of one institution. So an archive whose every figure is new costs a row a figure:
nothing of it is asked for, deleted or written again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

from gdp.checks.findings import is_doubted, note_without_checks
from gdp.checks.said import Key, Said
from gdp.checks.series import Statement
from gdp.records import is_unsourced
from gdp.store.tables import STANDS
from gdp.store.vintages import Vintage

Facts = tuple[float, str | None, str | None]


class Estimate(NamedTuple):
    """A row of GDP_Estimates."""

    As_of: str
    Institution: str
    ISO3: str | None
    Country: str
    Region: str | None
    Subregion: str | None
    Year: int
    GDP_USD_billion: float
    Note: str | None
    Source: str
    Publisher: str
    Until: str
    Status: str | None

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        """Return the key of the row."""
        return self.As_of, self.Institution, self.Country, self.Year, self.Publisher

    @property
    def facts(self) -> Facts:
        """Return what the source said: the figure, its doubts about it, and its status; not what our checks found."""
        return self.GDP_USD_billion, note_without_checks(self.Note), self.Status


State = dict[Key, Estimate]


class Over(NamedTuple):
    """What is over with a vintage: rows that are not in the database yet, and of those that are, Until and key."""

    unsaved: Sequence[Sequence[object]]
    saved: Sequence[Sequence[object]]


class Standing:
    """What stands of a series at its newest vintage; `said_before` has what was said before of figures in doubt."""

    def __init__(self, as_of: str, rows: State, said_before: Mapping[Key, float]) -> None:
        self.as_of = self._saved = as_of  # rows of a later As_of than `_saved` are not in the database yet
        self.rows = rows
        self._facts = {key: row.facts for key, row in rows.items()}
        self._said_before = dict(said_before)
        self._statement: Statement | None = None

    def take(self, vintage: Vintage, said: Said, notes: list[str | None]) -> tuple[Over, bool]:
        """Go on to a newer vintage, with the Notes of its figures; return what is over, and if anything changed."""
        now = facts_of(said)
        changed = {key for key, _ in now.items() - self._facts.items()}
        over = {key: self.rows.pop(key) for key in sorted((changed & self.rows.keys()) | (self._facts.keys() - now))}
        new = {key: row for key, row in estimates(vintage, said, notes).items() if key in changed}
        self.rows |= new
        self._remember(over, new)
        self.as_of, self._facts, self._statement = vintage.as_of, now, None
        unsaved = [(*row[:-2], vintage.as_of, row.Status) for row in over.values() if row.As_of > self._saved]
        saved = [(vintage.as_of, *row.key) for row in over.values() if row.As_of <= self._saved]
        return Over(unsaved, saved), bool(changed or over)

    def _remember(self, over: State, new: State) -> None:
        """Remember of new figures in doubt what is over and had a source."""
        for key in self._said_before.keys() & over:
            del self._said_before[key]
        for key, row in new.items():
            if row.Note and key in over and is_doubted(row.Note) and not is_unsourced(over[key].Note):
                self._said_before[key] = over[key].GDP_USD_billion

    def unsaved(self) -> list[Estimate]:
        """Return the rows that stand and are not in the database; after this they are."""
        rows = [row for _, row in sorted(self.rows.items()) if row.As_of > self._saved]
        self._saved = self.as_of
        return rows

    @property
    def statement(self) -> Statement:
        """What the publisher states, as others are measured by it."""
        if self._statement is None:
            self._statement = statement_of(self.as_of, self.rows, self._said_before)
        return self._statement


def statement_of(as_of: str, rows: State, said_before: Mapping[Key, float]) -> Statement:
    """Return what is stated by rows that stand at an As_of: of those in doubt, what was said before."""
    figures = {key: row.GDP_USD_billion for key, row in rows.items()}
    noted = [(key, row.Note) for key, row in rows.items() if row.Note]
    for key, note in noted:
        if is_unsourced(note):
            del figures[key]
    sound = dict(figures)
    for key, note in noted:
        if key in figures and is_doubted(note):
            del sound[key]
    return Statement(as_of, figures, {**sound, **{key: said_before[key] for key in figures.keys() & said_before}})


def facts_of(said: Said) -> dict[Key, Facts]:
    """Return what a source said of each figure, as Estimate.facts has it."""
    notes = map(note_without_checks, said.notes) if any(said.notes) else said.notes
    return dict(zip(said.keys, zip(said.figures, notes, said.statuses, strict=True), strict=True))


def estimates(vintage: Vintage, said: Said, notes: list[str | None]) -> State:
    """Return the rows that begin where a vintage says something of an institution for the first time."""
    rows = zip(
        repeat(said.as_of), repeat(said.institution), said.codes, said.countries, said.regions, said.subregions,
        said.years, said.figures, notes, repeat(vintage.source), repeat(vintage.publisher), repeat(STANDS),
        said.statuses,
    )  # fmt: skip
    return dict(zip(said.keys, map(Estimate._make, rows), strict=True))


def said_by(vintage: Vintage, institution: str, state: State) -> Said:
    """Return what a vintage says of an institution, as its rows say it, without the Notes of checks."""
    said = sorted(state.values(), key=lambda row: (-row.Year, -row.GDP_USD_billion, row.Country))
    fields = [(row.Country, row.ISO3, row.Region, row.Subregion, row.Year, *row.facts) for row in said]
    return Said._make([vintage.as_of, vintage.source, institution, *map(list, zip(*fields, strict=True))])
