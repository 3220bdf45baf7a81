"""One way to the database, SQLite's file or PostgreSQL's server: opened, asked, and changed in one transaction."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gdp.model import CONFIRMATION_FIELDS, ESTIMATE_FIELDS, LOAD_FIELDS
from gdp.places import Place
from gdp.store import sqlite
from gdp.store.schema import Connection, present_older_version, relations
from utils import Exit, StageError, make_folder

__all__ = ["Connection", "asked", "loading", "opened", "rows_of", "sound", "transaction"]

# PostgreSQL folds names to lower case; these are written as the tables have them.
_COMPUTED = ("Rank", "Mean_GDP_USD_billion", "Countries", "Share_percent", "Code", "First_day", "Last_day")
_AS_WRITTEN = {name.lower(): name for name in (*ESTIMATE_FIELDS, *LOAD_FIELDS, *CONFIRMATION_FIELDS, *_COMPUTED)}


@contextlib.contextmanager
def opened(place: Place) -> Iterator[Connection]:
    """Yield a connection; raises StageError with the code and remedy of what the database reports."""
    if place.path is None:
        from gdp.store import postgres

        with (
            _one_line_errors(place, postgres.Error, postgres.code_of, postgres.REMEDIES),
            postgres.server(place) as server,
        ):
            yield server
        return
    with (
        _one_line_errors(place, sqlite3.Error, sqlite.code_of, sqlite.REMEDIES),
        contextlib.closing(sqlite.open_file(place, place.path)) as file,
    ):
        yield file


@contextlib.contextmanager
def _one_line_errors(
    place: Place, kind: type[Exception], code_of: Callable[[Exception], Exit], remedies: Mapping[Exit, str]
) -> Iterator[None]:
    """Turn the database's own errors into the one-line StageError that names the place and what to do."""
    try:
        yield
    except kind as error:
        code = code_of(error)
        reason = place.scrubbed(" ".join(str(error).split()))
        raise StageError(code, f"cannot use {place}: {reason}; {remedies[code]}") from error


@contextlib.contextmanager
def asked(place: Place) -> Iterator[Connection]:
    """Yield a connection that changes nothing, to a database of any version.

    Raises StageError: 66 where nothing is loaded, 65 for tables that are not the suite's, or as `opened` does.
    """
    nothing = StageError(Exit.NO_INPUT, f"{place} has no figures yet; run python etl_process.py first")
    if place.path and not place.path.exists():
        raise nothing
    with opened(place) as connection:
        there = relations(connection)
        if "Loads" not in there or "GDP_Estimates" not in there:
            raise nothing
        present_older_version(connection, there)
        connection.begin_to_read()
        with sound(place):
            yield connection


@contextlib.contextmanager
def sound(place: Place) -> Iterator[None]:
    """Turn an error that comes from rows that no load writes into the one-line StageError (65) that names the place."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        remedy = "load into another with --database, or restore this one"
        message = f"{place} has rows that no load writes; somebody changed it by hand: {error!r}; {remedy}"
        raise StageError(Exit.BAD_DATA, message) from error


@contextlib.contextmanager
def loading(place: Place, load_bytes: int) -> Iterator[Connection]:
    """Yield a connection to load so many bytes of clean records: all changes are committed, or none.

    Others read the state before, until the commit. Raises StageError as `opened` does.
    """
    if place.path:
        make_folder(place.path.parent)
    with opened(place) as connection:
        connection.prepare(load_bytes)
        try:
            with transaction(connection):
                yield connection
        finally:
            connection.settle()


@contextlib.contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit the changes that are made within, or none of them."""
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
    names = [_AS_WRITTEN.get(column[0], column[0]) for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
