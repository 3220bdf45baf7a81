"""What became of the vintages of a load and what the checks found: recorded in Loads, compared with what is stored."""

from __future__ import annotations

import hashlib
import json
import marshal
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timezone
from functools import cache
from operator import itemgetter
from typing import Any

from gdp.model import HEADLINE_FIELDS, Estimate
from gdp.store.database import Connection, rows_of
from gdp.store.headlines import HEADLINE_COLUMNS
from gdp.store.history import EstimateTotals, History
from gdp.store.vintages import Vintage, Vintages
from gdp.validate.findings import Finding
from gdp.validate.observations import Observations
from utils import PROJECT, Exit, StageError, pages_folder

# the columns of what was published; flags are apart, as the checks add to them
PUBLISHED = ("Country", "Year", "GDP_USD_billion", "GDP_USD_million", "Status")


class LoadOutcome:
    """What became of the vintages of a file, and what the checks found.

    Of an archive's older vintages, fatal findings are kept, and other findings are counted.
    """

    def __init__(self, history: History) -> None:
        self.history = history  # of before the load
        self.totals_before: EstimateTotals | None = None  # None if nothing was written
        self.number = 0
        self.newest: dict[str, Vintage] = {}  # by publisher
        self.loaded: dict[Vintage, tuple[int, str]] = {}  # with the number of figures and the fingerprint
        self.unchanged: list[Vintage] = []
        self.refused: list[Vintage] = []
        self.outdated: list[Vintage] = []
        self.later_fatal: list[Finding] = []  # on vintages that were loaded before
        self.rows, self.cents = 0, 0  # that were added to GDP_Estimates, less those that were removed
        self.states: dict[str, tuple[str, list[Estimate]]] = {}  # by publisher: the last As_of and its rows
        self.doubts: dict[tuple[str, str], str | None] = {}  # by publisher and As_of
        self.checked_again: dict[Vintage, str] = {}  # loaded before, with other findings now, as JSON
        self.new_findings: dict[str, list[Finding]] = {}  # by publisher, on its newest vintage: not reported before
        self.older: Counter[str] = Counter()
        self.found_in_short: dict[Vintage, str] = {}  # as JSON
        self.last_found: dict[tuple[str, str], str] = {}  # of the vintage that was added last, by publisher and As_of
        self.control_totals: dict[Vintage, str] = {}  # as JSON
        self._found: dict[Vintage, list[Finding]] = {}

    @property
    def findings(self) -> list[Finding]:
        """The findings, oldest vintage first."""
        return [finding for vintage in sorted(self._found) for finding in self._found[vintage]]

    def add(self, vintage: Vintage, findings: list[Finding], new: list[Finding]) -> None:
        """Add a vintage of the file and what was found on it; `new` are the findings that were not reported before."""
        self._found[vintage] = findings
        self.new_findings[vintage.publisher] = new
        self.found_in_short[vintage] = short_json(findings)
        self.last_found = {(vintage.publisher, vintage.as_of): self.found_in_short[vintage]}
        before = self.newest.get(vintage.publisher)
        self.newest[vintage.publisher] = max(before or vintage, vintage)
        for older in {before, vintage} - {None, self.newest[vintage.publisher]}:
            assert older
            found = self._found.pop(older, [])
            self.older.update(finding.check for finding in found if not finding.fatal)
            fatal = [finding for finding in found if finding.fatal]
            if fatal:
                self._found[older] = fatal

    def add_loaded(self, vintage: Vintage, parts: list[Observations], figures: int) -> None:
        """Add a vintage that was stored, with the number of its figures."""
        self.loaded[vintage] = figures, vintage_fingerprint(parts)

    def add_unchanged(self, vintage: Vintage) -> None:
        """Add a vintage that the database has already."""
        self.unchanged.append(vintage)
        self.newest[vintage.publisher] = max(self.newest.get(vintage.publisher, vintage), vintage)


def short_json(findings: Iterable[Finding]) -> str:
    """Return findings without their notes, as Loads has them."""
    return json.dumps([finding.in_short() for finding in findings])


# --- unchanged vintages ----------------------------------------------------------------------------------------------


def known_file(history: History, sha256: str, records: int) -> LoadOutcome | None:
    """Return the outcome of a file whose every record the database has, checked by the rules of today, or None."""
    figures = history.vintages.of_file(sha256)
    fingerprints = [history.vintages.fingerprints[one.publisher, one.as_of] or "" for one in figures]
    if not figures or sum(figures.values()) != records or {one.partition(":")[2] for one in fingerprints} != {_rules()}:
        return None
    outcome = LoadOutcome(history)
    outcome.number = len(figures)
    for vintage in sorted(figures):
        outcome.add_unchanged(vintage)
    return outcome


