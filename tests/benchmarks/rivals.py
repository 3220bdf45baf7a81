"""How others do the same work, each with care: transform by pandas, Polars or DuckDB, extract and load by the book.

    python tests/benchmarks/rivals.py transform polars RAW.jsonl CLEAN.jsonl

They know the made-up data's own oddities only (footnote marks, aliases, World, cells without a figure, bad figures).
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

MARKS = r"\[[^\[\]]*\]|[†‡*]"
FIGURE = r"^\d{1,3}(,\d{3})*$"


def known_names(names: list[str]) -> dict[str, tuple[str, str | None, str | None, str | None]]:
    """Return name, code, region and subregion by the names that a file has, World left out."""
    from gdp.transform.countries import reference

    found: dict[str, tuple[str, str | None, str | None, str | None]] = {}
    for name in names:
        country = reference().find(name)
        if country:
            found[name] = country.name, country.iso3, country.region, country.subregion
        elif not reference().is_aggregate(name):
            found[name] = name, None, None, None
    return found


# --- transform --------------------------------------------------------------------------------------------------------


def transform_pandas(source: Path, target: Path) -> None:
    """Read the whole file, and go over whole columns, as such scripts do."""
    import pandas as pd

    table = pd.read_json(source, lines=True, dtype=False)
    name = table["Country"].str.replace(MARKS, "", regex=True).str.strip()
    good = table["GDP"].str.fullmatch(FIGURE) & (table["GDP"] != "0")
    table, name = table[good], name[good]
    known = known_names(list(name.unique()))
    country = pd.DataFrame.from_dict(known, orient="index", columns=["Country", "ISO3", "Region", "Subregion"])
    clean = country.reindex(name).reset_index(drop=True)
    table = table.reset_index(drop=True)
    millions = table["GDP"].str.replace(",", "").astype("int64")
    clean["Institution"] = table["Institution"]
    clean["Year"] = table["Column"].str.extract(r"\((\d{4})\)", expand=False).astype("int64")
    clean["GDP_USD_billion"] = ((millions + 5) // 10) / 100
    clean["As_of"], clean["Source"], clean["Note"] = table["As_of"], table["Source"], None
    clean["GDP_USD_million"] = millions
    clean[clean["Country"].notna()].to_json(target, orient="records", lines=True, force_ascii=False)


def transform_polars(source: Path, target: Path) -> None:
    """Scan, and write as a stream."""
    import polars as pl

    text = dict.fromkeys(("Country", "GDP", "Year", "Column", "Unit", "Institution", "Source", "As_of"), pl.String)
    raw = pl.scan_ndjson(source, schema=text)
    bare = pl.col("Country").str.replace_all(MARKS, "").str.strip_chars()
    names = raw.select(bare.unique()).collect(engine="streaming")["Country"].to_list()
    known = known_names(names)
    lookup = pl.DataFrame(
        [(name, *codes) for name, codes in known.items()],
        schema=["bare", "Name", "ISO3", "Region", "Subregion"], orient="row",
        schema_overrides=dict.fromkeys(("bare", "Name", "ISO3", "Region", "Subregion"), pl.String),
    ).lazy()  # fmt: skip
    millions = pl.col("GDP").str.replace_all(",", "", literal=True).cast(pl.Int64)
    (
        raw.filter(pl.col("GDP").str.contains(FIGURE) & (pl.col("GDP") != "0"))
        .with_columns(bare=bare)
        .join(lookup, on="bare", how="inner", maintain_order="left")
        .select(
            pl.col("Name").alias("Country"), "ISO3", "Region", "Subregion", "Institution",
            pl.col("Column").str.extract(r"\((\d{4})\)").cast(pl.Int64).alias("Year"),
            (((millions + 5) // 10).cast(pl.Float64) / 100).round(2).alias("GDP_USD_billion"),
            "As_of", "Source", pl.lit(None, dtype=pl.String).alias("Note"), millions.alias("GDP_USD_million"),
        )
        .sink_ndjson(target)
    )  # fmt: skip


def transform_duckdb(source: Path, target: Path) -> None:
    """One COPY, the names joined."""
    import duckdb

    columns = ", ".join(
        f"'{n}': 'VARCHAR'" for n in ("Country", "GDP", "Year", "Column", "Unit", "Institution", "Source", "As_of")
    )
    raw = f"read_json('{source}', format='newline_delimited', columns={{{columns}}})"
    bare = f"trim(regexp_replace(Country, '{MARKS}', '', 'g'))"
    with duckdb.connect() as connection:
        names = [name for (name,) in connection.execute(f"SELECT DISTINCT {bare} FROM {raw}").fetchall()]
        connection.execute("CREATE TABLE known (bare VARCHAR, name VARCHAR, iso3 VARCHAR, region VARCHAR, sub VARCHAR)")
        rows = [(name, *codes) for name, codes in known_names(names).items()]
        connection.executemany("INSERT INTO known VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute(
            f"""COPY (SELECT name AS Country, iso3 AS ISO3, region AS Region, sub AS Subregion, Institution,
            CAST(regexp_extract("Column", '\\((\\d{{4}})\\)', 1) AS INTEGER) AS Year,
            (CAST(replace(GDP, ',', '') AS BIGINT) + 5) // 10 / 100.0 AS GDP_USD_billion, As_of, Source,
            CAST(NULL AS VARCHAR) AS Note, CAST(replace(GDP, ',', '') AS BIGINT) AS GDP_USD_million
            FROM (SELECT *, {bare} AS bare FROM {raw} WHERE regexp_matches(GDP, '{FIGURE}') AND GDP <> '0')
            JOIN known USING (bare)) TO '{target}' (FORMAT json)"""
        )


# --- extract ----------------------------------------------------------------------------------------------------------


def extract_read_html(source: Path, target: Path) -> None:
    """pandas.read_html on each page, the largest table kept as text."""
    import io

    import pandas as pd

    with target.open("w", encoding="utf-8") as file:
        for page in sorted(source.iterdir()):
            try:
                tables = pd.read_html(io.StringIO(gzip.decompress(page.read_bytes()).decode()), flavor="lxml")
            except (ValueError, EOFError):
                continue
            file.write(max(tables, key=len).to_json(orient="values") + "\n")


def extract_lxml(source: Path, target: Path) -> None:
    """Lxml alone: the text of every cell of the largest table."""
    import lxml.html  # type: ignore[import-untyped]

    with target.open("w", encoding="utf-8") as file:
        for page in sorted(source.iterdir()):
            tables: list[Any] = lxml.html.fromstring(gzip.decompress(page.read_bytes())).findall(".//table")
            if tables:
                rows = max(([[c.text_content() for c in row] for row in t.iter("tr")] for t in tables), key=len)
                file.write(json.dumps(rows) + "\n")


# --- load -------------------------------------------------------------------------------------------------------------


def load_to_sql(source: Path, target: Path) -> None:
    """pandas.read_json and DataFrame.to_sql, a hundred thousand lines at a time."""
    import pandas as pd

    connection = sqlite3.connect(target)
    for chunk in pd.read_json(source, lines=True, chunksize=100_000, dtype=False):
        chunk.to_sql("GDP_Estimates", connection, index=False, if_exists="append")
    connection.commit()


def load_executemany(source: Path, target: Path) -> None:
    """json.loads and executemany into a table with the key that ours has, in one transaction."""
    connection = sqlite3.connect(target)
    columns = "As_of TEXT, Institution TEXT, ISO3 TEXT, Country TEXT, Region TEXT, Subregion TEXT, Year INTEGER"
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS GDP_Estimates ({columns}, GDP_USD_billion REAL, Note TEXT, Source TEXT,"
        " Flags TEXT, GDP_USD_million REAL,"
        " PRIMARY KEY (As_of, Institution, Country, Year)) WITHOUT ROWID"
    )
    names = [name.split()[0] for name in columns.split(", ")]
    names += ["GDP_USD_billion", "Note", "Source", "Flags", "GDP_USD_million"]
    values = ", ".join(f":{name}" for name in names)
    with connection, source.open(encoding="utf-8") as file:
        connection.executemany(f"INSERT OR REPLACE INTO GDP_Estimates VALUES ({values})", map(json.loads, file))


RIVALS: dict[str, Callable[[Path, Path], None]] = {
    name: function for name, function in globals().items() if name.startswith(("transform_", "extract_", "load_"))
}

if __name__ == "__main__":
    RIVALS[f"{sys.argv[1]}_{sys.argv[2]}"](Path(sys.argv[3]), Path(sys.argv[4]))
