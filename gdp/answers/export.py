"""Countries_by_GDP for other people's tools: CSV, Parquet, and a Frictionless data package that describes them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

from gdp.running.journal import Journal
from gdp.store.database import Connection, rows_of
from gdp.store.headlines import HEADLINES, IN_ORDER, of_vintage
from gdp.store.vintages import Vintage
from utils import Exit, StageError, write_whole, writing

NAME = "Countries_by_GDP"
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet begins to reckon
# Name, Frictionless type and what it is, with its unit; docs/datasette.yml says the same, and a test holds it to this.
FIELDS = (
    ("Country", "string", "the country's name, as the reference table has it"),
    ("ISO3", "string", "ISO 3166-1 alpha-3 code; XKX for Kosovo; empty where the country is not known"),
    ("Region", "string", "UN M49's region, the Americas split in two; empty where the country is not known"),
    ("Year", "integer", "the year that the estimate is for"),
    ("GDP_USD_billion", "number", "nominal GDP, billions of US dollars, two decimals, halves up"),
    ("As_of", "string", "when the source said so, a day or a moment in UTC"),
    ("Source", "string", "where it is to be found, the page's revision or the API's address"),
    ("Note", "string", "why the figure deserves doubt; empty where nothing is against it"),
)

Row = dict[str, Any]


def export(connection: Connection, vintage: Vintage, folder: Path, journal: Journal) -> None:
    """Write Countries_by_GDP, as of a vintage, into a folder; raises StageError: 2 without pyarrow, 74."""
    names = ", ".join(name for name, _, _ in FIELDS)
    question = f"WITH Headlines AS ({HEADLINES}) SELECT {names} FROM Headlines {IN_ORDER}"
    rows = rows_of(connection, question, **of_vintage(vintage))
    contents = {f"{NAME}.csv": as_csv(rows), f"{NAME}.parquet": as_parquet(rows)}
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_whole(folder / name, content)
    write_whole(folder / "datapackage.json", as_package(contents, vintage))
    journal.say(f"{len(rows)} countries written to {folder}: {', '.join(contents)}, described in datapackage.json")


def as_csv(rows: list[Row]) -> bytes:
    """Return rows as CSV with a heading, figures with two decimals."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([name for name, _, _ in FIELDS])
    for row in rows:
        lines.writerow([f"{row[name]:.2f}" if kind == "number" else _as_text(row[name]) for name, kind, _ in FIELDS])
    return text.getvalue().encode()


def _as_text(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: a name may come from a page that anybody edits."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else value


def as_parquet(rows: list[Row]) -> bytes:
    """Return rows as Parquet, each column with its description; raises StageError (2) where pyarrow is missing."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        remedy = "pip install -r requirements/export.txt"
        raise StageError(Exit.USAGE, f"pyarrow is not installed, which Parquet needs; {remedy}") from None
    types = {"string": pa.string(), "integer": pa.int32(), "number": pa.float64()}
    schema = pa.schema([pa.field(name, types[kind], metadata={"description": what}) for name, kind, what in FIELDS])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), buffer)
    return buffer.getvalue()


def as_package(contents: dict[str, bytes], vintage: Vintage) -> bytes:
    """Return datapackage.json: where the figures are from, and each file with its size, hash and fields."""
    fields: list[Row] = [{"name": name, "type": kind, "description": what} for name, kind, what in FIELDS]
    fields[0]["constraints"] = {"required": True, "unique": True}
    schema: Row = {"fields": fields, "primaryKey": ["Country"], "missingValues": [""]}
    described: list[Row] = [
        {"type": "table", "format": "csv", "mediatype": "text/csv", "encoding": "utf-8", "schema": schema},
        {"type": "file", "format": "parquet", "mediatype": "application/vnd.apache.parquet"},
    ]
    resources = [
        {
            "name": name.lower().replace(".", "-").replace("_", "-"),
            "path": name,
            "bytes": len(content),
            "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
            **description,
        }
        for (name, content), description in zip(contents.items(), described, strict=True)
    ]
    package = {
        "name": "countries-by-gdp",
        "title": f"Countries by nominal GDP, as of {vintage.as_of[:10]}",
        "description": "The IMF's estimates by country, in billions of US dollars. In CSV an apostrophe stands before a"
        " text that begins with = + - @, so that no spreadsheet takes it for a formula.",
        "created": vintage.as_of if "T" in vintage.as_of else f"{vintage.as_of}T00:00:00Z",
        "sources": [{"title": vintage.publisher, "path": vintage.source}],
        "resources": resources,
    }
    return json.dumps(package, ensure_ascii=False, indent=2).encode() + b"\n"
