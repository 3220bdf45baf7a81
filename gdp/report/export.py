"""The tables for other people's tools: CSV, Parquet, and a Frictionless data package that describes them.

Rows go from the database into the files as they come, so that a long history takes no more memory than a short one.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from gdp.records import IMF_ITSELF, PAGE, WORLD_BANK_ITSELF
from gdp.runtime.run_log import run_log
from gdp.store.database import Connection
from gdp.store.headlines import HEADLINES, IN_ORDER, of_vintage
from gdp.store.schema import STANDS
from gdp.store.vintages import Vintage
from utils import whole_file, write_whole

BATCH_ROWS = 10_000
UNIT = "billion USD"
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet begins to reckon


class Field(NamedTuple):
    """A column: its name, its Frictionless type, and what it is; docs/datasette.yml says the same, and a test too."""

    name: str
    kind: str
    what: str


FIELDS = {
    name: Field(name, kind, what)
    for name, kind, what in (
        ("Country", "string", "The country's name, as the reference table has it"),
        ("ISO3", "string", "ISO 3166-1 alpha-3 code; XKX for Kosovo; empty where the country is not known"),
        ("Region", "string", "UN M49's region, the Americas split in two; empty where the country is not known"),
        ("Subregion", "string", "UN M49's subregion"),
        ("Year", "integer", "The year that the estimate is for"),
        ("GDP_USD_billion", "number", "Nominal GDP, billions of US dollars, two decimals, halves up"),
        ("As_of", "string", "When the source said so, a day or a moment in UTC"),
        ("Until", "string", "The first As_of at which it was said no more; empty while it stands"),
        ("Status", "string", "estimate or projection, as the source says; empty where it does not"),
        ("Institution", "string", "Whose estimate it is"),
        ("Publisher", "string", "Who said so: wikipedia, imf or world_bank"),
        ("Source", "string", "Where it is to be found, the page's revision or the API's address"),
        ("Note", "string", "Why the figure deserves doubt; empty where nothing is against it"),
    )
}
TERMS: dict[str, tuple[dict[str, str], dict[str, str]]] = {  # by publisher: a package's source, and its licence
    PAGE: (
        {"title": "Wikipedia", "path": "https://en.wikipedia.org/wiki/List_of_countries_by_GDP_(nominal)"},
        {"name": "CC-BY-SA-4.0", "title": "Creative Commons Attribution-ShareAlike 4.0",
         "path": "https://creativecommons.org/licenses/by-sa/4.0/"},
    ),
    IMF_ITSELF: (
        {"title": "International Monetary Fund, World Economic Outlook", "path": "https://www.imf.org/en/Publications/WEO"},
        {"name": "other-open", "title": "IMF, Copyright and Usage", "path": "https://www.imf.org/external/terms.htm"},
    ),
    WORLD_BANK_ITSELF: (
        {"title": "World Bank, World Development Indicators", "path": "https://data.worldbank.org/indicator/NY.GDP.MKTP.CD"},
        {"name": "CC-BY-4.0", "title": "Creative Commons Attribution 4.0",
         "path": "https://creativecommons.org/licenses/by/4.0/"},
    ),
}  # fmt: skip


class Table(NamedTuple):
    """What becomes one file of each kind: its name, what it is, its columns and key, and the question for its rows."""

    name: str
    what: str
    fields: list[Field]
    key: list[str]
    question: str
    values: dict[str, str]


def export(connection: Connection, vintage: Vintage, folder: Path, day: str | None = None) -> None:
    """Write the tables into a folder, or one as of a day under a name of its own; raises StageError (74)."""
    tables = [table_of_countries(vintage, day)]
    if not day:
        tables.append(table_of_estimates(connection))
    kinds = [".csv", *[".parquet"] * (find_spec("pyarrow") is not None)]
    written: dict[Path, Table] = {}
    for table in tables:
        for kind in kinds:
            path = folder / f"{table.name}{kind}"
            write = write_csv if kind == ".csv" else write_parquet
            with whole_file(path) as file, contextlib.closing(connection.stream(table.question, table.values)) as rows:
                write(file, table.fields, iter(rows))
            written[path] = table
        stale = folder / f"{table.name}.parquet"
        if stale not in written and stale.exists():
            run_log.warn(f"{stale} is of an earlier export: pip install -r requirements/export.txt, or remove it")
    package = folder / (f"datapackage_{day}.json" if day else "datapackage.json")
    write_whole(package, as_package(connection, written, vintage))
    run_log.info(f"{', '.join(path.name for path in written)} written to {folder}, described in {package.name}")


def table_of_countries(vintage: Vintage, day: str | None = None) -> Table:
    """Return Countries_by_GDP as of a vintage; asked for a day, its name says so."""
    names = [name for name in FIELDS if name not in ("Subregion", "Until", "Status")]
    return Table(
        "Countries_by_GDP" + (f"_{day}" if day else ""),
        f"The IMF's estimates as of {vintage.as_of[:10]}, a row a country, highest first",
        [FIELDS[name] for name in names],
        ["Country"],
        f"WITH Headlines AS ({HEADLINES}) SELECT {', '.join(names)} FROM Headlines {IN_ORDER}",
        of_vintage(vintage),
    )


def table_of_estimates(connection: Connection) -> Table:
    """Return every estimate that was ever loaded."""
    there = connection.columns("GDP_Estimates")
    names = list(FIELDS)
    asked = {name: name if name.lower() in there else f"NULL AS {name}" for name in names}  # Status is younger
    asked["Until"] = f"nullif(Until, '{STANDS}') AS Until"
    key = ["As_of", "Institution", "Country", "Year", "Publisher"]
    question = f"SELECT {', '.join(asked.values())} FROM GDP_Estimates ORDER BY {', '.join(key)}"
    what = "Every estimate that was ever loaded, a row for as long as it stood"
    return Table("GDP_Estimates", what, [FIELDS[name] for name in names], key, question, {})


def write_csv(file: IO[bytes], fields: Sequence[Field], rows: Iterator[Sequence[Any]]) -> None:
    """Write rows as CSV with a heading, figures with two decimals."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([field.name for field in fields])
    for row in rows:
        lines.writerow([_cell(value, field.kind) for value, field in zip(row, fields, strict=True)])
    text.detach()


