"""The database as a file of SQLite."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from gdp.places import Place
from gdp.store.dialect import APPLICATION_ID, ESTIMATES_KEY, Dialect, Relation
from utils import Exit, StageError

LOCK_WAIT_S = 10.0  # how long another program may hold the database before a load gives up
SMALL_LOAD_BYTES = 8_000_000  # of clean records, about 25,000: all that they change is held in memory
VALUES_A_STATEMENT = 32_000  # SQLite allows 32,766
CODES = {
    sqlite3.SQLITE_BUSY: Exit.LOCKED, sqlite3.SQLITE_LOCKED: Exit.LOCKED, sqlite3.SQLITE_NOMEM: Exit.NO_RESOURCES,
    sqlite3.SQLITE_NOTADB: Exit.BAD_DATA, sqlite3.SQLITE_CORRUPT: Exit.BAD_DATA,
    sqlite3.SQLITE_CONSTRAINT: Exit.BAD_DATA, sqlite3.SQLITE_ERROR: Exit.BAD_DATA,  # a table or column is not there
    sqlite3.SQLITE_PERM: Exit.NOT_ALLOWED, sqlite3.SQLITE_READONLY: Exit.NOT_ALLOWED,
    sqlite3.SQLITE_AUTH: Exit.NOT_ALLOWED,
}  # fmt: skip
REMEDIES = {
    Exit.CANNOT_WRITE: "see that its disk has room and works, or name another with --database",
    Exit.LOCKED: "another program holds it: run again when that is done",
    Exit.NO_RESOURCES: "there is too little memory: free some, then run again",
    Exit.BAD_DATA: "it is damaged, or not a database of the suite: restore it, or name another with --database",
    Exit.NOT_ALLOWED: "it cannot be opened or written by this user: change its permissions, or name another",
}
DIALECT = Dialect(
    text="TEXT",
    by_key="WITHOUT ROWID",
    number="",
    order_of_loads="rowid",
    day_before="date(substr(Until, 1, 10), '-1 day')",
    can_add_key=False,
)


class Sqlite(sqlite3.Connection):
    """SQLite's own connection, with the methods that PostgreSQL's has too."""

    dialect = DIALECT
    place: Place

    # --- questions about the database itself ---

    def stream(self, statement: str, values: Mapping[str, str]) -> sqlite3.Cursor:
        """Return a question's rows as a cursor to close, fetched as they are read."""
        return self.execute(statement, values)

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's, view's or index's columns in lower case; none where there is none."""
        return {column[1].lower() for column in self.execute(f"PRAGMA table_info({table})")} or {
            column[2] or "" for column in self.execute(f"PRAGMA index_info({table})")
        }

    def relations(self, names: Sequence[str]) -> dict[str, Relation]:
        """Return the tables, views and indexes of these names, by name in lower case."""
        is_marked = self._application_id() == APPLICATION_ID
        question = (
            "SELECT lower(name), type FROM sqlite_master"
            f" WHERE lower(name) IN ({', '.join('?' * len(names))}) AND type IN ('table', 'view', 'index')"
        )
        found: dict[str, Relation] = {}
        for name, kind in self.execute(question, [name.lower() for name in names]).fetchall():
            columns = self.execute(f"PRAGMA table_info({name})").fetchall()
            key = frozenset(column[1].lower() for column in columns if column[5])
            found[name] = Relation(kind, frozenset(column[1].lower() for column in columns), key, is_marked)
        return found

    def are_as_created(self, statements: Mapping[str, str]) -> bool:
        """Return whether tables are as these statements create them, and no trigger is on them."""
        names = ", ".join("?" * len(statements))
        question = (
            f"SELECT type, tbl_name, sql FROM sqlite_master WHERE type <> 'index' AND lower(tbl_name) IN ({names})"
        )
        found = self.execute(question, [name.lower() for name in statements]).fetchall()
        return sorted(found) == sorted(("table", name, one.strip()) for name, one in statements.items())

    def qualified(self, name: str) -> str:
        """Return the name of a table that no temporary one hides."""
        return f"main.{name}"

    # --- the mark ---

    def _application_id(self) -> int:
        return int(self.execute("PRAGMA application_id").fetchone()[0])

    def mark(self, _kind: str, _name: str, _description: str) -> None:
        """Do nothing: the file is marked as a whole."""

    def mark_version(self, version: int, _table: Relation | None) -> None:
        """Mark the file as the suite's, unless another program has marked it as its own."""
        (other,) = self.execute("PRAGMA user_version").fetchone()
        is_ours = self._application_id() == APPLICATION_ID
        if not is_ours and self._application_id() == 0 and other == 0:
            self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            is_ours = True
        if is_ours and other != version:
            self.execute(f"PRAGMA user_version = {version}")

    # --- writing ---

    def put_view(self, name: str, query: str, _known: Relation | None = None) -> None:
        """Create a view, or change it to this query; others' views on it stay whole."""
        statement = f"CREATE VIEW {name} AS {query.strip()}"  # SQLite keeps it so
        known = self.execute("SELECT sql FROM sqlite_master WHERE type = 'view' AND name = ?", (name,)).fetchone()
        if known != (statement,):
            self.execute(f"DROP VIEW IF EXISTS {name}")
            self.execute(statement)

    def prepare(self, load_bytes: int) -> None:
        """Let others read while a load of so many bytes of clean records runs.

        What does not fit into SQLite's 2 MB is written before the commit, and then shuts all readers out. A small load
        stays in memory. A larger one uses a write-ahead log, which `settle` removes: its readers need files that they
        can write.
        """
        self.execute("PRAGMA cache_spill = OFF" if load_bytes <= SMALL_LOAD_BYTES else "PRAGMA journal_mode = WAL")

    def settle(self) -> None:
        """Remove a write-ahead log; where somebody still reads, the next load does."""
        self.execute("PRAGMA busy_timeout = 0")
        with contextlib.suppress(sqlite3.OperationalError):
            self.execute("PRAGMA journal_mode = DELETE")

    def run_deferred_triggers(self) -> None:
        """Do nothing: SQLite's triggers never wait."""

    def begin(self) -> None:
        """Begin to write; nobody else can until the transaction ends."""
        self.execute("BEGIN IMMEDIATE")

    def begin_to_read(self) -> None:
        """Begin to ask: all questions see one state, also while a load runs."""
        self.execute("BEGIN")

    def add(self, table: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add rows to a table, many a statement: faster than one by one."""
        step = VALUES_A_STATEMENT // len(names)
        one = f"({', '.join('?' * len(names))})"
        begin = f"INSERT INTO {table} ({', '.join(names)}) VALUES "
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            self.execute(begin + ", ".join([one] * len(some)), list(chain.from_iterable(some)))

    def close_estimates(self, ends: Iterable[tuple[str, tuple[object, ...]]]) -> None:
        """Set Until of rows of GDP_Estimates, each named by its key."""
        where = " AND ".join(f"{name} = ?" for name in ESTIMATES_KEY)
        self.executemany(f"UPDATE GDP_Estimates SET Until = ? WHERE {where}", ((until, *key) for until, key in ends))

    def remove_estimates(self, keys: Iterable[tuple[object, ...]]) -> None:
        """Remove rows of GDP_Estimates by their keys."""
        where = " AND ".join(f"{name} = ?" for name in ESTIMATES_KEY)
        self.executemany(f"DELETE FROM GDP_Estimates WHERE {where}", keys)


def open_file(place: Place, path: Path) -> Sqlite:
    """Return a connection to a file; raises sqlite3.Error, and StageError where it is no database."""
    if path.is_dir():
        raise StageError(Exit.NO_INPUT, f"{place} is a folder, not a database; name a file with --database")
    connection = sqlite3.connect(path.absolute(), timeout=LOCK_WAIT_S, isolation_level=None, factory=Sqlite)
    connection.place = place
    return connection


def code_of(error: Exception) -> Exit:
    """Return the exit code of one of SQLite's errors, by its own code."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # Python's own are about a text that is not UTF-8
    return CODES.get(code & 0xFF, Exit.CANNOT_WRITE)
