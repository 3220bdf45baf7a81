"""The World Bank's files: the CSV that its site offers for download, a row a country and a column a year."""

from __future__ import annotations

import re
from typing import Any

from gdp.sources import Refused
from gdp.sources.payloads import day_of
from gdp.sources.tabular_files import Table

UPDATED, COUNTRY_COLUMN = "Last Updated Date", "Country Name"
ROWS_BEFORE_HEADER = 10
_YEAR = re.compile(r"(?:19|20)\d\d")


def header_of(table: Table) -> int | None:
    """Return the number of the header row, or None for another table."""
    rows = enumerate(table[:ROWS_BEFORE_HEADER])
    return next((number for number, row in rows if row and row[0] == COUNTRY_COLUMN), None)


def answer_of(table: Table) -> dict[str, Any] | None:
    """Return a table in the shape of the API's answer, None for another table; raises Refused if a row is cut short."""
    start = header_of(table)
    if start is None:
        return None
    updated = next((row[1] for row in table[:start] if len(row) > 1 and row[0] == UPDATED), None)
    header = table[start]
    years = {cell: place for place, cell in enumerate(header) if _YEAR.fullmatch(cell)}
    rows: list[dict[str, Any]] = []
    for row in table[start + 1 :]:
        if not any(row):
            continue
        if not years or len(row) <= max(years.values()):
            raise Refused(f"the row of {row[0][:40]} is cut short; fetch it again")
        about = {"country": {"value": row[0]}, "indicator": {"value": row[2], "id": row[3]}}
        rows += [{**about, "date": year, "value": row[place]} for year, place in years.items()]
    return {"lastupdated": day_of(updated or ""), "rows": rows}
