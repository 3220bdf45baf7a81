"""The past in the database: each figure stored once for as long as it stood.

A figure has a row at the As_of that first said it, and stands Until the first vintage of that publisher and institution
that does not say it. So the same facts said again add no row, and what is stored depends on what was loaded, never on
the order of loading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from gdp.records import IMF_ITSELF, is_unsourced
from gdp.store.database import Connection, rows_of
from gdp.store.headlines import COUNTRIES, HEADLINES, newest_vintages, of_vintage
from gdp.store.open_intervals import Estimate, Standing, State, rows_said, said_by, statement_of
from gdp.store.schema import STANDS, index_estimates
from gdp.store.vintages import Vintage, Vintages, changed_by_hand
from gdp.validate.against_imf import Earlier, Release
from gdp.validate.consistency import UNSETTLED, Neighbours
from gdp.validate.findings import NotesOfChecks, is_doubted, note_without_checks
from gdp.validate.observations import Key, Said, Statement

STATE = "SELECT {} FROM GDP_Estimates WHERE Publisher = ? AND Institution = ? AND As_of <= ? AND Until > ?"
ENDED = "SELECT {} FROM GDP_Estimates WHERE Publisher = ? AND Institution = ? AND Until = ?"
REMOVE = "DELETE FROM GDP_Estimates WHERE As_of = ? AND Institution = ? AND Country = ? AND Year = ? AND Publisher = ?"
END = (
    "UPDATE GDP_Estimates SET Until = ?"
    " WHERE As_of = ? AND Institution = ? AND Country = ? AND Year = ? AND Publisher = ?"
)
MANY_ROWS = 10_000  # are written together: some MB
STATEMENTS_KEPT = 8  # of a series: more than LOOKED_AT, as those in doubt are passed over
NEVER = ""  # before every As_of
RANKED = f"""
    WITH Headlines AS ({HEADLINES})
    SELECT {COUNTRIES}, rank() OVER (ORDER BY GDP_USD_billion DESC) AS Rank FROM Headlines ORDER BY Rank, Country
"""


class Remarks(NamedTuple):
    """What Loads says beside a vintage's rows, as JSON: what was left out and how often, and what the checks found."""

    left_out: str | None = None
    findings: str | None = None


NO_REMARKS = Remarks()


