"""The past in the database: vintages, and each figure stored once for as long as it stood.

A vintage is what one publisher said at one As_of. A figure has a row at the As_of that first said it, and stands Until
the first vintage of that publisher and institution that does not say it. So the same facts said again add no row, and
what is stored depends on what was loaded, never on the order of loading. Loads tells which vintages there are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from gdp.checks.comparison import Earlier, Release
from gdp.checks.findings import NotesOfChecks, note_without_checks
from gdp.records import IMF_ITSELF, PAGE, UNSOURCED_NOTE, CleanRecord, publisher_of
from gdp.store.database import Connection, rows_of
from gdp.store.tables import STANDS

LAST_MOMENT = "T23:59:59Z"  # a date given by a person means the end of that day

STATE = "SELECT * FROM GDP_Estimates WHERE Publisher = ? AND Institution = ? AND As_of <= ? AND Until > ?"
REMOVE = "DELETE FROM GDP_Estimates WHERE As_of = ? AND Institution = ? AND Country = ? AND Year = ? AND Publisher = ?"
# Of several IMF columns: the sourced before the unsourced, then the year of As_of, then the nearest year before it.
CHOOSE = """
    AS WITH newest AS (SELECT * FROM GDP_Estimates WHERE Institution = 'IMF' AND Publisher = :publisher
                       AND As_of <= :as_of AND Until > :as_of),
    choice AS (SELECT *, row_number() OVER (
                   PARTITION BY Country
                   ORDER BY coalesce(Note LIKE :unsourced, false), Year > CAST(substr(:as_of, 1, 4) AS INTEGER),
                            abs(Year - CAST(substr(:as_of, 1, 4) AS INTEGER))) AS preference
               FROM newest)
    SELECT Country, ISO3, Region, Year, GDP_USD_billion FROM choice WHERE preference = 1
    ORDER BY GDP_USD_billion DESC, Country
