"""The tables for other tools: CSV, Parquet, SDMX-CSV, and a Frictionless data package that describes them.

Rows are written while they are read from the database, so that a long history needs no more memory than a short one.
The files are written beside their places and put there together, the package last: a package always describes the files
beside it.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from gdp.model import (
    CONFIRMATION_FIELDS,
    CURRENT,
    ESTIMATE_FIELDS,
    HEADLINE_FIELDS,
    LOAD_FIELDS,
    PUBLISHERS,
    Field,
    is_flagged_by_check,
)
from gdp.report import revisions
from gdp.report.attribution import is_projection
from gdp.report.tables import safe_cell
from gdp.runtime.run_log import run_log
from gdp.store.database import Connection
from gdp.store.headlines import HEADLINES, IN_ORDER, of_vintage
from gdp.store.vintages import Vintage
from utils import make_folder, sync_folder, writing

BATCH_ROWS = 10_000
FRICTIONLESS_TYPES = {str: "string", int: "integer", float: "number"}
STAGING_LASTS_S = 86_400  # an older staging folder is of an export that was killed

DATAFLOW = "COUNTRIES_BY_GDP:GDP(1.0)"
BILLIONS, DECIMALS = 9, 2  # the exponent of ten
FORECAST, LOW_RELIABILITY, NORMAL = "F", "U", "A"  # of CL_OBS_STATUS, one a figure, by its precedence: F, U, A
SDMX_FIELDS = {
    name: Field(name, python_type, False, description, unit)
    for name, python_type, description, unit in (
        ("DATAFLOW", str, "The data set: agency, name and version", None),
        ("FREQ", str, "Frequency: A, annual", None),
        ("REF_AREA", str, "ISO 3166-1 alpha-3 code; XKX for Kosovo", None),
        ("INDICATOR", str, "NGDPD: GDP at current prices, in US dollars", None),
        ("INSTITUTION", str, "Whose figure it is", None),
        ("PUBLISHER", str, "Who published it", None),
        ("TIME_PERIOD", int, "The reference year", None),
        ("OBS_VALUE", float, "The figure", "billion USD"),
        (
            "OBS_STATUS",
            str,
            "F forecast, U low reliability (flagged by a check), A normal: the first that is true",
            None,
        ),
        ("UNIT_MEASURE", str, "USD", None),
        ("UNIT_MULT", int, "The exponent of ten of the unit: 9, billions", None),
        ("DECIMALS", int, "Digits after the decimal point: 2", None),
        ("LAST_UPDATE", str, "When the source first published this figure: a day, or a moment in UTC", None),
    )
}
SDMX_QUESTION = """
    SELECT ISO3, Institution, Publisher, Year, GDP_USD_billion, As_of, Status, Flags FROM GDP_Estimates
    WHERE Until = :current AND ISO3 IS NOT NULL ORDER BY ISO3, Institution, Publisher, Year
