"""Storing vintages: those of a file pass in order, among those that the database has, and are checked on the way.

A check looks at the vintages before, and at the last figures that nothing was found against. So a vintage that is
inserted among others has the next ones checked again, until nothing changes any more: what is stored depends on what
was loaded, not on the order of loading, and a load costs what it loads.
"""

from __future__ import annotations

import gc
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import NamedTuple

from gdp.model import CURRENT, IMF, PUBLISHERS, WIKIPEDIA, Estimate
from gdp.store.dialect import ESTIMATES_KEY
from gdp.store.history import History, State, observations_of
from gdp.store.open_intervals import Writes, key_of
from gdp.store.outcome import LoadOutcome, short_json, vintage_fingerprint
from gdp.store.schema import index_estimates
from gdp.store.series import Series
from gdp.store.vintages import COMPARABLE, Vintage, changed_by_hand, vintage_of
from gdp.validate.consistency import LOOK_BACK, Surroundings
from gdp.validate.findings import Finding, Reported, doubt_of, marked, new_among
from gdp.validate.observations import Key, Observations, Statement
from gdp.validate.single_vintage import check_vintage, one_figure_each

World = Mapping[tuple[str, str], Mapping[int, float]]  # by institution and As_of: World rows by year, in millions
UNKNOWN = "unknown"
# An archive makes millions of objects and none in a circle: to look for those took a fifth of the time.
OBJECTS_A_COLLECTION = 200_000
MANY_ROWS = 10_000  # are written together: some MB
VINTAGES_AT_ONCE = 50  # whose rows are fetched together
KNOWN_RELEASES = 2  # of the IMF that a page is compared with


def cents_of(rows: Iterable[Estimate]) -> int:
    """Return the sum of rows' figures in hundredths of a billion USD."""
    return sum([round(row.GDP_USD_billion * 100) for row in rows])


class Arrival(NamedTuple):
    """A vintage that is about to pass: its observations, and whether it is of the file or of the database."""

    vintage: Vintage
    parts: list[Observations]
    is_new: bool


def ingest(
    history: History, vintages: Iterable[list[Observations]], force: bool, world: World | None = None
) -> LoadOutcome:
    """Check and store vintages that come in order of As_of; one with a fatal finding is refused, unless `force`.

    `world` has the World rows of the file.
    """
    gc.set_threshold(OBJECTS_A_COLLECTION)
    load = _Ingest(history, force, world or {})
    for _, same in groupby(vintages, lambda parts: vintage_of(parts)[:2]):
        *earlier, last = same
        load.outcome.number += len(earlier)
        load.outcome.outdated += map(vintage_of, earlier)  # of two revisions of the same minute, the later one stays
        load.add(last)
    return load.finish()


def check_again(history: History, vintages: Iterable[Vintage]) -> LoadOutcome:
    """Check vintages of the database again, as what is known about them has changed."""
    load = _Ingest(history, force=True, world={})
    for vintage in sorted(vintages, key=lambda one: one.as_of):
        load.pass_of(vintage.publisher, vintage.as_of).check_until(vintage.as_of)
    return load.finish()