"""

ANY = ""  # in the place of an institution: of whichever

Key = tuple[str, int]  # country and year
Which = tuple[str, bool, str, int, str]  # As_of, whether a page, publisher, and Source, by the revision's number
Before = dict[str, tuple[str, dict[Key, float]]]  # by institution: the As_of before, and its figures


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

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        """Return the key of the row."""
        return self.As_of, self.Institution, self.Country, self.Year, self.Publisher

    @property
    def facts(self) -> tuple[float, str | None]:
        """Return what the source said: the figure, and its doubts about it; not what our checks found."""
        return self.GDP_USD_billion, note_without_checks(self.Note)


State = dict[Key, Estimate]
Said = dict[Key, CleanRecord]


class Vintage(NamedTuple):
    """What one publisher said at one As_of: of which institutions, and where it is to be found."""

    publisher: str
    as_of: str
    institutions: tuple[str, ...]
    source: str


class Told(NamedTuple):
    """What is told of a load beside its rows, as JSON: what was left out and how often, and what the checks found."""

    left_out: str | None = None
    findings: str | None = None


NOTHING_TOLD = Told()


class History:
    """The vintages of a database, read and written within the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._vintages: dict[tuple[str, str], Vintage] = {}
        self._as_ofs: dict[tuple[str, str], list[str]] = {}  # by publisher and institution, in order
        # what an archive that is loaded in order asks for again and again
        self._newest: dict[tuple[str, str], tuple[str, State]] = {}
        self._own: Release | None = None
        for publisher, as_of, institutions, source in connection.execute(
            f"SELECT Publisher, As_of, Institutions, Source FROM Loads ORDER BY {connection.dialect.order_of_loads}"
        ):
            self._know(Vintage(publisher, as_of, tuple(institutions.split(", ")), source))

    def _know(self, vintage: Vintage) -> None:
        known = self._vintages.get((vintage.publisher, vintage.as_of))
        self._vintages[vintage.publisher, vintage.as_of] = vintage
        before = {*known.institutions, ANY} if known else set()
        for institution in before ^ {*vintage.institutions, ANY}:
            as_ofs = self._as_ofs.setdefault((vintage.publisher, institution), [])
            if institution in (*vintage.institutions, ANY):
                insort(as_ofs, vintage.as_of)
            else:
                as_ofs.remove(vintage.as_of)

    # --- which vintages there are ---

    def of(self, institution: str, publisher: str | None = None) -> list[Vintage]:
        """Return the vintages that speak of an institution, oldest first."""
        found = (v for v in self._vintages.values() if institution in v.institutions)
        return sorted((v for v in found if publisher in (None, v.publisher)), key=lambda v: (v.as_of, v.publisher))

    def all(self) -> list[Vintage]:
        """Return every vintage."""
        return list(self._vintages.values())

    def newest_imf(self, day: str | None = None, publisher: str | None = None) -> Vintage | None:
        """Return the newest vintage with IMF figures, or the newest at the end of a day; of one publisher or of any."""
        known = [v for v in self.of("IMF", publisher) if day is None or v.as_of <= day + LAST_MOMENT]
        return known[-1] if known else None

    def before(self, publisher: str, institution: str, as_of: str) -> str | None:
        """Return the As_of of the vintage before."""
        as_ofs = self._as_ofs.get((publisher, institution), [])
        place = bisect_left(as_ofs, as_of)
        return as_ofs[place - 1] if place else None

    def after(self, publisher: str, institution: str, as_of: str) -> Vintage | None:
        """Return the vintage after."""
        as_ofs = self._as_ofs.get((publisher, institution), [])
        place = bisect_right(as_ofs, as_of)
        return self._vintages[publisher, as_ofs[place]] if place < len(as_ofs) else None

    def known(self, vintage: Vintage) -> Vintage | None:
        """Return what is known already of that publisher at that As_of."""
        return self._vintages.get((vintage.publisher, vintage.as_of))

    def depending_on(self, vintage: Vintage, institutions: set[str]) -> list[Vintage]:
        """Return the later vintages whose checks look at this one, or at what it replaces, oldest first.

        Those are the publisher's next, until each of the institutions was spoken of again; and the pages of after the
        IMF's release, where this is one or precedes it.
        """
        found: set[Vintage] = set()
        waiting = set(institutions)
        all_of_it = self._as_ofs.get((vintage.publisher, ANY), [])
        for as_of in all_of_it[bisect_right(all_of_it, vintage.as_of) :]:
            if not waiting:
                break
            following = self._vintages[vintage.publisher, as_of]
            found.add(following)
            waiting -= set(following.institutions)
        if "IMF" in institutions:
            release = vintage if vintage.publisher == IMF_ITSELF else self.after(IMF_ITSELF, "IMF", vintage.as_of)
            if release:
                found |= {page for page in self.of("IMF", PAGE) if page.as_of > release.as_of}
        return sorted(found - {vintage})

    # --- what they say ---

    def state(self, publisher: str, institution: str, as_of: str | None) -> State:
        """Return what stood at an As_of, by country and year; nothing at None."""
        if as_of is None:
            return {}
        newest_as_of, newest = self._newest.get((publisher, institution), (None, {}))
        if as_of == newest_as_of:
            return newest
        rows = self._connection.execute(STATE, (publisher, institution, as_of, as_of))
        return {(row.Country, row.Year): row for row in map(Estimate._make, rows)}

    def records(self, vintage: Vintage) -> list[CleanRecord]:
        """Return all that a vintage says as clean records, without the Notes of checks, in the order of its figures."""
        said = [
            row for name in vintage.institutions for row in self.state(vintage.publisher, name, vintage.as_of).values()
        ]
        said.sort(key=lambda row: (row.Institution, -row.Year, -row.GDP_USD_billion, row.Country))
        return [_record(row, vintage) for row in said]

    def figures_before(self, publisher: str, as_of: str) -> Before:
        """Return by institution the As_of before this one, and its figures in billions of USD."""
        found: Before = {}
        for institution in (name for whose, name in self._as_ofs if whose == publisher and name != ANY):
            before = self.before(publisher, institution, as_of)
            if before is not None:
                found[institution] = before, figures(self.state(publisher, institution, before))
        return found

    def release_before(self, as_of: str) -> Release | None:
        """Return the IMF's own figures of the newest release before an As_of, with all that was said before of them."""
        release = self.before(IMF_ITSELF, "IMF", as_of)
        if release is None or (self._own and self._own.as_of == release):
            return self._own if release else None
        older: dict[Key, list[Earlier]] = {}
        for when, country, year, figure in self._connection.execute(
            "SELECT As_of, Country, Year, GDP_USD_billion FROM GDP_Estimates"
            " WHERE Institution = 'IMF' AND As_of < ? ORDER BY As_of", (release,),
        ):  # fmt: skip
            older.setdefault((country, year), []).append(Earlier(when, figure))
        self._own = Release(release, figures(self.state(IMF_ITSELF, "IMF", release)), older)
        return self._own

    def choose_countries(self, vintage: Vintage | None, temporary: bool = False) -> None:
        """Make Countries_by_GDP from the IMF figures of a vintage; a temporary one hides the lasting one."""
        dialect = self._connection.dialect
        place = dialect.passing if temporary else dialect.lasting
        self._connection.execute(f"DROP TABLE IF EXISTS {place}.Countries_by_GDP")
        at = {"publisher": vintage.publisher, "as_of": vintage.as_of} if vintage else {"publisher": "", "as_of": ""}
        self._connection.execute(
            f"CREATE TABLE {place}.Countries_by_GDP {CHOOSE}", {**at, "unsourced": f"{UNSOURCED_NOTE}%"}
        )

    def chosen(self, vintage: Vintage) -> list[dict[str, Any]]:
        """Return what Countries_by_GDP would be as of a vintage, with ranks."""
        self.choose_countries(vintage, temporary=True)
        rows = rows_of(
            self._connection, "SELECT *, rank() OVER (ORDER BY GDP_USD_billion DESC) AS Rank FROM Countries_by_GDP"
        )
        self._connection.execute(f"DROP TABLE {self._connection.dialect.passing}.Countries_by_GDP")
        return rows

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

    def put(self, vintage: Vintage, records: Iterable[CleanRecord], notes: NotesOfChecks) -> None:
        """Store what a vintage says; loaded again, it was cleaned better, and replaces what was made of it before."""
        again = self._vintages.get((vintage.publisher, vintage.as_of))
        said: dict[str, Said] = {name: {} for name in vintage.institutions}
        for record in records:  # two figures for one key come with --force only; the lower one, which comes last, stays
            said[record["Institution"]][record["Country"], record["Year"]] = record
        for institution, now in said.items():
            series = _Around(self, vintage, institution, again)
            self._store(series, series.changes(now, notes))
            if series.after is None and not again:
                self._newest[vintage.publisher, institution] = vintage.as_of, series.standing(now)
        for institution in again.institutions if again else ():
            if institution not in said:  # it is not spoken of any more, which is not the same as gone
                series = _Around(self, vintage, institution, again)
                self._store(series, series.changes(None, notes))
        self._know(vintage)
        if self._own and vintage.as_of <= self._own.as_of:
            self._own = None

    def _store(self, series: _Around, changes: Iterable[tuple[set[Estimate], set[Estimate]]]) -> None:
        for stored, runs in changes:
            series.gone += stored - runs
            series.new += runs - stored
        self._newest.pop((series.vintage.publisher, series.institution), None)
        self._connection.executemany(REMOVE, (row.key for row in series.gone))
        self._connection.add("GDP_Estimates", series.new)

    def remember(self, vintage: Vintage, file: str, sha256: str, rows: int, told: Told = NOTHING_TOLD) -> None:
        """Add a line to Loads: what was loaded when, from which file, with how many rows, and what was told of it."""
        now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
        said = (vintage.as_of, rows, vintage.publisher, ", ".join(vintage.institutions), vintage.source)
        self._connection.execute(
            "INSERT INTO Loads (Loaded_at, File, SHA256, As_of, Rows, Publisher, Institutions, Source,"
            " Left_out, Findings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (now, file, sha256, *said, *told),
        )  # fmt: skip