def _cell(value: Any, kind: str) -> Any:
    """Return a cell that no spreadsheet takes for a formula: a name may come from a page that anybody edits."""
    if kind == "number":
        return f"{value:.2f}"
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else value


def write_parquet(file: IO[bytes], fields: Sequence[Field], rows: Iterator[Sequence[Any]]) -> None:
    """Write rows as Parquet, each column with its description."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"string": pa.string(), "integer": pa.int32(), "number": pa.float64()}
    schema = pa.schema([pa.field(f.name, types[f.kind], metadata={"description": f.what}) for f in fields])
    with pq.ParquetWriter(file, schema) as written:
        while some := list(islice(rows, BATCH_ROWS)):
            columns = [pa.array(c, f.type) for c, f in zip(zip(*some, strict=True), schema, strict=True)]
            written.write_table(pa.Table.from_arrays(columns, schema=schema))


def as_package(connection: Connection, written: dict[Path, Table], vintage: Vintage) -> bytes:
    """Return datapackage.json: where the figures are from and under which terms, and each file with its fields."""
    publishers = {vintage.publisher}
    if any(table.name == "GDP_Estimates" for table in written.values()):
        publishers |= {publisher for (publisher,) in connection.execute("SELECT DISTINCT Publisher FROM GDP_Estimates")}
    terms = [TERMS[publisher] for publisher in TERMS if publisher in publishers]
    package = {
        "name": "countries-by-gdp",
        "title": f"Countries by nominal GDP, as of {vintage.as_of[:10]}",
        "description": f"Estimates by country in {UNIT}. In CSV an apostrophe stands before a text that begins with"
        " = + - @, so that no spreadsheet takes it for a formula.",
        "created": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        "sources": [source for source, _ in terms],
        "licenses": [licence for _, licence in terms],
        "resources": [_resource(path, table) for path, table in written.items()],
    }
    return json.dumps(package, ensure_ascii=False, indent=2).encode() + b"\n"


def _resource(path: Path, table: Table) -> dict[str, Any]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    described = {
        "name": path.name.lower().replace(".", "-").replace("_", "-"), "path": path.name, "description": table.what,
        "bytes": path.stat().st_size, "hash": f"sha256:{sha256}",
    }  # fmt: skip
    if path.suffix == ".parquet":
        return {**described, "type": "file", "format": "parquet", "mediatype": "application/vnd.apache.parquet"}
    schema = {
        "fields": [_field(field, table) for field in table.fields],
        "primaryKey": table.key,
        "missingValues": [""],
    }
    return {
        **described, "type": "table", "format": "csv", "mediatype": "text/csv", "encoding": "utf-8", "schema": schema,
    }  # fmt: skip


def _field(field: Field, table: Table) -> dict[str, Any]:
    described: dict[str, Any] = {"name": field.name, "type": field.kind, "description": field.what}
    if field.kind == "number":
        described["unit"] = UNIT
    if field.name in table.key or field.kind == "number":
        described["constraints"] = {"required": True}
    return described
