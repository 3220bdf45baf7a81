"""The tables and views of the database: created, recognised as the suite's, and migrated from every older version."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
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
from gdp.store.dialect import ESTIMATES_KEY, Dialect, Relation
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


def create_tables(connection: Connection) -> dict[str, Relation]:
    """Create what is missing and migrate what is of an older version, within the caller's transaction.

    Raises StageError (65), before anything is changed, where a table or view of our names is not the suite's.
    """
    there = relations(connection)
    refuse_foreign(connection, there)
    migrate(connection, there)
    for name in TABLES:
        # asked first: to a server, creating what exists is a lock against all writers, and a right not all roles have
        if name not in there:
            connection.execute(statement_of(name, connection.dialect))
            connection.mark("TABLE", name, "a table of the suite; its columns are described in docs/data.md")
    if INDEX not in there and connection.execute("SELECT 1 FROM GDP_Estimates LIMIT 1").fetchone():
        index_estimates(connection)
    names = ", ".join(ESTIMATE_FIELDS)
    query = HISTORY.format(columns=names, **connection.dialect._asdict())
    connection.put_view("GDP_History", query, there.get("GDP_History"))
    connection.mark_version(SCHEMA_VERSION, there.get("GDP_Estimates"))
    return there


def relations(connection: Connection) -> dict[str, Relation]:
    """Return what the database has under our names, by name."""
    names = (*TABLES, *VIEWS, INDEX)
    found = connection.relations(names)
    return {name: found[name.lower()] for name in names if name.lower() in found}


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


def are_as_created(connection: Connection) -> bool:
    """Return whether the tables of figures are as this version creates them, so that they keep what is written."""
    written = ("GDP_Estimates", "Loads", "Countries_by_GDP")
    return connection.are_as_created({name: statement_of(name, connection.dialect) for name in written})


def index_estimates(connection: Connection) -> None:
    """Create the index of what is current, if it is missing: of a new table after its rows, which is faster."""
    if not connection.columns(INDEX):  # to create it is a right not all roles have
        connection.execute(f"CREATE INDEX IF NOT EXISTS {INDEX} ON GDP_Estimates (Publisher, Institution, Until)")


# --- whose is it ------------------------------------------------------------------------------------------------------


def refuse_foreign(connection: Connection, there: Mapping[str, Relation]) -> None:
    """Raise StageError (65) where a table or view of one of our names is somebody else's."""
    for name, relation in there.items():
        if name == INDEX or _is_ours(name, relation):
            continue
        raise StageError(
            Exit.BAD_DATA,
            f"{connection.place} has a {relation.kind} {name} that is not the suite's ({_differs(name, relation)});"
            " nothing was changed: name another database with --database",
        )


def _is_ours(name: str, relation: Relation) -> bool:
    if name in VIEWS:
        return relation.kind == "view" and (relation.is_marked or _has_columns_of_view(name, relation.columns))
    if relation.kind != "table":
        return False
    ours, key = _lower(TABLES[name].fields), _lower(TABLES[name].key)
    columns = relation.columns - {"number"} if name == "Loads" else relation.columns
    # a marked table may lack columns of today, or have those of a later version
    if relation.is_marked and relation.key == key and (columns <= ours or ours <= columns):
        return True
    return any(columns == _lower(version) and relation.key == _lower(own) for version, own in _versions(name))


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _has_columns_of_view(name: str, columns: frozenset[str]) -> bool:
    """Return whether a view has the columns of one of our versions of it."""
    estimates = [_lower(version) for version, _ in _versions("GDP_Estimates")]
    if name == "GDP_History":
        return columns - {"first_day", "last_day"} in estimates and {"first_day", "last_day"} <= columns
    return any(columns <= one and {"country", "publisher", "institution", "as_of"} <= columns for one in estimates)


