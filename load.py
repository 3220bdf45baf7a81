"""Stage 3: clean figures into SQLite, and the two screens out of it.

Reads  results/Countries_by_GDP_Processed.json
Writes sqliteDB/World_Economies.db   Countries_by_GDP, GDP_Estimates and Loads, in one transaction
Prints the countries at or above 100 billion USD, the mean of each region's top five, and what changed;
       or, with --as-of, --changes, --country or --compare, an answer out of what was loaded before
"""

from __future__ import annotations

if __name__ == "__main__":
    from gdp.runtime import script

    script.start()

import argparse
import json
from functools import partial
from typing import NamedTuple

from gdp.options import LOAD, QUESTIONS, is_given, parse
from gdp.places import Place, default_database
from gdp.remote_files import Where, stands_for
from gdp.report import tables
from gdp.report.revisions import Changes, Ranking, changed, ranking, summary
from gdp.runtime.run_log import run_log
from gdp.runtime.script import end
from gdp.runtime.stage import answer, run_stage
from gdp.store.database import asked, loading, sound
from gdp.store.headlines import put_current_view, replace_countries
from gdp.store.history import History, Remarks
from gdp.store.ingest import Taken, take_all
from gdp.store.reader import CleanFile
from gdp.store.schema import create_tables
from gdp.store.seed import take_past
from gdp.store.vintages import Vintage
from gdp.validate.findings import Finding, as_checks
from utils import Exit, StageError, checks_file, clean_file, log_file, read_bytes, which_file, write_whole

MOST_WARNINGS = 10  # vintages that were not loaded; the log has them all


