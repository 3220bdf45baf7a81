"""The tables and views of the database: created, recognised as the suite's, and migrated from every older version."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from gdp.model import (
    CONFIRMATION_FIELDS,
    CURRENT,
    ESTIMATE_FIELDS,
    HEADLINE_FIELDS,
    LOAD_FIELDS,
    NOT_A_HEADLINE,
    PUBLISHERS,
    WIKIPEDIA,
    Field,
)
from gdp.store.dialect import ESTIMATES_KEY, Dialect
from utils import Exit, StageError

if TYPE_CHECKING:
    from gdp.store.postgres import Postgres
    from gdp.store.sqlite import Sqlite

Connection: TypeAlias = "Sqlite | Postgres"

SCHEMA_VERSION = 4
INDEX = "GDP_Estimates_standing"  # on what is current; the name is that of the first versions


class TableVersions(NamedTuple):
    """A table: its columns, its key, and the columns of its older versions, oldest first."""

    fields: dict[str, Field]
    key: tuple[str, ...]
    older: tuple[tuple[str, ...], ...]
    older_keys: tuple[tuple[str, ...], ...] = ()


_FIRST_ESTIMATES = (
    "As_of", "Institution", "ISO3", "Country", "Region", "Subregion", "Year", "GDP_USD_billion", "Note", "Source",
)  # fmt: skip
_FIRST_LOADS = "Loaded_at", "File", "SHA256", "As_of", "Rows"
_SECOND_LOADS = (*_FIRST_LOADS, "Publisher", "Institutions", "Source")
_FIRST_COUNTRIES = "Country", "ISO3", "Region", "Year", "GDP_USD_billion"
TABLES = {
    "GDP_Estimates": TableVersions(
        ESTIMATE_FIELDS,
        ESTIMATES_KEY,
        (
            _FIRST_ESTIMATES,
            (*_FIRST_ESTIMATES, "Publisher", "Until"),
            (*_FIRST_ESTIMATES, "Publisher", "Until", "Status"),
        ),
        (ESTIMATES_KEY[:-1],),
    ),
    "Loads": TableVersions(
        LOAD_FIELDS,
        (),
        (
            _FIRST_LOADS,
            _SECOND_LOADS,
            (*_SECOND_LOADS, "Left_out", "Findings"),
            (*_SECOND_LOADS, "Left_out", "Findings", "Doubt"),
        ),
    ),
    "Countries_by_GDP": TableVersions(
        HEADLINE_FIELDS,
        ("Country",),
        (_FIRST_COUNTRIES, (*_FIRST_COUNTRIES, "As_of", "Source", "Note")),
        ((),),
    ),
    "Confirmations": TableVersions(
        CONFIRMATION_FIELDS, ("Publisher", "Institution", "ISO3", "Year", "As_of"), ()
    ),
}  # fmt: skip
VIEWS = ("GDP_History", "GDP_Latest", "GDP_Current")
_SQL_TYPES = {str: "{text}", int: "INTEGER", float: "DOUBLE PRECISION"}
# '2024-07-01' BETWEEN First_day AND Last_day: what was current at the end of that day
HISTORY = "SELECT substr(As_of, 1, 10) AS First_day, {day_before} AS Last_day, {columns} FROM GDP_Estimates"


def create_tables(connection: Connection) -> None:
    """Create what is missing and migrate what is of an older version, within the caller's transaction.

    Raises StageError (65), before anything is changed, where a table or view of our names is not the suite's.
    """
    refuse_foreign(connection)
    migrate(connection)
    for name in TABLES:
        # asked first: to a server, creating what exists is a lock against all writers, and a right not all roles have
        if not connection.columns(name):
            connection.execute(statement_of(name, connection.dialect))
            connection.mark("TABLE", name, "a table of the suite; its columns are described in docs/data.md")
    if connection.execute("SELECT 1 FROM GDP_Estimates LIMIT 1").fetchone():
        index_estimates(connection)
    names = ", ".join(ESTIMATE_FIELDS)
    connection.put_view("GDP_History", HISTORY.format(columns=names, **connection.dialect._asdict()))
    connection.mark_version(SCHEMA_VERSION)


def statement_of(name: str, dialect: Dialect) -> str:
    """Return the statement that creates a table."""
    table = TABLES[name]
    columns = [
        f"{field.name} {_SQL_TYPES[field.python_type]}{'' if field.is_nullable else ' NOT NULL'}"
        + (f" DEFAULT '{CURRENT}'" if field.name == "Until" else "")
        for field in table.fields.values()
    ]
    key = [f"PRIMARY KEY ({', '.join(table.key)})"] if table.key else []
    # Countries_by_GDP has row numbers in SQLite, so that rows come out as they were put in: highest first
    options = dialect.by_key if name == "GDP_Estimates" else ""
    number = dialect.number if name == "Loads" else ""
    return f"CREATE TABLE {name} ({', '.join([*columns, *key])}{number}) {options}".format(text=dialect.text)


def index_estimates(connection: Connection) -> None:
    """Create the index of what is current, if it is missing: of a new table after its rows, which is faster."""
    if not connection.columns(INDEX):
        connection.execute(f"CREATE INDEX IF NOT EXISTS {INDEX} ON GDP_Estimates (Publisher, Institution, Until)")


# --- whose is it ------------------------------------------------------------------------------------------------------


def refuse_foreign(connection: Connection) -> None:
    """Raise StageError (65) where a table or view of one of our names is somebody else's."""
    for name in (*TABLES, *VIEWS):
        kind = connection.kind_of(name)
        if kind is None or _is_ours(connection, name, kind):
            continue
        raise StageError(
            Exit.BAD_DATA,
            f"{connection.place} has a {kind} {name} that is not the suite's ({_differs(connection, name, kind)});"
            " nothing was changed: name another database with --database",
        )


