"""The rows of one publisher and institution while its vintages pass in order: which begin, which end, which stay.

Rows are compared with those that the database has, so that only differences are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import compress, repeat
from operator import ne
from typing import NamedTuple

from gdp.model import CURRENT, Estimate, source_flags
from gdp.store.history import State
from gdp.store.vintages import Vintage
from gdp.validate.observations import Facts, Key, Observations

RowKey = tuple[str, str, str, int, str]  # as schema.ESTIMATES_KEY


class Writes(NamedTuple):
    """What is to be written: rows to insert, rows that get an end, by their keys, and rows to remove."""

    insert: list[Estimate]
    end: list[tuple[str, RowKey]]
    remove: list[Estimate]


class OpenIntervals:
    """The rows that are current after the last vintage that passed."""

    def __init__(self, stored: Iterable[Estimate], as_of: str) -> None:
        """Begin at an As_of with the rows that the database has for it."""
        self._stored = {key_of(row): row for row in stored}
        self.rows: State = {
            (row.Country, row.Year): row for row in self._stored.values() if row.As_of <= as_of < row.Until
        }
        self._keys, self._facts = list(self.rows), list(map(facts_of, self.rows.values()))
        self._lacks_millions = any(facts[1] is None for facts in self._facts)
        self._begun: dict[str, list[Estimate]] = {}  # rows that the database has, by the As_of at which they begin
        self.writes = Writes([], [], [])

    def add_stored(self, rows: Iterable[Estimate]) -> None:
        """Add rows that the database has, of vintages that are about to pass."""
        for row in rows:
            self._stored[key_of(row)] = row
            self._begun.setdefault(row.As_of, []).append(row)
            self._lacks_millions |= row.GDP_USD_million is None

    def stored_rows(self, as_of: str) -> list[Estimate]:
        """Return the rows that the database has, and that begin at an As_of."""
        return self._begun.get(as_of, [])

    def advance(
        self, vintage: Vintage, observations: Observations, flags: list[str | None], notes: list[str | None]
    ) -> State:
        """Pass the next vintage: rows end whose figure it has no more. Return the rows that begin, as they are new."""
        keys, facts = observations.keys, observations.facts
        before: list[Facts | None] = [*self._facts]
        if keys != self._keys:  # an archive's vintages mostly have the same ones in the same order
            before = list(map(dict(zip(self._keys, self._facts, strict=True)).get, keys))
        begins = list(map(ne, before, facts))
        if self._lacks_millions:
            begins = [new and not _is_same(old, now) for new, old, now in zip(begins, before, facts, strict=True)]
        new = dict(zip(compress(keys, begins), _rows(vintage, observations, flags, notes, begins), strict=True))
        ended, current = self.rows, new
        if len(new) < len(facts):  # else every row of before ends
            is_some_gone = len(facts) - before.count(None) < len(ended)
            gone = ended.keys() - keys if is_some_gone else set()
            ended = {key: ended.pop(key) for key in (ended.keys() & new) | gone}
            current = {**self.rows, **new}
        if self._lacks_millions:
            facts = [now if is_new or not old else old for is_new, old, now in zip(begins, before, facts, strict=True)]
        self.rows = current
        self._keys, self._facts = keys, facts
        self._emit(ended.values(), vintage.as_of)
        return new

    def finish(self, as_of: str, ends: Mapping[Key, str]) -> None:
        """End the pass at an As_of: each row stays current, or until the end that the database has for it."""
        for key, row in self.rows.items():
            self._emit([row], ends.get(key, CURRENT))
        self.writes.remove.extend(row for row in self._stored.values() if row.As_of <= as_of)
        self._stored.clear()

    def _emit(self, rows: Iterable[Estimate], until: str) -> None:
        """Write rows with their end, where the database has them otherwise."""
        if not self._stored:
            self.writes.insert.extend([_as_estimate((*row[:-1], until)) for row in rows])
            return
        for row in rows:
            key = key_of(row)
            stored = self._stored.pop(key, None)
            ended = _as_estimate((*row[:-1], until))
            if stored is None:
                self.writes.insert.append(ended)
            elif stored[:-1] != row[:-1]:
                self.writes.remove.append(stored)
                self.writes.insert.append(ended)
            elif stored.Until != until:
                self.writes.end.append((until, key))


def key_of(row: Estimate) -> RowKey:
    """Return the key of a row."""
    return row.As_of, row.Institution, row.Country, row.Year, row.Publisher


def facts_of(row: Estimate) -> Facts:
    """Return what was published of a row's figure; what the checks found is no part of it."""
    return row.GDP_USD_billion, row.GDP_USD_million, source_flags(row.Flags), row.Status


def _is_same(old: Facts | None, new: Facts) -> bool:
    """Return whether two facts agree, where one is from before millions were kept."""
    return old is not None and None in (old[1], new[1]) and (old[0], *old[2:]) == (new[0], *new[2:])


def _rows(
    vintage: Vintage, part: Observations, flags: list[str | None], notes: list[str | None], begins: Iterable[bool]
) -> Iterable[Estimate]:
    """Yield the rows that begin with a vintage."""
    columns = {
        **part.columns, "Institution": repeat(part.institution), "As_of": repeat(part.as_of),
        "Source": repeat(vintage.source), "Publisher": repeat(vintage.publisher), "Until": repeat(CURRENT),
        "Flags": flags, "Note": notes,
    }  # fmt: skip
    return map(_as_estimate, compress(zip(*(columns[name] for name in Estimate._fields), strict=False), begins))


# Estimate._make counts the fields too, which takes as long again
_as_estimate: Callable[[tuple[object, ...]], Estimate] = partial(tuple.__new__, Estimate)
