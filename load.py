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
import math
import sys
from functools import partial
from itertools import chain
from typing import NamedTuple

from gdp.model import CONFIRMED
from gdp.options import LOAD, QUESTIONS, is_given, parse
from gdp.places import Place, default_database
from gdp.remote_files import Where, stands_for
from gdp.report import Row, tables
from gdp.report.revisions import Changes, Ranking, changed, ranking, ranking_of, summary
from gdp.runtime.run_log import run_log
from gdp.runtime.script import end
from gdp.runtime.stage import answer, run_stage
from gdp.store.confirmations import FigureName, confirm
from gdp.store.database import Connection, asked, loading, sound
from gdp.store.headlines import put_latest_view, replace_countries
from gdp.store.history import History
from gdp.store.ingest import World, ingest
from gdp.store.outcome import LoadOutcome, check_stored, known_file, record_loads
from gdp.store.reader import CleanFile, OutOfOrder
from gdp.store.schema import create_tables
from gdp.store.seed import load_bundled_history, restore
from gdp.store.vintages import Vintage, vintage_of
from gdp.transform.countries import country_asked_for, reference
from gdp.validate.findings import Finding, checks_file_of, shown
from utils import (
    Exit,
    StageError,
    checks_file,
    clean_file,
    escaped,
    home,
    log_file,
    read_bytes,
    which_file,
    write_whole,
)

MOST_WARNINGS = 10  # vintages that were not loaded; the log has them all


