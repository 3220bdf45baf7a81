"""Databases of every older version: questions are answered at once, a load migrates them, and every row stays."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gdp.model import ESTIMATE_FIELDS, HEADLINE_FIELDS, LOAD_FIELDS
from gdp.places import Place
from gdp.store.database import opened, transaction
from gdp.store.schema import SCHEMA_VERSION
from tests.conftest import NO_NETWORK, PROJECT, page_of, shared_pages
from tests.store.loading import ask, clean_file_of, load_file
from tests.store.vintages import Vintage, write
from utils import StageError

# --- the tables as their versions created them ------------------------------------------------------------------------

FIRST_ESTIMATES = """CREATE TABLE GDP_Estimates (
    As_of TEXT NOT NULL, Institution TEXT NOT NULL, ISO3 TEXT, Country TEXT NOT NULL, Region TEXT, Subregion TEXT,
    Year INTEGER NOT NULL, GDP_USD_billion REAL NOT NULL, Note TEXT, Source TEXT NOT NULL,
    PRIMARY KEY (As_of, Institution, Country, Year)
) {by_key}"""
FIRST_LOADS = """CREATE TABLE Loads (
    Loaded_at TEXT NOT NULL, File TEXT NOT NULL, SHA256 TEXT NOT NULL, As_of TEXT NOT NULL, Rows INTEGER NOT NULL)"""
FIRST_COUNTRIES = """CREATE TABLE Countries_by_GDP AS
    SELECT Country, ISO3, Region, Year, GDP_USD_billion FROM GDP_Estimates
    WHERE Institution = 'IMF' AND As_of = '2025-01-07T10:00:00Z' AND ISO3 = 'KOR'"""
ESTIMATES = """CREATE TABLE GDP_Estimates (
    As_of {text} NOT NULL, Institution {text} NOT NULL, ISO3 {text}, Country {text} NOT NULL,
    Region {text}, Subregion {text}, Year INTEGER NOT NULL, GDP_USD_billion DOUBLE PRECISION NOT NULL, Note {text},
    Source {text} NOT NULL, Publisher {text} NOT NULL, Until {text} NOT NULL DEFAULT '9999-12-31', {status}
    PRIMARY KEY (As_of, Institution, Country, Year, Publisher)
) {by_key}"""
LOADS = """CREATE TABLE Loads (
    Loaded_at {text} NOT NULL, File {text} NOT NULL, SHA256 {text} NOT NULL, As_of {text} NOT NULL,
    Rows INTEGER NOT NULL, Publisher {text} NOT NULL, Institutions {text} NOT NULL, Source {text} NOT NULL{more})"""
COUNTRIES = """CREATE TABLE Countries_by_GDP (
    Country {text} NOT NULL PRIMARY KEY, ISO3 {text}, Region {text}, Year INTEGER NOT NULL,
    GDP_USD_billion DOUBLE PRECISION NOT NULL, As_of {text} NOT NULL, Source {text} NOT NULL, Note {text})"""
INDEX = "CREATE INDEX GDP_Estimates_standing ON GDP_Estimates (Publisher, Institution, Until)"
HISTORY = """CREATE VIEW GDP_History AS
    SELECT substr(As_of, 1, 10) AS First_day, {day_before} AS Last_day, GDP_Estimates.* FROM GDP_Estimates"""
CURRENT = """CREATE VIEW GDP_Current AS
    SELECT Publisher, Institution, Country, ISO3, Region, Subregion, Year, GDP_USD_billion, As_of, Source, Note
    FROM GDP_Estimates WHERE Until = '9999-12-31'"""


class Version(NamedTuple):
    """A version of the tables: the commit that began it, and its statements."""

    commit: str
    statements: tuple[str, ...]
    has_intervals: bool = True


def _later(commit: str, status: str, more: str, *others: str) -> Version:
    estimates = ESTIMATES.replace("{status}", status)
    return Version(commit, (estimates, INDEX, LOADS.replace("{more}", more), HISTORY, *others))


REMARKS, DOUBT, NUMBER = ", Left_out {text}, Findings {text}", ", Doubt {text}", "{number}"
VERSIONS = {
    "whole vintages": Version("c8427e4", (FIRST_ESTIMATES, FIRST_LOADS, FIRST_COUNTRIES), has_intervals=False),
    "intervals": _later("03c5e3b", "", "", FIRST_COUNTRIES),
    "remarks in Loads": _later("599e94d", "", REMARKS + NUMBER, FIRST_COUNTRIES),
    "a key of countries": _later("b813eb5", "", REMARKS + NUMBER, COUNTRIES, CURRENT),
    "status": _later("a00af0e", "Status {text},", REMARKS + DOUBT + NUMBER, COUNTRIES, CURRENT),
}
PAGES = "2024-06-30T22:28:00Z", "2025-01-07T10:00:00Z"
KOREA, JAPAN = ("KOR", "South Korea", "Asia", "Eastern Asia"), ("JPN", "Japan", "Asia", "Eastern Asia")
TUVALU, ATLANTIS = ("TUV", "Tuvalu", "Oceania", "Polynesia"), (None, "Atlantis", None, None)
# of each figure: the country, year, billions, Note, since which page, and until which
FIGURES = (
    (KOREA, 2024, 1760.95, None, 0, 1),
    (KOREA, 2024, 1869.9, "check: was 1,760.95 on 2024-06-30, now 1,869.90 (+6.2 %)", 1, None),
    (JAPAN, 2024, 4110.45, None, 0, None),
    (TUVALU, 2024, 0.07, "column without a source [citation needed]", 1, None),
    (ATLANTIS, 2024, 1.0, "said twice", 0, 1),
)
FLAGS = {("KOR", 1): "sharp-revision", ("TUV", 1): "unsourced", (None, 0): "unknown-name duplicate"}
SOURCE = "https://en.wikipedia.org/w/index.php?oldid="


def rows(has_intervals: bool) -> list[tuple[Any, ...]]:
    """Return the rows of GDP_Estimates: each figure once for its time, or again with each page that has it."""
    found = []
    for country, year, figure, note, first, end in FIGURES:
        for page in range(first, (2 if end is None else end) if not has_intervals else first + 1):
            until = (PAGES[end] if end is not None else "9999-12-31",)
            row = (PAGES[page], "IMF", *country, year, figure, note, f"{SOURCE}{page}")
            found.append((*row, "wikipedia", *until) if has_intervals else row)
    return found


def make(version: Version, place: Place) -> None:
    """Create a database of a version."""
    with opened(place) as connection, transaction(connection):
        dialect = connection.dialect._asdict()
        estimates, *others = (statement.format(**dialect) for statement in version.statements)
        connection.execute(estimates)
        for row in rows(version.has_intervals):
            names = "As_of, Institution, ISO3, Country, Region, Subregion, Year, GDP_USD_billion, Note, Source"
            names += ", Publisher, Until" if version.has_intervals else ""
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO GDP_Estimates ({names}) VALUES ({marks})", row)
        for statement in others:
            connection.execute(statement)
        for number, as_of in enumerate(PAGES):
            load: tuple[Any, ...] = (f"{as_of[:10]}T23:00:00Z", "x.json", "0" * 64, as_of, 3)
            names = "Loaded_at, File, SHA256, As_of, Rows"
            if version.has_intervals:
                load, names = (
                    (*load, "wikipedia", "IMF", f"{SOURCE}{number}"),
                    f"{names}, Publisher, Institutions, Source",
                )
            connection.execute(f"INSERT INTO Loads ({names}) VALUES ({', '.join('?' * len(load))})", load)


def answers(place: Place) -> list[Any]:
    """Return the answers to questions that depend on the old rows alone."""
    questions = (("--as-of", "2024-07-01"), ("--as-of", "2025-02-01"), ("--country", "JPN"))
    found = []
    for question in questions:
        answer = ask("--database", place.as_argument, *question, "--json")
        assert answer.code == 0, answer.err
        found.append(answer.json)
    return found


def select(place: Place, question: str) -> list[tuple[Any, ...]]:
    with opened(place) as connection:
        return [tuple(row) for row in connection.execute(question)]


def content(place: Place) -> list[Any]:
    """Return what a database has, row by row, and its columns."""
    with opened(place) as connection:
        names = [name for name in ("GDP_Estimates", "Loads", "Countries_by_GDP") if connection.columns(name)]
        return [(sorted(connection.columns(name)), sorted(map(str, connection.execute(f"SELECT * FROM {name}"))))
                for name in names]  # fmt: skip


def fits(version: str, place: Place) -> bool:
    """Return whether a version knew PostgreSQL."""
    return bool(place.path) or version not in ("whole vintages", "intervals")


@pytest.mark.parametrize("version", VERSIONS)
def test_questions_to_an_older_database_are_answered_and_change_nothing(version: str, place: Place) -> None:
    if not fits(version, place):
        pytest.skip("that version had no PostgreSQL")
    make(VERSIONS[version], place)
    before = content(place)
    then, now, japan = answers(place)
    for answer, korea in ((then, 1760.95), (now, 1869.9)):  # neither Tuvalu, without a source, nor the unknown name
        figures = {row["Country"]: row["GDP_USD_billion"] for row in answer["Countries_over_100_billion_USD"]}
        assert figures == {"Japan": 4110.45, "South Korea": korea}
        assert answer["Countries_and_territories"] == 2
    assert [(e["As_of"], e["GDP_USD_billion"]) for e in japan["Estimates"]] == [(PAGES[0], 4110.45)]
    assert content(place) == before


@pytest.mark.parametrize("version", VERSIONS)
def test_a_load_migrates_an_older_database_and_every_row_stays(version: str, place: Place, home: Path) -> None:
    if not fits(version, place):
        pytest.skip("that version had no PostgreSQL")
    make(VERSIONS[version], place)
    before = answers(place)
    newer = Vintage("2025-06-01T10:00:00Z", {("IMF", "KOR", 2025): 1947.13, ("IMF", "JPN", 2024): 4110.45}, SOURCE)
    load_file(write(home / "newer.json", [newer]), place)
    ends: dict[str | None, str] = {"JPN": "9999-12-31"}  # the same figure again
    found = select(place, "SELECT ISO3, Country, Year, GDP_USD_billion, Note, Flags, As_of, Until, Publisher, Source"
                          f" FROM GDP_Estimates WHERE As_of <= '{PAGES[1]}' ORDER BY As_of, Country")  # fmt: skip
    assert found == sorted(
        [
            (code, name, year, figure, note, FLAGS.get((code, first)), PAGES[first],
             PAGES[end] if end is not None else ends.get(code, newer.as_of), "wikipedia", f"{SOURCE}{first}")
            for (code, name, *_), year, figure, note, first, end in FIGURES
        ],
        key=lambda row: (row[6], row[1]),
    )  # fmt: skip
    assert answers(place)[:2] == before[:2]
    loads = select(place, "SELECT As_of, Publisher, Institutions, Rows FROM Loads ORDER BY As_of")
    assert loads == [(PAGES[0], "wikipedia", "IMF", 3), (PAGES[1], "wikipedia", "IMF", 3),
                     (newer.as_of, "wikipedia", "IMF", 2)]  # fmt: skip
    with opened(place) as connection:
        for name, fields in (("GDP_Estimates", ESTIMATE_FIELDS), ("Countries_by_GDP", HEADLINE_FIELDS)):
            assert connection.columns(name) == {field.lower() for field in fields}
        assert {field.lower() for field in LOAD_FIELDS} <= connection.columns("Loads")
        assert connection.relations(["GDP_Estimates"])["gdp_estimates"].is_marked


@pytest.mark.parametrize("version", VERSIONS)
def test_a_load_that_fails_leaves_an_older_database_as_it_was(version: str, place: Place, home: Path) -> None:
    if not fits(version, place):
        pytest.skip("that version had no PostgreSQL")
    make(VERSIONS[version], place)
    before = content(place)
    few = write(home / "few.json", [Vintage("2025-06-01", {("IMF", "KOR", 2025): 1947.13})])
    with pytest.raises(StageError, match="not loaded"):
        load_file(few, place, force=False)
    assert content(place) == before


def test_a_figure_without_a_status_that_gets_one_is_a_new_row(home: Path) -> None:
    place = Place(home / "x.db")
    make(VERSIONS["a key of countries"], place)
    newer = Vintage("2025-06-01", {("IMF", "JPN", 2024): 4110.45}, SOURCE)
    file = write(home / "newer.json", [newer])
    file.write_text(file.read_text().replace('"Status": null', '"Status": "estimate"'))
    load_file(file, place)
    found = select(place, "SELECT Status, As_of, Until FROM GDP_Estimates WHERE ISO3 = 'JPN' ORDER BY As_of")
    assert found == [(None, PAGES[0], newer.as_of), ("estimate", newer.as_of, "9999-12-31")]


def test_a_migrated_file_has_the_version_and_the_mark(home: Path) -> None:
    place = Place(home / "x.db")
    make(VERSIONS["status"], place)
    load_file(write(home / "newer.json", [Vintage("2025-06-01", {("IMF", "KOR", 2025): 1947.13})]), place)
    assert select(place, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert select(place, "PRAGMA application_id") == [(int.from_bytes(b"GDPE"),)]


# --- databases that old commits made ----------------------------------------------------------------------------------

COMMITS = ("c8427e4", "03c5e3b", "b813eb5", "a00af0e", "d9e7ba8")  # of 599e94d the scripts end in a TypeError
DAYS = ("2024-06-30", "2025-01-07")


def database_of(commit: str, folder: Path) -> Path:
    """Return the database that an old commit of this suite makes of two real pages."""
    tree, home = folder / "tree", folder / "old home"
    home.mkdir(parents=True)
    archive = subprocess.run(["git", "-C", PROJECT, "archive", commit], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tree, filter="data")
    environment = {**os.environ, **NO_NETWORK, "GDP_ETL_HOME": str(home)}
    for day in DAYS:
        page = folder / page_of(day).name.removesuffix(".gz")
        page.write_bytes(gzip.decompress(page_of(day).read_bytes()))
        for script in (("extract.py", "--page", page), ("transform.py",), ("load.py",)):
            done = subprocess.run(
                [sys.executable, *script], cwd=tree, env=environment, capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr.decode()
    return home / "sqliteDB" / "World_Economies.db"


@pytest.mark.long
@pytest.mark.skipif(len(shared_pages()) < 5, reason="../shared is not beside the project")
@pytest.mark.parametrize("commit", COMMITS)
def test_a_database_of_an_old_commit_keeps_every_row_and_its_answers(commit: str, home: Path, tmp_path: Path) -> None:
    place = Place(database_of(commit, tmp_path))
    columns = "As_of, Institution, ISO3, Country, Region, Subregion, Year, GDP_USD_billion, Source"
    old = select(place, f"SELECT {columns} FROM GDP_Estimates")
    then = [ask("--database", place.as_argument, "--as-of", day, "--json") for day in DAYS]
    assert [answer.code for answer in then] == [0, 0], then
    load_file(clean_file_of(page_of("2025-12-30")), place)
    moments = {row[0] for row in old}
    for moment in sorted(moments):  # each old row is current at its As_of, as one of the vintages
        now = select(place, f"SELECT {columns.replace('As_of, ', '').replace(', Source', '')} FROM GDP_Estimates"
                            f" WHERE As_of <= '{moment}' AND Until > '{moment}'")  # fmt: skip
        assert {row[1:-1] for row in old if row[0] == moment} <= set(now)
    assert [ask("--database", place.as_argument, "--as-of", day, "--json").json for day in DAYS] == [
        one.json for one in then
    ]
