"""One way to the database: SQLite's file, or PostgreSQL for those who outgrow it; opened, changed, asked by name.

The statements are the same for both. Where the two differ, a Dialect says how.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from utils import Exit, StageError

LOCK_WAIT_S = 10.0  # how long another program may hold the database before we give up
POSTGRESQL = ("postgresql://", "postgres://")
ADVISORY_LOCK = 0x6D64_7067  # any number, the same for all loads
NAMES = (
    "As_of", "Institution", "ISO3", "Country", "Region", "Subregion", "Year", "GDP_USD_billion", "Note", "Source",
    "Publisher", "Until", "Rank", "Mean_GDP_USD_billion", "Countries", "Share_percent", "Code", "Unsourced",
)  # fmt: skip
_AS_WE_WRITE = {name.lower(): name for name in NAMES}  # PostgreSQL folds names

Values = Sequence[object] | Mapping[str, object]


class Dialect(NamedTuple):
    """What the two databases write differently."""

    text: str  # compared byte by byte, as dates in ISO 8601 must be
    by_key: str
    number: str  # a column that counts the lines of Loads, where rows have no number of their own
    order_of_loads: str
    lasting: str
    passing: str  # the schema of tables that last as long as the connection
    day_before: str


SQLITE = Dialect("TEXT", "WITHOUT ROWID", "", "rowid", "main", "temp", "date(substr(Until, 1, 10), '-1 day')")
POSTGRES = Dialect(
    'TEXT COLLATE "C"', "", ", Number BIGSERIAL", "Number", "public", "pg_temp",
    "to_char(CAST(substr(Until, 1, 10) AS date) - 1, 'YYYY-MM-DD')",
)  # fmt: skip


class Sqlite(sqlite3.Connection):
    """SQLite's own connection, with what PostgreSQL's has too."""

    dialect = SQLITE

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns in lower case; none where there is no such table."""
        return {column[1].lower() for column in self.execute(f"PRAGMA table_info({table})")}

    def begin(self) -> None:
        """Begin to write; nobody else can until we are done."""
        self.execute("BEGIN IMMEDIATE")

    def add(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Add rows to a table."""
        if rows:
            self.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


class Postgres:
    """A connection to PostgreSQL that takes statements as SQLite does."""

    dialect = POSTGRES

    def __init__(self, url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(url, autocommit=True, connect_timeout=int(LOCK_WAIT_S))
        self._connection.execute("SET client_min_messages = warning")

    def execute(self, statement: str, values: Values = ()) -> Any:
        """Execute a statement with values for its ? or :name."""
        return self._connection.execute(_with_percents(statement).encode(), values or None)

    def executemany(self, statement: str, values: Iterable[Values]) -> None:
        """Execute a statement for each of many values."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_with_percents(statement).encode(), values)

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns in lower case; none where there is no such table."""
        asked = "SELECT column_name FROM information_schema.columns WHERE table_name = ?"
        return {name for (name,) in self.execute(asked, (table.lower(),))}

    def begin(self) -> None:
        """Begin to write; nobody else can until we are done."""
        self.execute("BEGIN")
        self.execute("SELECT pg_advisory_xact_lock(?)", (ADVISORY_LOCK,))

    def add(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Add rows to a table, in bulk."""
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def rollback(self) -> None:
        """Undo what was done since begin."""
        self._connection.rollback()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


Connection = Sqlite | Postgres


def _with_percents(statement: str) -> str:
    return re.sub(r"(?<![:\w]):([a-z_]+)", r"%(\1)s", statement.replace("?", "%s"))


class Place(NamedTuple):
    """Where the tables are: a file of SQLite's, or a URL of PostgreSQL's."""

    path: Path | None
    url: str = ""

    @classmethod
    def named(cls, text: str | Path) -> Place:
        """Return the place that a path or a postgresql:// URL names."""
        return cls(None, text) if isinstance(text, str) and text.startswith(POSTGRESQL) else cls(Path(text))

    def __str__(self) -> str:
        """Return the place as it may be told: without the password."""
        if self.path:
            return str(self.path)
        parts = urlsplit(self.url)
        return f"postgresql://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


@contextlib.contextmanager
def opened(place: Place) -> Iterator[Connection]:
    """Yield a connection; raises StageError: 74 for whatever the database has against it, 69 where it is not there."""
    if place.path:
        with _told(place, sqlite3.Error), contextlib.closing(_open_file(place.path)) as connection:
            yield connection
        return
    try:
        import psycopg
    except ImportError:
        remedy = "pip install -r requirements/postgres.txt"
        raise StageError(Exit.USAGE, f"psycopg is not installed, which a postgresql:// URL needs; {remedy}") from None
    try:
        server = Postgres(place.url)
    except psycopg.Error as error:
        told = " ".join(str(error).split())
        raise StageError(
            Exit.UNREACHABLE, f"cannot reach {place}: {told}; is it running, and the URL right?"
        ) from error
    with _told(place, psycopg.Error), contextlib.closing(server):
        yield server


def _open_file(path: Path) -> Sqlite:
    return sqlite3.connect(path.absolute(), timeout=LOCK_WAIT_S, isolation_level=None, factory=Sqlite)


@contextlib.contextmanager
def _told(place: Place, kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind as error:
        remedy = "if it is full or in use, make room or free it; else name another with --database"
        told = " ".join(str(error).split())
        raise StageError(Exit.CANNOT_WRITE, f"cannot use {place}: {told}; {remedy}") from error


@contextlib.contextmanager
def asked(place: Place) -> Iterator[Connection]:
    """Yield a connection that changes nothing; raises StageError: 66 where nothing was loaded yet, or as above."""
    nothing = StageError(Exit.NO_INPUT, f"{place} holds no figures yet; run python etl_process.py first")
    if place.path and not place.path.exists():
        raise nothing
    with opened(place) as connection:
        if "publisher" not in connection.columns("Loads"):
            raise nothing
        connection.execute("BEGIN")  # one state for all questions, whatever is loaded meanwhile
        yield connection


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