class History:
    """The vintages of a database, read and written within the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.vintages = Vintages(connection)
        # what an archive that is loaded in order asks for again and again
        self._standing: dict[tuple[str, str], Standing] = {}  # by publisher and institution
        self._stated: dict[tuple[str, str], dict[str, Statement]] = {}  # of those before, by As_of: the last few
        self._over: list[Sequence[object]] = []  # rows that are to be written
        self._release: Release | None = None
        self._columns: str | None = None  # of GDP_Estimates, as a question names them

    def is_empty(self) -> bool:
        """Tell whether nothing was ever loaded."""
        return self._connection.execute("SELECT 1 FROM Loads LIMIT 1").fetchone() is None

    def newest_imf(self, before: str = STANDS, publisher: str | None = None) -> Vintage | None:
        """Return the newest vintage, from before a moment, that has headlines of the IMF's: one publisher's or any."""
        known = [one for one in newest_vintages(self._connection, "IMF", before) if publisher in (None, one[0])]
        return self.vintages.at(*known[-1]) if known else None

    # --- what they say ---

    def state(self, publisher: str, institution: str, as_of: str | None) -> State:
        """Return what stood at an As_of, by country and year; nothing at None."""
        if as_of is None:
            return {}
        standing = self._standing_at(publisher, institution, as_of)
        return standing.rows if standing else self._stored(publisher, institution, as_of)

    def _standing_at(self, publisher: str, institution: str, as_of: str) -> Standing | None:
        """Return what stands of a series, if this is its newest As_of."""
        if self.vintages.after(publisher, institution, as_of):
            return None
        standing = self._standing.get((publisher, institution))
        if standing is None or standing.as_of != as_of:
            rows = self._stored(publisher, institution, as_of)
            standing = Standing(as_of, rows, self._said_before(rows.values()))
            self._standing[publisher, institution] = standing
        return standing

    def _stored(self, publisher: str, institution: str, as_of: str) -> State:
        rows = self._estimates(STATE, (publisher, institution, as_of, as_of))
        return {(row.Country, row.Year): row for row in rows}

    def _estimates(self, question: str, values: tuple[str, ...]) -> list[Estimate]:
        """Return rows of GDP_Estimates, also of an older version's; raises StageError (65) for what no load writes."""
        self.save()
        if self._columns is None:
            there = self._connection.columns("GDP_Estimates")
            names = (name if name.lower() in there else f"NULL AS {name}" for name in Estimate._fields)
            self._columns = ", ".join(names)
        rows = [Estimate._make(row) for row in self._connection.execute(question.format(self._columns), values)]
        for row in rows:
            if not isinstance(row.GDP_USD_billion, int | float) or not isinstance(row.Year, int):
                raise changed_by_hand(f"GDP_Estimates has {row.GDP_USD_billion!r} for {row.Country} {row.Year!r}"[:200])
        return rows

    def said(self, vintage: Vintage) -> list[Said]:
        """Return what a vintage says by institution, without the Notes of checks, in the order of its figures."""
        states = [(name, self.state(vintage.publisher, name, vintage.as_of)) for name in vintage.institutions]
        return [said_by(vintage, name, state) for name, state in states if state]

    def neighbours(self, publisher: str, as_of: str) -> Neighbours:
        """Return what a publisher stated before and after an As_of, of each institution, in vintages not in doubt."""
        institutions = self.vintages.institutions_of(publisher)

        def stated(nearest: Callable[[str, str, str, int], str | None], distance: int) -> dict[str, Statement]:
            found = {name: nearest(publisher, name, as_of, distance) for name in institutions}
            return {name: self.statement(publisher, name, day) for name, day in found.items() if day is not None}

        before = (self.vintages.sound_before(publisher, name, as_of) for name in institutions)
        return Neighbours(
            partial(stated, self.vintages.sound_before),
            partial(stated, self.vintages.sound_after),
            any(self.vintages.doubts.get((publisher, day)) == UNSETTLED for day in before if day is not None),
        )

    def statement(self, publisher: str, institution: str, as_of: str) -> Statement:
        """Return what a publisher stated of an institution at an As_of, as others are measured by it."""
        standing = self._standing_at(publisher, institution, as_of)
        if standing:
            return standing.statement
        stated = self._stated.get((publisher, institution), {}).get(as_of)
        if stated:
            return stated
        rows = self._stored(publisher, institution, as_of)
        return statement_of(as_of, rows, self._said_before(rows.values()))

    def _said_before(self, rows: Iterable[Estimate]) -> dict[Key, float]:
        """Return for figures in doubt what was said of the same country and year before, under a source."""
        found: dict[Key, float] = {}
        doubted = [row for row in rows if is_doubted(row.Note) and not is_unsourced(row.Note)]
        for (publisher, institution, as_of), some in groupby(sorted(doubted, key=_series_and_day), _series_and_day):
            keys = {(row.Country, row.Year) for row in some}
            for row in self._estimates(ENDED, (publisher, institution, as_of)):
                if (row.Country, row.Year) in keys and not is_unsourced(row.Note):
                    found[row.Country, row.Year] = row.GDP_USD_billion
        return found

    def release_before(self, as_of: str) -> Release | None:
        """Return the IMF's own figures of the newest release before an As_of, with all that was said before of them."""
        release = self.vintages.before(IMF_ITSELF, "IMF", as_of)
        if release is None or (self._release and self._release.as_of == release):
            return self._release if release else None
        self.save()
        older: dict[Key, list[Earlier]] = {}
        for when, country, year, figure in self._connection.execute(
            "SELECT As_of, Country, Year, GDP_USD_billion FROM GDP_Estimates"
            " WHERE Institution = 'IMF' AND As_of < ? ORDER BY As_of", (release,),
        ):  # fmt: skip
            older.setdefault((country, year), []).append(Earlier(when, figure))
        self._release = Release(release, figures(self.state(IMF_ITSELF, "IMF", release)), older)
        return self._release

    def headlines(self, vintage: Vintage) -> list[dict[str, Any]]:
        """Return what Countries_by_GDP is as of a vintage, highest first, with ranks."""
        return rows_of(self._connection, RANKED, **of_vintage(vintage))

    def last_change(self, vintage: Vintage) -> str:
        """Return the newest As_of, up to this vintage, at which an IMF figure of its publisher changed."""
        new, gone = self._connection.execute(
            "SELECT max(CASE WHEN As_of <= :as_of THEN As_of ELSE '' END),"
            " max(CASE WHEN Until <= :as_of THEN Until ELSE '' END)"
            " FROM GDP_Estimates WHERE Institution = 'IMF' AND Publisher = :publisher",
            {"as_of": vintage.as_of, "publisher": vintage.publisher},
        ).fetchone()
        return str(max(new, gone))

    # --- writing ---

    def put(self, vintage: Vintage, said: list[Said], notes: NotesOfChecks) -> set[str]:
        """Store what a vintage says, and return the Until of every row that this changed.

        Loaded again, it was cleaned better, and replaces what was made of it before.
        """
        changed: set[str] = set()
        again = self.vintages.at(vintage.publisher, vintage.as_of)
        for one in said:
            standing = None if again else self._standing_before(vintage, one.institution)
            if standing:
                changed |= self._go_on(standing, vintage, one, notes)
            else:
                now = dict(zip(one.keys, rows_said(vintage, one, notes.added_to(one)), strict=True))
                changed |= self._rewrite(_Rewrite(self, vintage, one.institution, again), now)
        # what is not spoken of any more, which is not the same as gone
        for institution in {*(again.institutions if again else ())} - {*vintage.institutions}:
            changed |= self._rewrite(_Rewrite(self, vintage, institution, again), None)
        self.vintages.add(vintage)
        if self._release and vintage.as_of <= self._release.as_of:
            self._release = None
        return changed

    def _standing_before(self, vintage: Vintage, institution: str) -> Standing | None:
        """Return what stands of a series when this vintage comes, if it is newer than all that was said."""
        publisher, as_of = vintage.publisher, vintage.as_of
        if self.vintages.after(publisher, institution, as_of):
            return None
        before = self.vintages.before(publisher, institution, as_of)
        if before is None:
            return self._standing.setdefault((publisher, institution), Standing(NEVER, {}, {}))
        return self._standing_at(publisher, institution, before)

    def _go_on(self, standing: Standing, vintage: Vintage, said: Said, notes: NotesOfChecks) -> set[str]:
        stated = self._stated.setdefault((vintage.publisher, said.institution), {})
        stated[standing.as_of] = standing.statement
        if len(stated) > STATEMENTS_KEPT:
            del stated[next(iter(stated))]
        over, is_change = standing.take(vintage, said, notes.added_to(said))
        self._over += over.unsaved
        self._connection.executemany(END, over.saved)
        if len(self._over) > MANY_ROWS:
            self._add(self._over)
        return {STANDS, vintage.as_of} if is_change else set()

    def _rewrite(self, rewrite: _Rewrite, now: State | None) -> set[str]:
        for stored, runs in rewrite.changes(now):
            rewrite.gone += stored - runs
            rewrite.new += runs - stored
        self.save()
        for kept in (self._standing, self._stated):
            kept.pop((rewrite.vintage.publisher, rewrite.institution), None)
        self._connection.executemany(REMOVE, (row.key for row in rewrite.gone))
        self._connection.add("GDP_Estimates", rewrite.new)
        return {row.Until for row in (*rewrite.gone, *rewrite.new)}

    def save(self) -> None:
        """Write what is in memory only, so that the database can be asked."""
        for standing in self._standing.values():
            self._over += standing.unsaved()
        if self._over:
            self._add(self._over)
            index_estimates(self._connection)

    def _add(self, rows: list[Sequence[object]]) -> None:
        self._connection.add("GDP_Estimates", rows)
        rows.clear()

    def remember(self, vintage: Vintage, file: str, sha256: str, rows: int, remarks: Remarks = NO_REMARKS) -> None:
        """Add a line to Loads: what was loaded when, from which file, with how many rows, remarks, and its doubt."""
        now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
        said = (vintage.as_of, rows, vintage.publisher, ", ".join(vintage.institutions), vintage.source)
        self._connection.execute(
            "INSERT INTO Loads (Loaded_at, File, SHA256, As_of, Rows, Publisher, Institutions, Source,"
            " Left_out, Findings, Doubt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (now, file, sha256, *said, *remarks, self.vintages.doubts.get((vintage.publisher, vintage.as_of))),
        )  # fmt: skip

    def remember_doubts(self, vintages: Iterable[Vintage]) -> None:
        """Write into the lines that Loads had before whether vintages are in doubt, as it stands now."""
        for which in {(vintage.publisher, vintage.as_of) for vintage in vintages} & self.vintages.loaded_before:
            doubt = self.vintages.doubts.get(which)
            self._connection.execute("UPDATE Loads SET Doubt = ? WHERE Publisher = ? AND As_of = ?", (doubt, *which))


