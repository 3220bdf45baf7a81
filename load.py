"""Stage 3: clean figures into SQLite, and the two screens out of it.

Reads  results/Countries_by_GDP_Processed.json
Writes sqliteDB/World_Economies.db   Countries_by_GDP, GDP_Estimates and Loads, in one transaction
Prints the countries at or above 100 billion USD, the mean of each region's top five, and what changed;
       or, with --as-of, --changes, --country or --compare, an answer out of what was loaded before
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gdp.answers import questions
from gdp.answers.changes import Changes, changed, ranking, summary
from gdp.checks.findings import Finding, NotesOfChecks, as_checks, named
from gdp.checks.vintage import check_vintage
from gdp.records import PAGE, CleanRecord
from gdp.running.command_line import command_line, day
from gdp.running.journal import Journal
from gdp.running.stage import answer, leave, run_stage
from gdp.store.clean_file import CleanFile, Mixed, said_twice
from gdp.store.database import Connection, Place, asked, opened, transaction
from gdp.store.history import History, Told, Vintage, vintage_of, vintages_in
from gdp.store.tables import create_tables, take_out_old
from utils import Exit, StageError, checks_file, clean_file, database_file, log_file, which_file, write_whole, writing

MAX_NAMED = 10  # vintages that were not loaded; the log has them all


class Loaded(NamedTuple):
    """What a load did: the change that it made to Countries_by_GDP, and the vintages that it refused."""

    changes: Changes
    refused: list[Vintage]


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script, or answer a question; return its exit code."""
    gc.disable()  # records hold no cycles, and to look for some takes a tenth of the time
    options = parse_arguments(arguments)
    journal = Journal("load", options.quiet)
    database = Place.named(options.database or database_file())
    if options.export:
        return answer(journal, partial(export_countries, options, database, journal))
    if options.as_of or options.changes or options.country is not None or options.compare:
        return answer(journal, partial(answer_question, options, database))

    def work() -> None:
        loaded = load(options.input or clean_file(), database, journal, force=options.force)
        with asked(database) as connection:
            show = questions.show_load(connection, loaded.changes, as_json=options.json, quiet=options.quiet)
        show()
        refuse_newest(loaded.refused)

    return run_stage(journal, work, options.wait)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_line(
        "Load clean GDP figures into SQLite; print the large economies and each region's top five.",
        "python load.py",
        "python load.py --as-of 2026-01-01",
        "python load.py --country KOR",
        "python load.py --export",
    )
    add = parser.add_argument
    add("--input", type=Path, metavar="FILE", help="clean records (default: transform's)")
    add("--database", metavar="FILE_OR_URL", help="a file or postgresql://… (default: sqliteDB/World_Economies.db)")
    add("--force", action="store_true", help="load in spite of fatal findings, and note them on the rows")
    add("--json", action="store_true", help="print as one JSON object")
    past = parser.add_argument_group("instead of loading, ask what was loaded before")
    past.add_argument("--as-of", type=day, metavar="DATE", help="both screens as they would have been then")
    past.add_argument("--changes", action="store_true", help="what the last refresh changed")
    past.add_argument("--since", type=day, metavar="DATE", help="with --changes: what changed since then")
    past.add_argument("--country", metavar="CODE_OR_NAME", help="one country's estimates through the vintages")
    past.add_argument("--compare", action="store_true", help="the page's IMF column against the IMF's own figures")
    past.add_argument(
        "--export", action="store_true", help="write results/Countries_by_GDP.csv, .parquet and their datapackage.json"
    )
    options = parser.parse_args(arguments)
    questions_asked = [options.changes, options.country is not None, options.compare, options.export]
    if sum(questions_asked) > 1 or (options.as_of and (options.changes or options.country is not None)):
        parser.error("ask one thing at a time: --as-of, --changes, --country, --compare or --export")
    if options.since and not options.changes:
        parser.error("--since goes with --changes")
    if (options.as_of or any(questions_asked)) and (options.input or options.force):
        parser.error("--input and --force are for loading, and a question loads nothing")
    return options


