"""The past in the database: each figure stored once for as long as it stood.

A figure has a row at the As_of that first said it, and stands Until the first vintage of that publisher and institution
that does not say it. So the same facts said again add no row, and what is stored depends on what was loaded, never on
the order of loading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from gdp.checks.comparison import Earlier, Release
from gdp.checks.contradictions import UNSETTLED, Neighbours
from gdp.checks.findings import NotesOfChecks, is_doubted, note_without_checks
from gdp.checks.series import Key, Statement
from gdp.records import IMF_ITSELF, CleanRecord, is_unsourced
from gdp.store.database import Connection, rows_of
from gdp.store.headlines import COUNTRIES, HEADLINES, newest_vintages, of_vintage
from gdp.store.tables import STANDS
from gdp.store.vintages import Vintage, Vintages, changed_by_hand

STATE = "SELECT {} FROM GDP_Estimates WHERE Publisher = ? AND Institution = ? AND As_of <= ? AND Until > ?"
ENDED = "SELECT {} FROM GDP_Estimates WHERE Publisher = ? AND Institution = ? AND Until = ?"
REMOVE = "DELETE FROM GDP_Estimates WHERE As_of = ? AND Institution = ? AND Country = ? AND Year = ? AND Publisher = ?"
RANKED = f"""
    WITH Headlines AS ({HEADLINES})
    SELECT {COUNTRIES}, rank() OVER (ORDER BY GDP_USD_billion DESC) AS Rank FROM Headlines ORDER BY Rank, Country
