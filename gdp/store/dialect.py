"""What SQLite and PostgreSQL write differently, and how a database is marked as the suite's."""

from __future__ import annotations

from typing import NamedTuple

APPLICATION_ID = 0x47445045  # "GDPE": marks an SQLite file as the suite's
MARK = "gdp-etl"  # begins the comment of a table or view in PostgreSQL that is the suite's
ESTIMATES_KEY = "As_of", "Institution", "Country", "Year", "Publisher"


class Dialect(NamedTuple):
    """What the two databases write differently."""

    text: str  # compared byte by byte, as dates in ISO 8601 must be
    by_key: str
    number: str  # a column that counts the rows of Loads, where rows have no number of their own
    order_of_loads: str
    day_before: str
    can_add_key: bool  # to an existing table


class Relation(NamedTuple):
    """A table, view or index of the database: its columns and key in lower case, and whether the suite marked it."""

    kind: str
    columns: frozenset[str]
    key: frozenset[str]
    is_marked: bool
    comment: str | None = None  # of PostgreSQL