class Loaded(NamedTuple):
    """What a load did: the change that it made to Countries_by_GDP, and the vintages that it refused."""

    changes: Changes
    refused: list[Vintage]


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script, or answer a question; return its exit code."""
    options = parse(LOAD, arguments)
    run_log.begin("load", options.quiet)
    database = options.database or default_database()
    if options.export and not options.input:
        return answer(partial(export_tables, options, database))
    if is_given(options, *QUESTIONS):
        return answer(partial(answer_question, options, database))

    def work() -> None:
        source = options.input or clean_file()
        loaded = load(source, database, force=options.force, with_past=not options.no_history)
        with asked(database) as connection:
            form = form_of(options)
            show = tables.show_load(connection, loaded.changes, form, options.quiet, options.changes_only)
        show()
        if options.export and loaded.changes.until is None:
            run_log.warn("nothing is exported: no IMF figure is loaded")
        elif options.export:
            export_tables(options, database)
        refuse_newest(loaded.refused)

    return run_stage(work, options.wait)


def answer_question(options: argparse.Namespace, database: Place) -> None:
    """Answer the question that was asked; raises StageError where the database has no answer."""
    show = ask(options, database)
    with sound(database):
        show()


def ask(options: argparse.Namespace, database: Place) -> tables.Show:
    """Return what prints the answer, with the database closed: nobody waits for a reader.

    Raises StageError where the database has no answer.
    """
    form = form_of(options)
    with asked(database) as connection:
        if options.changes or options.since:
            return tables.show_changes(connection, options.since, form)
        if options.country:
            return tables.show_countries(connection, options.country, form)
        if options.findings:
            return tables.show_findings(connection, form)
        if options.revision_stats:
            return tables.show_revision_statistics(connection, options.revision_stats, form)
        if options.compare:
            return tables.show_comparison(connection, options.as_of, form)
        return tables.show_as_of(connection, options.as_of, form)


def form_of(options: argparse.Namespace) -> tables.Form:
    """Return how an answer is printed."""
    if options.json:
        return tables.Form.JSON
    return tables.Form.CSV if options.csv else tables.Form.TABLE


def export_tables(options: argparse.Namespace, database: Place) -> None:
    """Write the tables for other tools; raises StageError where there are none, or they cannot be written."""
    from gdp.report.export import export

    with asked(database) as connection:
        vintage = tables.vintage_at(History(connection), options.as_of)
        export(connection, vintage, options.output or clean_file().parent, options.as_of)


# --- loading ----------------------------------------------------------------------------------------------------------


def load(source: Where, database: Place, force: bool = False, with_past: bool = False) -> Loaded:
    """Load the clean records of `source`, all or none; raises StageError, and leaves the database as it was.

    What the checks find is told on screen, in the log and in results/Checks.json. A fatal finding stops its vintage,
    unless `force`; where a file holds several, as an archive does, the others are loaded. `with_past`, the vintages
    that come with the suite go into an empty database first.
    """
    clean = CleanFile(source)
    before = Ranking(None, {})

    def begin(history: History, first: Vintage) -> None:
        nonlocal before
        if with_past and (past := take_past(history, first)):
            tell_past(past)
        with sound(database):
            before = ranking(history, history.newest_imf())

    with loading(database, clean.size_bytes) as connection:
        create_tables(connection)
        put_current_view(connection)
        history, taken = take_all(connection, clean, force, begin)
        sha256 = clean.sha256
        run_log.record_input(source, clean.count, sha256)
        run_log.info(f"{clean.count:,} clean records read from {source}")
        findings, left_out = findings_of_transform(source, sha256)
        findings += taken.findings
        tell_findings(findings, taken)
        checks = as_checks(findings, which_file(source, sha256), left_out or {})
        if not (taken.loaded or taken.outdated):
            refuse_all(checks, findings)
        file = str(source.absolute())
        for vintage, rows in taken.loaded.items():
            history.remember(vintage, file, sha256, rows, remarks_on(vintage, taken, findings, left_out))
        history.remember_doubts({*taken.loaded, *taken.judged_anew})
        newest = history.newest_imf()
        if newest:
            replace_countries(connection, newest)
        changes = changed(connection, before, ranking(history, newest))
    run_log.facts |= {"as_of": newest.as_of if newest else None, "changed": len(changes.rows)}
    run_log.settle()
    run_log.record_output(database.path or str(database), sum(taken.loaded.values()))
    run_log.attempt(lambda: write_whole(checks_file(), checks))
    warn_of_unsourced(history, newest, taken)
    warn_of_refused(taken)
    tell_loaded(taken, database, changes)
    return Loaded(changes, [vintage for vintage in taken.refused if vintage in taken.newest.values()])


# --- findings ---------------------------------------------------------------------------------------------------------


def findings_of_transform(source: Where, sha256: str) -> tuple[list[Finding], dict[str, int] | None]:
    """Return what transform tells of this very file: what it found, as it alone sees the World row, and left out."""
    path = source.with_name(checks_file().name)
    try:
        told = json.loads(read_bytes(path))
        if told["clean_file"] in (which_file(source, sha256), which_file(stands_for(source))):
            found = [Finding.from_json(finding) for finding in told["findings"] if finding["stage"] == "transform"]
            return found, dict(told["left_out"])
    except (StageError, OSError, ValueError, LookupError, TypeError):
        pass
    run_log.warn(f"{path} does not speak of this file: its sum was not compared with World; run transform.py again")
    return [], None


def remarks_on(vintage: Vintage, taken: Taken, findings: list[Finding], left_out: dict[str, int] | None) -> Remarks:
    """Return what Loads tells of a vintage: what was found on it, and what was left out, if its file holds it alone."""
    found = json.loads(taken.found_in_short[vintage])
    found += [
        one.in_short() for one in findings
        if one.stage == "transform" and one.as_of == vintage.as_of and one.institution in vintage.institutions
    ]  # fmt: skip
    alone = taken.number == 1 and left_out is not None
    return Remarks(json.dumps(left_out) if alone else None, json.dumps(found))


def warn_of_unsourced(history: History, newest: Vintage | None, taken: Taken) -> None:
    """Warn where the newest vintage that was loaded has no IMF column with a source, and so no headlines."""
    spoken = history.vintages.of("IMF")
    if spoken and spoken[-1] != newest and spoken[-1] in taken.loaded:
        stands = f"as it was, as of {newest.as_of[:10]}" if newest else "as it was"
        run_log.warn(
            f"no IMF column of {spoken[-1].source} as of {spoken[-1].as_of[:10]} has a source:"
            f" its figures are kept in GDP_Estimates, and Countries_by_GDP stays {stands}"
        )


def warn_of_refused(taken: Taken) -> None:
    """Name the vintages that were not loaded, and what is in doubt of those that were; of very many, the first."""
    lines = [f"not loaded: {vintage.source}, as a later revision of the same minute is" for vintage in taken.outdated]
    lines += [f"loaded before, and now in doubt, as of {one.as_of}: {one}" for one in taken.later_fatal]
    lines += [f"not loaded: {vintage.source} as of {vintage.as_of}, for a fatal finding" for vintage in taken.refused]
    for line in lines[:MOST_WARNINGS]:
        run_log.warn(line)
    for line in lines[MOST_WARNINGS:]:
        run_log.detail(f"warning: {line}")
    if len(lines) > MOST_WARNINGS:
        run_log.warn(f"{len(lines) - MOST_WARNINGS} more like these: they are in {log_file()}, why in {checks_file()}")


def tell_loaded(taken: Taken, database: Place, changes: Changes) -> None:
    """Say how much was loaded, and what that changed."""
    of_how_many = f" of {len(taken.loaded):,} vintages" if taken.number > 1 else ""
    run_log.info(f"{sum(taken.loaded.values()):,} estimates{of_how_many} loaded into {database}")
    run_log.info(summary(changes))


def tell_past(past: Taken) -> None:
    """Say what went into an empty database before the first load."""
    first, last = (vintage.as_of[:10] for vintage in (min(past.loaded), max(past.loaded)))
    run_log.info(
        f"an empty database: {len(past.loaded)} vintages of the page from {first} to {last}, which come with the suite,"
        " are its past (--no-history leaves them out)"
    )


def tell_findings(findings: list[Finding], taken: Taken) -> None:
    """Tell all findings together, on screen and in the log; those on an archive's older vintages by number."""
    current = {vintage.as_of for vintage in taken.newest.values()}
    for finding in (finding for finding in findings if finding.as_of in current):
        run_log.warn(str(finding), finding.in_lines())
    if taken.older:
        counts = ", ".join(f"{number:,} {check}" for check, number in taken.older.most_common())
        run_log.info(f"on {taken.number - len(taken.newest):,} older vintages, noted on their rows: {counts}")
    fatal = sum(finding.fatal for finding in findings)
    where = f"; all of them are in {checks_file()}" if findings else ""
    run_log.info(f"checks: {fatal} fatal findings, {len(findings) - fatal} to look at{where}")


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
    end(main())
