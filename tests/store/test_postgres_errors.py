"""What PostgreSQL reports has the exit code and the remedy that fit, by its SQLSTATE; the server is a real one."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import pytest

import report
from gdp.places import Place, database_named
from gdp.store.database import opened
from tests.page_builder import SHIPPED
from tests.store.conftest import REASON, PostgresServer, run_as_server
from tests.store.loading import Answer, ask, load_page, next_day
from utils import Exit

psycopg: Any = pytest.importorskip("psycopg", reason=REASON)
from gdp.store.postgres import ADVISORY_LOCK, REMEDIES  # noqa: E402 - which needs psycopg

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


# --- what happens while a load is at work -----------------------------------------------------------------------------

WAITS_FOR_A_LOCK = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> pg_backend_pid()"


@contextmanager
def loading_while_waiting(place: Place, home: Path) -> Iterator[tuple[Any, list[Answer]]]:
    """Yield another client that holds the lock of all loads, with a load that waits for it, and a list for its answer.

    The load goes on where the client gives up the lock, at the latest at the end.
    """
    answers: list[Answer] = []
    thread = Thread(target=lambda: answers.append(load_into(place, home)))
    with psycopg.connect(place.url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        thread.start()
        wait_until(lambda: other.execute(f"SELECT count(*) {WAITS_FOR_A_LOCK}").fetchone() != (0,))
        yield other, answers
        other.execute("SELECT pg_advisory_unlock_all()")
        thread.join()


def test_a_load_that_cannot_be_serialised_is_75(loaded_place: Place, home: Path) -> None:
    with psycopg.connect(loaded_place.url, autocommit=True) as owner:
        owner.execute("ALTER DATABASE gdp SET default_transaction_isolation = 'serializable'")
    with loading_while_waiting(loaded_place, home) as (other, answers):
        other.execute("UPDATE countries_by_gdp SET region = region")
    check(answers[0], Exit.LOCKED, "could not serialize access", "run again later")
    assert load_into(loaded_place, home).code == Exit.DONE


def test_a_deadlock_with_another_client_is_75(loaded_place: Place, home: Path) -> None:
    """The load has GDP_Estimates and waits for Loads; the other client has Loads and waits for GDP_Estimates."""
    with psycopg.connect(loaded_place.url, autocommit=True) as owner:
        owner.execute("ALTER DATABASE gdp SET deadlock_timeout = '2s'")  # the load finds it, after the other waits too
    with loading_while_waiting(loaded_place, home) as (waiting, answers), psycopg.connect(loaded_place.url) as other:
        other.execute("SET deadlock_timeout = '1min'")
        other.execute("LOCK TABLE loads IN SHARE ROW EXCLUSIVE MODE")
        waiting.execute("SELECT pg_advisory_unlock_all()")
        waits_for_table = f"SELECT count(*) {WAITS_FOR_A_LOCK} AND wait_event = 'relation'"
        wait_until(lambda: waiting.execute(waits_for_table).fetchone() != (0,))
        other.execute("LOCK TABLE gdp_estimates IN ACCESS EXCLUSIVE MODE")
        other.rollback()
    check(answers[0], Exit.LOCKED, "deadlock detected", "run again later")
    assert load_into(loaded_place, home).code == Exit.DONE


def test_a_tablespace_that_is_full_is_74(postgres: PostgresServer, postgres_place: Place, home: Path) -> None:
    disk = postgres.data.with_name("small")
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k,mode=777", "none", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    shutil.chown(disk, "postgres")
    try:
        with psycopg.connect(postgres_place.url, autocommit=True) as owner:
            owner.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            owner.execute("ALTER DATABASE gdp SET default_tablespace = small")
        check(
            load_into(postgres_place, home), Exit.CANNOT_WRITE, "No space left on device", "the server's disk has room"
        )
        assert tables_in(postgres_place) == []
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        assert load_into(postgres_place, home).code == Exit.DONE
    finally:
        with psycopg.connect(postgres.url, autocommit=True) as owner:
            owner.execute("DROP DATABASE gdp WITH (FORCE)")
            owner.execute("DROP TABLESPACE IF EXISTS small")
            owner.execute("CREATE DATABASE gdp")
        subprocess.run(["umount", "-l", str(disk)], check=True)


def tables_in(place: Place) -> list[str]:
    with psycopg.connect(place.url) as owner:
        return [name for (name,) in owner.execute("SELECT relname FROM pg_class WHERE relname LIKE '%gdp%'")]


def test_a_server_whose_memory_for_locks_is_used_up_is_71(loaded_place: Place, home: Path) -> None:
    with loading_while_waiting(loaded_place, home) as (other, answers), psycopg.connect(loaded_place.url) as greedy:
        with pytest.raises(psycopg.errors.OutOfMemory):
            take_every_lock(greedy)
        other.execute("SELECT pg_advisory_unlock_all()")
        wait_until(lambda: bool(answers))
    check(answers[0], Exit.NO_RESOURCES, "out of shared memory", "the server has too little memory")
    assert load_into(loaded_place, home).code == Exit.DONE


def take_every_lock(client: Any) -> None:
    client.autocommit = True
    client.execute("SELECT pg_advisory_lock(number) FROM generate_series(1, 1000000) AS number")


def test_a_server_process_that_gets_no_more_memory_is_71(loaded_place: Place, home: Path) -> None:
    with loading_while_waiting(loaded_place, home) as (other, answers):
        ((pid,),) = other.execute(f"SELECT pid {WAITS_FOR_A_LOCK}").fetchall()
        status = Path(f"/proc/{pid}/status").read_text()
        limit = int(status.partition("VmSize:")[2].split()[0]) * 1024
        run_as_server("prlimit", f"--pid={pid}", f"--as={limit}")
    check(answers[0], Exit.NO_RESOURCES, "out of memory", "the server has too little memory")
    assert load_into(loaded_place, home).code == Exit.DONE


def test_a_schema_that_is_missing_is_66(postgres_place: Place, home: Path) -> None:
    with psycopg.connect(postgres_place.url, autocommit=True) as owner:
        owner.execute("ALTER DATABASE gdp SET search_path = no_such_schema")
    check(load_into(postgres_place, home), Exit.NO_INPUT, "no schema has been selected", "create it, or name another")


# --- every code, as a function of the server raises it ----------------------------------------------------------------

RAISED = {
    Exit.UNREACHABLE: ("08000", "08001", "08003", "08004", "08006", "08P01", "57P01", "57P02", "57P03", "57P05"),
    Exit.LOCKED: ("40001", "40003", "40P01", "53300", "53400", "55006", "55P03", "57014", "25P03", "25P04"),
    Exit.NOT_ALLOWED: ("28000", "28P01", "42501", "25006"),
    Exit.NO_INPUT: ("3D000", "3F000"),
    Exit.BAD_DATA: ("42809", "42P01", "42703", "22003", "23503", "23505", "P0001", "0A000", "54000", "XX000", "XX001"),
    Exit.CANNOT_WRITE: ("53100", "58030"),
    Exit.NO_RESOURCES: ("53000", "53200"),
}  # fmt: skip


def test_each_code_that_the_server_raises_has_the_exit_code_that_fits(loaded_place: Place, home: Path) -> None:
    wrong = {}
    with psycopg.connect(loaded_place.url, autocommit=True) as owner:
        owner.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'as it says' USING ERRCODE = current_setting('gdp.state'); END $$"
        )
        owner.execute("CREATE TRIGGER fail BEFORE INSERT ON gdp_estimates EXECUTE FUNCTION fail()")
        for code, state in [(code, state) for code, states in RAISED.items() for state in states]:
            owner.execute(f"ALTER DATABASE gdp SET gdp.state = '{state}'")
            answer = load_into(loaded_place, home)
            check(answer, Exit(answer.code), "as it says", REMEDIES[Exit(answer.code)])
            if answer.code != code:
                wrong[state] = answer.code
    assert not wrong


# --- before there is a session, libpq has no SQLSTATE -----------------------------------------------------------------

FATAL = {
    'no pg_hba.conf entry for host "10.0.0.1", user "me", database "gdp", no encryption': Exit.NOT_ALLOWED,
    'pg_hba.conf rejects connection for host "10.0.0.1", user "me", database "gdp", SSL off': Exit.NOT_ALLOWED,
    'password authentication failed for user "me"': Exit.NOT_ALLOWED,
    'Ident authentication failed for user "me"': Exit.NOT_ALLOWED,
    'role "me" does not exist': Exit.NOT_ALLOWED,
    'role "me" is not permitted to log in': Exit.NOT_ALLOWED,
    'permission denied for database "gdp"': Exit.NOT_ALLOWED,
    'database "gdp" is not currently accepting connections': Exit.NOT_ALLOWED,
    'Passwort-Authentifizierung für Benutzer »me« fehlgeschlagen': Exit.NOT_ALLOWED,
    'database "gdp" does not exist': Exit.NO_INPUT,
    "sorry, too many clients already": Exit.LOCKED,
    "remaining connection slots are reserved for roles with the SUPERUSER attribute": Exit.LOCKED,
    'too many connections for role "me"': Exit.LOCKED,
    'too many connections for database "gdp"': Exit.LOCKED,
    "the database system is starting up": Exit.UNREACHABLE,
    "the database system is shutting down": Exit.UNREACHABLE,
    "the database system is in recovery mode": Exit.UNREACHABLE,
    "the database system is not accepting connections": Exit.UNREACHABLE,
    "terminating connection due to administrator command": Exit.UNREACHABLE,
    "out of memory": Exit.NO_RESOURCES,
    "out of shared memory": Exit.NO_RESOURCES,
    'could not write init file "global/pg_internal.init": No space left on device': Exit.CANNOT_WRITE,
}  # fmt: skip


@pytest.mark.parametrize("words", FATAL)
def test_a_server_that_refuses_a_connection_says_why(words: str, home: Path) -> None:
    with refusing_server(words) as port:
        answer = ask_for_a_day(database_named(f"postgresql://me@127.0.0.1:{port}/gdp"), home)
    check(answer, FATAL[words], re.split('["»]', words)[0].strip(), REMEDIES[FATAL[words]])


@contextmanager
def refusing_server(words: str) -> Iterator[int]:
    """Yield the port of a server that answers each connection by a fatal error, as PostgreSQL does."""
    fields = (b"SFATAL", b"VFATAL", b"CXXXXX", b"M" + words.encode())
    body = b"".join(field + b"\0" for field in fields) + b"\0"
    message = b"E" + (len(body) + 4).to_bytes(4, "big") + body

    class Refusal(BaseRequestHandler):
        def handle(self) -> None:
            while int.from_bytes(self.request.recv(4096)[4:8], "big") in (80877103, 80877104):  # TLS or GSSAPI?
                self.request.sendall(b"N")
            self.request.sendall(message)

    with ThreadingTCPServer(("127.0.0.1", 0), Refusal) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def test_a_role_that_may_not_connect_is_77(loaded_place: Place, home: Path) -> None:
    with psycopg.connect(loaded_place.url, autocommit=True) as owner:
        owner.execute("CREATE ROLE clerk LOGIN")
        owner.execute("REVOKE CONNECT ON DATABASE gdp FROM public")
        try:
            place = database_named(loaded_place.url.replace("//postgres@", "//clerk@"))
            check(load_into(place, home), Exit.NOT_ALLOWED, "permission denied for database", "the user's rights")
            owner.execute("ALTER ROLE clerk NOLOGIN")
            check(load_into(place, home), Exit.NOT_ALLOWED, "not permitted to log in", "check the user")
        finally:
            owner.execute("DROP ROLE clerk")
