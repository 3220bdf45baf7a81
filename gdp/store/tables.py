"""The tables of the database: created where they are missing, and carried over from how they were before."""

from __future__ import annotations

import re

from gdp.records import UNSOURCED_NOTE, CleanRecord
from gdp.store.database import Connection

SAID_FIELDS = (
    "As_of", "Institution", "ISO3", "Country", "Region", "Subregion", "Year", "GDP_USD_billion", "Note", "Source",
)  # fmt: skip
STANDS = "9999-12-31"  # Until, of what still stands: later than every As_of, so that one comparison tells
TABLES = (
    """CREATE TABLE IF NOT EXISTS GDP_Estimates (
        As_of {text} NOT NULL, Institution {text} NOT NULL, ISO3 {text}, Country {text} NOT NULL,
        Region {text}, Subregion {text}, Year INTEGER NOT NULL, GDP_USD_billion DOUBLE PRECISION NOT NULL, Note {text},
        Source {text} NOT NULL, Publisher {text} NOT NULL, Until {text} NOT NULL DEFAULT '9999-12-31',
        PRIMARY KEY (As_of, Institution, Country, Year, Publisher)
    ) {by_key}""",
    "CREATE INDEX IF NOT EXISTS GDP_Estimates_standing ON GDP_Estimates (Publisher, Institution, Until)",
    "CREATE TABLE IF NOT EXISTS Loads (Loaded_at {text} NOT NULL, File {text} NOT NULL, SHA256 {text} NOT NULL,"
    " As_of {text} NOT NULL, Rows INTEGER NOT NULL, Publisher {text} NOT NULL, Institutions {text} NOT NULL,"
    " Source {text} NOT NULL, Left_out {text}, Findings {text}{number})",
)
ADDED_TO_LOADS = ("Left_out", "Findings")  # JSON: what transform left out and how often, and what the checks found
# '2024-07-01' BETWEEN First_day AND Last_day: what stood at the end of that day
VIEW = """CREATE VIEW GDP_History AS
    SELECT substr(As_of, 1, 10) AS First_day, {day_before} AS Last_day, GDP_Estimates.* FROM GDP_Estimates"""


def create_tables(connection: Connection) -> None:
    """Create what is not there yet."""
    for statement in TABLES:
        connection.execute(statement.format(**connection.dialect._asdict()))
    for name in ADDED_TO_LOADS:
        if name.lower() not in connection.columns("Loads"):
            connection.execute(f"ALTER TABLE Loads ADD COLUMN {name} {connection.dialect.text}")
    if not connection.columns("GDP_History"):
        connection.execute(VIEW.format(**connection.dialect._asdict()))


# Of a Note in a database from before figures had an Until, what transform said; the rest was found by the checks.
_SAID_BY_TRANSFORM = re.compile(
    rf"{UNSOURCED_NOTE}[^;]*|no year stated; \d{{4}} is when the page was saved"
    rf"|\d{{4}} taken for the year[^;]*|written [\d.,]+|said twice"
)


def take_out_old(connection: Connection) -> list[CleanRecord]:
    """Return every record of a database from before figures had an Until, and make room for the tables of now."""
    columns = connection.columns("GDP_Estimates")
    if not columns or "until" in columns:
        return []
    rows = connection.execute(f"SELECT {', '.join(SAID_FIELDS)} FROM GDP_Estimates").fetchall()
    connection.execute(
        "CREATE TABLE Loads_before_vintages AS SELECT * FROM Loads"
    )  # renamed, it would take views along
    for table in ("Loads", "GDP_Estimates"):
        connection.execute(f"DROP TABLE {table}")
    records = [dict(zip(SAID_FIELDS, row, strict=True)) for row in rows]
    return [
        {**record, "Note": "; ".join(_SAID_BY_TRANSFORM.findall(record["Note"] or "")) or None}  # type: ignore[typeddict-item]
        for record in records
    ]
