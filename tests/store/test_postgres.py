"""PostgreSQL has the same tables and keeps the same promises as SQLite; the server is a real one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gdp.places import Place, database_named
from gdp.store.database import asked, opened, transaction
from gdp.store.headlines import replace_countries
from gdp.store.history import History
from gdp.store.ingest import ingest
from gdp.store.schema import create_tables
from gdp.validate.observations import observations_in
from tests.conftest import PROJECT, Run, page_of, shared_pages
from tests.page_builder import SHIPPED
from tests.sources.test_sources import REAL_ANSWER
from tests.store.conftest import REASON, PostgresServer
from tests.store.loading import ask, load_file, load_page, next_day, tables_of
from tests.store.vintages import archive, write
from utils import Exit, StageError

psycopg = pytest.importorskip("psycopg", reason=REASON)
needs_shared = pytest.mark.skipif(len(shared_pages()) < 5, reason="../shared is not beside the project")


@needs_shared
def test_postgresql_holds_and_answers_what_sqlite_does(postgres_place: Place, run: Run, home: Path) -> None:
    places = postgres_place, Place(home / "x.db")
    for place in places:
        for day in ("2025-01-08", "2024-06-30"):
            load_page(place, page_of(day))
        for _ in range(2):
            load_page(place, REAL_ANSWER, "imf")
    assert tables_of(postgres_place) == tables_of(Place(home / "x.db"))
    for question in (
        ("--as-of", "2024-07-01"), ("--changes",), ("--changes", "--since", "2024-07-01"), ("--country", "KOR"),
        ("--compare",),
    ):  # fmt: skip
        for form in ([], ["--json"]):
            answers = [ask("--database", place.as_argument, *question, *form) for place in places]
            assert answers[0].code == answers[1].code == 0, answers[0].err
            assert answers[0].out == answers[1].out
    assert as_reported(run, postgres_place.url, home) == as_reported(run, home / "x.db", home)


def as_reported(run: Run, place: str | Path, home: Path) -> list[str]:
    """Return the report's lines but for those with the time of loading or writing."""
    target = home / "report.html"
    done = run("report.py", "--database", place, "--output", target)
    assert done.returncode == 0, done.stderr
    return [
        line
        for line in target.read_text(encoding="utf-8").splitlines()
        if not re.search(r"20\d\d-\d\d-\d\d \d\d:", line)
    ]


def test_a_refused_load_leaves_postgresql_as_it_was(postgres_place: Place, home: Path) -> None:
    load_page(postgres_place, SHIPPED)
    before = tables_of(postgres_place)
    records = json.loads(next_day(home).read_text(encoding="utf-8"))
    without = home / "without.json"
    without.write_text(json.dumps([one for one in records if one["Region"] != "Europe"]), encoding="utf-8")
    with pytest.raises(StageError, match="large economies missing") as refused:
        load_file(without, postgres_place, force=False)
    assert refused.value.code == Exit.BAD_DATA
    assert tables_of(postgres_place) == before


def test_grants_and_views_of_others_survive_a_load(postgres_place: Place, home: Path) -> None:
    load_page(postgres_place, SHIPPED)
    with psycopg.connect(postgres_place.url) as connection:
        connection.execute("CREATE ROLE reader")
        connection.execute("GRANT SELECT ON countries_by_gdp, gdp_current TO reader")
        connection.execute("CREATE VIEW large AS SELECT * FROM countries_by_gdp WHERE gdp_usd_billion >= 100")
        connection.execute("CREATE VIEW newest AS SELECT * FROM gdp_current")
    load_file(next_day(home), postgres_place)
    with psycopg.connect(postgres_place.url) as connection:
        assert connection.execute("SELECT count(*) FROM large").fetchone() == (76,)
        assert connection.execute("SELECT count(*) FROM newest").fetchone() == (615,)
        connection.execute("SET ROLE reader")
        assert connection.execute("SELECT count(*) FROM countries_by_gdp").fetchone() == (194,)
        assert connection.execute("SELECT count(*) FROM gdp_current").fetchone() == (615,)
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY reader")
        connection.execute("DROP ROLE reader")


