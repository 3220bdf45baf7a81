"""PostgreSQL keeps the same tables with the same promises; the server is a real one, on a port of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gdp.places import Place, database_named
from gdp.store.database import asked, opened, transaction
from gdp.store.headlines import replace_countries
from gdp.store.history import History
from gdp.store.ingest import take_each
from gdp.store.schema import create_tables
from gdp.validate.observations import said_in
from tests.cluster import free_port
from tests.conftest import PROJECT, Run, page_of, query, shared_pages
from tests.page_builder import SHIPPED
from tests.sources.test_sources import REAL_ANSWER
from tests.store.archives import an_archive, archive
from tests.store.loading import ask, load_page
from utils import Exit, StageError

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").exists() else []
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("psycopg") is None or not PROGRAMS,
    reason="psycopg (requirements/postgres.txt) or PostgreSQL (apt-get install postgresql) is not installed",
)
needs_shared = pytest.mark.skipif(len(shared_pages()) < 5, reason="../shared is not beside the project")
TABLES = ("GDP_Estimates", "Countries_by_GDP", "GDP_History", "GDP_Current")


def _as_server(*command: str | Path) -> None:
    """Run a program of PostgreSQL's, which refuses to run as root."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*user, *map(str, command)], check=True, capture_output=True, cwd="/")