"""

STORED: tuple[tuple[str, str, Mapping[str, Field], Sequence[str]], ...] = (
    ("GDP_Estimates", "Every figure ever loaded, a row for as long as it was current", ESTIMATE_FIELDS,
     ("As_of", "Institution", "Country", "Year", "Publisher")),
    ("Loads", "Every vintage that was loaded", LOAD_FIELDS, ("Loaded_at", "Publisher", "As_of")),
    ("Confirmations", "Findings that a person checked", CONFIRMATION_FIELDS,
     ("Publisher", "Institution", "ISO3", "Year", "As_of")),
)  # fmt: skip
Rows = Iterator[Sequence[Any]]
Columns = Sequence[Sequence[Any]]
Write = Callable[[Columns], None]


class Resource(NamedTuple):
    """A file of each kind: its name, description, columns and key, the SELECT of its rows, and their conversion."""

    name: str
    description: str
    fields: Mapping[str, Field]
    key: Sequence[str]
    question: str
    values: Mapping[str, str] = {}
    convert: Callable[[Rows], Rows] = lambda rows: rows
    endings: Sequence[str] = (".csv", ".parquet")


def export(connection: Connection, vintage: Vintage, folder: Path, day: str | None = None) -> None:
    """Write the tables into a folder, or one as of a day under a name of its own; raises StageError (74)."""
    make_folder(folder)
    tables = [countries_table(vintage, day), *([] if day else tables_of_history(connection))]
    has_parquet = find_spec("pyarrow") is not None
    with staging_folder(folder) as staging:
        written: dict[Path, Resource] = {}
        for table in tables:
            endings = [ending for ending in table.endings if ending == ".csv" or has_parquet]
            paths = [staging / f"{table.name}{ending}" for ending in endings]
            write_table(connection, table, paths)
            written |= dict.fromkeys(paths, table)
        package = staging / (f"datapackage_{day}.json" if day else "datapackage.json")
        package.write_bytes(as_package(connection, written, vintage))
        put_in_place([*written, package], folder)
    names = {path.name for path in written}
    for name in sorted({f"{table.name}.parquet" for table in tables if ".parquet" in table.endings} - names):
        if (folder / name).exists():
            remedy = "pip install -r requirements/export.txt, or remove it"
            run_log.warn(f"{folder / name} is from an earlier export: {remedy}")
    run_log.info(f"{', '.join(path.name for path in written)} written to {folder}, described in {package.name}")


# --- tables -----------------------------------------------------------------------------------------------------------


def countries_table(vintage: Vintage, day: str | None = None) -> Resource:
    """Return Countries_by_GDP as of a vintage; with a day in its name if it is of that day."""
    names = [*HEADLINE_FIELDS, "Institution", "Publisher"]
    return Resource(
        "Countries_by_GDP" + (f"_{day}" if day else ""),
        f"The IMF's figures as of {vintage.as_of[:10]}, a row a country, highest first",
        {name: ESTIMATE_FIELDS[name] for name in names},
        ["Country"],
        f"WITH Headlines AS ({HEADLINES}) SELECT {', '.join(names)} FROM Headlines {IN_ORDER}",
        of_vintage(vintage),
    )


def tables_of_history(connection: Connection) -> list[Resource]:
    """Return the tables with everything that was ever loaded."""
    days = revisions.vintage_days(connection)
    published = revisions.PUBLISHED.format(where="")
    return [
        *(stored_table(connection, *about) for about in STORED),
        Resource(
            "GDP_Revisions", "The unflagged figures for each reference year in the order of publication",
            revisions.REVISION_FIELDS, ["Publisher", "Institution", "Country", "Year", "Release_number"], published,
            convert=lambda rows: revisions.revision_rows(revisions.as_rows(rows)),
        ),
        Resource(
            "GDP_Triangle", "Figures by reference year (rows) and vintage (columns, named by their days)",
            revisions.triangle_fields(days), revisions.KEY, published,
            convert=lambda rows: revisions.triangle_rows(revisions.as_rows(rows), days),
        ),
        Resource(
            "GDP_SDMX", "The current figures as SDMX-CSV", SDMX_FIELDS,
            ["REF_AREA", "INSTITUTION", "PUBLISHER", "TIME_PERIOD"], SDMX_QUESTION, {"current": CURRENT},
            sdmx_rows, (".csv",),
        ),
    ]  # fmt: skip


def stored_table(
    connection: Connection, name: str, description: str, fields: Mapping[str, Field], key: Sequence[str]
) -> Resource:
    """Return a table of the database in the order of its key; one that an older database lacks is empty."""
    columns, source = [f"NULL AS {field}" for field in fields], "WHERE 1 = 0"
    if connection.columns(name):
        columns = [f"nullif(Until, '{CURRENT}') AS Until" if field == "Until" else field for field in fields]
        source = f"FROM {name} ORDER BY {', '.join(key)}"
    return Resource(name, description, fields, key, f"SELECT {', '.join(columns)} {source}")


def sdmx_rows(rows: Iterable[Sequence[Any]]) -> Iterator[list[Any]]:
    """Yield the rows of SDMX-CSV from rows of SDMX_QUESTION."""
    for iso3, institution, publisher, year, billion, as_of, status, flags in rows:
        reliability = LOW_RELIABILITY if is_flagged_by_check(flags) else NORMAL
        observation = FORECAST if is_projection(status, institution, iso3, year, as_of) else reliability
        about = DATAFLOW, "A", iso3, "NGDPD", institution, publisher, year
        yield [*about, billion, observation, "USD", BILLIONS, DECIMALS, as_of]


# --- files ------------------------------------------------------------------------------------------------------------


def write_table(connection: Connection, table: Resource, paths: Sequence[Path]) -> None:
    """Write a table's rows as CSV and Parquet, as the paths' endings say; raises StageError (74)."""
    stream = connection.stream(table.question, table.values)
    fields = list(table.fields.values())
    with contextlib.closing(stream) as rows, contextlib.ExitStack() as stack:
        kinds = {".csv": csv_writer, ".parquet": parquet_writer}
        writers = [stack.enter_context(kinds[path.suffix](path, fields)) for path in paths]
        converted = table.convert(iter(rows))
        while columns := list(zip(*islice(converted, BATCH_ROWS), strict=True)):
            for write in writers:
                write(columns)


@contextlib.contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """Yield a new hidden folder in a folder, which is removed in the end, as are those that killed exports left."""
    for old in folder.glob(".export.*.tmp"):
        if time.time() - old.stat().st_mtime > STAGING_LASTS_S:
            shutil.rmtree(old, ignore_errors=True)
    staging = folder / f".export.{os.getpid()}-{time.time_ns()}.tmp"
    with writing(staging):
        staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def put_in_place(paths: Sequence[Path], folder: Path) -> None:
    """Move files into a folder, the last one last, which describes them: killed in between, it is not there."""
    package = folder / paths[-1].name
    with writing(package):
        package.unlink(missing_ok=True)
        sync_folder(folder)
        for path in paths:
            path.replace(folder / path.name)
        sync_folder(folder)


@contextlib.contextmanager
def new_file(path: Path, **options: Any) -> Iterator[IO[Any]]:
    """Yield a new file, which is on the disk in the end; raises StageError (74)."""
    with writing(path), open(path, **options) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def csv_writer(path: Path, fields: Sequence[Field]) -> Iterator[Write]:
    """Yield what writes columns to a CSV file, after its heading."""
    cells = [_cell_of(field) for field in fields]
    with new_file(path, mode="x", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([field.name for field in fields])
        yield lambda columns: lines.writerows(
            zip(*(map(cell, column) for cell, column in zip(cells, columns, strict=True)), strict=True)
        )


@contextlib.contextmanager
def parquet_writer(path: Path, fields: Sequence[Field]) -> Iterator[Write]:
    """Yield what writes columns to a Parquet file, in which each column has its description."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), int: pa.int32(), float: pa.float64()}
    schema = pa.schema([
        pa.field(field.name, types[field.python_type], metadata={"description": field.description}) for field in fields
    ])  # fmt: skip

    def write(columns: Columns) -> None:
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        parquet.write_table(pa.Table.from_arrays(arrays, schema=schema))

    with new_file(path, mode="xb") as file, pq.ParquetWriter(file, schema) as parquet:
        yield write