def test_a_table_of_the_first_version_is_migrated_with_a_view_on_it(postgres_place: Place, home: Path) -> None:
    load_page(postgres_place, SHIPPED)
    with psycopg.connect(postgres_place.url) as connection:  # as the released version made it
        for statement in (
            "DROP TABLE countries_by_gdp", "COMMENT ON VIEW gdp_history IS NULL",
            "CREATE TABLE countries_by_gdp AS SELECT country, iso3, region, year, gdp_usd_billion FROM gdp_estimates"
            " WHERE institution = 'IMF'",
            "CREATE VIEW large AS SELECT country, gdp_usd_billion FROM countries_by_gdp WHERE gdp_usd_billion >= 100",
        ):  # fmt: skip
            connection.execute(statement.encode())
    load_file(next_day(home), postgres_place)
    with psycopg.connect(postgres_place.url) as connection:
        assert connection.execute("SELECT count(*) FROM large").fetchone() == (76,)
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO countries_by_gdp SELECT * FROM countries_by_gdp")
    load_page(home / "x.db", SHIPPED)
    load_file(next_day(home), Place(home / "x.db"))
    assert tables_of(postgres_place) == tables_of(Place(home / "x.db"))


def test_queries_of_others_work_as_written(postgres_place: Place, home: Path) -> None:
    load_page(postgres_place, SHIPPED)
    with psycopg.connect(postgres_place.url) as connection:
        large = connection.execute("SELECT Country FROM Countries_by_GDP WHERE GDP_USD_billion >= 100").fetchall()
        then = connection.execute(
            "SELECT count(*) FROM GDP_History WHERE '2026-01-01' BETWEEN First_day AND Last_day AND Institution = 'IMF'"
        ).fetchone()
    assert len(large) == 76 and then == (194,)


def test_a_server_that_cannot_be_reached_is_one_line_without_the_password(run: Run, home: Path) -> None:
    url = "postgresql://me:secret@127.0.0.1:1/gdp"
    done = run("etl_process.py", "--no-report", "--page", SHIPPED, "--database", url)
    assert done.returncode == Exit.UNREACHABLE
    (error,) = [line for line in done.stderr.splitlines() if "[load] error" in line]
    assert "cannot use postgresql://127.0.0.1:1/gdp" in error and "see that the server is running" in error
    log = (home / "log" / "etl_project_with_sql_log.txt").read_text(encoding="utf-8")
    assert "secret" not in done.stderr + log and "Traceback" not in log
    assert "me" not in re.findall(r"\w+", done.stderr + log)