class _Ingest:
    """The passes of a load, one a publisher, and what they share."""

    def __init__(self, history: History, force: bool, world: World) -> None:
        self.history, self.force, self.world = history, force, world  # the history's vintages are those of before
        self.connection = history.connection
        self.outcome = LoadOutcome(history)
        self.confirmed = self.history.confirmed()
        vintages = self.history.vintages.of("IMF", IMF.name)
        self._releases: dict[str, Statement | None] = {vintage.as_of: None for vintage in vintages}
        self._passes: dict[str, _Pass] = {}
        self._waiting = Writes([], [], [])

    def add(self, parts: list[Observations]) -> None:
        """Let a vintage of the file pass, unless the database has it already."""
        vintage = vintage_of(parts)
        self.outcome.number += 1
        known = self.history.vintages.at(vintage.publisher, vintage.as_of)
        if known and (len(known.source), known.source) > (len(vintage.source), vintage.source):
            self.outcome.outdated.append(vintage)
            return
        before = self.history.vintages.fingerprints.get((vintage.publisher, vintage.as_of))
        if known == vintage and not self.force and before == vintage_fingerprint(parts):
            self.outcome.add_unchanged(vintage)
            return
        if vintage.publisher == IMF.name and "IMF" in vintage.institutions:
            self.put_release(vintage.as_of, next(part for part in parts if part.institution == "IMF").statement)
        self.pass_of(vintage.publisher, vintage.as_of).add(Arrival(vintage, parts, is_new=True))

    def world_of(self, arrival: Arrival) -> dict[str, dict[int, float]]:
        """Return the World rows of a vintage by institution and year, in millions of USD."""
        vintage = arrival.vintage
        totals = self.history.vintages.control_totals(vintage.publisher, vintage.as_of)
        if arrival.is_new:
            own = {name: dict(self.world.get((name, vintage.as_of), {})) for name in vintage.institutions}
            totals |= {name: by_year for name, by_year in own.items() if by_year}
        return {name: totals[name] for name in vintage.institutions if totals.get(name)}

    def pass_of(self, publisher: str, as_of: str) -> _Pass:
        """Return the pass of a publisher; a new one begins before an As_of."""
        if publisher not in self._passes:
            self._passes[publisher] = _Pass(self, publisher, as_of)
        return self._passes[publisher]

    def finish(self) -> LoadOutcome:
        """End all passes, write what is waiting, and return what became of the vintages."""
        for publisher in (*(name for name in PUBLISHERS if name != WIKIPEDIA.name), WIKIPEDIA.name):
            self._write()  # a page is compared with releases that the database has, as they are in the end
            if publisher in self._passes:
                self._passes[publisher].finish()
        self._write()
        if not self.history.vintages.all():
            index_estimates(self.connection)
        return self.outcome

    # --- the IMF's own releases, which pages are compared with ---

    def keep_statement(self, as_of: str, parts: Iterable[Observations]) -> None:
        """Keep what the database has of a release that passes."""
        for part in parts:
            if part.institution == "IMF":
                self._releases[as_of] = part.statement

    def put_release(self, as_of: str, statement: Statement | None) -> None:
        """Add a release, or remove one that was refused; pages that it is one of the last two for change."""
        self._releases.pop(as_of, None)
        if statement:
            self._releases[as_of] = statement
        later = sorted(day for day in self._releases if day > as_of)
        until = later[KNOWN_RELEASES - 1] if len(later) >= KNOWN_RELEASES else CURRENT
        page = self.history.vintages.after(WIKIPEDIA.name, as_of)
        if WIKIPEDIA.name in self._passes or (page and page.as_of <= until):
            self.pass_of(WIKIPEDIA.name, as_of).check_until(until)

    def releases_before(self, as_of: str) -> list[Statement]:
        """Return the last releases of the IMF that are known on a day, newest first.

        Those that pass are taken from their pass: what the database has of them may be written in part.
        """
        if IMF.name in self._passes:
            self._passes[IMF.name].pass_until(as_of)
        days = sorted((day for day in self._releases if day < as_of), reverse=True)[:KNOWN_RELEASES]
        stored = [day for day in days if self._releases[day] is None]
        self._releases |= zip(stored, self.history.statements(IMF.name, "IMF", stored), strict=True)
        return [statement for day in days if (statement := self._releases[day])]

    # --- writing ---

    def write(self, writes: Writes) -> None:
        """Take what a series has to write; write it when it is much."""
        self._waiting.insert.extend(writes.insert)
        self._waiting.end.extend(writes.end)
        self._waiting.remove.extend(writes.remove)
        for written in writes:
            written.clear()
        if sum(len(some) for some in self._waiting) > MANY_ROWS:
            self._write()

    def _write(self) -> None:
        insert, end, remove = self._waiting
        if not any(self._waiting):
            return
        self._waiting = Writes([], [], [])
        if self.history.is_read_back:
            self.outcome.totals_before = self.outcome.totals_before or self.history.totals()
        self.outcome.cents += cents_of(insert) - cents_of(remove)
        self.outcome.rows += len(insert) - len(remove)
        if remove:
            self.connection.remove_estimates(map(key_of, remove))
        if end:
            self.connection.close_estimates(end)
        if insert:
            insert.sort(key=itemgetter(*map(Estimate._fields.index, ESTIMATES_KEY)))
            self.connection.add("GDP_Estimates", Estimate._fields, insert)