class LoadResult(NamedTuple):
    """What a load did: the change that it made to Countries_by_GDP, the vintages that it refused, and the screens."""

    changes: Changes
    refused: list[Vintage]
    screens: Row


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script, or answer a question; return its exit code."""
    options = parse(LOAD, arguments)
    run_log.begin("load", options.quiet)
    database = options.database or default_database()
    if options.export and not options.input:
        return answer(partial(export_tables, options, database))
    if options.confirm:
        return run_stage(partial(confirm_figure, options, database), options.wait)
    if options.restore:
        return run_stage(partial(restore_tables, options, database), options.wait)
    if is_given(options, *QUESTIONS):
        return answer(partial(answer_question, options, database))
    return run_stage(partial(load_and_show, options, database), options.wait)


def load_and_show(options: argparse.Namespace, database: Place) -> None:
    """Load, print the results and export them; raises StageError (65) where a newest vintage was refused."""
    source = options.input or clean_file()
    loaded = load(source, database, force=options.force, with_history=not options.no_history)
    tables.show_load(loaded.screens, loaded.changes, form_of(options), options.quiet, options.changes_only)
    if options.export and loaded.changes.until is None:
        run_log.warn("nothing is exported: no IMF figure is loaded")
    elif options.export:
        export_tables(options, database)
    if loaded.refused:
        named = ", ".join(f"{vintage.publisher} as of {vintage.as_of[:10]}" for vintage in loaded.refused)
        raise StageError(Exit.BAD_DATA, f"not loaded: {named}; see {checks_file()}, and --force to load it anyway")


def answer_question(options: argparse.Namespace, database: Place) -> None:
    """Print the answer to the question that was asked; raises StageError where the database has none."""
    form = form_of(options)
    with asked(database) as connection:
        show = ask(connection, options, form)
    if not options.quiet or form is not tables.Form.TABLE:
        with sound(database):  # and closed: nobody waits for a reader
            show()


def ask(connection: Connection, options: argparse.Namespace, form: tables.Form) -> tables.Show:
    """Return what prints the answer; raises StageError where the database has none."""
    if options.changes or options.since:
        return tables.show_changes(connection, options.since, form)
    if options.country:
        return tables.show_countries(connection, options.country, form)
    if options.findings:
        return tables.show_findings(connection, form)
    if options.revision_stats:
        return tables.show_revision_statistics(connection, options.revision_stats, form)
    show = tables.show_comparison if options.compare else tables.show_as_of
    return show(connection, options.as_of, form)


def form_of(options: argparse.Namespace) -> tables.Form:
    """Return how an answer is printed."""
    if options.json:
        return tables.Form.JSON
    return tables.Form.CSV if options.csv else tables.Form.TABLE


def confirm_figure(options: argparse.Namespace, database: Place) -> None:
    """Record that a person checked a flagged figure; raises StageError where there is none, or several."""
    country = country_asked_for(options.confirm)
    if country is None:
        near = ", ".join(reference().nearest(options.confirm)) or "none"
        raise StageError(Exit.USAGE, f"no country is called {options.confirm!r}; similar names: {near}")
    with asked(database):
        pass  # raises where there is nothing to confirm
    with loading(database, load_bytes=0) as connection:
        create_tables(connection)
        rows = confirm(connection, FigureName(country.iso3, options.institution, options.year), options.because)
    run_log.settle()
    run_log.facts["database"] = str(database)
    for row in rows:
        run_log.info(f"confirmed: {row.Country} {row.Year}, {row.Institution}, published {row.As_of[:10]}: {row.Note}")


def restore_tables(options: argparse.Namespace, database: Place) -> None:
    """Load an export into an empty database; raises StageError where it cannot be, and nothing is changed then."""
    with loading(database, load_bytes=sys.maxsize) as connection:
        there = create_tables(connection)
        number = restore(connection, options.restore)
        newest = History(connection).newest_imf()
        if newest:
            replace_countries(connection, newest)
        put_latest_view(connection, there)
    run_log.settle()
    run_log.record_output(database.path or str(database), number)
    run_log.info(f"{number:,} estimates restored from {options.restore} into {database}")


def export_tables(options: argparse.Namespace, database: Place) -> None:
    """Write the tables for other tools; raises StageError where there are none, or they cannot be written."""
    from gdp.report.export import export

    with asked(database) as connection:
        vintage = tables.vintage_at(History(connection), options.as_of)
        export(connection, vintage, options.output or clean_file().parent, options.as_of)


# --- loading ----------------------------------------------------------------------------------------------------------


def load(source: Where, database: Place, force: bool = False, with_history: bool = False) -> LoadResult:
    """Load the clean records of `source`, all or none; raises StageError, and leaves the database as it was.

    What the checks find is shown on screen, in the log and in results/Checks.json. A fatal finding stops its vintage,
    unless `force`; where a file has several vintages, as an archive does, the others are loaded. `with_history`, the
    bundled history is loaded into an empty database first.
    """
    clean = CleanFile(source)
    with loading(database, clean.size_bytes) as connection:
        put_latest_view(connection, create_tables(connection))
        with sound(database):
            history = History(connection)
            before = ranking_now(history)
        outcome, before = ingest_file(history, clean, force, with_history, before)
        run_log.record_input(source, clean.count, clean.sha256)
        run_log.info(f"{clean.count:,} clean records read from {source}")
        world, left_out = transform_results(source, clean.sha256)
        report_findings(outcome)
        totals = [
            {"Institution": institution, "As_of": as_of, "Year": year, "GDP_USD_million": figure}
            for (institution, as_of), by_year in world.items() for year, figure in by_year.items()
        ]  # fmt: skip
        checks = checks_file_of(outcome.findings, which_file(source, clean.sha256), left_out or {}, totals)
        if outcome.refused and not (outcome.loaded or outcome.outdated or outcome.unchanged):
            refuse_all(checks, outcome.findings)
        file = str(source.absolute()).removeprefix(f"{home()}/")  # relative to the data folder where it is below that
        record_loads(outcome, escaped(file), clean.sha256, left_out)
        newest = outcome.history.newest_imf()
        if newest:
            replace_countries(connection, newest)
        headlines = outcome.history.headlines(newest) if newest else []
        check_stored(connection, outcome, headlines)
        changes = changed(outcome.history, before, ranking_of(newest, headlines))
        with sound(database):
            is_one_more = outcome.number == len(outcome.loaded) == 1 and not outcome.checked_again
            screens = tables.screens(outcome.history, newest, headlines, changes if is_one_more else None)
    run_log.facts |= {"as_of": newest.as_of if newest else None, "changed": len(changes.rows)}
    run_log.settle()
    run_log.record_output(database.path or str(database), sum(number for number, _ in outcome.loaded.values()))
    run_log.attempt(lambda: write_whole(checks_file(), checks))
    warn_of_unsourced(newest, outcome)
    warn_of_refused(outcome)
    report_loaded(outcome, database, changes)
    return LoadResult(changes, [vintage for vintage in outcome.refused if vintage in outcome.newest.values()], screens)


def ranking_now(history: History) -> Ranking:
    """Return the ranking of the newest vintage of the IMF's figures that is loaded."""
    return ranking(history, history.newest_imf())


def ingest_file(
    history: History, clean: CleanFile, force: bool, with_history: bool, before: Ranking
) -> tuple[LoadOutcome, Ranking]:
    """Store the vintages of a file, after the bundled history where that is wanted; return what became of them.

    Also returns the ranking that this file is compared with. A file of lines that was loaded whole costs one look.
    """
    if history.vintages.all() and not force:
        clean.identify()
        if known := known_file(history, clean.sha256, clean.count):
            return known, before
    connection = history.connection
    if not clean.is_sorted:
        connection.execute("SAVEPOINT before_reading")
    for read in (clean.vintages, clean.sorted_vintages):
        vintages = read()
        try:
            first = next(vintages)
            if with_history and (bundled := load_bundled_history(connection, vintage_of(first))):
                days = f"{min(bundled.loaded).as_of[:10]} to {max(bundled.loaded).as_of[:10]}"
                found = f"loaded {len(bundled.loaded)} bundled vintages of the page, {days} (--no-history skips them)"
                run_log.info(f"new database: {found}")
                history = History(connection)
                before = ranking_now(history)
            world, _ = transform_results(clean.source, clean.sha256)
            return ingest(history, chain([first], vintages), force, world), before
        except OutOfOrder:
            connection.execute("ROLLBACK TO before_reading")
    raise AssertionError("a sorted file is in order")