def test_a_lock_that_another_client_holds_ends_in_75_and_an_idle_reader_holds_none(
    postgres_place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_page(postgres_place, SHIPPED)
    with psycopg.connect(postgres_place.url) as reader, psycopg.connect(postgres_place.url) as holder:
        reader.execute("SELECT count(*) FROM countries_by_gdp")  # and stays in its transaction
        load_file(next_day(home), postgres_place, force=False)
        holder.execute("LOCK TABLE gdp_estimates IN ACCESS EXCLUSIVE MODE")
        monkeypatch.setattr("gdp.store.postgres.LOCK_WAIT_S", 0.05)
        with pytest.raises(StageError, match="another client holds it") as given_up:
            load_page(postgres_place, SHIPPED)
        assert given_up.value.code == Exit.LOCKED
        asked_meanwhile = ask("--database", postgres_place.as_argument, "--as-of", "2026-01-01")
        assert asked_meanwhile.code == Exit.LOCKED and "another client holds it" in asked_meanwhile.err


def test_a_load_gives_up_when_another_load_is_at_work_and_names_it(
    postgres_place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_page(postgres_place, SHIPPED)
    with opened(postgres_place) as other, transaction(other):
        monkeypatch.setattr("gdp.store.postgres.LOCK_WAIT_S", 0.05)
        with pytest.raises(StageError, match="another load is running; another client holds it") as given_up:
            load_file(next_day(home), postgres_place)
        assert given_up.value.code == Exit.LOCKED


def test_a_load_waits_for_another_load_and_then_works(postgres_place: Place, home: Path) -> None:
    with opened(postgres_place) as other, opened(postgres_place) as watching:
        with transaction(other):
            create_tables(other)
            load = started_load(postgres_place, write(home / "archive.jsonl", archive(2)), home)
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while watching.execute(waiting).fetchone() == (0,) and load.poll() is None:
                time.sleep(0.01)
        _, messages = load.communicate()
        assert load.returncode == 0, messages
        assert watching.execute("SELECT count(*) FROM Loads").fetchone() == (2,)


def test_a_server_stopped_under_a_load_is_unreachable_in_one_line_and_keeps_the_old(
    postgres: PostgresServer, postgres_place: Place, home: Path
) -> None:
    load_page(postgres_place, SHIPPED)
    before = tables_of(postgres_place)
    load = started_load(postgres_place, write(home / "archive.jsonl", archive(400)), home)
    with opened(database_named(postgres.url)) as watching:
        at_work = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        while watching.execute(at_work).fetchone() == (0,) and load.poll() is None:
            time.sleep(0.01)
    postgres.stop()
    try:
        _, messages = load.communicate()
    finally:
        postgres.start()
    assert load.returncode == 69, messages
    (error,) = [line for line in messages.splitlines() if "error" in line]
    assert "see that the server is running" in error and "Traceback" not in messages
    assert tables_of(postgres_place) == before


def started_load(place: Place, clean: Path, home: Path) -> subprocess.Popen[str]:
    """Start load.py by itself, in a folder of its own."""
    home.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, PROJECT / "load.py", "--database", place.url, "--input", clean, "--force"],
        env={**os.environ, "GDP_ETL_HOME": str(home)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_load_takes_no_lock_that_shuts_readers_out(postgres_place: Place, home: Path) -> None:
    load_page(postgres_place, SHIPPED)
    with opened(postgres_place) as connection, transaction(connection), opened(postgres_place) as watching:
        ingest(History(connection), (list(observations_in(one.records)) for one in archive(2)), force=True)
        create_tables(connection)
        newest = History(connection).newest_imf()
        assert newest
        replace_countries(connection, newest)
        locks = watching.execute("SELECT relation::regclass::text, mode FROM pg_locks WHERE relation > 16384")
        found = {(str(table), mode) for table, mode in locks if "xclusive" in mode}
        assert {"gdp_estimates", "countries_by_gdp"} <= {table for table, _ in found}
        assert {mode for _, mode in found} == {"RowExclusiveLock"}


def test_a_load_into_existing_tables_waits_for_no_writer_of_other_rows(
    postgres_place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_page(postgres_place, SHIPPED)
    monkeypatch.setattr("gdp.store.postgres.LOCK_WAIT_S", 1.0)
    with psycopg.connect(postgres_place.url) as writer:
        writer.execute("UPDATE gdp_estimates SET note = note WHERE false")  # its lock stays until it commits
        load_file(next_day(home), postgres_place)


def test_a_role_that_may_only_read_and_write_rows_loads_into_existing_tables(postgres_place: Place, home: Path) -> None:
    load_page(postgres_place, SHIPPED)
    with psycopg.connect(postgres_place.url, autocommit=True) as owner:
        owner.execute("CREATE ROLE clerk LOGIN")
        try:
            owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk")
            owner.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO clerk")
            load_file(next_day(home), database_named(postgres_place.url.replace("//postgres@", "//clerk@")))
        finally:
            owner.execute("DROP OWNED BY clerk")
            owner.execute("DROP ROLE clerk")


def test_a_reader_at_repeatable_read_sees_the_countries_from_before_the_load(postgres_place: Place, home: Path) -> None:
    load_page(postgres_place, SHIPPED)
    with psycopg.connect(postgres_place.url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = reader.execute("SELECT country, gdp_usd_billion FROM countries_by_gdp ORDER BY 1").fetchall()
        load_file(next_day(home), postgres_place)
        assert reader.execute("SELECT country, gdp_usd_billion FROM countries_by_gdp ORDER BY 1").fetchall() == before
        assert len(before) == 194


def test_a_question_reads_one_snapshot_and_writes_nothing(postgres_place: Place, home: Path) -> None:
    load_page(postgres_place, SHIPPED)
    with asked(postgres_place) as connection:
        first = connection.execute("SELECT count(*) FROM Loads").fetchone()
        load_file(next_day(home), postgres_place)
        assert connection.execute("SELECT count(*) FROM Loads").fetchone() == first
        with pytest.raises(Exception, match="read-only transaction"):
            connection.execute("DELETE FROM Loads")


def test_a_server_that_goes_away_in_the_middle_is_unreachable_in_one_line(postgres_place: Place, home: Path) -> None:
    load_page(postgres_place, SHIPPED)
    with (
        pytest.raises(StageError, match="see that the server is running") as gone,
        opened(postgres_place) as connection,
    ):
        connection.begin()
        with psycopg.connect(postgres_place.url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        connection.execute("DELETE FROM Countries_by_GDP")
    assert gone.value.code == Exit.UNREACHABLE
    with opened(postgres_place) as connection:
        assert connection.execute("SELECT count(*) FROM Countries_by_GDP").fetchone() == (194,)
