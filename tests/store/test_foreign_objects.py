"""Other people's tables and views are never changed: a load is refused before anything is written, or keeps them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gdp.places import Place, database_named
from gdp.store.database import opened
from tests.page_builder import SHIPPED
from tests.store.loading import ask, load_file, load_page
from tests.store.vintages import Vintage, write
from utils import Exit, StageError

OURS = """Country TEXT NOT NULL PRIMARY KEY, ISO3 TEXT, Region TEXT, Year INTEGER NOT NULL,
    GDP_USD_billion DOUBLE PRECISION NOT NULL, As_of TEXT NOT NULL, Source TEXT NOT NULL, Note TEXT"""
ESTIMATES = """As_of TEXT NOT NULL, Institution TEXT NOT NULL, ISO3 TEXT, Country TEXT NOT NULL, Region TEXT,
    Subregion TEXT, Year INTEGER NOT NULL, GDP_USD_billion DOUBLE PRECISION NOT NULL, Note TEXT, Source TEXT NOT NULL,
    Publisher TEXT NOT NULL, Until TEXT NOT NULL"""
FIRST_LOADS = "Loaded_at TEXT, File TEXT, SHA256 TEXT, As_of TEXT, Rows INTEGER"
FOREIGN = {
    "a table of other columns": ["CREATE TABLE Countries_by_GDP (id INTEGER, my_notes TEXT)",
                                 "INSERT INTO Countries_by_GDP VALUES (1, 'mine')"],
    "a table of some of our columns": [
        "CREATE TABLE Countries_by_GDP (Country TEXT PRIMARY KEY, GDP_USD_billion REAL)"],
    "one more column": [f"CREATE TABLE Countries_by_GDP ({OURS}, my_notes TEXT)"],
    "no key": [f"CREATE TABLE Countries_by_GDP ({OURS.replace('PRIMARY KEY', '')})"],
    "another key": [f"CREATE TABLE Countries_by_GDP ({OURS.replace('PRIMARY KEY', '')}, PRIMARY KEY (Country, Year))"],
    "estimates of other columns": ["CREATE TABLE GDP_Estimates (Country TEXT, Year INTEGER, Value REAL)"],
    "estimates without a key": [f"CREATE TABLE GDP_Estimates ({ESTIMATES})"],
    "estimates with another key": [f"CREATE TABLE GDP_Estimates ({ESTIMATES}, PRIMARY KEY (As_of, Country))"],
    "loads of other columns": ["CREATE TABLE Loads (id INTEGER PRIMARY KEY, weight_kg REAL)",
                               "INSERT INTO Loads VALUES (1, 20.5)"],
    "loads with a key": [f"CREATE TABLE Loads ({FIRST_LOADS}, PRIMARY KEY (As_of))"],
    "confirmations of other columns": ["CREATE TABLE Confirmations (id INTEGER, mail TEXT)"],
    "a view with a table's name": ["CREATE VIEW Countries_by_GDP AS SELECT 'Chad' AS Country"],
    "a view of all our columns with a table's name": [
        "CREATE VIEW Countries_by_GDP AS SELECT 'Chad' AS Country, 'TCD' AS ISO3, 'Africa' AS Region, 2025 AS Year,"
        " 20.0 AS GDP_USD_billion, '2025-01-01' AS As_of, 'x' AS Source, NULL AS Note"],
    "a table with a view's name": [
        "CREATE TABLE GDP_History (Country TEXT)", "INSERT INTO GDP_History VALUES ('mine')"],
    "a table with the newest view's name": ["CREATE TABLE GDP_Latest (Country TEXT)"],
    "a table with the old view's name": ["CREATE TABLE GDP_Current (Country TEXT, GDP REAL)"],
    "another's view": ["CREATE VIEW GDP_History AS SELECT 1 AS One"],
    "another's newest view": ["CREATE VIEW GDP_Latest AS SELECT 'Chad' AS Country, 20.0 AS GDP"],
}  # fmt: skip


def execute(place: Place, *statements: str) -> None:
    with opened(place) as connection:
        for statement in statements:
            connection.execute(statement)


def select(place: Place, question: str) -> list[tuple[Any, ...]]:
    with opened(place) as connection:
        return [tuple(row) for row in connection.execute(question)]


OBJECTS = {
    True: "SELECT type, name, sql FROM sqlite_master ORDER BY name",
    False: "SELECT relname, relkind, relnatts, obj_description(oid, 'pg_class') FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace ORDER BY relname",
}


def content(place: Place) -> list[Any]:
    """Return every table, view and index, and the rows of tables that may be somebody else's."""
    names = ("Countries_by_GDP", "GDP_Estimates", "Loads", "Confirmations", "GDP_History", "GDP_Latest", "GDP_Current")
    found: list[Any] = [select(place, OBJECTS[place.path is not None])]
    with opened(place) as connection:
        for name in names:
            if connection.relations([name]):
                found.append(sorted(map(str, connection.execute(f"SELECT * FROM {name}"))))
    return found


