"""Stage 3: clean figures into SQLite, and the two screens out of it.

Reads  results/Countries_by_GDP_Processed.json
Writes sqliteDB/World_Economies.db   Countries_by_GDP, GDP_Estimates and Loads, in one transaction
Prints the countries at or above 100 billion USD, the mean of each region's top five, and what changed;
       or, with --as-of, --changes, --country or --compare, an answer out of what was loaded before
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Iterable
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple

import questions
from checks import check_vintage
from database import asked, opened, transaction
from findings import Finding, NotesOfChecks, as_checks
from history import History, Vintage, create_tables, vintage_of
from reading import Mixed, Reading
from records import PAGE, CleanRecord
from stage import Journal, answer, command_line, day, leave, run_stage
from utils import Exit, StageError, checks_file, clean_file, database_file, stamp_of, write_whole, writing


class Loaded(NamedTuple):
    """What a load did: the change that it made to Countries_by_GDP, and the vintages that it refused."""

    changes: questions.Changes
    refused: list[Vintage]


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script, or answer a question; return its exit code."""
    options = parse_arguments(arguments)
    journal = Journal("load", options.quiet)
    database = options.database or database_file()
    if options.as_of or options.changes or options.country or options.compare:
        return answer(journal, lambda: ask(options, database))

    def work() -> None:
        loaded = load(options.input or clean_file(), database, journal, force=options.force)
        with asked(database) as connection:
            questions.show_load(connection, loaded.changes, as_json=options.json, quiet=options.quiet)
        refuse_newest(loaded.refused)

    return run_stage(journal, work, options.wait)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_line(
        "Load clean GDP figures into SQLite; print the large economies and each region's top five.",
        "python load.py --country KOR",
    )
    add = parser.add_argument
    add("--input", type=Path, metavar="FILE", help="clean records (default: transform's)")
    add("--database", type=Path, metavar="FILE", help="default: sqliteDB/World_Economies.db")
    add("--force", action="store_true", help="load in spite of fatal findings, and note them on the rows")
    add("--json", action="store_true", help="print as one JSON object")
    past = parser.add_argument_group("instead of loading, ask what was loaded before")
    past.add_argument("--as-of", type=day, metavar="DATE", help="both screens as they would have been then")
    past.add_argument("--changes", action="store_true", help="what the last refresh changed")
    past.add_argument("--since", type=day, metavar="DATE", help="with --changes: what changed since then")
    past.add_argument("--country", metavar="CODE_OR_NAME", help="one country's estimates through the vintages")
    past.add_argument("--compare", action="store_true", help="the page's IMF column against the IMF's own figures")
    options = parser.parse_args(arguments)
    questions_asked = [options.changes, bool(options.country), options.compare]
    if sum(questions_asked) > 1 or (options.as_of and (options.changes or options.country)):
        parser.error("ask one thing at a time: --as-of, --changes, --country or --compare")
    if options.since and not options.changes:
        parser.error("--since goes with --changes")
    if (options.as_of or any(questions_asked)) and (options.input or options.force):
        parser.error("--input and --force are for loading, and a question loads nothing")
    return options


def ask(options: argparse.Namespace, database: Path) -> None:
    """Answer the question that was asked; raises StageError where the answer was never loaded."""
    with asked(database) as connection:
        if options.changes:
            questions.show_changes(connection, options.since, options.json)
        elif options.country:
            questions.show_country(connection, options.country, options.json)
        elif options.compare:
            questions.show_comparison(connection, options.as_of, options.json)
        else:
            questions.show_as_of(connection, options.as_of, options.json)


# --- loading ----------------------------------------------------------------------------------------------------------


def load(source: Path, database: Path, journal: Journal, force: bool = False) -> Loaded:
    """Load the clean records of `source`, all or none; raises StageError, and leaves the database as it was.

    What the checks find is told on screen, in the log and in results/Checks.json. A fatal finding stops its vintage,
    unless `force`; where a file holds several, as an archive does, the others are loaded.
    """
    reading = Reading(source)
    with writing(database):
        database.parent.mkdir(parents=True, exist_ok=True)
    with opened(database) as connection, transaction(connection):
        create_tables(connection)
        history = History(connection)
        before = questions.ranking(history, history.newest_imf())
        history, taken = take_all(connection, reading, force)
        sha256 = reading.sha256
        journal.took(source, reading.count, sha256)
        journal.say(f"{reading.count:,} clean records read from {source}")
        findings = findings_of_transform(source, sha256, journal) + taken.findings
        tell_findings(findings, is_loaded(connection, sha256), newest_of(taken.vintages), journal)
        if not taken.loaded:
            refuse_all(findings, sha256)
        for vintage, rows in taken.loaded.items():
            history.remember(vintage, str(source.absolute()), sha256, rows)
        newest = history.newest_imf()
        history.choose_countries(newest)
        changes = questions.changed(before, questions.ranking(history, newest))
    journal.facts["as_of"] = newest.as_of if newest else None
    loaded = sum(taken.loaded.values())
    journal.gave(database, loaded)
    journal.attempt(lambda: write_whole(checks_file(), as_checks(findings, sha256)))
    refused = [vintage for vintage in taken.vintages if vintage not in taken.loaded]
    for vintage in refused:
        journal.warn(f"not loaded: {vintage.source} as of {vintage.as_of}, for a fatal finding")
    of_how_many = f" of {len(taken.loaded):,} vintages" if len(taken.vintages) > 1 else ""
    journal.say(f"{loaded:,} estimates{of_how_many} loaded into {database}")
    journal.say(questions.summary(changes))
    return Loaded(changes, [vintage for vintage in refused if vintage in newest_of(taken.vintages)])


