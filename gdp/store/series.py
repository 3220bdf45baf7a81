"""One institution's rows while its publisher's vintages pass: as the database has them, and as they become."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from gdp.model import Estimate
from gdp.store.history import History, State, is_baseline
from gdp.store.open_intervals import OpenIntervals
from gdp.store.vintages import Vintage
from gdp.validate.observations import Baseline, Key, Observations, million_of

Marks = tuple[list[str | None], list[str | None]]  # Flags and Note
YEARS_BACK = 3  # of a country's other years, which a check asks for where the year itself has no baseline


class Series:
    """One institution's rows in a pass: as the database has them, as they become, and the baseline of checks."""

    def __init__(self, history: History, publisher: str, institution: str, begin: str, fetched: list[Estimate]) -> None:
        self._history, self._publisher, self._institution, self._begin = history, publisher, institution, begin
        self._stored = {(row.Country, row.Year): row for row in fetched if row.As_of <= begin}
        self._fetched: deque[Estimate] = deque()  # rows that begin later, in order
        self.intervals = OpenIntervals(self._stored.values(), begin)
        self.add_fetched([row for row in fetched if row.As_of > begin])
        self.baseline = Baseline(self._older_baseline)
        self.is_joined = True  # the database's rows after this point go on as they are
        self.pending: dict[Key, float | None] = {}  # figures with another baseline than before, and that one
        self._flagged = {key for key, row in self.intervals.rows.items() if not is_baseline(row.Flags)}
        self.baseline.add(self._baseline_of(self.intervals.rows.values()))

    def _older_baseline(self) -> Iterable[tuple[Key, float]]:
        """Return the last figures from before the pass that nothing was found against."""
        return self._history.last_sound(self._publisher, self._institution, self._begin).items()

    def _baseline_of(self, rows: Iterable[Estimate]) -> Iterator[tuple[Key, float]]:
        doubts = self._history.vintages.doubts
        for row in rows:
            if is_baseline(row.Flags) and doubts.get((self._publisher, row.As_of)) is None:
                yield (row.Country, row.Year), million_of(row.GDP_USD_million, row.GDP_USD_billion)

    # --- what the database has ---

    def stored_at(self, as_of: str) -> list[Estimate]:
        """Return the rows that the database has for an As_of; each is later than the one before."""
        while self._fetched and self._fetched[0].As_of <= as_of:
            row = self._fetched.popleft()
            self._stored[row.Country, row.Year] = row
        self._stored = {key: row for key, row in self._stored.items() if row.Until > as_of}
        return list(self._stored.values())

    def add_fetched(self, rows: list[Estimate]) -> None:
        """Add rows that the database has, of vintages that are about to pass, in order."""
        self._fetched.extend(rows)
        self.intervals.add_stored(rows)

    def stored_marks(self, part: Observations) -> Marks:
        """Return Flags and Note of the observations of a vintage, as the database has them where its rows begin."""
        begun = {(row.Country, row.Year): row for row in self.intervals.stored_rows(part.as_of)}
        rows = [begun.get(key) for key in part.keys]
        flags = [row.Flags if row else one for row, one in zip(rows, part.flags, strict=True)]
        notes = [row.Note if row else one for row, one in zip(rows, part.columns["Note"], strict=True)]
        return flags, notes

    # --- what becomes of it ---

    def advance(self, vintage: Vintage, part: Observations, marks: Marks, is_new: bool) -> State:
        """Pass the next vintage; return the rows that begin with it."""
        begun = self.intervals.advance(vintage, part, *marks)
        self._flagged -= begun.keys()
        if marks[0].count(None) < len(part):
            self._flagged |= {key for key, row in begun.items() if not is_baseline(row.Flags)}
        self.is_joined = not is_new
        return begun

    def add_to_baseline(self, part: Observations, doubt: str | None) -> None:
        """Let later vintages be compared with this one's figures that nothing was found against."""
        if doubt is None:
            figures = zip(part.keys, part.millions, strict=True)
            flagged = self._flagged
            self.baseline.add([one for one in figures if one[0] not in flagged] if flagged else figures)

    def compare_baselines(
        self, part: Observations | None, doubt: str | None, stored_doubt: str | None, is_new: bool = True
    ) -> None:
        """Remember which figures have another baseline now than when the database was written, before this is added.

        `part` is None where a new version of the vintage has no figure of the institution. `stored_doubt` is what the
        database has against the vintage, UNKNOWN where it does not have it.
        """
        figures = dict(zip(part.keys, part.millions, strict=True)) if part else {}
        stored = self._stored if stored_doubt is None else {}
        if part:
            first_year = min(part.years, default=0) - YEARS_BACK
            self.pending = {key: old for key, old in self.pending.items() if key[1] >= first_year}
        if not (is_new or doubt or stored_doubt or self.pending or self._flagged):
            return
        keys = list(figures | stored)
        for key, before in zip(keys, self.baseline.of(keys), strict=True):
            row = stored.get(key)
            is_old = row is not None and is_baseline(row.Flags)
            old = (
                million_of(row.GDP_USD_million, row.GDP_USD_billion)
                if row and is_old
                else self.pending.get(key, before)
            )
            new = figures[key] if key in figures and doubt is None and key not in self._flagged else before
            if new == old:
                self.pending.pop(key, None)
            else:
                self.pending[key] = old

    def is_concerned(self, part: Observations) -> bool:
        """Return whether a vintage is compared with figures that have another baseline now.

        A check looks at the figure's own year, and at the country's other years where that one has no baseline.
        """
        if not self.pending or not self.pending.keys().isdisjoint(part.keys):
            return bool(self.pending)
        around = [step for step in range(-YEARS_BACK, 2) if step]
        return any(
            before is None and any((country, year + step) in self.pending for step in around)
            for (country, year), before in zip(part.keys, self.baseline.of(part.keys), strict=True)
        )

    def finish(self, as_of: str) -> None:
        """End the pass: where the database's rows go on, those of today end as they do."""
        self.stored_at(as_of)
        ends = {key: row.Until for key, row in self._stored.items()} if self.is_joined else {}
        self.intervals.finish(as_of, ends)
