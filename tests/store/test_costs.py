"""What a load costs, in statements and checks: what is loaded already costs a look, and neighbours cost no more."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from gdp.places import Place
from gdp.store import ingest
from gdp.store.database import asked, opened, transaction
from gdp.store.history import History
from gdp.store.outcome import LoadOutcome, known_file
from gdp.store.reader import CleanFile
from gdp.validate.single_vintage import check_vintage
from tests.store.conftest import PostgresServer
from tests.store.loading import load_file, tables_of
from tests.store.vintages import archive, made_up_list, write

Statements = list[str]
STATEMENTS_A_VINTAGE = 20  # of a vintage that is new, at most
STATEMENTS_AGAIN = 5  # of a vintage that is loaded already, at most
STATEMENTS_OF_A_PAGE = 23  # of PostgreSQL, however many vintages it has; 20 where a figure changed
STATEMENTS_A_LOAD = 60  # that look at the tables, the views and Loads, however much is loaded


@contextmanager
def statements(place: Place, request: pytest.FixtureRequest) -> Iterator[Statements]:
    """Yield the statements that a database is sent meanwhile, as the database itself reports them."""
    found: Statements = []
    if place.path:
        with traced_by_sqlite(found):
            yield found
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("ALTER DATABASE gdp SET log_statement = 'all'")
        before = server.log.stat().st_size
        yield found
        owner.execute("ALTER DATABASE gdp RESET log_statement")
    text = server.log.read_bytes()[before:].decode()
    found += re.findall(r"(?:statement|execute \S+): (.*)", text)


@contextmanager
def traced_by_sqlite(found: Statements) -> Iterator[None]:
    connect: Callable[..., Any] = sqlite3.connect

    def traced(*arguments: Any, **options: Any) -> Any:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(found.append)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", traced)
        yield
    found[:] = [next(same) for _, same in groupby(found, itemgetter(slice(30)))]  # executemany is one statement


@contextmanager
def counted_checks() -> Iterator[list[str]]:
    """Yield the As_of of each vintage that is checked meanwhile."""
    found: list[str] = []

    def counted(parts: Any, around: Any) -> Any:
        found.append(parts[0].as_of)
        return check_vintage(parts, around)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "check_vintage", counted)
        yield found


def test_what_is_loaded_already_changes_nothing_and_costs_no_check(place: Place, home: Path) -> None:
    vintages = made_up_list(12, seed=1)
    file = write(home / "all.jsonl", vintages)
    load_file(file, place)
    before = tables_of(place)
    with counted_checks() as checks:
        load_file(file, place, force=False)  # the file again, as an array, in another order, and one by one
        load_file(write(home / "other.json", vintages[::-1]), place, force=False)
        for one in vintages[::5]:
            load_file(write(home / "one.jsonl", [one]), place, force=False)
    assert checks == []
    assert tables_of(place) == before


def test_a_load_again_takes_a_few_statements_whatever_it_loads(
    place: Place, home: Path, request: pytest.FixtureRequest
) -> None:
    vintages = made_up_list(25, seed=1)
    files = write(home / "some.jsonl", vintages[:5]), write(home / "all.jsonl", vintages)
    load_file(files[1], place)
    numbers = []
    for file in files:
        with statements(place, request) as found:
            load_file(file, place, force=False)
        numbers.append(len(found))
    assert numbers[1] - numbers[0] <= STATEMENTS_AGAIN * (len(vintages) - 5)
    assert numbers[0] <= STATEMENTS_A_LOAD + STATEMENTS_AGAIN * 5


def known(file: Path, place: Place) -> LoadOutcome | None:
    """Return what is known of a file without reading its records, as load asks it."""
    clean = CleanFile(file)
    clean.identify()
    with asked(place) as connection:
        return known_file(History(connection), clean.sha256, clean.count)


def test_a_file_of_lines_is_known_only_where_the_database_has_every_vintage_of_it_as_it_is(
    place: Place, home: Path
) -> None:
    vintages = made_up_list(6, seed=1)
    file, some = write(home / "all.jsonl", vintages), write(home / "some.jsonl", vintages[:4])
    load_file(file, place)
    found = known(file, place)
    assert found
    assert {one.as_of for one in found.unchanged} == {one.as_of for one in vintages}
    assert known(some, place) is None
    other = vintages[3]._replace(figures={key: 1.01 * figure for key, figure in vintages[3].figures.items()})
    load_file(write(home / "other.jsonl", [other]), place)
    assert known(file, place) is None  # one of its vintages has other figures now
    before = tables_of(place)
    load_file(file, place, force=False)
    assert tables_of(place) != before


def test_a_file_is_not_known_by_the_vintages_that_another_file_brought(place: Place, home: Path) -> None:
    vintages = made_up_list(6, seed=1)
    load_file(write(home / "some.jsonl", vintages[:4]), place)
    file = write(home / "all.jsonl", vintages)
    load_file(file, place)
    assert known(file, place) is None
    before = tables_of(place)
    load_file(file, place, force=False)
    assert tables_of(place) == before


def test_a_known_file_is_checked_again_where_the_rules_are_others(place: Place, home: Path) -> None:
    file = write(home / "all.jsonl", made_up_list(3, seed=1))
    load_file(file, place)
    assert known(file, place)
    with opened(place) as connection, transaction(connection):
        connection.execute("UPDATE Loads SET Fingerprint = replace(Fingerprint, ':', ':other')")
    assert known(file, place) is None


@pytest.mark.parametrize("order", ["oldest first", "newest first"])
def test_a_new_vintage_takes_few_statements(
    order: str, place: Place, home: Path, request: pytest.FixtureRequest
) -> None:
    vintages = list(archive(30))[:: 1 if order == "oldest first" else -1]
    with statements(place, request) as found:
        load_file(write(home / "new.jsonl", vintages), place)
    assert len(found) <= STATEMENTS_A_LOAD + STATEMENTS_A_VINTAGE * len(vintages)


@pytest.mark.parametrize("older", [10, pytest.param(300, marks=pytest.mark.long)])
def test_one_page_after_many_vintages_takes_as_few_statements_as_after_one(
    older: int, place: Place, home: Path, request: pytest.FixtureRequest
) -> None:
    *vintages, newest = made_up_list(older, seed=2)
    load_file(write(home / "older.jsonl", vintages), place)
    with statements(place, request) as found, counted_checks() as checks:
        load_file(write(home / "newest.json", [newest]), place)
    assert checks == [newest.as_of]
    assert len(found) <= (STATEMENTS_A_LOAD if place.path else STATEMENTS_OF_A_PAGE)


@pytest.mark.parametrize("number", [25, pytest.param(300, marks=pytest.mark.long)])
def test_a_file_in_any_order_is_checked_about_once_a_vintage(number: int, home: Path) -> None:
    vintages = made_up_list(number, seed=3)
    for name, order in (
        ("oldest", vintages),
        ("newest", vintages[::-1]),
        ("every-third", vintages[::3] + vintages[1::3] + vintages[2::3]),
    ):
        with counted_checks() as checks:
            load_file(write(home / f"{name}.jsonl", order), Place(home / f"{name}.db"))
        assert len(vintages) <= len(checks) <= 1.5 * len(vintages)  # a few come before the first one out of order


def test_of_newer_vintages_only_the_next_ones_are_checked_again(home: Path) -> None:
    vintages = made_up_list(60, seed=3)
    place = Place(home / "x.db")
    load_file(write(home / "newer.jsonl", vintages[20:]), place)
    with counted_checks() as checks:
        load_file(write(home / "older.jsonl", vintages[:20]), place)
    assert 20 <= len(checks) <= 20 + 20  # pages up to the second release after the last of them, and a few later ones