@pytest.fixture
def clean(home: Path) -> Path:
    """Return a file of two figures."""
    return write(
        home / "one.json", [Vintage("2025-06-01", {("IMF", "KOR", 2025): 1947.13, ("IMF", "JPN", 2025): 4186.0})]
    )


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_database_with_foreign_objects_of_our_names_is_refused_and_stays(
    kind: str, place: Place, clean: Path
) -> None:
    execute(place, *FOREIGN[kind])
    before = content(place)
    with pytest.raises(StageError, match="name another database with --database") as refused:
        load_file(clean, place)
    assert refused.value.code == Exit.BAD_DATA and "\n" not in str(refused.value)
    assert content(place) == before


@pytest.mark.parametrize("kind", ["a table of other columns", "loads of other columns", "another's view"])
def test_a_question_to_a_database_with_foreign_objects_is_refused_too(kind: str, place: Place) -> None:
    others = "Loads", "GDP_Estimates"
    there = [name for name in others if not any(f"TABLE {name} " in statement for statement in FOREIGN[kind])]
    ours = {"Loads": f"CREATE TABLE Loads ({FIRST_LOADS})", "GDP_Estimates": f"CREATE TABLE GDP_Estimates ({ESTIMATES},"
            " PRIMARY KEY (As_of, Institution, Country, Year, Publisher))"}  # fmt: skip
    execute(place, *FOREIGN[kind], *(ours[name] for name in there))
    before = content(place)
    done = ask("--database", place.as_argument, "--as-of", "2025-01-01")
    assert done.code == Exit.BAD_DATA and "not the suite's" in done.err
    assert content(place) == before


def test_a_foreign_table_is_refused_in_a_database_of_ours_too(place: Place, clean: Path) -> None:
    load_file(clean, place)
    execute(place, "DROP TABLE Countries_by_GDP", *FOREIGN["a table of other columns"])
    before = content(place)
    with pytest.raises(StageError, match="not the suite's"):
        load_file(clean, place)
    assert content(place) == before


def test_tables_that_have_nothing_to_do_with_ours_stay(place: Place, clean: Path) -> None:
    execute(
        place, "CREATE TABLE Mine (x INTEGER)", "INSERT INTO Mine VALUES (7)", "CREATE VIEW Seven AS SELECT * FROM Mine"
    )
    load_file(clean, place)
    assert select(place, "SELECT * FROM Seven") == [(7,)]
    assert len(select(place, "SELECT * FROM Countries_by_GDP")) == 2


def test_indexes_and_views_that_users_added_do_not_matter(place: Place, clean: Path, home: Path) -> None:
    load_file(clean, place)
    execute(
        place, "CREATE INDEX by_region ON Countries_by_GDP (Region)", "CREATE INDEX by_code ON GDP_Estimates (ISO3)",
        "CREATE UNIQUE INDEX by_as_of ON Loads (As_of, Publisher)",
        "CREATE VIEW Large AS SELECT Country FROM Countries_by_GDP WHERE GDP_USD_billion > 4000",
        "CREATE VIEW Newest AS SELECT * FROM GDP_Latest",
    )  # fmt: skip
    newer = [Vintage("2025-07-01", {("IMF", "KOR", 2025): 4947.13, ("IMF", "JPN", 2025): 4187.0})]
    load_file(write(home / "newer.json", newer), place)
    assert sorted(select(place, "SELECT * FROM Large")) == [("Japan",), ("South Korea",)]
    assert len(select(place, "SELECT * FROM Newest")) == 2
    names = str(content(place)[0])
    assert all(name in names for name in ("by_region", "by_code", "by_as_of"))