def _is_ours(connection: Connection, name: str, kind: str) -> bool:
    if name in VIEWS:
        return kind == "view" and (connection.is_marked(name) or _has_columns_of_view(connection, name))
    if kind != "table":
        return False
    columns = connection.columns(name)
    if connection.is_marked(name) and {one.lower() for one in TABLES[name].fields} <= columns:
        return True
    return version_of(connection, name) is not None


def _has_columns_of_view(connection: Connection, name: str) -> bool:
    """Return whether a view has the columns of one of our versions of it."""
    columns = connection.columns(name)
    estimates = [{one.lower() for one in version} for version in _versions("GDP_Estimates")]
    if name == "GDP_History":
        return columns - {"first_day", "last_day"} in estimates and {"first_day", "last_day"} <= columns
    return any(columns <= one and {"country", "publisher", "institution", "as_of"} <= columns for one in estimates)


def _versions(name: str) -> list[tuple[str, ...]]:
    return [*TABLES[name].older, tuple(TABLES[name].fields)]


def version_of(connection: Connection, name: str) -> int | None:
    """Return which version of a table the database has, by its exact columns and key; None for another table."""
    table = TABLES[name]
    columns, key = connection.columns(name), connection.key_of(name)
    columns = columns - {"number"} if name == "Loads" else columns
    for number, version in enumerate(_versions(name)):
        keys = table.older_keys[number] if number < len(table.older_keys) else table.key
        if columns == {one.lower() for one in version} and key == {one.lower() for one in keys}:
            return number
    return None


def _differs(connection: Connection, name: str, kind: str) -> str:
    if name in VIEWS or kind != "table":
        return "no mark of the suite on it"
    columns, ours = connection.columns(name), {one.lower() for one in TABLES[name].fields}
    if unknown := sorted(columns - ours):
        return f"its column {unknown[0]} is not ours"
    if missing := sorted(ours - columns):
        return f"it has no column {missing[0]}"
    return "its key is another"


# --- older versions ---------------------------------------------------------------------------------------------------


def migrate(connection: Connection) -> None:
    """Bring tables of an older version to the columns of today; every row stays."""
    if connection.columns("GDP_Estimates") and "publisher" not in connection.columns("GDP_Estimates"):
        _migrate_first_version(connection)
    for name in ("GDP_Estimates", "Loads"):
        _add_columns(connection, name)
    if (columns := connection.columns("Countries_by_GDP")) and "as_of" not in columns:
        _migrate_countries(connection)
    _add_columns(connection, "Countries_by_GDP")


def _add_columns(connection: Connection, name: str) -> None:
    """Add the columns that a table of an older version lacks; flags come from the notes, which are parsed here only."""
    there = connection.columns(name)
    missing = [field for field in TABLES[name].fields.values() if there and field.name.lower() not in there]
    for field in missing:
        kind = _SQL_TYPES[field.python_type].format(text=connection.dialect.text)
        connection.execute(f"ALTER TABLE {name} ADD COLUMN {field.name} {kind}")
    if any(field.name == "Flags" for field in missing):
        connection.execute(f"UPDATE {name} SET Flags = {FLAGS_OF_NOTE} WHERE Note IS NOT NULL OR ISO3 IS NULL")