"""


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
    def facts(self) -> tuple[float, str | None, str | None]:
        """Return what the source said: the figure, its doubts about it, and its status; not what our checks found."""
        return self.GDP_USD_billion, note_without_checks(self.Note), self.Status


State = dict[Key, Estimate]
Said = dict[Key, CleanRecord]


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
        self._newest: dict[tuple[str, str], tuple[str, State]] = {}
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
        newest_as_of, newest = self._newest.get((publisher, institution), (None, {}))
        if as_of == newest_as_of:
            return newest
        rows = self._estimates(STATE, (publisher, institution, as_of, as_of))
        return {(row.Country, row.Year): row for row in rows}

    def _estimates(self, question: str, values: tuple[str, ...]) -> list[Estimate]:
        """Return rows of GDP_Estimates, also of an older version's; raises StageError (65) for what no load writes."""
        if self._columns is None:
            there = self._connection.columns("GDP_Estimates")
            names = (name if name.lower() in there else f"NULL AS {name}" for name in Estimate._fields)
            self._columns = ", ".join(names)
        rows = [Estimate._make(row) for row in self._connection.execute(question.format(self._columns), values)]
        for row in rows:
            if not isinstance(row.GDP_USD_billion, int | float) or not isinstance(row.Year, int):
                raise changed_by_hand(f"GDP_Estimates has {row.GDP_USD_billion!r} for {row.Country} {row.Year!r}"[:200])
        return rows

    def records(self, vintage: Vintage) -> list[CleanRecord]:
        """Return all that a vintage says as clean records, without the Notes of checks, in the order of its figures."""
        said = [
            row for name in vintage.institutions for row in self.state(vintage.publisher, name, vintage.as_of).values()
        ]
        said.sort(key=lambda row: (row.Institution, -row.Year, -row.GDP_USD_billion, row.Country))
        return [_record(row, vintage) for row in said]

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
        rows = {
            key: row for key, row in self.state(publisher, institution, as_of).items() if not is_unsourced(row.Note)
        }
        doubted = [row for row in rows.values() if is_doubted(row.Note)]
        said = figures(rows)
        if not doubted:
            return Statement(as_of, said, said)
        sound = {key: figure for key, figure in said.items() if not is_doubted(rows[key].Note)}
        return Statement(as_of, said, {**sound, **self._said_before(doubted)})

    def _said_before(self, doubted: list[Estimate]) -> dict[Key, float]:
        """Return for figures in doubt what was said of the same country and year before, under a source."""
        found: dict[Key, float] = {}
        for (publisher, institution, as_of), rows in groupby(sorted(doubted, key=_series_and_day), _series_and_day):
            keys = {(row.Country, row.Year) for row in rows}
            for row in self._estimates(ENDED, (publisher, institution, as_of)):
                if (row.Country, row.Year) in keys and not is_unsourced(row.Note):
                    found[row.Country, row.Year] = row.GDP_USD_billion
        return found

    def release_before(self, as_of: str) -> Release | None:
        """Return the IMF's own figures of the newest release before an As_of, with all that was said before of them."""
        release = self.vintages.before(IMF_ITSELF, "IMF", as_of)
        if release is None or (self._release and self._release.as_of == release):
            return self._release if release else None
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

    def put(self, vintage: Vintage, records: Iterable[CleanRecord], notes: NotesOfChecks) -> set[str]:
        """Store what a vintage says, and return the Until of every row that this changed.

        Loaded again, it was cleaned better, and replaces what was made of it before.
        """
        changed: set[str] = set()
        again = self.vintages.at(vintage.publisher, vintage.as_of)
        said: dict[str, Said] = {name: {} for name in vintage.institutions}
        for record in records:
            said[record["Institution"]][record["Country"], record["Year"]] = record
        for institution, now in said.items():
            rewrite = _Rewrite(self, vintage, institution, again)
            changed |= self._store(rewrite, rewrite.changes(now, notes))
            if rewrite.after is None and not again:
                self._newest[vintage.publisher, institution] = vintage.as_of, rewrite.standing(now)
        for institution in again.institutions if again else ():
            if institution not in said:  # it is not spoken of any more, which is not the same as gone
                rewrite = _Rewrite(self, vintage, institution, again)
                changed |= self._store(rewrite, rewrite.changes(None, notes))
        self.vintages.add(vintage)
        if self._release and vintage.as_of <= self._release.as_of:
            self._release = None
        return changed

    def _store(self, rewrite: _Rewrite, changes: Iterable[tuple[set[Estimate], set[Estimate]]]) -> set[str]:
        for stored, runs in changes:
            rewrite.gone += stored - runs
            rewrite.new += runs - stored
        self._newest.pop((rewrite.vintage.publisher, rewrite.institution), None)
        self._connection.executemany(REMOVE, (row.key for row in rewrite.gone))
        self._connection.add("GDP_Estimates", rewrite.new)
        return {row.Until for row in (*rewrite.gone, *rewrite.new)}

    def remember(self, vintage: Vintage, file: str, sha256: str, rows: int, remarks: Remarks = NO_REMARKS) -> None:
        """Add a line to Loads: what was loaded when, from which file, with how many rows, and remarks."""
        now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
        said = (vintage.as_of, rows, vintage.publisher, ", ".join(vintage.institutions), vintage.source)
        self._connection.execute(
            "INSERT INTO Loads (Loaded_at, File, SHA256, As_of, Rows, Publisher, Institutions, Source,"
            " Left_out, Findings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (now, file, sha256, *said, *remarks),
        )  # fmt: skip

    def remember_doubts(self, vintages: Iterable[Vintage]) -> None:
        """Write into Loads whether vintages are in doubt, as it stands now."""
        for vintage in vintages:
            which = vintage.publisher, vintage.as_of
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

    def changes(self, now: Said | None, notes: NotesOfChecks) -> Iterator[tuple[set[Estimate], set[Estimate]]]:
        """Yield for each figure concerned the rows that are stored, and those that should be; None says nothing."""
        said = now if now is not None else {}
        for key in self._concerned(said):
            before, record = self.before.get(key), said.get(key)
            estimate = _estimate(record, self.vintage, notes) if record else None
            if now is None:
                estimate = before
            later = self.later.get(key)
            stored = {row for row in (before, later, self.old.get(key)) if row}
            yield stored, set(_runs(before, estimate, later, self.vintage, self.after))

    def _concerned(self, said: Said) -> Iterable[Key]:
        """Return the keys of figures whose rows may change: at the end of a series those that are not said again."""
        if self.after or self.again:
            return {**self.before, **said, **self.later, **self.old}
        before = self.before
        changed = [
            key
            for key, now in said.items()
            if (row := before.get(key)) is None
            or row.GDP_USD_billion != now["GDP_USD_billion"]
            or row.Status != now.get("Status")
            or (row.Note != now["Note"] and note_without_checks(row.Note) != now["Note"])
        ]
        return changed + [key for key in before if key not in said]

    def standing(self, now: Said) -> State:
        """Return what stands when the vintage is the newest, and new."""
        stands = {**self.before, **{(row.Country, row.Year): row for row in self.new if row.Until == STANDS}}
        return stands if len(stands) == len(now) else {key: stands[key] for key in now}


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


def _estimate(record: CleanRecord, vintage: Vintage, notes: NotesOfChecks) -> Estimate:
    note = notes.added_to(record["Note"], record["Institution"], record["Country"], record["Year"])
    said = {"Status": None, **record, "Note": note, "Publisher": vintage.publisher, "Until": STANDS}
    return Estimate._make([said[name] for name in Estimate._fields])


def _record(row: Estimate, vintage: Vintage) -> CleanRecord:
    return {
        "Country": row.Country,
        "ISO3": row.ISO3,
        "Region": row.Region,
        "Subregion": row.Subregion,
        "Institution": row.Institution,
        "Year": row.Year,
        "GDP_USD_billion": row.GDP_USD_billion,
        "As_of": vintage.as_of,
        "Source": vintage.source,
        "Note": note_without_checks(row.Note),
        "Status": row.Status,
    }