def test_an_index_of_our_name_on_anothers_table_stays(place: Place, clean: Path) -> None:
    execute(place, "CREATE TABLE Other (x INTEGER)", "CREATE INDEX GDP_Estimates_standing ON Other (x)")
    load_file(clean, place)
    load_file(clean, place)
    with opened(place) as connection:
        assert connection.columns("GDP_Estimates_standing") == {"x"}
    assert len(select(place, "SELECT * FROM Countries_by_GDP")) == 2


# --- triggers ---------------------------------------------------------------------------------------------------------

SWALLOWS = """CREATE TRIGGER swallow BEFORE INSERT ON {table} WHEN NEW.Country = 'Japan'
    BEGIN SELECT RAISE(IGNORE); END"""
CHANGES = """CREATE TRIGGER change AFTER INSERT ON {table} WHEN NEW.Country = 'Japan'
    BEGIN UPDATE {table} SET GDP_USD_billion = 1.0 WHERE Country = 'Japan'; END"""
REMOVES = """CREATE TRIGGER remove AFTER INSERT ON {table} WHEN NEW.Country = 'South Korea'
    BEGIN DELETE FROM {table} WHERE Country = 'Japan'; END"""
PG_FUNCTIONS = {
    "swallows": ("BEFORE", "IF NEW.country = 'Japan' THEN RETURN NULL; END IF; RETURN NEW;"),
    "changes": ("BEFORE", "IF NEW.country = 'Japan' THEN NEW.gdp_usd_billion = 1.0; END IF; RETURN NEW;"),
}
TRIGGERS = {"swallows": SWALLOWS, "changes": CHANGES, "removes": REMOVES}


@pytest.mark.parametrize("table", ["GDP_Estimates", "Countries_by_GDP"])
@pytest.mark.parametrize("kind", TRIGGERS)
def test_a_trigger_that_changes_what_is_loaded_is_fatal_and_nothing_is_loaded(
    kind: str, table: str, clean: Path, home: Path
) -> None:
    place = Place(home / "x.db")
    load_file(clean, place)
    execute(place, TRIGGERS[kind].format(table=table))
    check_that_a_trigger_is_fatal(place, home)


@pytest.mark.parametrize("table", ["gdp_estimates", "countries_by_gdp"])
@pytest.mark.parametrize("kind", PG_FUNCTIONS)
def test_a_trigger_of_postgresql_that_changes_what_is_loaded_is_fatal(
    kind: str, table: str, postgres_url: str, clean: Path, home: Path
) -> None:
    place = database_named(postgres_url)
    load_file(clean, place)
    when, body = PG_FUNCTIONS[kind]
    execute(
        place, f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        f"CREATE TRIGGER meddle {when} INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION meddle()",
    )  # fmt: skip
    check_that_a_trigger_is_fatal(place, home)


def test_a_trigger_of_postgresql_that_waits_for_the_commit_is_fatal(postgres_url: str, clean: Path, home: Path) -> None:
    place = database_named(postgres_url)
    load_file(clean, place)
    changes = "UPDATE countries_by_gdp SET gdp_usd_billion = 1; RETURN NULL;"
    execute(
        place, f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {changes} END $$",
        "CREATE CONSTRAINT TRIGGER meddle AFTER INSERT ON gdp_estimates DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION meddle()",
    )  # fmt: skip
    check_that_a_trigger_is_fatal(place, home)


def test_a_trigger_that_keeps_rows_out_of_loads_is_fatal(clean: Path, home: Path) -> None:
    place = Place(home / "x.db")
    load_file(clean, place)
    execute(place, "CREATE TRIGGER swallow BEFORE INSERT ON Loads BEGIN SELECT RAISE(IGNORE); END")
    check_that_a_trigger_is_fatal(place, home)


def test_a_column_of_another_type_that_rounds_figures_is_fatal(postgres_url: str, clean: Path, home: Path) -> None:
    place = database_named(postgres_url)
    load_file(clean, place)
    execute(place, "DROP VIEW IF EXISTS GDP_Latest, GDP_History, GDP_Current CASCADE")
    execute(place, "ALTER TABLE GDP_Estimates ALTER COLUMN GDP_USD_billion TYPE real")
    check_that_a_trigger_is_fatal(place, home, korea=20949.57)


