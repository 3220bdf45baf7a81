"""Stage 3: clean figures into SQLite, and the two screens out of it.

Reads  results/Countries_by_GDP_Processed.json
Writes sqliteDB/World_Economies.db   Countries_by_GDP, GDP_Estimates and Loads, in one transaction
Prints the countries at or above 100 billion USD, and the mean of each region's top five
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from checks import check_vintage
from findings import Finding, as_checks, with_notes
from records import (
    CLEAN_FIELDS,
    FIRST_YEAR,
    INSTITUTIONS,
    LAST_YEAR,
    MAX_BILLION_USD,
    UNSOURCED_NOTE,
    CleanRecord,
    bad_input,
    is_as_of,
    read_records,
)
from screen import show_table
from stage import Journal, command_line, leave, run_stage
from utils import Exit, StageError, checks_file, clean_file, database_file, write_whole, writing

THRESHOLD_BILLION_USD = 100
TOP = 5
LOCK_WAIT_S = 10.0  # how long another program may hold the database before we give up

CREATE_TABLES = (
    """CREATE TABLE IF NOT EXISTS GDP_Estimates (
        As_of TEXT NOT NULL, Institution TEXT NOT NULL, ISO3 TEXT, Country TEXT NOT NULL, Region TEXT, Subregion TEXT,
        Year INTEGER NOT NULL, GDP_USD_billion REAL NOT NULL, Note TEXT, Source TEXT NOT NULL,
        PRIMARY KEY (As_of, Institution, Country, Year)
    ) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS Loads (Loaded_at TEXT NOT NULL, File TEXT NOT NULL, SHA256 TEXT NOT NULL,"
    " As_of TEXT NOT NULL, Rows INTEGER NOT NULL)",
)
CREATE_STAGING = "CREATE TEMP TABLE Staging AS SELECT * FROM GDP_Estimates LIMIT 0"
STAGE = """
    INSERT INTO Staging VALUES
        (:As_of, :Institution, :ISO3, :Country, :Region, :Subregion, :Year, :GDP_USD_billion, :Note, :Source)
"""
# A vintage is one revision of a source, which never changes: loaded again, it was cleaned better, and replaces all that
# was made of it before. Two figures for one key come with --force only; the lower one, which comes last, stays.
MERGE = (
    "DELETE FROM GDP_Estimates WHERE (As_of, Institution) IN (SELECT As_of, Institution FROM Staging)",
    "INSERT OR REPLACE INTO GDP_Estimates SELECT * FROM Staging",
)
NEWEST = "SELECT max(As_of) FROM GDP_Estimates WHERE Institution = 'IMF'"
BEFORE = """
    SELECT Institution, As_of, Country, Year, GDP_USD_billion FROM GDP_Estimates JOIN (
        SELECT Institution, max(As_of) AS As_of FROM GDP_Estimates WHERE As_of < ? GROUP BY Institution
    ) USING (Institution, As_of)
"""
# Of several IMF columns: the sourced before the unsourced, then the year of As_of, then the nearest year before it.
CHOOSE = """
    CREATE TABLE Countries_by_GDP AS
    WITH newest AS (SELECT * FROM GDP_Estimates WHERE Institution = 'IMF'
                    AND As_of = (SELECT max(As_of) FROM GDP_Estimates WHERE Institution = 'IMF')),
    choice AS (SELECT *, row_number() OVER (
                   PARTITION BY Country
                   ORDER BY coalesce(Note LIKE :unsourced, false), Year > CAST(substr(As_of, 1, 4) AS INTEGER),
                            abs(Year - CAST(substr(As_of, 1, 4) AS INTEGER))) AS preference
               FROM newest)
    SELECT Country, ISO3, Region, Year, GDP_USD_billion FROM choice WHERE preference = 1
    ORDER BY GDP_USD_billion DESC, Country
"""
LARGE_ECONOMIES = """
    SELECT rank() OVER (ORDER BY GDP_USD_billion DESC) AS Rank, Country, Region, Year, GDP_USD_billion
    FROM Countries_by_GDP WHERE GDP_USD_billion >= :threshold ORDER BY Rank, Country
"""
# Hundredths are added up as integers, so that the mean is rounded halves up, exactly.
REGION_MEANS = """
    WITH ranked AS (SELECT Region, CAST(round(GDP_USD_billion * 100) AS INTEGER) AS cents,
                           row_number() OVER (PARTITION BY Region ORDER BY GDP_USD_billion DESC, Country) AS place
                    FROM Countries_by_GDP WHERE Region IS NOT NULL)
    SELECT Region, (2 * sum(cents) + count(*)) / (2 * count(*)) / 100.0 AS Mean_GDP_USD_billion, count(*) AS Countries
    FROM ranked WHERE place <= :top GROUP BY Region ORDER BY Mean_GDP_USD_billion DESC, Region
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script; return its exit code."""
    options = parse_arguments(arguments)
    journal = Journal("load", options.quiet)
    database = options.database or database_file()

    def work() -> None:
        load(options.input or clean_file(), database, journal, force=options.force)
        show(database, as_json=options.json, quiet=options.quiet)

    return run_stage(journal, work, options.wait)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_line(
        "Load clean GDP figures into SQLite; print the large economies and each region's top five.",
        "python load.py --json | python -m json.tool",
    )
    parser.add_argument("--input", type=Path, metavar="FILE", help="clean records (default: transform's)")
    parser.add_argument("--database", type=Path, metavar="FILE", help="default: sqliteDB/World_Economies.db")
    parser.add_argument(
        "--force", action="store_true", help="load in spite of fatal findings, and note them on the rows"
    )
    parser.add_argument("--json", action="store_true", help="print both screens as one JSON object")
    return parser.parse_args(arguments)