class Postgres(NamedTuple):
    """A server for these tests."""

    url: str
    data: Path
    options: str

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self.data.with_name("log")
        _as_server(PROGRAMS[-1] / "pg_ctl", "-D", self.data, "-w", "-l", log, "-o", self.options, "start")

    def stop(self) -> None:
        """Stop it at once, whoever is at work."""
        _as_server(PROGRAMS[-1] / "pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Yield a server that was started for these tests."""
    folder = Path("/tmp") / f"gdp-etl-postgres-{os.getpid()}"  # its socket's path may have 107 characters
    folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    port = free_port()
    data = folder / "data"
    _as_server(PROGRAMS[-1] / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    server = Postgres(f"postgresql://postgres@127.0.0.1:{port}/postgres", data, options)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def postgres(server: Postgres) -> str:
    """Return the URL of the server."""
    return server.url


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """Yield the URL of an empty database."""
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE gdp")
    yield postgres.replace("/postgres", "/gdp").replace("//gdp@", "//postgres@")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE gdp WITH (FORCE)")


def dump(url: str) -> list[list[tuple[object, ...]]]:
    import psycopg

    with psycopg.connect(url) as connection:
        return [sorted(connection.execute(f"SELECT * FROM {table}".encode()).fetchall(), key=str) for table in TABLES]


def dump_file(path: Path) -> list[list[tuple[object, ...]]]:
    return [sorted(query(path, f"SELECT * FROM {table}"), key=str) for table in TABLES]


@needs_shared
def test_postgresql_holds_and_answers_what_sqlite_does(database: str, run: Run, home: Path) -> None:
    places = Place(None, database), Place(home / "x.db")
    for place in places:
        for day in ("2025-01-08", "2024-06-30"):
            load_page(place, page_of(day))
        for _ in range(2):
            load_page(place, REAL_ANSWER, "imf")
    assert dump(database) == dump_file(home / "x.db")
    for question in (
        ("--as-of", "2024-07-01"), ("--changes",), ("--changes", "--since", "2024-07-01"), ("--country", "KOR"),
        ("--compare",),
    ):  # fmt: skip
        for form in ([], ["--json"]):
            answers = [ask("--database", place.as_argument, *question, *form) for place in places]
            assert answers[0].code == answers[1].code == 0, answers[0].err
            assert answers[0].out == answers[1].out
    assert as_reported(run, database, home) == as_reported(run, home / "x.db", home)


def as_reported(run: Run, place: str | Path, home: Path) -> list[str]:
    """Return the report's lines but for those that tell when it was loaded and written."""
    target = home / "report.html"
    done = run("report.py", "--database", place, "--output", target)
    assert done.returncode == 0, done.stderr
    return [
        line
        for line in target.read_text(encoding="utf-8").splitlines()
        if not re.search(r"20\d\d-\d\d-\d\d \d\d:", line)
    ]


def test_a_refused_load_leaves_postgresql_as_it_was(database: str, run: Run, home: Path) -> None:
    assert run("etl_process.py", "--no-report", "--page", SHIPPED, "--database", database).returncode == 0
    before = dump(database)
    clean = home / "results" / "Countries_by_GDP_Processed.json"
    records = [r for r in json.loads(clean.read_text(encoding="utf-8")) if r["Region"] != "Europe"]
    clean.write_text(json.dumps(records), encoding="utf-8")
    done = run("load.py", "--database", database)
    assert done.returncode == 65 and "large economies missing" in done.stderr
    assert dump(database) == before


def test_grants_and_views_of_others_survive_a_load(database: str, home: Path) -> None:
    import psycopg

    place = Place(None, database)
    load_page(place, SHIPPED)
    with psycopg.connect(database) as connection:
        connection.execute("CREATE ROLE reader")
        connection.execute("GRANT SELECT ON countries_by_gdp, gdp_current TO reader")
        connection.execute("CREATE VIEW large AS SELECT * FROM countries_by_gdp WHERE gdp_usd_billion >= 100")
        connection.execute("CREATE VIEW standing AS SELECT * FROM gdp_current")
    load_page(place, SHIPPED)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM large").fetchone() == (76,)
        assert connection.execute("SELECT count(*) FROM standing").fetchone() == (615,)
        connection.execute("SET ROLE reader")
        assert connection.execute("SELECT count(*) FROM countries_by_gdp").fetchone() == (194,)
        assert connection.execute("SELECT count(*) FROM gdp_current").fetchone() == (615,)
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY reader")
        connection.execute("DROP ROLE reader")


def test_tables_of_the_released_version_are_carried_over_with_a_view_and_a_grant_on_them(
    database: str, home: Path
) -> None:
    import psycopg

    place = Place(None, database)
    load_page(place, SHIPPED)
    with psycopg.connect(database) as connection:  # as the released version made it
        for statement in (
            "DROP VIEW gdp_current", "DROP TABLE countries_by_gdp", "COMMENT ON VIEW gdp_history IS NULL",
            "CREATE TABLE countries_by_gdp AS SELECT country, iso3, region, year, gdp_usd_billion FROM gdp_estimates"
            " WHERE institution = 'IMF'",
            "CREATE VIEW large AS SELECT country, gdp_usd_billion FROM countries_by_gdp WHERE gdp_usd_billion >= 100",
        ):  # fmt: skip
            connection.execute(statement.encode())
    load_page(place, SHIPPED)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM large").fetchone() == (76,)
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO countries_by_gdp SELECT * FROM countries_by_gdp")
    load_page(home / "x.db", SHIPPED)
    assert dump(database) == dump_file(home / "x.db")


def test_queries_of_others_work_as_written(database: str, home: Path) -> None:
    import psycopg

    load_page(Place(None, database), SHIPPED)
    with psycopg.connect(database) as connection:
        large = connection.execute("SELECT Country FROM Countries_by_GDP WHERE GDP_USD_billion >= 100").fetchall()
        then = connection.execute(
            "SELECT count(*) FROM GDP_History WHERE '2026-01-01' BETWEEN First_day AND Last_day AND Institution = 'IMF'"
        ).fetchone()
    assert len(large) == 76 and then == (194,)


def test_a_server_that_is_not_there_is_told_in_one_line_without_the_password(run: Run, home: Path) -> None:
    done = run(
        "etl_process.py", "--no-report", "--page", SHIPPED, "--database", "postgresql://me:secret@127.0.0.1:1/gdp"
    )
    assert done.returncode == 69
    assert "cannot reach postgresql://127.0.0.1:1/gdp" in done.stderr
    log = (home / "log" / "etl_project_with_sql_log.txt").read_text(encoding="utf-8")
    assert (
        "secret" not in done.stderr + log
        and "me" not in re.findall(r"\w+", done.stderr + log)
        and "Traceback" not in log
    )


def test_a_lock_that_another_holds_is_given_up_with_75_and_an_idle_reader_is_none(
    database: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    from gdp.store import postgres as ours

    load_page(database_named(database), SHIPPED)
    with psycopg.connect(database) as reader, psycopg.connect(database) as holder:
        reader.execute("SELECT count(*) FROM countries_by_gdp")  # and stays in its transaction
        load_page(database_named(database), SHIPPED)
        holder.execute("LOCK TABLE gdp_estimates IN ACCESS EXCLUSIVE MODE")
        monkeypatch.setattr(ours, "LOCK_WAIT_S", 0.05)
        with pytest.raises(StageError, match="another program holds it") as given_up:
            load_page(database_named(database), SHIPPED)
        assert given_up.value.code == Exit.LOCKED


def test_a_load_that_finds_another_going_on_waits_for_it_and_gives_up_by_that_name(
    database: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gdp.store import postgres as ours

    place = database_named(database)
    load_page(place, SHIPPED)
    with opened(place) as other, transaction(other):
        monkeypatch.setattr(ours, "LOCK_WAIT_S", 0.05)
        with pytest.raises(StageError, match="another load is going on; another program holds it") as given_up:
            load_page(place, SHIPPED)
        assert given_up.value.code == Exit.LOCKED


def test_a_load_that_finds_another_going_on_is_done_after_it(database: str, home: Path) -> None:
    with opened(database_named(database)) as other, opened(database_named(database)) as watching:
        with transaction(other):
            create_tables(other)
            load = started_load(database, an_archive(home / "archive.jsonl", 2), home)
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while watching.execute(waiting).fetchone() == (0,) and load.poll() is None:
                time.sleep(0.01)
        _, messages = load.communicate()
        assert load.returncode == 0, messages
        assert watching.execute("SELECT count(*) FROM Loads").fetchone() == (2,)


def test_a_server_stopped_under_a_load_is_unreachable_in_one_line_and_keeps_the_old(
    server: Postgres, database: str, home: Path
) -> None:
    load_page(database_named(database), SHIPPED)
    before = dump(database)
    load = started_load(database, an_archive(home / "archive.jsonl", 400), home)
    with opened(database_named(server.url)) as watching:
        at_work = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        while watching.execute(at_work).fetchone() == (0,) and load.poll() is None:
            time.sleep(0.01)
    server.stop()
    try:
        _, messages = load.communicate()
    finally:
        server.start()
    assert load.returncode == 69, messages
    (error,) = [line for line in messages.splitlines() if "error" in line]
    assert "it went away" in error and "Traceback" not in messages
    assert dump(database) == before


def started_load(database: str, clean: Path, home: Path) -> subprocess.Popen[str]:
    """Start load.py by itself, in a folder of its own."""
    home.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, PROJECT / "load.py", "--database", database, "--input", clean, "--force"],
        env={**os.environ, "GDP_ETL_HOME": str(home)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_load_takes_no_lock_that_shuts_readers_out(database: str, home: Path) -> None:
    place = database_named(database)
    load_page(place, SHIPPED)
    with opened(place) as connection, transaction(connection), opened(place) as watching:
        take_each(History(connection), (list(said_in(records)) for records in archive(2)), force=True)
        create_tables(connection)
        newest = History(connection).newest_imf()
        assert newest
        replace_countries(connection, newest)
        locks = watching.execute("SELECT relation::regclass::text, mode FROM pg_locks WHERE relation > 16384")
        found = {(str(table), mode) for table, mode in locks if "xclusive" in mode}
        assert {"gdp_estimates", "countries_by_gdp"} <= {table for table, _ in found}
        assert {mode for _, mode in found} == {"RowExclusiveLock"}


def test_a_load_into_tables_that_are_there_waits_for_no_writer_of_other_rows(
    database: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    from gdp.store import postgres as ours

    load_page(database_named(database), SHIPPED)
    monkeypatch.setattr(ours, "LOCK_WAIT_S", 1.0)
    with psycopg.connect(database) as writer:
        writer.execute("UPDATE gdp_estimates SET note = note WHERE false")  # its lock stays until it commits
        load_page(database_named(database), SHIPPED)


def test_a_role_that_may_only_read_and_write_rows_loads_into_tables_that_are_there(database: str, home: Path) -> None:
    import psycopg

    load_page(database_named(database), SHIPPED)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CREATE ROLE clerk LOGIN")
        try:
            owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk")
            owner.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO clerk")
            load_page(database_named(database.replace("//postgres@", "//clerk@")), SHIPPED)
        finally:
            owner.execute("DROP OWNED BY clerk")
            owner.execute("DROP ROLE clerk")


def test_a_reader_at_repeatable_read_sees_the_countries_of_before_whole(database: str, home: Path) -> None:
    import psycopg

    load_page(database_named(database), SHIPPED)
    with psycopg.connect(database) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = reader.execute("SELECT country, gdp_usd_billion FROM countries_by_gdp ORDER BY 1").fetchall()
        load_page(database_named(database), SHIPPED)
        assert reader.execute("SELECT country, gdp_usd_billion FROM countries_by_gdp ORDER BY 1").fetchall() == before
        assert len(before) == 194


def test_a_question_reads_one_snapshot_and_writes_nothing(database: str, home: Path) -> None:
    load_page(database_named(database), SHIPPED)
    with asked(database_named(database)) as connection:
        first = connection.execute("SELECT count(*) FROM Loads").fetchone()
        load_page(database_named(database), SHIPPED)
        assert connection.execute("SELECT count(*) FROM Loads").fetchone() == first
        with pytest.raises(Exception, match="read-only transaction"):
            connection.execute("DELETE FROM Loads")


def test_a_server_that_goes_away_in_the_middle_is_unreachable_in_one_line(database: str, home: Path) -> None:
    import psycopg

    load_page(database_named(database), SHIPPED)
    with pytest.raises(StageError, match="it went away") as gone, opened(database_named(database)) as connection:
        connection.begin()
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        connection.execute("DELETE FROM Countries_by_GDP")
    assert gone.value.code == Exit.UNREACHABLE
    with opened(database_named(database)) as connection:
        assert connection.execute("SELECT count(*) FROM Countries_by_GDP").fetchone() == (194,)
