"""The database as a server of PostgreSQL, with SQLite's statements; imported where a URL names one."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gdp.model import ESTIMATE_FIELDS
from gdp.places import Place
from gdp.store.dialect import ESTIMATES_KEY, MARK, Dialect, Relation
from utils import Exit, StageError

try:
    import psycopg
except ImportError:
    remedy = "pip install -r requirements/postgres.txt"
    raise StageError(Exit.USAGE, f"psycopg is not installed, which a postgresql:// URL needs; {remedy}") from None

Error = psycopg.Error
LOCK_WAIT_S = 10  # how long another client may hold the tables before a load or a question gives up
CONNECT_WAIT_S = 10
STREAMED_ROWS = 10_000  # fetched at a time
_SETTINGS = f"SET client_min_messages = warning; SET lock_timeout = '{LOCK_WAIT_S}s'"
ADVISORY_LOCK = 0x6D64_7067  # any number, the same for all loads
DIALECT = Dialect(
    text='TEXT COLLATE "C"',
    by_key="",
    number=", Number BIGSERIAL",
    order_of_loads="Number",
    day_before="to_char(CAST(substr(Until, 1, 10) AS date) - 1, 'YYYY-MM-DD')",
    can_add_key=True,
)
# By SQLSTATE, the longest beginning that fits: https://www.postgresql.org/docs/current/errcodes-appendix.html
CODES = {
    "08": Exit.UNREACHABLE, "57P": Exit.UNREACHABLE,
    "40": Exit.LOCKED, "55P03": Exit.LOCKED, "55006": Exit.LOCKED, "57014": Exit.LOCKED, "25P03": Exit.LOCKED,
    "25P04": Exit.LOCKED, "53300": Exit.LOCKED, "53400": Exit.LOCKED,
    "28": Exit.NOT_ALLOWED, "42501": Exit.NOT_ALLOWED, "25006": Exit.NOT_ALLOWED,
    "3D000": Exit.NO_INPUT, "3F000": Exit.NO_INPUT,
    "53": Exit.NO_RESOURCES, "53100": Exit.CANNOT_WRITE, "58": Exit.CANNOT_WRITE,
}  # fmt: skip
REMEDIES = {
    Exit.UNREACHABLE: "see that the server is running and the URL is right, then run again, which does no harm",
    Exit.LOCKED: "another client holds it, or it took too long: run again later",
    Exit.NOT_ALLOWED: "check the user, the password (PGPASSWORD, PGPASSFILE) and the user's rights",
    Exit.NO_INPUT: "create it, or name another with --database",
    Exit.NO_RESOURCES: "the server has too little memory: free some, then run again",
    Exit.CANNOT_WRITE: "see that the server's disk has room, or name another with --database",
    Exit.BAD_DATA: "the tables are not as the suite makes them: restore them, or name another with --database",
}
# libpq reports these before there is a session, and so without a SQLSTATE; the first that fits. Anything else that a
# server answers, perhaps in another language, is a refusal: it has been reached.
_BEFORE_A_SESSION = (
    (re.compile(r"database \".*\" does not exist"), Exit.NO_INPUT),
    (re.compile(r"too many (?:clients|connections)|remaining connection slots"), Exit.LOCKED),
    (re.compile(r"out of (?:shared )?memory"), Exit.NO_RESOURCES),
    (re.compile(r"No space left on device|could not (?:write|extend)"), Exit.CANNOT_WRITE),
    (re.compile(r"the database system is|terminating connection"), Exit.UNREACHABLE),
    (re.compile(r"no password supplied|failed: \w+:  "), Exit.NOT_ALLOWED),
)  # fmt: skip


# as the server calls those that schema.py writes
_TYPES = "'text', 'integer', 'bigint', 'double precision'"
_ARRAYS = ", ".join(
    f"?::{'integer' if ESTIMATE_FIELDS[name].python_type is int else 'text'}[]" for name in ("Until", *ESTIMATES_KEY)
)
_GIVEN = f"unnest({_ARRAYS}) AS given (New_until, {', '.join(ESTIMATES_KEY)})"


class Postgres:
    """A connection to PostgreSQL that takes statements as SQLite does."""

    dialect = DIALECT

    def __init__(self, place: Place) -> None:
        self.place = place
        self._connection = psycopg.connect(place.url, autocommit=True, connect_timeout=CONNECT_WAIT_S)

    # --- statements ---

    def execute(self, statement: str, values: Sequence[object] | Mapping[str, object] = ()) -> Any:
        """Execute a statement with values for its ? or :name; return the cursor. Raises psycopg.Error."""
        if not values:
            return self._connection.execute(statement.encode())
        return self._connection.execute(_with_percents(statement).encode(), values)

    def stream(self, statement: str, values: Mapping[str, str]) -> Any:
        """Return a question's rows as a cursor to close, fetched as they are read; within a transaction."""
        cursor = self._connection.cursor(name="streamed")
        cursor.itersize = STREAMED_ROWS
        return cursor.execute(_with_percents(statement).encode(), values)

    # --- questions about the database itself ---

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's, view's or index's columns in lower case; none where there is none."""
        question = (
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped"
        )
        return {name for (name,) in self.execute(question, (table.lower(),))}

    def relations(self, names: Sequence[str]) -> dict[str, Relation]:
        """Return the tables, views and indexes of these names, by name in lower case."""
        question = """
            SELECT relname, relkind, obj_description(pg_class.oid, 'pg_class'), attname,
                   EXISTS (SELECT 1 FROM pg_index
                           WHERE indrelid = pg_class.oid AND indisprimary AND attnum = ANY(indkey))
            FROM pg_class LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
            WHERE pg_class.oid = ANY(SELECT to_regclass(name) FROM unnest(?::text[]) AS name)"""
        kinds = {"r": "table", "p": "table", "v": "view", "i": "index"}
        columns: dict[str, list[tuple[str, bool]]] = {}
        about: dict[str, tuple[str, str | None]] = {}
        for name, kind, comment, column, is_key in self.execute(question, ([one.lower() for one in names],)):
            about[name] = kinds.get(kind, "relation"), comment
            columns.setdefault(name, []).append((column, is_key))
        return {
            name: Relation(
                kind, frozenset(column for column, _ in columns[name] if column),
                frozenset(column for column, is_key in columns[name] if is_key),
                (comment or "").startswith(MARK), comment,
            )
            for name, (kind, comment) in about.items()
        }  # fmt: skip

    def are_as_created(self, statements: Mapping[str, str]) -> bool:
        """Return whether tables have columns of the types that we create, and no trigger, rule or partition."""
        question = f"""
            SELECT count(*) FROM pg_class
            WHERE oid = ANY(SELECT to_regclass(name) FROM unnest(?::text[]) AS name)
              AND NOT (relhastriggers OR relhasrules OR relhassubclass OR relispartition OR relrowsecurity)
              AND NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = pg_class.oid AND attnum > 0
                              AND (attgenerated <> '' OR atttypid::regtype::text NOT IN ({_TYPES})))"""
        (number,) = self.execute(question, ([name.lower() for name in statements],)).fetchone()
        return int(number) == len(statements)

    def qualified(self, name: str) -> str:
        """Return the name of a table that no temporary one hides."""
        question = "SELECT quote_ident(relnamespace::regnamespace::text) || '.' || relname FROM pg_class WHERE oid = "
        return str(self.execute(f"{question}to_regclass(?)", (name.lower(),)).fetchone()[0])

    # --- the mark ---

    def mark(self, kind: str, name: str, description: str) -> None:
        """Mark a table or view as the suite's, with a description."""
        text = f"{MARK}: {description}".replace("'", "''")
        self.execute(f"COMMENT ON {kind} {name} IS '{text}'")

    def mark_version(self, version: int, table: Relation | None) -> None:
        """Mark the table of estimates with the version of the schema, where it has another mark."""
        description = f"schema {version}; the columns are described in docs/data.md"
        if table is None or table.comment != f"{MARK}: {description}":
            self.mark("TABLE", "GDP_Estimates", description)

    # --- writing ---

    def put_view(self, name: str, query: str, known: Relation | None = None) -> None:
        """Create a view, or change it to this query; others' views and grants on it stay whole where they can.

        The server keeps no text of a view as it was written, so its comment does.
        """
        if known and known.comment == f"{MARK}: {query}":
            return
        self.execute("SAVEPOINT before_view")
        try:
            self.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
        except psycopg.errors.InvalidTableDefinition:  # columns of an older version, in another order
            self.execute("ROLLBACK TO before_view")
            self.execute(f"DROP VIEW {name}")
            self.execute(f"CREATE VIEW {name} AS {query}")
        self.mark("VIEW", name, query)

    def prepare(self, load_bytes: int) -> None:
        """Do nothing: a server's readers see the state before the load, at any size."""

    def settle(self) -> None:
        """Do nothing, as nothing was prepared."""

    def begin(self) -> None:
        """Begin to write; nobody else can until the transaction ends."""
        try:
            self.execute(f"{_SETTINGS}; BEGIN; SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
        except psycopg.errors.LockNotAvailable:
            raise psycopg.errors.LockNotAvailable("another load is running") from None

    def begin_to_read(self) -> None:
        """Begin to ask: all questions see one state, also while a load runs."""
        self.execute(f"{_SETTINGS}; BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def add(self, table: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add rows to a table, in bulk."""
        self._copy(f"{table} ({', '.join(names)})", rows)

    def _copy(self, where: str, rows: Iterable[Sequence[object]]) -> None:
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {where} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def close_estimates(self, ends: Iterable[tuple[str, tuple[object, ...]]]) -> None:
        """Set Until of rows of GDP_Estimates, each named by its key, by one statement."""
        rows = [(until, *key) for until, key in ends]
        self._merge(rows, f"UPDATE GDP_Estimates AS own SET Until = given.New_until FROM {_GIVEN} WHERE")

    def remove_estimates(self, keys: Iterable[tuple[object, ...]]) -> None:
        """Remove rows of GDP_Estimates by their keys, by one statement."""
        self._merge([("", *key) for key in keys], f"DELETE FROM GDP_Estimates AS own USING {_GIVEN} WHERE")

    def _merge(self, rows: list[tuple[object, ...]], statement: str) -> None:
        """Execute a statement on the rows of GDP_Estimates that these name."""
        if rows:
            same = " AND ".join(f"own.{name} = given.{name}" for name in ESTIMATES_KEY)
            self.execute(f"{statement} {same}", list(map(list, zip(*rows, strict=True))))

    def run_deferred_triggers(self) -> None:
        """Run now what others let wait for the commit."""
        self.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def rollback(self) -> None:
        """Undo what was done since begin; where the server is gone, it has done so."""
        with contextlib.suppress(psycopg.Error):
            self._connection.rollback()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _with_percents(statement: str) -> str:
    """Return a statement with psycopg's signs for its ? and :name; a colon within quotes is text."""
    parts = re.split(r"('(?:[^']|'')*')", statement.replace("%", "%%"))
    for number in range(0, len(parts), 2):
        parts[number] = re.sub(r"(?<!:):([a-z_][a-z_0-9]*)", r"%(\1)s", parts[number]).replace("?", "%s")
    return "".join(parts)


@contextlib.contextmanager
def server(place: Place) -> Iterator[Postgres]:
    """Yield a connection to a server; raises StageError (2) for a URL that PostgreSQL does not understand."""
    try:
        connection = Postgres(place)
    except psycopg.ProgrammingError:
        raise StageError(
            Exit.USAGE, f"{place} is no URL of PostgreSQL's; write postgresql://USER:PASSWORD@HOST:PORT/NAME"
        ) from None
    with contextlib.closing(connection):
        yield connection


def code_of(error: Exception) -> Exit:
    """Return the exit code of one of PostgreSQL's errors, by its SQLSTATE."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        found = (code for words, code in _BEFORE_A_SESSION if words.search(str(error)))
        return next(found, Exit.UNREACHABLE)
    return next((CODES[state[:n]] for n in range(len(state), 0, -1) if state[:n] in CODES), Exit.BAD_DATA)
