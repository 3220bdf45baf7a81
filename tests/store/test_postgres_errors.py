"""What PostgreSQL reports has the exit code and the remedy that fit, by its SQLSTATE; the server is a real one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import report
from gdp.places import Place, database_named
from gdp.store.database import opened
from tests.page_builder import SHIPPED
from tests.store.conftest import REASON, PostgresServer
from tests.store.loading import Answer, ask, load_page, next_day
from utils import Exit

psycopg: Any = pytest.importorskip("psycopg", reason=REASON)
GIVES_UP_WITHIN_S = 30  # after the ten seconds of LOCK_WAIT_S, on a slow machine


@pytest.fixture
def loaded_place(postgres_place: Place, home: Path) -> Place:
    """Return a database in which the shipped page is loaded."""
    load_page(postgres_place, SHIPPED)
    return postgres_place


@pytest.fixture
def clerk(loaded_place: Place) -> Iterator[Place]:
    """Yield the database as a role without any right on the tables has it."""
    with psycopg.connect(loaded_place.url, autocommit=True) as owner:
        owner.execute("CREATE ROLE clerk LOGIN")
        yield database_named(loaded_place.url.replace("//postgres@", "//clerk@"))
        owner.execute("DROP OWNED BY clerk")
        owner.execute("DROP ROLE clerk")


def load_into(place: Place, home: Path) -> Answer:
    return ask("--input", next_day(home), "--database", place.as_argument, "--no-history")


def ask_for_a_day(place: Place, _home: Path) -> Answer:
    return ask("--database", place.as_argument, "--as-of", "2026-01-01")


BOTH = pytest.mark.parametrize("act", [load_into, ask_for_a_day])
Act = Callable[[Place, Path], Answer]


def check(answer: Answer, code: Exit, *words: str) -> None:
    """Check that there is one line with the code, the words, and no traceback."""
    errors = [line for line in answer.err.splitlines() if "error:" in line]
    assert (answer.code, len(errors)) == (code, 1), answer
    assert all(word in errors[0] for word in ("cannot use postgresql://127.0.0.1", *words)), errors
    assert "Traceback" not in answer.err and answer.out == ""


@BOTH
def test_a_database_that_is_missing_is_66(act: Act, postgres: PostgresServer, home: Path) -> None:
    place = database_named(postgres.url.removesuffix("postgres") + "no_such_database")
    check(act(place, home), Exit.NO_INPUT, "does not exist", "create it, or name another")


@BOTH
def test_a_role_that_is_missing_is_77(act: Act, postgres: PostgresServer, home: Path) -> None:
    place = database_named(postgres.url.replace("//postgres@", "//nobody_here@"))
    check(act(place, home), Exit.NOT_ALLOWED, "does not exist", "check the user")


@BOTH
def test_a_wrong_password_is_77_and_is_not_shown(
    act: Act, postgres: PostgresServer, loaded_place: Place, home: Path
) -> None:
    rules = postgres.data / "pg_hba.conf"
    before = rules.read_text()
    with psycopg.connect(postgres.url, autocommit=True) as owner:
        owner.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
        try:
            rules.write_text(f"host all locked 127.0.0.1/32 scram-sha-256\n{before}")
            owner.execute("SELECT pg_reload_conf()")
            wait_until(lambda: b"scram" in str(owner.execute("TABLE pg_hba_file_rules").fetchall()).encode())
            place = database_named(loaded_place.url.replace("//postgres@", "//locked:wr0ngpassw0rd@"))
            for _ in range(50):  # the server reads its rules a moment later
                answer = act(place, home)
                if answer.code == Exit.NOT_ALLOWED and "password" in answer.err:
                    break
                time.sleep(0.1)
            check(answer, Exit.NOT_ALLOWED, "password authentication failed", "PGPASSFILE")
            assert "wr0ngpassw0rd" not in answer.err
        finally:
            rules.write_text(before)
            owner.execute("SELECT pg_reload_conf()")
            owner.execute("DROP ROLE locked")


def wait_until(is_done: Callable[[], bool]) -> None:
    while not is_done():
        time.sleep(0.01)


@BOTH
def test_a_role_without_rights_on_the_tables_is_77(act: Act, clerk: Place, home: Path) -> None:
    check(act(clerk, home), Exit.NOT_ALLOWED, "permission denied", "the user's rights")


def test_a_role_that_may_only_read_asks_and_does_not_load(clerk: Place, loaded_place: Place, home: Path) -> None:
    with opened(loaded_place) as owner:
        owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk")
    assert ask_for_a_day(clerk, home).code == Exit.DONE
    check(load_into(clerk, home), Exit.NOT_ALLOWED, "permission denied")


def test_a_role_that_may_not_create_tables_does_not_load_into_an_empty_database(
    postgres_place: Place, home: Path
) -> None:
    with psycopg.connect(postgres_place.url, autocommit=True) as owner:
        owner.execute("CREATE ROLE clerk LOGIN")
        try:
            place = database_named(postgres_place.url.replace("//postgres@", "//clerk@"))
            check(load_into(place, home), Exit.NOT_ALLOWED, "permission denied")
        finally:
            owner.execute("DROP ROLE clerk")


def test_a_server_that_is_read_only_is_77_for_loads_and_answers_questions(loaded_place: Place, home: Path) -> None:
    with psycopg.connect(loaded_place.url, autocommit=True) as owner:
        owner.execute("ALTER DATABASE gdp SET default_transaction_read_only = on")
    check(load_into(loaded_place, home), Exit.NOT_ALLOWED, "read-only transaction")
    assert ask_for_a_day(loaded_place, home).code == Exit.DONE


@BOTH
def test_a_statement_that_takes_too_long_is_75(act: Act, loaded_place: Place, home: Path) -> None:
    with psycopg.connect(loaded_place.url, autocommit=True) as owner:
        owner.execute("ALTER DATABASE gdp SET statement_timeout = 1")
        owner.execute("INSERT INTO loads (loaded_at, file, sha256, as_of, rows, publisher, institutions, source)"
                      " SELECT loaded_at, file, sha256, as_of, rows, publisher, institutions, source"
                      " FROM loads, generate_series(1, 100000)")  # fmt: skip
    check(act(loaded_place, home), Exit.LOCKED, "canceling statement", "run again later")


def test_countries_by_gdp_as_a_view_is_65(loaded_place: Place, home: Path) -> None:
    with psycopg.connect(loaded_place.url, autocommit=True) as owner:
        owner.execute("ALTER TABLE countries_by_gdp RENAME TO own_countries")
        owner.execute("CREATE VIEW countries_by_gdp AS SELECT * FROM own_countries")
    answer = load_into(loaded_place, home)
    assert answer.code == Exit.BAD_DATA and "view Countries_by_GDP that is not the suite's" in answer.err


@BOTH
def test_too_many_connections_are_75(act: Act, loaded_place: Place, home: Path) -> None:
    with psycopg.connect(loaded_place.url, autocommit=True) as owner, ExitStack() as others:
        owner.execute("CREATE ROLE clerk LOGIN CONNECTION LIMIT 1")
        owner.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk")
        url = loaded_place.url.replace("//postgres@", "//clerk@")
        others.enter_context(psycopg.connect(url))
        try:
            check(act(database_named(url), home), Exit.LOCKED, "too many connections", "run again later")
        finally:
            others.close()
            owner.execute("DROP OWNED BY clerk")
            owner.execute("DROP ROLE clerk")


@BOTH
def test_a_server_without_a_free_connection_is_75(
    act: Act, postgres: PostgresServer, loaded_place: Place, home: Path
) -> None:
    with psycopg.connect(loaded_place.url, autocommit=True) as owner, ExitStack() as others:
        owner.execute("CREATE ROLE clerk LOGIN")
        owner.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk")
        url = loaded_place.url.replace("//postgres@", "//clerk@")
        try:
            with pytest.raises(psycopg.OperationalError):
                while True:
                    others.enter_context(psycopg.connect(url))
            check(act(database_named(url), home), Exit.LOCKED, "run again later")
        finally:
            others.close()
            wait_until(
                lambda: (
                    owner.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'clerk'").fetchone() == (0,)
                )
            )
            owner.execute("DROP OWNED BY clerk")
            owner.execute("DROP ROLE clerk")


@BOTH
def test_a_lock_that_another_client_holds_is_75(
    act: Act, loaded_place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gdp.store.postgres.LOCK_WAIT_S", 0.05)
    with psycopg.connect(loaded_place.url) as holder:
        holder.execute("LOCK TABLE gdp_estimates IN ACCESS EXCLUSIVE MODE")
        check(act(loaded_place, home), Exit.LOCKED, "lock timeout", "another client holds it")


@pytest.mark.long
@BOTH
def test_a_lock_is_given_up_after_about_ten_seconds(act: Act, loaded_place: Place, home: Path) -> None:
    with psycopg.connect(loaded_place.url) as holder:
        holder.execute("LOCK TABLE gdp_estimates IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        check(act(loaded_place, home), Exit.LOCKED, "lock timeout")
        assert 9 < time.monotonic() - began < GIVES_UP_WITHIN_S


def test_the_report_gives_up_a_lock_with_75_too(
    loaded_place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gdp.store.postgres.LOCK_WAIT_S", 0.05)
    with psycopg.connect(loaded_place.url) as holder:
        holder.execute("LOCK TABLE loads IN ACCESS EXCLUSIVE MODE")
        assert report.main(["--quiet", "--database", loaded_place.as_argument]) == Exit.LOCKED


@BOTH
def test_a_server_that_ends_the_connection_is_69(
    act: Act, loaded_place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(loaded_place.url, autocommit=True) as owner, psycopg.connect(loaded_place.url) as holder:
        holder.execute("LOCK TABLE gdp_estimates IN ACCESS EXCLUSIVE MODE")
        waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> pg_backend_pid()"

        def end_who_waits() -> None:
            wait_until(lambda: owner.execute(f"SELECT count(*) {waiting}").fetchone() != (0,))
            owner.execute(f"SELECT pg_terminate_backend(pid) {waiting}")

        thread = Thread(target=end_who_waits)
        thread.start()
        answer = act(loaded_place, home)
        thread.join()
    check(answer, Exit.UNREACHABLE, "see that the server is running")