def answer_question(options: argparse.Namespace, database: Place) -> None:
    """Answer the question that was asked; raises StageError where the answer was never loaded."""
    tell = ask(options, database)
    tell()


def ask(options: argparse.Namespace, database: Place) -> Callable[[], None]:
    """Return what prints the answer to the question that was asked, the database closed: nobody waits for a reader.

    Raises StageError where the answer was never loaded.
    """
    with asked(database) as connection:
        if options.changes:
            return questions.show_changes(connection, options.since, options.json)
        if options.country is not None:
            return questions.show_country(connection, options.country, options.json)
        if options.compare:
            return questions.show_comparison(connection, options.as_of, options.json)
        return questions.show_as_of(connection, options.as_of, options.json)


def export_countries(options: argparse.Namespace, database: Place, journal: Journal) -> None:
    """Write Countries_by_GDP for other tools; raises StageError where there is none, or it cannot be written."""
    from gdp.answers.export import export

    with asked(database) as connection:
        history = History(connection)
        vintage = questions.vintage_at(history, options.as_of)
        history.choose_countries(vintage, temporary=True)
        export(connection, vintage, clean_file().parent, journal)


# --- loading ----------------------------------------------------------------------------------------------------------


def load(source: Path, database: Place, journal: Journal, force: bool = False) -> Loaded:
    """Load the clean records of `source`, all or none; raises StageError, and leaves the database as it was.

    What the checks find is told on screen, in the log and in results/Checks.json. A fatal finding stops its vintage,
    unless `force`; where a file holds several, as an archive does, the others are loaded.
    """
    reading = CleanFile(source, journal)
    if database.path:
        with writing(database.path):
            database.path.parent.mkdir(parents=True, exist_ok=True)
    with opened(database) as connection, transaction(connection):
        carry_over(connection)
        history = History(connection)
        before = ranking(history, history.newest_imf())
        history, taken = take_all(connection, reading, force)
        sha256 = reading.sha256
        journal.note_input(source, reading.count, sha256)
        journal.say(f"{reading.count:,} clean records read from {source}")
        findings, left_out = told_by_transform(source, sha256, journal)
        findings += taken.findings
        tell_findings(findings, is_loaded(connection, sha256), taken, journal)
        if not (taken.loaded or taken.outdated):
            refuse_all(as_checks(findings, which_file(source, sha256), left_out or {}), findings)
        for vintage, rows in taken.loaded.items():
            history.remember(vintage, str(source.absolute()), sha256, rows, told_of(vintage, taken, findings, left_out))
        newest = history.newest_imf()
        history.choose_countries(newest)
        changes = changed(before, ranking(history, newest))
    journal.facts["as_of"] = newest.as_of if newest else None
    loaded = sum(taken.loaded.values())
    journal.note_output(database.path or str(database), loaded)
    journal.attempt(lambda: write_whole(checks_file(), as_checks(findings, which_file(source, sha256), left_out or {})))
    warn_of_refused(taken, journal)
    of_how_many = f" of {len(taken.loaded):,} vintages" if taken.number > 1 else ""
    journal.say(f"{loaded:,} estimates{of_how_many} loaded into {database}")
    journal.say(summary(changes))
    return Loaded(changes, [vintage for vintage in taken.refused if vintage in taken.newest.values()])


def carry_over(connection: Connection) -> None:
    """Create the tables where they are missing, and take in a database from before figures had an Until."""
    old = take_out_old(connection)
    create_tables(connection)
    history = History(connection)
    for vintage, said in vintages_in(old):
        take_in(history, vintage, said, check(history, vintage, said))
        history.remember(vintage, "carried over from before figures had an Until", "", len(said))


