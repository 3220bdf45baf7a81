"""One way to the database: opened, changed in one transaction, asked by name."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils import Exit, StageError

LOCK_WAIT_S = 10.0  # how long another program may hold the database before we give up


@contextlib.contextmanager
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection; raises StageError (74) for whatever SQLite has against the file."""
    try:
        with contextlib.closing(
            sqlite3.connect(database.absolute(), timeout=LOCK_WAIT_S, isolation_level=None)
        ) as connection:
            yield connection
    except sqlite3.Error as error:
        remedy = "if it is full or in use, make room or free it; else name another with --database"
        raise StageError(Exit.CANNOT_WRITE, f"cannot use {database}: {error}; {remedy}") from error


@contextlib.contextmanager
def asked(database: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that changes nothing; raises StageError: 66 where nothing was loaded yet, 74 as above."""
    nothing = StageError(Exit.NO_INPUT, f"{database} holds no figures yet; run python etl_process.py first")
    if not database.exists():
        raise nothing
    with opened(database) as connection:
        if "Publisher" not in {column[1] for column in connection.execute("PRAGMA table_info(Loads)")}:
            raise nothing
        connection.execute("BEGIN")  # one state for all questions, whatever is loaded meanwhile
        yield connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what happens within, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.execute("COMMIT")


def rows_of(connection: sqlite3.Connection, query: str, **values: object) -> list[dict[str, Any]]:
    """Return a query's rows as objects by column name."""
    cursor = connection.execute(query, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