def _cell_of(field: Field) -> Callable[[Any], Any]:
    if field.python_type is not float:
        return safe_cell
    return _exact if field.name == "GDP_USD_million" else _two_decimals


def _exact(value: float | None) -> str:
    return "" if value is None else repr(float(value)).removesuffix(".0")


def _two_decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


# --- the package ------------------------------------------------------------------------------------------------------


def as_package(connection: Connection, written: Mapping[Path, Resource], vintage: Vintage) -> bytes:
    """Return datapackage.json: sources, licences, and each file with its fields.

    Its date is that of the last load, so that an export of the same database is the same to the byte.
    """
    (created,) = connection.execute("SELECT max(Loaded_at) FROM Loads").fetchone()
    names = {vintage.publisher}
    if any(table.name == "GDP_Estimates" for table in written.values()):
        names = {name for (name,) in connection.execute("SELECT DISTINCT Publisher FROM GDP_Estimates")}
    publishers = [publisher for name, publisher in PUBLISHERS.items() if name in names]
    package = {
        "name": "countries-by-gdp",
        "title": f"Countries by nominal GDP, as of {vintage.as_of[:10]}",
        "description": "Figures by country in billion USD. In CSV an apostrophe precedes a text that begins with"
        " = + - @, so that no spreadsheet takes it for a formula.",
        "created": created,
        "sources": [{"title": one.title, "path": one.url} for one in publishers],
        "licenses": [{"name": one.licence, "title": one.licence_title, "path": one.licence_url} for one in publishers],
        "resources": [_resource(path, table) for path, table in written.items()],
    }
    return json.dumps(package, ensure_ascii=False, indent=2).encode() + b"\n"


def _resource(path: Path, table: Resource) -> dict[str, Any]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    described = {
        "name": path.name.lower().replace(".", "-").replace("_", "-"), "path": path.name,
        "description": table.description, "bytes": path.stat().st_size, "hash": f"sha256:{sha256}",
    }  # fmt: skip
    if path.suffix == ".parquet":
        return {**described, "type": "file", "format": "parquet", "mediatype": "application/vnd.apache.parquet"}
    schema = {
        "fields": [_field(field, table) for field in table.fields.values()],
        "primaryKey": list(table.key),
        "missingValues": [""],
    }
    return {
        **described, "type": "table", "format": "csv", "mediatype": "text/csv", "encoding": "utf-8", "schema": schema,
    }  # fmt: skip


def _field(field: Field, table: Resource) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": field.name,
        "type": FRICTIONLESS_TYPES[field.python_type],
        "description": field.description,
    }
    if field.unit:
        described["unit"] = field.unit
    if field.name in table.key or (field.python_type is float and not field.is_nullable):
        described["constraints"] = {"required": True}
    return described