class _Pass:
    """One publisher's vintages, which pass in order: those of the file, and those that the database has among them."""

    def __init__(self, load: _Ingest, publisher: str, as_of: str) -> None:
        self._load, self._publisher = load, publisher
        self._vintages = load.history.vintages
        self._series: dict[str, Series] = {}
        self._earlier: deque[dict[str, Statement]] = deque(maxlen=LOOK_BACK)  # newest first
        self._check_until = ""
        self._steady = LOOK_BACK  # vintages in a row that are as before, and that later ones are compared with
        begin = self._vintages.last_before(publisher, as_of, LOOK_BACK)
        self.begin = begin[0].as_of if begin else ""
        self._at = ""  # As_of of the last vintage that passed
        self._fetched: dict[str, list[Estimate]] = {}  # rows of institutions that have not passed yet
        self._fetched_until = self._some_vintages_after(self.begin)
        if self._vintages.after(publisher, ""):
            self._give(load.history.current(publisher, self.begin, self._fetched_until))
        for vintage in begin:
            self._pass_stored(vintage)

    # --- what the database has ---

    def _some_vintages_after(self, as_of: str) -> str:
        """Return the As_of up to which rows are fetched together."""
        for _ in range(VINTAGES_AT_ONCE):
            following = self._vintages.after(self._publisher, as_of)
            as_of = following.as_of if following else as_of
        return as_of

    def _fetch_until(self, as_of: str) -> None:
        """Fetch the rows that begin up to an As_of, before anything of the same days is written."""
        following = self._vintages.after(self._publisher, self._fetched_until)
        if following and following.as_of <= as_of:
            until = self._some_vintages_after(as_of)
            self._give(self._load.history.begun(self._publisher, self._fetched_until, until))
            self._fetched_until = until

    def _give(self, rows: list[Estimate]) -> None:
        """Give each institution's series its rows."""
        rows.sort(key=attrgetter("Institution", "As_of"))
        for institution, some in groupby(rows, attrgetter("Institution")):
            if institution in self._series:
                self._series[institution].add_fetched(list(some))
            else:
                self._fetched.setdefault(institution, []).extend(some)

    # --- what passes ---

    def add(self, arrival: Arrival) -> None:
        """Let a vintage of the file pass, after those of the database that are older."""
        as_of = arrival.vintage.as_of
        self.pass_until(as_of)
        self._fetch_until(as_of)
        known = self._vintages.at(self._publisher, as_of)
        stored = self._stored(known) if known and self._at < as_of else []
        self._check(arrival, stored)
        self._at = as_of

    def pass_until(self, as_of: str) -> None:
        """Pass the vintages of the database from before an As_of."""
        while (following := self._vintages.after(self._publisher, self._at)) and following.as_of < as_of:
            self._pass_stored(following)

    def check_until(self, as_of: str) -> None:
        """Have the vintages of the database checked that pass up to an As_of."""
        self._check_until = max(self._check_until, as_of)

    def finish(self) -> None:
        """Pass the database's vintages until nothing changes any more, and end."""
        while (following := self._vintages.after(self._publisher, self._at)) and not self._is_over():
            self._pass_stored(following)
        rows = [row for series in self._series.values() for row in series.intervals.rows.values()]
        self._load.outcome.states[self._publisher] = self._at, rows
        for series in self._series.values():
            series.finish(self._at)
            self._load.write(series.intervals.writes)

    def _is_over(self) -> bool:
        """Return whether all further vintages of the database would pass unchanged."""
        if self._steady < LOOK_BACK or self._at < self._check_until:
            return False
        return all(series.is_joined and not series.pending for series in self._series.values())

    def _pass_stored(self, vintage: Vintage) -> None:
        """Let a vintage of the database pass, checked again where what it is compared with has changed."""
        self._fetch_until(vintage.as_of)
        arrival = Arrival(vintage, self._stored(vintage), is_new=False)
        if self._publisher == IMF.name:
            self._load.keep_statement(vintage.as_of, arrival.parts)
        is_concerned = any(self.series_of(part.institution).is_concerned(part) for part in arrival.parts)
        if self._steady < LOOK_BACK or vintage.as_of <= self._check_until or is_concerned:
            self._check(arrival)
        else:
            self._keep(arrival)
        self._at = vintage.as_of

    def _stored(self, vintage: Vintage) -> list[Observations]:
        """Return what the database has of a vintage, made from its rows."""
        states = [(name, self.series_of(name).stored_at(vintage.as_of)) for name in vintage.institutions]
        return [observations_of(vintage, name, rows) for name, rows in states if rows]

    def series_of(self, institution: str) -> Series:
        """Return the rows of an institution in this pass."""
        if institution not in self._series:
            fetched = self._fetched.pop(institution, [])
            self._series[institution] = Series(self._load.history, self._publisher, institution, self.begin, fetched)
        return self._series[institution]

    # --- checks ---

    def _keep(self, arrival: Arrival) -> None:
        """Let a vintage of the database pass as it is."""
        doubt = self._vintages.doubts.get((self._publisher, arrival.vintage.as_of))
        for part in arrival.parts:
            series = self.series_of(part.institution)
            series.advance(arrival.vintage, part, series.stored_marks(part), is_new=False)
            series.compare_baselines(part, doubt, doubt, is_new=False)
            series.add_to_baseline(part, doubt)
        self._remember(arrival.parts, doubt)
        self._steady += doubt in COMPARABLE

    def _check(self, arrival: Arrival, stored: Sequence[Observations] = ()) -> None:
        """Check a vintage and let it pass; `stored` is what the database has of the same one, should it be refused."""
        findings, parts = self._findings_on(arrival)
        is_fatal = any(finding.fatal for finding in findings)
        if arrival.is_new and is_fatal and not self._load.force:
            self._load.outcome.add(arrival.vintage, findings, findings)
            self._load.outcome.refused.append(arrival.vintage)
            if self._publisher == IMF.name:
                self._load.put_release(arrival.vintage.as_of, None)
            known = self._vintages.at(self._publisher, arrival.vintage.as_of)
            if known and stored:
                self._keep(Arrival(known, list(stored), is_new=False))
            return
        if not arrival.is_new:
            self._load.outcome.later_fatal += [finding for finding in findings if finding.fatal]
        self._store(arrival, parts, findings)

    def _findings_on(self, arrival: Arrival) -> tuple[list[Finding], list[Observations]]:
        """Return what the checks find on a vintage, and its observations with one figure a country and year."""
        baselines = {part.institution: self.series_of(part.institution).baseline for part in arrival.parts}
        as_of = arrival.vintage.as_of
        around = Surroundings(
            earlier=list(self._earlier),
            baselines=baselines,
            releases=self._load.releases_before(as_of) if self._publisher == WIKIPEDIA.name else [],
            confirmed=self._confirmed_in(arrival),
            world=self._load.world_of(arrival),
        )
        findings = check_vintage(arrival.parts, around)
        return findings, [one_figure_each(part, baselines[part.institution]) for part in arrival.parts]

    def _confirmed_in(self, arrival: Arrival) -> set[tuple[str, Key]]:
        """Return the institution and key of the figures of a vintage that a person confirmed."""
        return {
            (part.institution, (country, year))
            for part in (arrival.parts if self._load.confirmed else ())
            for country, code, year in zip(part.countries, part.codes, part.years, strict=True)
            if (self._publisher, part.institution, code, year, part.as_of) in self._load.confirmed
        }

    # --- storing ---

    def _store(self, arrival: Arrival, parts: list[Observations], findings: list[Finding]) -> None:
        vintage, doubt = arrival.vintage, doubt_of(findings)
        key = (vintage.publisher, vintage.as_of)
        known = self._vintages.at(*key)
        stored_doubt = self._vintages.doubts.get(key) if known else UNKNOWN
        has_later = self._vintages.after(*key) is not None
        is_changed = arrival.is_new or self._vintages.doubts.get(key) != doubt
        began: dict[str, State] = {}
        for part in parts:
            series = self.series_of(part.institution)
            marks = marked(part, findings)
            is_changed = is_changed or marks != series.stored_marks(part)
            began[part.institution] = series.advance(vintage, part, marks, arrival.is_new)
            if has_later:
                series.compare_baselines(part, doubt, stored_doubt, arrival.is_new)
            series.add_to_baseline(part, doubt)
            self._load.write(series.intervals.writes)
        for institution in {*known.institutions} - {*vintage.institutions} if known else ():
            self.series_of(institution).compare_baselines(None, doubt, stored_doubt)
            self.series_of(institution).is_joined = False
        self._load.outcome.doubts[key] = doubt
        self._remember(parts, doubt)
        self._steady = 0 if is_changed else self._steady + (doubt in COMPARABLE)
        if arrival.is_new:
            new = new_among(findings, began, self._reported() if findings else ())
            self._load.outcome.add(vintage, findings, new)
            self._load.outcome.add_loaded(vintage, arrival.parts, sum(map(len, parts)))
            self._load.outcome.control_totals[vintage] = json.dumps(self._load.world_of(arrival))
        else:
            self._load.outcome.checked_again[vintage] = short_json(findings)

    def _reported(self) -> set[Reported]:
        """Return the findings on the vintage that passed last, as they need not be reported again."""
        found = self._load.outcome.last_found.get((self._publisher, self._at))
        if found is None:
            found = self._load.history.findings(self._publisher, self._at)
        try:
            return {(one["check"], one["institution"], one["seen"]) for one in json.loads(found)}
        except (ValueError, TypeError, LookupError):
            raise changed_by_hand(f"Loads has {found!r} in Findings"[:200]) from None

    def _remember(self, parts: list[Observations], doubt: str | None) -> None:
        if doubt in COMPARABLE:
            self._earlier.appendleft({part.institution: part.statement for part in parts})
