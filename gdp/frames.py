"""pandas DataFrames for notebooks: the newest figures, those of a day, a history, revisions, the real-time triangle.

    from gdp import frames
    frames.triangle("KOR")

A database is a path or a postgresql:// URL, and the suite's own by default. Days are timestamps in UTC, and NaT where
a figure is still current. Figures are in billions of US dollars; `millions=True` adds them as published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any, TypeAlias

import pandas as pd

from gdp.model import CURRENT, ESTIMATE_FIELDS, HEADLINE_FIELDS
from gdp.places import Place, database_named, default_database
from gdp.report.attribution import kind_of
from gdp.report.revisions import REVISION_FIELDS, published, revision_rows, triangle_fields, triangle_rows, vintage_days
from gdp.report.tables import country_named, vintage_at
from gdp.store.database import Connection, asked
from gdp.store.headlines import HEADLINES, IN_ORDER, of_vintage
from gdp.store.history import History
from utils import Exit, StageError

Database: TypeAlias = str | PathLike[str] | Place | None

MILLIONS = "GDP_USD_million"
DAYS = ("As_of", "Until", "Published")
COLUMNS = (*HEADLINE_FIELDS, "Subregion", "Institution", "Publisher")


def latest(institution: str | None = "IMF", database: Database = None, millions: bool = False) -> pd.DataFrame:
    """Return the newest figure of each country: the IMF's headlines, another institution's, or of None all of them.

    Raises StageError (66) where nothing is loaded, or the database is of an older version.
    """
    where = "WHERE Institution = :institution" if institution else ""
    values = {"institution": institution} if institution else {}
    question = f"SELECT {', '.join(COLUMNS)} FROM GDP_Latest {where} ORDER BY GDP_USD_billion DESC, Country"
    with database_of(database) as connection:
        if not connection.columns("GDP_Latest"):
            remedy = "the next load brings it up to date: python load.py"
            raise StageError(Exit.NO_INPUT, f"the database is of an older version, without GDP_Latest; {remedy}")
        return _frame(COLUMNS, connection.execute(question, values), millions)


def as_of(day: str, database: Database = None, millions: bool = False) -> pd.DataFrame:
    """Return the IMF's headlines at the end of a day, such as "2025-01-31"."""
    question = f"WITH Headlines AS ({HEADLINES}) SELECT {', '.join(COLUMNS)} FROM Headlines {IN_ORDER}"
    with database_of(database) as connection:
        vintage = vintage_at(History(connection), day)
        return _frame(COLUMNS, connection.execute(question, of_vintage(vintage)), millions)


def history(
    country: str | None = None, institution: str | None = None, database: Database = None, millions: bool = False
) -> pd.DataFrame:
    """Return every figure ever loaded, from its As_of until another one followed; Kind is estimate or projection."""
    columns = tuple(ESTIMATE_FIELDS)
    with database_of(database) as connection:
        where, values = _which(connection, country, institution)
        order = "ORDER BY Institution, Publisher, Country, Year, As_of"
        cells = connection.execute(f"SELECT {', '.join(columns)} FROM GDP_Estimates {where} {order}", values).fetchall()
    kinds = [kind_of(dict(zip(columns, row, strict=True))) for row in cells]
    return _frame(columns, cells, millions).assign(Kind=kinds)


def revisions(since: str | None = None, database: Database = None) -> pd.DataFrame:
    """Return the unflagged figures in the order of publication, with their revisions; of a day and later, if given."""
    with database_of(database) as connection:
        rows = list(revision_rows(published(connection)))
    frame = _frame(tuple(REVISION_FIELDS), rows, millions=True)
    return frame[frame["Published"] >= pd.Timestamp(since, tz="UTC")].reset_index(drop=True) if since else frame


def triangle(country: str, institution: str = "IMF", database: Database = None) -> pd.DataFrame:
    """Return a country's figures by reference year (rows) and day of publication (columns), of each publisher."""
    with database_of(database) as connection:
        where, values = _which(connection, country, institution)
        days = vintage_days(connection)
        rows = list(triangle_rows(published(connection, where, **values), days))
    columns = [*triangle_fields([]), *pd.to_datetime(days)]
    frame = pd.DataFrame(rows, columns=columns).drop(columns=["Institution", "Country", "ISO3"])
    return frame.set_index(["Publisher", "Year"]).dropna(axis="columns", how="all").sort_index()


@contextmanager
def database_of(database: Database) -> Iterator[Connection]:
    """Yield a connection that only reads; raises StageError (66) where nothing is loaded."""
    place = default_database() if database is None else database
    with asked(place if isinstance(place, Place) else database_named(fspath(place))) as connection:
        yield connection


def _which(connection: Connection, country: str | None, institution: str | None) -> tuple[str, dict[str, str]]:
    """Return the WHERE of a country, by any of its names, and of an institution, with its values."""
    values = {"country": country_named(connection, country)[0]} if country else {}
    values |= {"institution": institution} if institution else {}
    tests = {"country": "coalesce(ISO3, Country) = :country", "institution": "Institution = :institution"}
    return "WHERE " + " AND ".join(tests[name] for name in values) if values else "", values


def _frame(columns: Sequence[str], cells: Iterable[Sequence[Any]], millions: bool) -> pd.DataFrame:
    """Return rows as a DataFrame with typed days."""
    frame = pd.DataFrame(list(cells), columns=list(columns))
    for name in DAYS:
        if name in frame:
            days = frame[name].where(frame[name] != CURRENT)
            frame[name] = pd.to_datetime(days, utc=True, format="ISO8601")
    return frame if millions or MILLIONS not in frame else frame.drop(columns=MILLIONS)
