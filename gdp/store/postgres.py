"""PostgreSQL, for those who outgrow a file: SQLite's statements on a server. Imported where a URL of it is used."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gdp.places import Place
from gdp.store.dialects import LOCK_WAIT_S, Dialect, Values, one_line_errors
from utils import Exit, StageError

try:
    import psycopg
except ImportError:
    remedy = "pip install -r requirements/postgres.txt"
    raise StageError(Exit.USAGE, f"psycopg is not installed, which a postgresql:// URL needs; {remedy}") from None

STREAMED_ROWS = 10_000  # fetched at a time
ADVISORY_LOCK = 0x6D64_7067  # any number, the same for all loads
DIALECT = Dialect(
    text='TEXT COLLATE "C"',
    by_key="",
    number=", Number BIGSERIAL",
    order_of_loads="Number",
    day_before="to_char(CAST(substr(Until, 1, 10) AS date) - 1, 'YYYY-MM-DD')",
    can_add_key=True,
)


class Postgres:
    """A connection to PostgreSQL that takes statements as SQLite does."""

    dialect = DIALECT

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, connect_timeout=int(LOCK_WAIT_S))
        self._connection.execute("SET client_min_messages = warning")

    def execute(self, statement: str, values: Values = ()) -> Any:
        """Execute a statement with values for its ? or :name; return the cursor. Raises psycopg.Error."""
        if not values:
            return self._connection.execute(statement.encode())
        return self._connection.execute(_with_percents(statement).encode(), values)

    def stream(self, statement: str, values: Mapping[str, str]) -> Any:
        """Return a question's rows, to be fetched as they are asked for, and closed; within a transaction."""
        cursor = self._connection.cursor(name="streamed")
        cursor.itersize = STREAMED_ROWS
        return cursor.execute(_with_percents(statement).encode(), values)

    def executemany(self, statement: str, values: Iterable[Values]) -> None:
        """Execute a statement for each of many values; raises psycopg.Error."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_with_percents(statement).encode(), values)

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's or view's columns in lower case; none where there is no such table."""
        question = (
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped"
        )
        return {name for (name,) in self.execute(question, (table.lower(),))}

    def put_view(self, name: str, query: str) -> None:
        """Create a view, or change it to this query; others' views and grants on it stay whole.

        The server keeps no text of a view as it was written, so its comment does.
        """
        (known,) = self.execute("SELECT obj_description(to_regclass(?), 'pg_class')", (name.lower(),)).fetchone()
        if known != query:
            self.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
            quoted = query.replace("'", "''")
            self.execute(f"COMMENT ON VIEW {name} IS '{quoted}'")

    def prepare(self, load_bytes: int) -> None:
        """Do nothing: a server's readers see what was there before, whatever the size."""

    def settle(self) -> None:
        """Do nothing, as there was nothing to prepare."""

    def begin(self) -> None:
        """Begin to write; nobody else can until we are done, and who holds a lock for long is not waited for."""
        self.execute("BEGIN")
        self.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT_S:g}s'")
        try:
            self.execute("SELECT pg_advisory_xact_lock(?)", (ADVISORY_LOCK,))
        except psycopg.errors.LockNotAvailable:
            raise psycopg.errors.LockNotAvailable("another load is going on") from None

    def begin_to_read(self) -> None:
        """Begin to ask: one state for all questions, whatever is loaded meanwhile."""
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def add(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Add rows to a table, in bulk."""
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def rollback(self) -> None:
        """Undo what was done since begin; where the server is gone it has done so."""
        with contextlib.suppress(psycopg.Error):
            self._connection.rollback()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _with_percents(statement: str) -> str:
    return re.sub(r"(?<![:\w]):([a-z_]+)", r"%(\1)s", statement.replace("%", "%%").replace("?", "%s"))


@contextlib.contextmanager
def server(place: Place) -> Iterator[Postgres]:
    """Yield a connection; raises StageError: 2 for a URL that PostgreSQL does not understand, 69 unreachable, 74."""
    try:
        connection = Postgres(place.url)
    except psycopg.ProgrammingError:
        raise StageError(
            Exit.USAGE, f"{place} is no URL of PostgreSQL's; write postgresql://USER:PASSWORD@HOST:PORT/NAME"
        ) from None
    except psycopg.Error as error:
        reason = place.scrubbed(" ".join(str(error).split()))
        raise StageError(
            Exit.UNREACHABLE, f"cannot reach {place}: {reason}; is it running, and the URL right?"
        ) from None
    with one_line_errors(place, psycopg.Error, _code_of), contextlib.closing(connection):
        yield connection


def _code_of(error: Exception) -> Exit:
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return Exit.LOCKED
    is_gone = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return Exit.UNREACHABLE if is_gone and not isinstance(error, psycopg.errors.DiskFull) else Exit.CANNOT_WRITE