# --- loading ----------------------------------------------------------------------------------------------------------


def load(source: Path, database: Path, journal: Journal, force: bool = False) -> None:
    """Load the clean records of `source`, all or none; raises StageError, and leaves the database as it was.

    What the checks find is told on screen, in the log and in results/Checks.json; a fatal finding stops the load,
    unless `force`.
    """
    records, sha256 = read_records(source, CLEAN_FIELDS)
    journal.took(source, len(records), sha256)
    check_values(records, source)
    journal.say(f"{len(records)} clean records read from {source}")
    with writing(database):
        database.parent.mkdir(parents=True, exist_ok=True)
    with opened(database) as connection, transaction(connection):
        for statement in (*CREATE_TABLES, CREATE_STAGING):
            connection.execute(statement)
        findings = findings_of_transform(source.with_name(checks_file().name), sha256, journal)
        for vintage in vintages(records):
            found = check_vintage(vintage, figures_before(connection, vintage[0]["As_of"]))
            stage_and_merge(connection, with_notes(vintage, found))
            findings += found
        tell_findings(findings, is_loaded(connection, sha256), journal)
        if not force:
            refuse_fatal(findings, sha256)
        choose_countries(connection)
        remember_load(connection, records, source, sha256)
        journal.facts["as_of"] = connection.execute(NEWEST).fetchone()[0]
    journal.gave(database, len(records))
    journal.attempt(lambda: write_whole(checks_file(), as_checks(findings, sha256)))
    journal.say(f"{len(records)} estimates loaded into {database}")


def check_values(records: list[CleanRecord], source: Path) -> None:
    """Raise StageError (65) for a value that transform would not have written; JSON allows more than GDP does."""
    for number, record in enumerate(records, 1):
        right = {
            "GDP_USD_billion": 0 <= record["GDP_USD_billion"] <= MAX_BILLION_USD,
            "Year": FIRST_YEAR <= record["Year"] <= LAST_YEAR,
            "Institution": record["Institution"] in INSTITUTIONS,
            "Country": bool(record["Country"].strip()),
            "As_of": is_as_of(record["As_of"]),
        }
        for name in (name for name, is_right in right.items() if not is_right):
            raise bad_input(source, f"record {number}: field {name} is {str(record[name])[:40]!r}")  # type: ignore[literal-required]