def _versions(name: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the columns and the key of each version of a table, oldest first."""
    table = TABLES[name]
    versions = (*table.older, tuple(table.fields))
    keys = (*table.older_keys, *[table.key] * (len(versions) - len(table.older_keys)))
    return list(zip(versions, keys, strict=True))


def _differs(name: str, relation: Relation) -> str:
    if name in VIEWS or relation.kind != "table":
        return "it has no mark of the suite"
    ours = _lower(TABLES[name].fields)
    if unknown := sorted(relation.columns - ours):
        return f"its column {unknown[0]} is not ours"
    if missing := sorted(ours - relation.columns):
        return f"it has no column {missing[0]}"
    return "its key is another"


# --- older versions ---------------------------------------------------------------------------------------------------


def migrate(connection: Connection, there: Mapping[str, Relation]) -> None:
    """Bring tables of an older version to the columns of today; every row stays."""
    if "GDP_Estimates" in there and "publisher" not in there["GDP_Estimates"].columns:
        _migrate_first_version(connection)
        there = relations(connection)
    for name in ("GDP_Estimates", "Loads"):
        if name in there:
            _add_columns(connection, name, there[name].columns)
    if "Countries_by_GDP" in there:
        columns = there["Countries_by_GDP"].columns
        if "as_of" not in columns:
            columns = _migrate_countries(connection)
        _add_columns(connection, "Countries_by_GDP", columns)


def _add_columns(connection: Connection, name: str, there: Container[str]) -> None:
    """Add the columns that a table of an older version lacks; flags come from the notes, which are parsed here only."""
    missing = [field for field in TABLES[name].fields.values() if field.name.lower() not in there]
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


def _migrate_countries(connection: Connection) -> frozenset[str]:
    """Bring Countries_by_GDP of the first version, without a key and without As_of, to the second, empty.

    Returns the columns that it then has. Where a key can be added, the table stays the same object, so that grants and
    others' views on it stay whole. SQLite has no grants, and its views find a table by name.
    """
    if not connection.dialect.can_add_key:
        connection.execute("DROP TABLE Countries_by_GDP")
        connection.execute(statement_of("Countries_by_GDP", connection.dialect))
        return _lower(HEADLINE_FIELDS)
    connection.execute("DELETE FROM Countries_by_GDP")
    text = connection.dialect.text
    connection.execute(
        f"ALTER TABLE Countries_by_GDP ADD COLUMN As_of {text} NOT NULL, ADD COLUMN Source {text} NOT NULL,"
        f" ADD COLUMN Note {text}, ADD PRIMARY KEY (Country), ALTER COLUMN Year SET NOT NULL,"
        " ALTER COLUMN GDP_USD_billion SET NOT NULL"
    )
    return _lower((*_FIRST_COUNTRIES, "As_of", "Source", "Note"))


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


def present_older_version(connection: Connection, there: Mapping[str, Relation]) -> None:
    """Let questions to a database of an older version see the tables of today, as temporary views; nothing is changed.

    Raises StageError (65) where the tables are not the suite's.
    """
    refuse_foreign(connection, there)
    older = [name for name in ("GDP_Estimates", "Loads") if _lower(TABLES[name].fields) - there[name].columns]
    if not older:
        return
    if "publisher" in there["GDP_Estimates"].columns:
        for name in older:
            _present(connection, name, connection.qualified(name), there[name].columns)
        return
    for name, other in (("GDP_Estimates", "Estimates_of_first_version"), ("Loads", "Loads_of_first_version")):
        connection.execute(f"CREATE TEMP VIEW {other} AS SELECT * FROM {connection.qualified(name)}")
    renamed = f"WITH old ({', '.join(ESTIMATE_FIELDS)}) AS ({_INTERVALS_OF_FIRST_VERSION}) SELECT * FROM old"
    connection.execute(f"CREATE TEMP VIEW GDP_Estimates AS {renamed}")
    connection.execute(f"CREATE TEMP VIEW Loads_of_second_version AS {_named_loads()}")
    _present(connection, "Loads", "Loads_of_second_version", _lower(_SECOND_LOADS))


def _named_loads() -> str:
    return f"WITH old ({', '.join(_SECOND_LOADS)}) AS ({LOADS_OF_FIRST_VERSION}) SELECT * FROM old"


def _present(connection: Connection, name: str, there: str, columns: Container[str]) -> None:
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
