"""A series while its vintages come in order: what stands is in memory, and each row is written once, when it is over.

A series is what one publisher says of one institution. So an archive whose every figure is new costs a row a figure:
nothing of it is asked for, deleted or written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import compress, repeat
from operator import attrgetter, ne
from typing import NamedTuple

from gdp.records import is_unsourced
from gdp.store.schema import STANDS
from gdp.store.vintages import Vintage
from gdp.validate.findings import is_doubted, note_without_checks
from gdp.validate.observations import Key, Said, Statement

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
        self.statement = statement_of(as_of, rows, said_before)
        self._doubted = {key: said_before.get(key) for key, row in rows.items() if is_doubted(row.Note)}

    def take(self, vintage: Vintage, said: Said, notes: list[str | None]) -> tuple[Over, bool]:
        """Go on to a newer vintage, with the Notes of its figures; return what is over, and if anything changed."""
        facts = facts_said(said)
        before = list(map(self._facts.get, said.keys))
        begins = list(map(ne, before, facts))
        new = dict(zip(compress(said.keys, begins), rows_said(vintage, said, notes, begins), strict=True))
        over = self.rows
        if len(new) < len(facts):  # else nothing of what was said stands any more
            is_some_gone = len(facts) - before.count(None) < len(over)
            gone = over.keys() - said.keys if is_some_gone else set()
            over = {key: over.pop(key) for key in (over.keys() & new) | gone}
        self.rows, self.as_of = ({**self.rows, **new} if over is not self.rows else new), vintage.as_of
        self._facts = dict(zip(said.keys, facts, strict=True))
        self._remember(over, new, notes)
        self.statement = said.stated.with_sound(sound_of(said.stated.figures, self._doubted))
        rows = sorted(over.values(), key=_by_country)
        unsaved = [(*row[:-2], vintage.as_of, row.Status) for row in rows if row.As_of > self._saved]
        saved = [(vintage.as_of, *row.key) for row in rows if row.As_of <= self._saved]
        return Over(unsaved, saved), bool(new or over)

    def _remember(self, over: State, new: State, notes: list[str | None]) -> None:
        """Remember of new figures in doubt what is over, if it had a source."""
        for key in self._doubted.keys() & over:
            del self._doubted[key]
        for key, row in new.items() if any(notes) else ():
            if is_doubted(row.Note):
                was = over.get(key)
                self._doubted[key] = was.GDP_USD_billion if was and not is_unsourced(was.Note) else None

    def unsaved(self) -> list[Estimate]:
        """Return the rows that stand and are not in the database; after this they are."""
        if self._saved == self.as_of:
            return []
        rows = [one for one in self.rows.items() if one[1].As_of > self._saved]
        self._saved = self.as_of
        return [row for _, row in sorted(rows)]


def statement_of(as_of: str, rows: State, said_before: Mapping[Key, float]) -> Statement:
    """Return what is stated by rows that stand at an As_of: of those in doubt, what was said before."""
    figures = {key: row.GDP_USD_billion for key, row in rows.items() if not is_unsourced(row.Note)}
    doubted = {key: said_before.get(key) for key, row in rows.items() if is_doubted(row.Note)}
    return Statement(as_of, figures, sound_of(figures, doubted))


def sound_of(figures: Mapping[Key, float], doubted: Mapping[Key, float | None]) -> Mapping[Key, float]:
    """Return figures with those in doubt as they were said before, or without them where nothing was."""
    if not doubted:
        return figures
    sound = dict(figures)
    for key in figures.keys() & doubted:
        before = doubted[key]
        if before is None:
            del sound[key]
        else:
            sound[key] = before
    return sound


def rows_said(
    vintage: Vintage, said: Said, notes: list[str | None], begins: Iterable[bool] = repeat(True)
) -> list[Estimate]:
    """Return the rows that begin where a vintage says something of an institution for the first time."""
    rows = zip(
        repeat(said.as_of), repeat(said.institution), said.codes, said.countries, said.regions, said.subregions,
        said.years, said.figures, notes, repeat(vintage.source), repeat(vintage.publisher), repeat(STANDS),
        said.statuses,
    )  # fmt: skip
    return list(map(_as_estimate, compress(rows, begins)))


def facts_said(said: Said) -> list[Facts]:
    """Return the facts of each figure that a vintage says of an institution."""
    has_notes = said.notes.count(None) < len(said.notes)
    notes = map(note_without_checks, said.notes) if has_notes else said.notes
    return list(zip(said.figures, notes, said.statuses, strict=True))


def said_by(vintage: Vintage, institution: str, state: State) -> Said:
    """Return what a vintage says of an institution, as its rows say it, without the Notes of checks."""
    said = sorted(state.values(), key=lambda row: (-row.Year, -row.GDP_USD_billion, row.Country))
    fields = [(row.Country, row.ISO3, row.Region, row.Subregion, row.Year, *row.facts) for row in said]
    return Said._make([vintage.as_of, vintage.source, institution, *map(list, zip(*fields, strict=True))])


# Estimate._make counts the fields too, which takes as long again
_as_estimate: Callable[[tuple[object, ...]], Estimate] = partial(tuple.__new__, Estimate)
_by_country = attrgetter("Country")