def vintage_fingerprint(parts: list[Observations]) -> str:
    """Return a hash of what a vintage published, and one of the rules that check it, with a colon between."""
    digest = hashlib.sha256()
    for part in sorted(parts, key=lambda one: one.institution):
        rows = zip(*(part.columns[name] for name in PUBLISHED), part.published_flags, strict=True)
        # where a country has two figures for a year, later fields would be compared, and None cannot be
        ordered = sorted(rows) if part.has_each_once else sorted(rows, key=itemgetter(0, 1, 2))
        digest.update(marshal.dumps([part.institution, ordered], 2))  # 2: without references
    return f"{digest.hexdigest()[:32]}:{_rules()}"


@cache
def _rules() -> str:
    """Return a hash of the checks and of the releases that they compare with."""
    files = [*sorted((PROJECT / "gdp" / "validate").glob("*.py")), *sorted((PROJECT / "data").glob("imf_releases*"))]
    answers = sorted(path.name for path in pages_folder().glob("*_imf_*"))
    digest = hashlib.sha256(" ".join(answers).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


# --- Loads -----------------------------------------------------------------------------------------------------------


def record_loads(outcome: LoadOutcome, file: str, sha256: str, left_out: dict[str, int] | None = None) -> None:
    """Write into Loads what a load did: a row for each vintage that is new or has other figures.

    `left_out` is what transform left out of the file; Loads has it of a vintage that its file has alone.
    """
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    history = outcome.history
    rows = []
    left_out_json = json.dumps(left_out) if outcome.number == 1 and left_out is not None else None
    known = history.vintages.fingerprints
    for vintage, (number, fingerprint) in outcome.loaded.items():
        key = (vintage.publisher, vintage.as_of)
        findings = outcome.found_in_short[vintage]
        doubt, before = outcome.doubts.get(key), known.get(key)
        if before and before.partition(":")[0] == fingerprint.partition(":")[0]:  # checked by other rules
            history.update_load(vintage, Findings=findings, Doubt=doubt, Fingerprint=fingerprint)
            continue
        published = (vintage.as_of, number, vintage.publisher, ", ".join(vintage.institutions), vintage.source)
        totals = outcome.control_totals[vintage]
        rows.append((now, file, sha256, *published, left_out_json, findings, doubt, fingerprint, totals))
    history.add_loads(rows)
    update_checked(outcome)
    for vintage in outcome.loaded:
        history.vintages.add(vintage)


def update_checked(outcome: LoadOutcome) -> None:
    """Write into Loads what was found on vintages that were loaded before, where it changed."""
    for vintage, findings in outcome.checked_again.items():
        outcome.history.update_load(
            vintage, Doubt=outcome.doubts.get((vintage.publisher, vintage.as_of)), Findings=findings
        )


# --- what was written, read back -------------------------------------------------------------------------------------


def check_stored(connection: Connection, outcome: LoadOutcome, headlines: list[dict[str, Any]]) -> None:
    """Raise StageError (65) where a trigger, a rule or a column's type changed what a load wrote.

    `headlines` are those of the newest vintage, which Countries_by_GDP is to have.
    """
    if not outcome.history.is_read_back:  # the larger the database, the longer it takes
        return
    connection.run_deferred_triggers()
    written = {(vintage.publisher, vintage.as_of, mark) for vintage, (_, mark) in outcome.loaded.items()}
    recorded = Vintages(connection).fingerprints if written else {}
    if not all((name, as_of, recorded.get((name, as_of))) in written for name, as_of, _ in written):
        raise _changed_by_trigger(connection, "Loads")
    if before := outcome.totals_before:
        expected = EstimateTotals(before.rows + outcome.rows, before.cents + outcome.cents)
        if outcome.history.totals() != expected or not all(_is_stored(outcome, one) for one in outcome.states):
            raise _changed_by_trigger(connection, "GDP_Estimates")
    if headlines and not _are_stored(connection, headlines):
        raise _changed_by_trigger(connection, "Countries_by_GDP")


def _is_stored(outcome: LoadOutcome, publisher: str) -> bool:
    """Return whether the rows of the last vintage that a load passed are in the database as they were written."""
    as_of, written = outcome.states[publisher]
    stored = outcome.history.current(publisher, as_of)
    return {row._replace(Until="") for row in stored} == {row._replace(Until="") for row in written}


def _are_stored(connection: Connection, headlines: list[dict[str, Any]]) -> bool:
    stored = rows_of(connection, f"SELECT {HEADLINE_COLUMNS} FROM Countries_by_GDP ORDER BY Country")
    chosen = [{name: row[name] for name in HEADLINE_FIELDS} for row in headlines]
    return stored == sorted(chosen, key=itemgetter("Country"))


def _changed_by_trigger(connection: Connection, table: str) -> StageError:
    return StageError(
        Exit.BAD_DATA,
        f"{connection.place} changes what is written to {table}: a trigger or a rule is on it, or a column has another"
        " type; nothing was loaded: change that back, or name another database with --database",
    )