class Taken:
    """What was taken from a file: its vintages, the rows of those that were loaded, and what the checks found.

    Of an archive's older vintages the fatal findings are kept, and of the others how many there were.
    """

    def __init__(self) -> None:
        self.newest: dict[str, Vintage] = {}
        self.number = 0
        self.loaded: dict[Vintage, int] = {}
        self.refused: list[Vintage] = []
        self.outdated: list[Vintage] = []
        self.later_fatal: list[Finding] = []  # on vintages loaded before, in the light of what is loaded now
        self.older: Counter[str] = Counter()
        self.told: dict[Vintage, str] = {}  # what was found on each, in short, as JSON
        self._found: dict[Vintage, list[Finding]] = {}

    @property
    def findings(self) -> list[Finding]:
        """What was found, oldest vintage first."""
        return [finding for vintage in sorted(self._found) for finding in self._found[vintage]]

    def add(self, vintage: Vintage, found: list[Finding]) -> None:
        """Take note of a vintage and what was found on it."""
        self.number += 1
        self._found[vintage] = found
        self.told[vintage] = json.dumps([finding.in_short() for finding in found])
        before = self.newest.get(vintage.publisher)
        self.newest[vintage.publisher] = max(before or vintage, vintage)
        for older in {before, vintage} - {None, self.newest[vintage.publisher]}:
            assert older
            self.older.update(finding.check for finding in self._found[older] if not finding.fatal)
            fatal = [finding for finding in self._found.pop(older) if finding.fatal]
            if fatal:
                self._found[older] = fatal


def take_all(connection: Connection, reading: CleanFile, force: bool) -> tuple[History, Taken]:
    """Store every vintage of a file that has no fatal finding, or all where forced; return what is known then."""
    connection.execute("SAVEPOINT before_reading")
    with contextlib.suppress(Mixed):
        history = History(connection)
        return history, take_each(history, reading.vintages(), force)
    connection.execute("ROLLBACK TO before_reading")
    history = History(connection)
    return history, take_each(history, reading.sorted_vintages(), force)


def take_each(history: History, vintages: Iterable[list[CleanRecord]], force: bool) -> Taken:
    """Store each vintage that has no fatal finding, or each one where forced."""
    taken = Taken()
    for records in vintages:
        vintage = vintage_of(records)
        known = history.known(vintage)
        if known and (len(known.source), known.source) > (len(vintage.source), vintage.source):
            taken.outdated.append(vintage)  # of two revisions saved in the same minute the later one stands
            continue
        found = check(history, vintage, records)
        taken.add(vintage, found)
        if any(finding.fatal for finding in found) and not force:
            taken.refused.append(vintage)
            continue
        taken.later_fatal += take_in(history, vintage, records, found)
        taken.loaded[vintage] = len(records)
    return taken


def check(history: History, vintage: Vintage, said: list[CleanRecord]) -> list[Finding]:
    """Return what the checks find on a vintage, given all that is loaded."""
    own = history.release_before(vintage.as_of) if vintage.publisher == PAGE else None
    twice = [
        Finding("a country twice", False, name, vintage.as_of, f"{named(countries)} twice, alike", "once")
        for name, countries in said_twice(said).items()
    ]
    return twice + check_vintage(said, history.figures_before(vintage.publisher, vintage.as_of), own)


def take_in(history: History, vintage: Vintage, said: list[CleanRecord], found: list[Finding]) -> list[Finding]:
    """Store a vintage, and check again those whose Notes look back at it: so no order of loading matters.

    Returns the fatal findings on those, which are loaded all the same.
    """
    replaced = history.known(vintage)
    institutions = {*vintage.institutions, *(replaced.institutions if replaced else ())}
    history.put(vintage, said, NotesOfChecks(found))
    fatal: list[Finding] = []
    for later in history.depending_on(vintage, institutions):  # none where an archive is loaded in order
        records = history.records(later)
        found_later = check(history, later, records)
        fatal += [finding for finding in found_later if finding.fatal]
        history.put(later, records, NotesOfChecks(found_later))
    return fatal


# --- findings ---------------------------------------------------------------------------------------------------------