# --- findings ---------------------------------------------------------------------------------------------------------


def transform_results(source: Where, sha256: str) -> tuple[World, dict[str, int] | None]:
    """Return what transform recorded about this very file in Checks.json: World rows, and what it left out.

    Nothing and None where Checks.json is missing, broken, or about another file.
    """
    world: dict[tuple[str, str], dict[int, float]] = {}
    try:
        checks = json.loads(read_bytes(source.with_name(checks_file().name)))
        if checks["clean_file"] not in (which_file(source, sha256), which_file(stands_for(source))):
            return {}, None
        for total in checks.get("control_totals", ()):
            by_year = world.setdefault((str(total["Institution"]), str(total["As_of"])), {})
            if 0 < (figure := float(total["GDP_USD_million"])) < math.inf:
                by_year[int(total["Year"])] = figure
        return world, dict(checks["left_out"])
    except (StageError, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}, None


def warn_of_unsourced(newest: Vintage | None, outcome: LoadOutcome) -> None:
    """Warn where the newest vintage that was loaded has no IMF column with a source, and so no headlines."""
    with_imf = outcome.history.vintages.of("IMF")
    if with_imf and with_imf[-1] != newest and with_imf[-1] in outcome.loaded:
        unchanged = f"is unchanged, as of {newest.as_of[:10]}" if newest else "is unchanged"
        run_log.warn(
            f"no IMF column of {with_imf[-1].source} as of {with_imf[-1].as_of[:10]} has a source:"
            f" its figures are in GDP_Estimates, and Countries_by_GDP {unchanged}"
        )


def warn_of_refused(outcome: LoadOutcome) -> None:
    """Warn of the vintages that were not loaded, and of older ones that are flagged now; of very many, the first."""
    lines = [f"not loaded: {vintage.source}, as a later revision of the same minute is" for vintage in outcome.outdated]
    lines += [f"loaded before, and found wrong now, as of {one.as_of}: {one}" for one in outcome.later_fatal]
    lines += [f"not loaded: {one.source} as of {one.as_of}, for a fatal finding" for one in outcome.refused]
    for line in lines[:MOST_WARNINGS]:
        run_log.warn(line)
    for line in lines[MOST_WARNINGS:]:
        run_log.detail(f"warning: {line}")
    if len(lines) > MOST_WARNINGS:
        more = len(lines) - MOST_WARNINGS
        run_log.warn(f"{more} more like these: they are in {log_file()}, the reasons in {checks_file()}")


def report_loaded(outcome: LoadOutcome, database: Place, changes: Changes) -> None:
    """Report how much was loaded, and what that changed."""
    if outcome.unchanged and not outcome.loaded:
        newest = max(vintage.as_of for vintage in outcome.unchanged)[:10]
        run_log.facts["unchanged_since"] = newest
        run_log.info(f"unchanged: the vintage of {newest} is loaded already into {database}")
        return
    number = f" of {len(outcome.loaded):,} vintages" if outcome.number > 1 else ""
    figures = sum(count for count, _ in outcome.loaded.values())
    unchanged = f"; {len(outcome.unchanged):,} vintages were loaded already" if outcome.unchanged else ""
    run_log.info(f"{figures:,} estimates{number} loaded into {database}{unchanged}")
    run_log.info(summary(changes))


def report_findings(outcome: LoadOutcome) -> None:
    """Report what was found on the newest vintages and not reported before; the findings on older ones as numbers."""
    new = [one for found in outcome.new_findings.values() for one in found if one.flag != CONFIRMED]
    for finding, lines in zip(new, shown(new), strict=True):
        run_log.warn(str(finding), lines)
    if outcome.older:
        counts = ", ".join(f"{number:,} {check}" for check, number in outcome.older.most_common())
        run_log.info(f"on {outcome.number - len(outcome.newest):,} older vintages: {counts}")
    findings = outcome.findings
    fatal = sum(finding.fatal for finding in findings)
    where = f"; all of them are in {checks_file()}" if findings else ""
    run_log.info(f"checks: {fatal} fatal findings, {len(findings) - fatal} warnings{where}")


def refuse_all(checks: bytes, findings: list[Finding]) -> None:
    """Raise StageError (65) as every vintage has a fatal finding, with all of them in results/Checks.json."""
    write_whole(checks_file(), checks)
    fatal = dict.fromkeys(f"{finding.check} ({finding.institution})" for finding in findings if finding.fatal)
    raise StageError(
        Exit.BAD_DATA,
        f"not loaded, the database is unchanged: {', '.join(fatal)}; see {checks_file()}; --force loads it anyway",
    )


if __name__ == "__main__":
    end(main())
