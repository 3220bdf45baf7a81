"""The tables of the database: created where they are missing, and carried over from how they were before."""

from __future__ import annotations

from gdp.store.database import Connection

STANDS = "9999-12-31"  # Until, of what still stands: later than every As_of, so that one comparison tells
TABLES = {
    "GDP_Estimates": """CREATE TABLE GDP_Estimates (
        As_of {text} NOT NULL, Institution {text} NOT NULL, ISO3 {text}, Country {text} NOT NULL,
        Region {text}, Subregion {text}, Year INTEGER NOT NULL, GDP_USD_billion DOUBLE PRECISION NOT NULL, Note {text},
        Source {text} NOT NULL, Publisher {text} NOT NULL, Until {text} NOT NULL DEFAULT '9999-12-31',
        Status {text},
        PRIMARY KEY (As_of, Institution, Country, Year, Publisher)
    ) {by_key}""",
    "Loads": "CREATE TABLE Loads (Loaded_at {text} NOT NULL, File {text} NOT NULL, SHA256 {text} NOT NULL,"
    " As_of {text} NOT NULL, Rows INTEGER NOT NULL, Publisher {text} NOT NULL, Institutions {text} NOT NULL,"
    " Source {text} NOT NULL, Left_out {text}, Findings {text}, Doubt {text}{number})",
    # with row numbers in SQLite, so that rows come out as they were put in: highest first
    "Countries_by_GDP": "CREATE TABLE Countries_by_GDP (Country {text} NOT NULL PRIMARY KEY, ISO3 {text},"
    " Region {text}, Year INTEGER NOT NULL, GDP_USD_billion DOUBLE PRECISION NOT NULL,"
    " As_of {text} NOT NULL, Source {text} NOT NULL, Note {text})",
}
# JSON: what transform left out and how often, and what the checks found; and why the vintage is no measure for others
ADDED_TO_LOADS = ("Left_out", "Findings", "Doubt")
# '2024-07-01' BETWEEN First_day AND Last_day: what stood at the end of that day
HISTORY = """
    SELECT substr(As_of, 1, 10) AS First_day, {day_before} AS Last_day, GDP_Estimates.* FROM GDP_Estimates -- and Status
"""  # "and Status": PostgreSQL knows a view's columns as they were, until the view is another


def create_tables(connection: Connection) -> None:
    """Create what is not there yet, and carry over what is of an older version, within the caller's transaction."""
    if (columns := connection.columns("Countries_by_GDP")) and "as_of" not in columns:
        _carry_over_countries(connection)
    for name, statement in TABLES.items():
        # asked first: to a server, creating what is there is a lock against all writers, and a right not all roles have
        if not connection.columns(name):
            connection.execute(statement.format(**connection.dialect._asdict()))
    if connection.execute("SELECT 1 FROM GDP_Estimates LIMIT 1").fetchone():
        index_estimates(connection)
    if "status" not in connection.columns("GDP_Estimates"):  # null: what was loaded before did not say it
        connection.execute(f"ALTER TABLE GDP_Estimates ADD COLUMN Status {connection.dialect.text}")
    for name in ADDED_TO_LOADS:
        if name.lower() not in connection.columns("Loads"):
            connection.execute(f"ALTER TABLE Loads ADD COLUMN {name} {connection.dialect.text}")
    connection.put_view("GDP_History", HISTORY.format(**connection.dialect._asdict()))


def index_estimates(connection: Connection) -> None:
    """Create the index of what stands, if it is missing: to an empty table after the rows, which is quicker."""
    if not connection.columns("GDP_Estimates_standing"):
        connection.execute(
            "CREATE INDEX IF NOT EXISTS GDP_Estimates_standing ON GDP_Estimates (Publisher, Institution, Until)"
        )


def _carry_over_countries(connection: Connection) -> None:
    """Bring Countries_by_GDP of an older version, without a key and without As_of, to the columns of now, empty.

    Where a key can be added the table stays the same object, so that grants and others' views on it stay whole; SQLite
    has no grants, and its views ask for a table by name.
    """
    if not connection.dialect.can_add_key:
        connection.execute("DROP TABLE Countries_by_GDP")
        return
    connection.execute("DELETE FROM Countries_by_GDP")
    text = connection.dialect.text
    connection.execute(
        f"ALTER TABLE Countries_by_GDP ADD COLUMN As_of {text} NOT NULL, ADD COLUMN Source {text} NOT NULL,"
        f" ADD COLUMN Note {text}, ADD PRIMARY KEY (Country), ALTER COLUMN Year SET NOT NULL,"
        " ALTER COLUMN GDP_USD_billion SET NOT NULL"
    )