def told_by_transform(source: Path, sha256: str, journal: Journal) -> tuple[list[Finding], dict[str, int] | None]:
    """Return what transform tells of this very file: what it found, as it alone sees the World row, and left out."""
    path = source.with_name(checks_file().name)
    try:
        told = json.loads(path.read_bytes())
        if told["clean_file"] in (which_file(source, sha256), which_file(source)):
            found = [Finding.from_json(finding) for finding in told["findings"] if finding["stage"] == "transform"]
            return found, dict(told["left_out"])
    except (OSError, ValueError, LookupError, TypeError):
        pass
    journal.warn(f"{path} does not speak of this file: its sum was not compared with World; run transform.py again")
    return [], None


def told_of(vintage: Vintage, taken: Taken, findings: list[Finding], left_out: dict[str, int] | None) -> Told:
    """Return what Loads tells of a vintage: what was found on it, and what was left out, if its file holds it alone."""
    found = json.loads(taken.told[vintage])
    found += [
        one.in_short() for one in findings
        if one.stage == "transform" and one.as_of == vintage.as_of and one.institution in vintage.institutions
    ]  # fmt: skip
    alone = taken.number == 1 and left_out is not None
    return Told(json.dumps(left_out) if alone else None, json.dumps(found))


def warn_of_refused(taken: Taken, journal: Journal) -> None:
    """Name the vintages that were not loaded, and what is in doubt of those that were; of very many, the first."""
    told = [f"not loaded: {vintage.source}, as a later revision of the same minute is" for vintage in taken.outdated]
    told += [f"loaded before, and now in doubt, as of {one.as_of}: {one}" for one in taken.later_fatal]
    told += [f"not loaded: {vintage.source} as of {vintage.as_of}, for a fatal finding" for vintage in taken.refused]
    for line in told[:MAX_NAMED]:
        journal.warn(line)
    for line in told[MAX_NAMED:]:
        journal.log(f"warning: {line}")
    if len(told) > MAX_NAMED:
        journal.warn(f"{len(told) - MAX_NAMED} more like these: they are in {log_file()}, why in {checks_file()}")


def is_loaded(connection: Connection, sha256: str) -> bool:
    """Tell whether this very file has been loaded before."""
    return connection.execute("SELECT 1 FROM Loads WHERE SHA256 = ?", (sha256,)).fetchone() is not None


def tell_findings(findings: list[Finding], told_before: bool, taken: Taken, journal: Journal) -> None:
    """Tell all findings together, on screen and in the log; those on an archive's older vintages by number.

    A quiet run repeats no warning about a file that was loaded before, or cron would mail the same lines every day.
    """
    current = {vintage.as_of for vintage in taken.newest.values()}
    for finding in (finding for finding in findings if finding.as_of in current):
        (journal.say if told_before and not finding.fatal else journal.warn)(str(finding))
    if taken.older:
        told = ", ".join(f"{number:,} {check}" for check, number in taken.older.most_common())
        journal.say(f"on {taken.number - len(taken.newest):,} older vintages, noted on their rows: {told}")
    fatal = sum(finding.fatal for finding in findings)
    journal.say(f"checks: {fatal} fatal findings, {len(findings) - fatal} to look at")


def refuse_all(checks: bytes, findings: list[Finding]) -> None:
    """Raise StageError (65) as every vintage has a fatal finding, with all of them in results/Checks.json."""
    write_whole(checks_file(), checks)
    fatal = dict.fromkeys(f"{finding.check} ({finding.institution})" for finding in findings if finding.fatal)
    raise StageError(
        Exit.BAD_DATA,
        f"not loaded, the old data stands: {', '.join(fatal)}; see {checks_file()}, and --force to load all the same",
    )


def refuse_newest(refused: list[Vintage]) -> None:
    """Raise StageError (65) where what a publisher says now was refused, though others' figures were loaded."""
    if refused:
        named = ", ".join(f"{vintage.publisher} as of {vintage.as_of[:10]}" for vintage in refused)
        raise StageError(
            Exit.BAD_DATA, f"not loaded, its old data stands: {named}; see {checks_file()}, and --force to load it too"
        )


if __name__ == "__main__":
    leave(main())