class _Around:
    """A series around a vintage: what stood before, what was made of the vintage already, and what stands after."""

    def __init__(self, history: History, vintage: Vintage, institution: str, again: Vintage | None) -> None:
        publisher, as_of = vintage.publisher, vintage.as_of
        self.vintage, self.institution, self.again = vintage, institution, again
        self.after = history.after(publisher, institution, as_of)
        self.before = history.state(publisher, institution, history.before(publisher, institution, as_of))
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


def figures(state: Mapping[Key, Estimate]) -> dict[Key, float]:
    """Return the figures of a state, in billions of USD."""
    return {key: row.GDP_USD_billion for key, row in state.items()}


def vintage_of(records: list[CleanRecord]) -> Vintage:
    """Return the vintage whose records these are."""
    first = records[0]
    institutions = tuple(sorted({record["Institution"] for record in records}))
    return Vintage(publisher_of(first["Source"]), first["As_of"], institutions, first["Source"])


def which(record: CleanRecord) -> Which:
    """Return what tells a record's vintage: two revisions may have been saved in the same minute."""
    publisher, source = publisher_of(record["Source"]), record["Source"]
    return record["As_of"], publisher == PAGE, publisher, len(source), source


def vintages_in(records: Iterable[CleanRecord]) -> list[tuple[Vintage, list[CleanRecord]]]:
    """Return the vintages in a file, the oldest first and the IMF's own before the page that quotes it."""
    by_vintage: dict[Which, list[CleanRecord]] = {}
    for record in records:
        by_vintage.setdefault(which(record), []).append(record)
    return [(vintage_of(by_vintage[key]), by_vintage[key]) for key in sorted(by_vintage)]


def _estimate(record: CleanRecord, vintage: Vintage, notes: NotesOfChecks) -> Estimate:
    note = notes.added_to(record["Note"], record["Institution"], record["Country"], record["Year"])
    said = {**record, "Note": note, "Publisher": vintage.publisher, "Until": STANDS}
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
    }
