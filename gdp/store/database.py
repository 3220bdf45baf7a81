"""One way to the database: SQLite's file, or PostgreSQL for those who outgrow it; opened, changed, asked by name.

The statements are the same for both. Where the two differ, a Dialect says how; gdp.store.postgres has PostgreSQL's.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gdp.places import Place
from gdp.store.dialects import LOCK_WAIT_S, Dialect, one_line_errors
from utils import Exit, StageError, writing

if TYPE_CHECKING:
    from gdp.store.postgres import Postgres

NAMES = (
    "As_of", "Institution", "ISO3", "Country", "Region", "Subregion", "Year", "GDP_USD_billion", "Note", "Source",
    "Publisher", "Until", "Status", "Rank", "Mean_GDP_USD_billion", "Countries", "Share_percent", "Code",
)  # fmt: skip
SMALL_LOAD_BYTES = 8_000_000  # of clean records, some 25,000: all that they change is held in memory
ROWS_A_STATEMENT = 2_500  # a statement has 32,766 values at most
_AS_WE_WRITE = {name.lower(): name for name in NAMES}  # PostgreSQL folds names


SQLITE = Dialect(
    text="TEXT",
    by_key="WITHOUT ROWID",
    number="",
    order_of_loads="rowid",
    day_before="date(substr(Until, 1, 10), '-1 day')",
    can_add_key=False,
)


class Sqlite(sqlite3.Connection):
    """SQLite's own connection, with what PostgreSQL's has too."""

    dialect = SQLITE

    def stream(self, statement: str, values: Mapping[str, str]) -> sqlite3.Cursor:
        """Return a question's rows, to be fetched as they are asked for, and closed."""
        return self.execute(statement, values)

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's or view's columns in lower case; none where there is no such table."""
        return {column[1].lower() for column in self.execute(f"PRAGMA table_info({table})")}

    def put_view(self, name: str, query: str) -> None:
        """Create a view, or change it to this query; others' views on it stay whole."""
        statement = f"CREATE VIEW {name} AS {query}"
        known = self.execute("SELECT sql FROM sqlite_master WHERE type = 'view' AND name = ?", (name,)).fetchone()
        if known != (statement,):
            self.execute(f"DROP VIEW IF EXISTS {name}")
            self.execute(statement)

    def prepare(self, load_bytes: int) -> None:
        """Let others read while so many bytes of clean records are loaded, before it begins.

        What does not fit into SQLite's 2 MB is written before the commit, and then shuts all readers out. A small load
        stays in memory; a larger one goes by way of a write-ahead log, put back by `settle` as its readers need files
        that they can write.
        """
        self.execute("PRAGMA cache_spill = OFF" if load_bytes <= SMALL_LOAD_BYTES else "PRAGMA journal_mode = WAL")

    def settle(self) -> None:
        """Put away a write-ahead log; where somebody still reads, the next load does."""
        self.execute("PRAGMA busy_timeout = 0")
        with contextlib.suppress(sqlite3.OperationalError):
            self.execute("PRAGMA journal_mode = DELETE")

    def begin(self) -> None:
        """Begin to write; nobody else can until we are done."""
        self.execute("BEGIN IMMEDIATE")

    def begin_to_read(self) -> None:
        """Begin to ask: one state for all questions, whatever is loaded meanwhile."""
        self.execute("BEGIN")

    def add(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Add rows to a table, many by a statement: quicker than one by one."""
        for first in range(0, len(rows), ROWS_A_STATEMENT):
            some = rows[first : first + ROWS_A_STATEMENT]
            one = f"({', '.join('?' * len(some[0]))})"
            values = list(chain.from_iterable(some))
            self.execute(f"INSERT INTO {table} VALUES {', '.join([one] * len(some))}", values)


Connection: TypeAlias = "Sqlite | Postgres"


@contextlib.contextmanager
def opened(place: Place) -> Iterator[Connection]:
    """Yield a connection; raises StageError: 74 for whatever the database has against it.

    Of a server also 69 where it is not there, and 2 without psycopg.
    """
    if place.path is None:
        from gdp.store.postgres import server

        with server(place) as connection:
            yield connection
        return
    with one_line_errors(place, sqlite3.Error, _code_of), contextlib.closing(_open_file(place.path)) as file:
        yield file


def _code_of(error: Exception) -> Exit:
    is_held = getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return Exit.LOCKED if is_held else Exit.CANNOT_WRITE


def _open_file(path: Path) -> Sqlite:
    return sqlite3.connect(path.absolute(), timeout=LOCK_WAIT_S, isolation_level=None, factory=Sqlite)


@contextlib.contextmanager
def asked(place: Place) -> Iterator[Connection]:
    """Yield a connection that changes nothing; raises StageError: 66 where nothing was loaded yet, or as above."""
    nothing = StageError(Exit.NO_INPUT, f"{place} holds no figures yet; run python etl_process.py first")
    if place.path and not place.path.exists():
        raise nothing
    with opened(place) as connection:
        if "publisher" not in connection.columns("Loads"):
            raise nothing
        connection.begin_to_read()
        with sound(place):
            yield connection


@contextlib.contextmanager
def sound(place: Place) -> Iterator[None]:
    """Turn what comes of rows that no load of ours writes into the one-line StageError (65) that names the place."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        remedy = "load into another with --database, or restore this one"
        message = f"{place} holds what no load writes, as somebody changed it by hand: {error!r}; {remedy}"
        raise StageError(Exit.BAD_DATA, message) from error


@contextlib.contextmanager
def loading(place: Place, load_bytes: int) -> Iterator[Connection]:
    """Yield a connection to load so many bytes of clean records: all of what happens within is committed, or nothing.

    Others read what was there before, all the while. Raises StageError as `opened` does.
    """
    if place.path:
        with writing(place.path):
            place.path.parent.mkdir(parents=True, exist_ok=True)
    with opened(place) as connection:
        connection.prepare(load_bytes)
        try:
            with transaction(connection):
                yield connection
        finally:
            connection.settle()


@contextlib.contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit what happens within, or nothing of it."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.execute("COMMIT")


def rows_of(connection: Connection, query: str, **values: object) -> list[dict[str, Any]]:
    """Return a query's rows as objects by column name."""
    cursor = connection.execute(query, values)
    names = [_AS_WE_WRITE.get(column[0], column[0]) for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