def _migrate_first_version(connection: Connection) -> None:
    """Bring the tables of the first version, which repeated every vintage whole, to intervals."""
    connection.execute("ALTER TABLE GDP_Estimates RENAME TO Estimates_of_first_version")
    connection.execute("ALTER TABLE Loads RENAME TO Loads_of_first_version")
    for name in ("GDP_Estimates", "Loads"):
        connection.execute(statement_of(name, connection.dialect))
    columns = ", ".join(ESTIMATE_FIELDS)
    connection.execute(f"INSERT INTO GDP_Estimates ({columns}) {_INTERVALS_OF_FIRST_VERSION}")
    columns = ", ".join(_SECOND_LOADS)
    connection.execute(f"INSERT INTO Loads ({columns}) {LOADS_OF_FIRST_VERSION}")
    for name in ("Estimates_of_first_version", "Loads_of_first_version"):
        connection.execute(f"DROP TABLE {name}")


def _migrate_countries(connection: Connection) -> None:
    """Bring Countries_by_GDP of the first version, without a key and without As_of, to the columns of today, empty.

    Where a key can be added, the table stays the same object, so that grants and others' views on it stay whole. SQLite
    has no grants, and its views find a table by name.
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


def _flag(code: str, *patterns: str) -> str:
    found = " OR ".join(f"'; ' || coalesce(Note, '') LIKE '{pattern}'" for pattern in patterns)
    return f"CASE WHEN {found} THEN '{code} ' ELSE '' END"


# How notes began before there were flags. A text of the page had no semicolon, so what follows "; " is the suite's own.
FLAGS_OF_NOTE = "nullif(trim(" + " || ".join((
    _flag("unsourced", "%; column without a source%"),
    _flag("disputed", "%; source doubted on the page%"),
    _flag("year-assumed", "%; no year stated; %"),
    _flag("two-years", "%; the heading states %"),
    "CASE WHEN ISO3 IS NULL THEN 'unknown-name ' ELSE '' END",
    _flag("duplicate", "%; said twice%"),
    _flag("two-figures", "%; two figures for %"),
    _flag("outlier", "%; check: % stands apart from %"),
    _flag("sharp-revision", "%; check: % on ____-__-__, now %"),
    _flag("contradicts-vintage", "%; check: % this vintage or that of %"),
    _flag("departs-from-imf", "%; check: % the IMF itself says %", "%; check: the IMF itself says %"),
    _flag("new-country", "%; check: %not in the load of %"),
    _flag("outside-outlook", "%; check: % outlook has no figure of it%"),
    _flag("other-institution", "%; check: % figure", "%; check: %not in the column that has a source%"),
    _flag("odd-year", "%; check: year ____%"),
    _flag("fatal", "%; check: unit slip: %", "%; check: %: % of % figures %", "%; check: same figure: %"),
)) + "), '')"  # fmt: skip

# What tests whether a figure may be a headline; gdp.validate.observations.is_left_out is the same in Python.
MAY_BE_HEADLINE = " AND ".join(f"(' ' || coalesce(Flags, '') || ' ') NOT LIKE '% {flag} %'" for flag in NOT_A_HEADLINE)


def _publisher_sql() -> str:
    cases = [
        f"WHEN Source LIKE '{host}%' THEN '{publisher.name}'"
        for publisher in PUBLISHERS.values()
        for host in publisher.hosts
    ]
    return f"CASE {' '.join(cases)} ELSE '{WIKIPEDIA.name}' END"


# Each vintage of the first version is one interval for each of its figures, up to the next vintage of its publisher and
# institution; equal neighbours are joined.
_NUMBERED = f"""
    SELECT *, {_publisher_sql()} AS Publisher, {FLAGS_OF_NOTE} AS Flags FROM Estimates_of_first_version"""
_INTERVALS_OF_FIRST_VERSION = f"""
    WITH own AS ({_NUMBERED}),
    vintage AS (SELECT Publisher, Institution, As_of,
                       coalesce(lead(As_of) OVER (PARTITION BY Publisher, Institution ORDER BY As_of), '{CURRENT}')
                       AS Until, row_number() OVER (PARTITION BY Publisher, Institution ORDER BY As_of) AS place
                FROM (SELECT DISTINCT Publisher, Institution, As_of FROM own) AS every),
    placed AS (SELECT own.*, vintage.Until, vintage.place, vintage.place - row_number() OVER (
                   PARTITION BY own.Publisher, own.Institution, Country, Year, GDP_USD_billion, coalesce(Flags, '')
                   ORDER BY own.As_of) AS run
               FROM own JOIN vintage ON vintage.Publisher = own.Publisher AND vintage.Institution = own.Institution
                AND vintage.As_of = own.As_of),
    joined AS (SELECT *, max(Until) OVER same AS Last, row_number() OVER (same ORDER BY As_of) AS first
               FROM placed WINDOW same AS (
                   PARTITION BY Publisher, Institution, Country, Year, GDP_USD_billion, coalesce(Flags, ''), run))
    SELECT Country, ISO3, Region, Subregion, Institution, Year, GDP_USD_billion, As_of, Source, Note, NULL, Flags, NULL,
           Publisher, Last FROM joined WHERE first = 1