def test_a_column_of_another_type_that_keeps_text_is_fatal(clean: Path, home: Path) -> None:
    place = Place(home / "x.db")
    load_file(clean, place)
    ((statement,),) = select(place, "SELECT sql FROM sqlite_master WHERE name = 'Countries_by_GDP'")
    execute(
        place, "DROP TABLE Countries_by_GDP",
        statement.replace("GDP_USD_billion DOUBLE PRECISION", "GDP_USD_billion TEXT"),
    )  # fmt: skip
    check_that_a_trigger_is_fatal(place, home)


def check_that_a_trigger_is_fatal(place: Place, home: Path, korea: float = 1950.0) -> None:
    before = content(place)
    newer = [Vintage("2025-07-01", {("IMF", "KOR", 2025): korea, ("IMF", "JPN", 2025): 4187.0})]
    with pytest.raises(StageError, match="trigger") as refused:
        load_file(write(home / "newer.json", newer), place)
    assert refused.value.code == Exit.BAD_DATA
    assert content(place) == before


def test_a_trigger_that_only_takes_notes_does_not_matter(clean: Path, home: Path) -> None:
    place = Place(home / "x.db")
    load_file(clean, place)
    execute(
        place, "CREATE TABLE Audit (Country TEXT)",
        "CREATE TRIGGER audit AFTER INSERT ON GDP_Estimates BEGIN INSERT INTO Audit VALUES (NEW.Country); END",
    )  # fmt: skip
    load_file(write(home / "newer.json", [Vintage("2025-07-01", {("IMF", "KOR", 2025): 1950.0})]), place)
    assert select(place, "SELECT * FROM Audit") == [("South Korea",)]


# --- files of SQLite --------------------------------------------------------------------------------------------------


def test_another_applications_file_keeps_its_mark(clean: Path, home: Path) -> None:
    place = Place(home / "x.db")
    execute(place, "PRAGMA application_id = 252006674", "PRAGMA user_version = 7", "CREATE TABLE Mine (x INTEGER)")
    load_file(clean, place)  # beside its tables, which are not ours
    load_file(clean, place)
    assert select(place, "PRAGMA application_id") == [(252006674,)] and select(place, "PRAGMA user_version") == [(7,)]


def test_a_foreign_table_in_a_file_with_our_mark_is_refused(clean: Path, home: Path) -> None:
    place = Place(home / "x.db")
    execute(place, "PRAGMA application_id = 1195593797", *FOREIGN["a table of other columns"])
    with pytest.raises(StageError, match="not the suite's"):
        load_file(clean, place)


def test_a_table_of_ours_without_row_numbers_is_migrated_and_keeps_its_order(clean: Path, home: Path) -> None:
    place = Place(home / "x.db")
    execute(place, f"CREATE TABLE Countries_by_GDP ({OURS}) WITHOUT ROWID")
    load_file(clean, place)
    assert [row[0] for row in select(place, "SELECT Country FROM Countries_by_GDP ORDER BY GDP_USD_billion DESC")] == [
        "Japan", "South Korea",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content_of_file", [b"not a database, but text " * 50, b"\0" * 5000, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_file_that_is_no_database_is_refused_and_stays(content_of_file: bytes, clean: Path, home: Path) -> None:
    (home / "x.db").write_bytes(content_of_file)
    with pytest.raises(StageError) as refused:
        load_file(clean, Place(home / "x.db"))
    assert refused.value.code == Exit.BAD_DATA
    assert (home / "x.db").read_bytes() == content_of_file


def test_our_own_database_is_no_foreign_one_after_a_restore_from_its_dump(home: Path) -> None:
    load_page(home / "x.db", SHIPPED)
    with sqlite3.connect(home / "x.db") as old, sqlite3.connect(home / "y.db") as new:
        new.executescript("\n".join(old.iterdump()))  # a dump has neither application_id nor user_version
    load_file(write(home / "one.json", [Vintage("2026-01-01", {("IMF", "KOR", 2025): 1.0})]), Place(home / "y.db"))
    assert select(Place(home / "y.db"), "SELECT count(*) FROM Loads") == [(2,)]