class _Rewrite:
    """What a vintage changes of one institution's figures, given what stood before it, at it already, and after it."""

    def __init__(self, history: History, vintage: Vintage, institution: str, again: Vintage | None) -> None:
        publisher, as_of = vintage.publisher, vintage.as_of
        self.vintage, self.institution, self.again = vintage, institution, again
        self.after = history.vintages.after(publisher, institution, as_of)
        self.before = history.state(publisher, institution, history.vintages.before(publisher, institution, as_of))
        self.old = history.state(publisher, institution, as_of) if again else {}
        self.later = history.state(publisher, institution, self.after.as_of) if self.after else {}
        self.gone: list[Estimate] = []
        self.new: list[Estimate] = []

    def changes(self, now: State | None) -> Iterator[tuple[set[Estimate], set[Estimate]]]:
        """Yield for each figure concerned the rows that are stored, and those that should be; None says nothing."""
        said = now if now is not None else self.before
        for key in {**self.before, **said, **self.later, **self.old}:
            before, estimate, later = self.before.get(key), said.get(key), self.later.get(key)
            stored = {row for row in (before, later, self.old.get(key)) if row}
            yield stored, set(_runs(before, estimate, later, self.vintage, self.after))


def _runs(
    before: Estimate | None, now: Estimate | None, later: Estimate | None, vintage: Vintage, after: Vintage | None
) -> Iterator[Estimate]:
    """Yield the rows of one figure from the vintage before to the one after: a row for as long as it was said alike."""
    standing = before
    said = [(vintage, now), (after, later)] if after else [(vintage, now)]
    for when, estimate in said:
        assert when is not None
        if standing and (estimate is None or estimate.facts != standing.facts):
            yield standing._replace(Until=when.as_of)
            standing = None
        if estimate and standing is None:
            standing = estimate
            if estimate.As_of != when.as_of:  # it stood since before, and is now said anew
                said_then = note_without_checks(estimate.Note)
                standing = estimate._replace(As_of=when.as_of, Source=when.source, Note=said_then)
    if standing:
        yield standing._replace(Until=later.Until if later else STANDS)


def _series_and_day(row: Estimate) -> tuple[str, str, str]:
    return row.Publisher, row.Institution, row.As_of


def figures(state: Mapping[Key, Estimate]) -> dict[Key, float]:
    """Return the figures of a state, in billions of USD."""
    return {key: row.GDP_USD_billion for key, row in state.items()}