class Taken(NamedTuple):
    """What was taken from a file: all its vintages, the rows of those that were loaded, and what the checks found."""

    vintages: list[Vintage]
    loaded: dict[Vintage, int]
    findings: list[Finding]


def take_all(connection: Connection, reading: Reading, force: bool) -> tuple[History, Taken]:
    """Store every vintage of a file that has no fatal finding, or all where forced; return what is known then."""
    connection.execute("SAVEPOINT before_reading")
    try:
        history = History(connection)
        return history, take_each(history, reading.vintages(), force)
    except Mixed:
        connection.execute("ROLLBACK TO before_reading")
        history = History(connection)
        return history, take_each(history, reading.sorted_vintages(), force)


def take_each(history: History, vintages: Iterable[list[CleanRecord]], force: bool) -> Taken:
    """Store each vintage that has no fatal finding, or each one where forced."""
    gc.disable()  # records hold no cycles, and to look for some takes a tenth of the time
    taken = Taken([], {}, [])
    for records in vintages:
        vintage = vintage_of(records)
        found = check(history, vintage, records)
        taken.vintages.append(vintage)
        taken.findings.extend(found)
        if force or not any(finding.fatal for finding in found):
            take_in(history, vintage, records, found)
            taken.loaded[vintage] = len(records)
    return taken


def newest_of(vintages: list[Vintage]) -> list[Vintage]:
    """Return each publisher's newest vintage."""
    return list({vintage.publisher: vintage for vintage in sorted(vintages)}.values())


def check(history: History, vintage: Vintage, said: list[CleanRecord]) -> list[Finding]:
    """Return what the checks find on a vintage, given all that is loaded."""
    own = history.own_figures(vintage.as_of) if vintage.publisher == PAGE else None
    return check_vintage(said, history.figures_before(vintage.publisher, vintage.as_of), own)


def take_in(history: History, vintage: Vintage, said: list[CleanRecord], found: list[Finding]) -> None:
    """Store a vintage, and check again those whose Notes look back at it: so no order of loading matters."""
    history.put(vintage, said, NotesOfChecks(found))
    for later in history.depending_on(vintage):  # none where an archive is loaded in order
        records = history.records(later)
        history.put(later, records, NotesOfChecks(check(history, later, records)))


# --- findings ---------------------------------------------------------------------------------------------------------


def findings_of_transform(source: Path, sha256: str, journal: Journal) -> list[Finding]:
    """Return what transform found about this very file: it alone sees the World row."""
    path = source.with_name(checks_file().name)
    try:
        told = json.loads(path.read_bytes())
        if told["clean_sha256"] in (sha256, stamp_of(source)):
            return [Finding.from_json(finding) for finding in told["findings"] if finding["stage"] == "transform"]
    except (OSError, ValueError, LookupError, TypeError):
        pass
    journal.warn(f"{path} does not speak of this file: its sum was not compared with World; run transform.py again")
    return []


def is_loaded(connection: Connection, sha256: str) -> bool:
    """Tell whether this very file has been loaded before."""
    return connection.execute("SELECT 1 FROM Loads WHERE SHA256 = ?", (sha256,)).fetchone() is not None


def tell_findings(findings: list[Finding], told_before: bool, newest: list[Vintage], journal: Journal) -> None:
    """Tell all findings together, on screen and in the log; those on an archive's older vintages in the log alone.

    A quiet run repeats no warning about a file that was loaded before, or cron would mail the same lines every day.
    """
    current = {vintage.as_of for vintage in newest}
    for finding in findings:
        if finding.as_of not in current:
            journal.log(f"{finding.as_of}: {finding}")
        else:
            (journal.say if told_before and not finding.fatal else journal.warn)(str(finding))
    fatal = sum(finding.fatal for finding in findings)
    journal.say(f"checks: {fatal} fatal findings, {len(findings) - fatal} to look at")


def refuse_all(findings: list[Finding], sha256: str) -> None:
    """Raise StageError (65) as every vintage has a fatal finding, with all of them in results/Checks.json."""
    write_whole(checks_file(), as_checks(findings, sha256))
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
