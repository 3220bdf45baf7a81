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
from typing import Any, NamedTuple

from gdp.model import (
    CONFIRMATION_FIELDS,
    CURRENT,
    ESTIMATE_FIELDS,
    HEADLINE_FIELDS,
    LOAD_FIELDS,
    PUBLISHERS,
    Field,
)
from gdp.report import sdmx_csv, triangle
from gdp.report.tables import safe_cell
from gdp.runtime.run_log import run_log
from gdp.store.database import Connection
from gdp.store.headlines import HEADLINES, IN_ORDER, of_vintage
from gdp.store.vintages import Vintage
from utils import make_folder, sync_folder, writing

BATCH_ROWS = 10_000
FRICTIONLESS_TYPES = {str: "string", int: "integer", float: "number"}
EXACT = ("GDP_USD_million",)  # written with all digits; other numbers have two decimals
STAGING_LASTS_S = 86_400  # an older staging folder is of an export that was killed

Rows = Iterator[Sequence[Any]]
Write = Callable[[Sequence[Sequence[Any]]], None]


class Table(NamedTuple):
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
        written: dict[Path, Table] = {}
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


def countries_table(vintage: Vintage, day: str | None = None) -> Table:
    """Return Countries_by_GDP as of a vintage; with a day in its name if it is of that day."""
    names = [*HEADLINE_FIELDS, "Institution", "Publisher"]
    return Table(
        "Countries_by_GDP" + (f"_{day}" if day else ""),
        f"The IMF's figures as of {vintage.as_of[:10]}, a row a country, highest first",
        {name: ESTIMATE_FIELDS[name] for name in names},
        ["Country"],
        f"WITH Headlines AS ({HEADLINES}) SELECT {', '.join(names)} FROM Headlines {IN_ORDER}",
        of_vintage(vintage),
    )


def tables_of_history(connection: Connection) -> list[Table]:
    """Return the tables with everything that was ever loaded."""
    days = triangle.vintage_days(connection)
    published = triangle.published_question(connection)
    estimates_key = ["As_of", "Institution", "Country", "Year", "Publisher"]
    return [
        stored_table(
            connection, "GDP_Estimates", "Every figure ever loaded, a row for as long as it was current",
            ESTIMATE_FIELDS, estimates_key,
        ),
        stored_table(
            connection, "Loads", "Every vintage that was loaded", LOAD_FIELDS, ["Loaded_at", "Publisher", "As_of"],
        ),
        stored_table(
            connection, "Confirmations", "Findings that a person checked", CONFIRMATION_FIELDS,
            ["Publisher", "Institution", "ISO3", "Year", "As_of"],
        ),
        Table(
            "GDP_Revisions", "The unflagged figures for each reference year in the order of publication",
            triangle.REVISION_FIELDS, ["Publisher", "Institution", "Country", "Year", "Release_number"], published,
            convert=lambda rows: (list(row.values()) for row in triangle.revisions(triangle.as_rows(rows))),
        ),
        Table(
            "GDP_Triangle", "Figures by reference year (rows) and vintage (columns, named by their days)",
            triangle.triangle_fields(days), triangle.KEY, published,
            convert=lambda rows: triangle.triangle(triangle.as_rows(rows), days),
        ),
        Table(
            "GDP_SDMX", "The current figures as SDMX-CSV", sdmx_csv.SDMX_FIELDS,
            ["REF_AREA", "INSTITUTION", "PUBLISHER", "TIME_PERIOD"], sdmx_csv.QUESTION, {"current": CURRENT},
            sdmx_csv.observations, (".csv",),
        ),
    ]  # fmt: skip


def stored_table(
    connection: Connection, name: str, description: str, fields: Mapping[str, Field], key: Sequence[str]
) -> Table:
    """Return a table of the database in the order of its key; one that an older database lacks is empty."""
    has_table = bool(connection.columns(name))
    columns = [f"nullif(Until, '{CURRENT}') AS Until" if field == "Until" else field for field in fields]
    source = f"FROM {name} ORDER BY {', '.join(key)}" if has_table else "WHERE 1 = 0"
    if not has_table:
        columns = [f"NULL AS {field}" for field in fields]
    return Table(name, description, fields, key, f"SELECT {', '.join(columns)} {source}")