"""
LOADS_OF_FIRST_VERSION = f"""
    WITH own AS (SELECT DISTINCT {_publisher_sql()} AS Publisher, Institution, As_of, Source
                 FROM Estimates_of_first_version),
    vintage AS (SELECT Publisher, As_of, min(Source) AS Source, group_concat(Institution, ', ') AS Institutions
                FROM (SELECT DISTINCT Publisher, As_of, Source, Institution FROM own ORDER BY Institution) AS every
                GROUP BY Publisher, As_of)
    SELECT coalesce(Loaded_at, vintage.As_of), coalesce(File, ''), coalesce(SHA256, ''), vintage.As_of,
           coalesce(Rows, (SELECT count(*) FROM Estimates_of_first_version AS one WHERE one.As_of = vintage.As_of)),
           Publisher, Institutions, Source
    FROM vintage LEFT JOIN Loads_of_first_version AS load ON load.As_of = vintage.As_of
"""


def present_older_version(connection: Connection) -> None:
    """Let questions to a database of an older version see the tables of today, as temporary views; nothing is changed.

    Raises StageError (65) where the tables are not the suite's.
    """
    refuse_foreign(connection)
    estimates, loads = connection.qualified("GDP_Estimates"), connection.qualified("Loads")
    if "publisher" not in connection.columns("GDP_Estimates"):
        connection.execute(f"CREATE TEMP VIEW Estimates_of_first_version AS SELECT * FROM {estimates}")
        connection.execute(f"CREATE TEMP VIEW Loads_of_first_version AS SELECT * FROM {loads}")
        names = dict.fromkeys(ESTIMATE_FIELDS)
        renamed = f"WITH old ({', '.join(names)}) AS ({_INTERVALS_OF_FIRST_VERSION}) SELECT * FROM old"
        connection.execute(f"CREATE TEMP VIEW GDP_Estimates AS {renamed}")
        connection.execute(f"CREATE TEMP VIEW Loads_of_second_version AS {_named_loads()}")
        _present(connection, "Loads", "Loads_of_second_version", {name.lower() for name in _SECOND_LOADS})
        return
    for name, there in (("GDP_Estimates", estimates), ("Loads", loads)):
        columns = connection.columns(name)
        if {one.lower() for one in TABLES[name].fields} - columns:
            _present(connection, name, there, columns)


def _named_loads() -> str:
    return f"WITH old ({', '.join(_SECOND_LOADS)}) AS ({LOADS_OF_FIRST_VERSION}) SELECT * FROM old"


def _present(connection: Connection, name: str, there: str, columns: set[str]) -> None:
    """Create a temporary view that shows an older table with the columns of today."""
    missing, text = {"Flags": f"{FLAGS_OF_NOTE} AS Flags"}, "TEXT"
    shown = [
        field.name if field.name.lower() in columns
        else missing.get(field.name, f"CAST(NULL AS {_SQL_TYPES[field.python_type]}) AS {field.name}".format(text=text))
        for field in TABLES[name].fields.values()
    ]  # fmt: skip
    if name == "Loads":  # a view has no number of its own
        number = connection.dialect.order_of_loads
        own = "row_number() OVER (ORDER BY Loaded_at, As_of)" if there == "Loads_of_second_version" else number
        shown.append(f"{own} AS {number}")
    connection.execute(f"CREATE TEMP VIEW {name} AS SELECT {', '.join(shown)} FROM {there}")