@contextlib.contextmanager
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection; raises StageError (74) for whatever SQLite has against the file."""
    try:
        with contextlib.closing(
            sqlite3.connect(database.absolute(), timeout=LOCK_WAIT_S, isolation_level=None)
        ) as connection:
            yield connection
    except sqlite3.Error as error:
        remedy = "if it is full or in use, make room or free it; else name another with --database"
        raise StageError(Exit.CANNOT_WRITE, f"cannot use {database}: {error}; {remedy}") from error


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what happens within, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.execute("COMMIT")


def vintages(records: list[CleanRecord]) -> list[list[CleanRecord]]:
    """Return the records by As_of, the oldest first."""
    by_as_of: dict[str, list[CleanRecord]] = {}
    for record in records:
        by_as_of.setdefault(record["As_of"], []).append(record)
    return [by_as_of[as_of] for as_of in sorted(by_as_of)]


def figures_before(connection: sqlite3.Connection, as_of: str) -> dict[str, tuple[str, dict[tuple[str, int], float]]]:
    """Return by institution the newest As_of before this one, and its figures by country and year."""
    before: dict[str, tuple[str, dict[tuple[str, int], float]]] = {}
    for institution, before_as_of, country, year, figure in connection.execute(BEFORE, (as_of,)):
        before.setdefault(institution, (before_as_of, {}))[1][country, year] = figure
    return before


def stage_and_merge(connection: sqlite3.Connection, records: list[CleanRecord]) -> None:
    """Put the records of a vintage into GDP_Estimates by way of the staging table."""
    connection.execute("DELETE FROM Staging")
    connection.executemany(STAGE, records)
    for statement in MERGE:
        connection.execute(statement)


def choose_countries(connection: sqlite3.Connection) -> None:
    """Make Countries_by_GDP anew from the newest IMF figures."""
    connection.execute("DROP TABLE IF EXISTS Countries_by_GDP")
    connection.execute(CHOOSE, {"unsourced": f"{UNSOURCED_NOTE}%"})


def remember_load(connection: sqlite3.Connection, records: list[CleanRecord], source: Path, sha256: str) -> None:
    """Add a line to Loads: when, from which file, as of when, how many rows."""
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    newest = max(record["As_of"] for record in records)
    line = (now, str(source.absolute()), sha256, newest, len(records))
    connection.execute("INSERT INTO Loads VALUES (?, ?, ?, ?, ?)", line)


# --- findings ---------------------------------------------------------------------------------------------------------


def findings_of_transform(path: Path, sha256: str, journal: Journal) -> list[Finding]:
    """Return what transform found about this very file: it alone sees the World row."""
    try:
        told = json.loads(path.read_bytes())
        if told["clean_sha256"] == sha256:
            return [Finding.from_json(finding) for finding in told["findings"] if finding["stage"] == "transform"]
    except (OSError, ValueError, LookupError, TypeError):
        pass
    journal.warn(f"{path} does not speak of this file: its sum was not compared with World; run transform.py again")
    return []


def is_loaded(connection: sqlite3.Connection, sha256: str) -> bool:
    """Tell whether this very file has been loaded before."""
    return connection.execute("SELECT 1 FROM Loads WHERE SHA256 = ?", (sha256,)).fetchone() is not None


def tell_findings(findings: list[Finding], told_before: bool, journal: Journal) -> None:
    """Tell all findings together, on screen and in the log.

    A quiet run repeats no warning about a file that was loaded before, or cron would mail the same lines every day.
    """
    for finding in findings:
        (journal.say if told_before and not finding.fatal else journal.warn)(str(finding))
    fatal = sum(finding.fatal for finding in findings)
    journal.say(f"checks: {fatal} fatal findings, {len(findings) - fatal} to look at")


def refuse_fatal(findings: list[Finding], sha256: str) -> None:
    """Raise StageError (65) when a finding is fatal, with all of them in results/Checks.json."""
    fatal = [finding for finding in findings if finding.fatal]
    if fatal:
        write_whole(checks_file(), as_checks(findings, sha256))
        names = ", ".join(dict.fromkeys(f"{finding.check} ({finding.institution})" for finding in fatal))
        raise StageError(
            Exit.BAD_DATA,
            f"not loaded, the old data stands: {names}; see {checks_file()}, and --force to load all the same",
        )


# --- the two screens --------------------------------------------------------------------------------------------------


def show(database: Path, as_json: bool = False, quiet: bool = False) -> None:
    """Print both screens, as tables or as one JSON object; a quiet run prints the JSON only, if asked to."""
    with opened(database) as connection:
        as_of = connection.execute(NEWEST).fetchone()[0]
        large = rows_of(connection, LARGE_ECONOMIES, threshold=THRESHOLD_BILLION_USD)
        regions = rows_of(connection, REGION_MEANS, top=TOP)
    if as_json:
        screens = {"Countries_over_100_billion_USD": large, "Region_top_5_mean": regions}
        print(json.dumps({"Institution": "IMF", "As_of": as_of, **screens}, indent=2))
    elif not quiet:
        show_screens(as_of, large, regions)


def rows_of(connection: sqlite3.Connection, query: str, **values: object) -> list[dict[str, Any]]:
    """Return a query's rows as objects by column name."""
    cursor = connection.execute(query, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def show_screens(as_of: str | None, large: list[dict[str, Any]], regions: list[dict[str, Any]]) -> None:
    """Print the two tables."""
    day = (as_of or "never")[:10]
    show_table(
        f"Countries with a GDP of {THRESHOLD_BILLION_USD} billion USD or more (IMF, as of {day}): {len(large)}",
        ["Rank", "Country", "Region", "Year", "GDP_USD_billion"],
        [
            [str(r["Rank"]), r["Country"], r["Region"] or "?", str(r["Year"]), f"{r['GDP_USD_billion']:.2f}"]
            for r in large
        ],
        frozenset({"Rank", "Year", "GDP_USD_billion"}),
    )
    show_table(
        f"Mean GDP of each region's {TOP} largest economies (IMF, as of {day}): {len(regions)} regions",
        ["Region", "Mean_GDP_USD_billion", "Countries"],
        [[r["Region"], f"{r['Mean_GDP_USD_billion']:.2f}", str(r["Countries"])] for r in regions],
        frozenset({"Mean_GDP_USD_billion", "Countries"}),
    )


if __name__ == "__main__":
    leave(main())