# --- files ------------------------------------------------------------------------------------------------------------


def write_table(connection: Connection, table: Table, paths: Sequence[Path]) -> None:
    """Write a table's rows as CSV and Parquet, as the paths' endings say; raises StageError (74)."""
    stream = connection.stream(table.question, table.values)
    fields = list(table.fields.values())
    with contextlib.closing(stream) as rows, contextlib.ExitStack() as stack:
        kinds = {".csv": csv_writer, ".parquet": parquet_writer}
        writers = [stack.enter_context(kinds[path.suffix](path, fields)) for path in paths]
        converted = table.convert(iter(rows))
        while batch := list(islice(converted, BATCH_ROWS)):
            for write in writers:
                write(batch)


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
def csv_writer(path: Path, fields: Sequence[Field]) -> Iterator[Write]:
    """Yield what writes rows to a CSV file, after its heading."""
    cells = [_cell_of(field) for field in fields]
    with writing(path), open(path, "x", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([field.name for field in fields])
        yield lambda rows: lines.writerows(
            [cell(value) for cell, value in zip(cells, row, strict=True)] for row in rows
        )
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def parquet_writer(path: Path, fields: Sequence[Field]) -> Iterator[Write]:
    """Yield what writes rows to a Parquet file, in which each column has its description."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), int: pa.int32(), float: pa.float64()}
    schema = pa.schema([
        pa.field(field.name, types[field.python_type], metadata={"description": field.description}) for field in fields
    ])  # fmt: skip

    def write(rows: Sequence[Sequence[Any]]) -> None:
        columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
        parquet.write_table(pa.Table.from_arrays(columns, schema=schema))

    with writing(path), open(path, "xb") as file:
        with pq.ParquetWriter(file, schema) as parquet:
            yield write
        file.flush()
        os.fsync(file.fileno())


def _cell_of(field: Field) -> Callable[[Any], Any]:
    if field.python_type is float:
        return _exact if field.name in EXACT else _two_decimals
    return safe_cell if field.python_type is str else lambda value: value


def _exact(value: float | None) -> str:
    return "" if value is None else repr(float(value)).removesuffix(".0")


def _two_decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


# --- the package ------------------------------------------------------------------------------------------------------


def as_package(connection: Connection, written: Mapping[Path, Table], vintage: Vintage) -> bytes:
    """Return datapackage.json: sources, licences, and each file with its fields.

    Its date is that of the last load, so that an export of the same database is the same to the byte.
    """
    (created,) = connection.execute("SELECT max(Loaded_at) FROM Loads").fetchone()
    package = {
        "name": "countries-by-gdp",
        "title": f"Countries by nominal GDP, as of {vintage.as_of[:10]}",
        "description": "Figures by country in billion USD. In CSV an apostrophe precedes a text that begins with"
        " = + - @, so that no spreadsheet takes it for a formula.",
        "created": created,
        **_terms(_publishers(connection, written.values(), vintage)),
        "resources": [_resource(path, table) for path, table in written.items()],
    }
    return json.dumps(package, ensure_ascii=False, indent=2).encode() + b"\n"


def _publishers(connection: Connection, tables: Iterable[Table], vintage: Vintage) -> set[str]:
    if all(table.name != "GDP_Estimates" for table in tables):
        return {vintage.publisher}
    return {publisher for (publisher,) in connection.execute("SELECT DISTINCT Publisher FROM GDP_Estimates")}


def _terms(publishers: set[str]) -> dict[str, Any]:
    known = [publisher for name, publisher in PUBLISHERS.items() if name in publishers]
    return {
        "sources": [{"title": one.title, "path": one.url} for one in known],
        "licenses": [{"name": one.licence, "title": one.licence_title, "path": one.licence_url} for one in known],
    }


def _resource(path: Path, table: Table) -> dict[str, Any]:
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


def _field(field: Field, table: Table) -> dict[str, Any]:
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
