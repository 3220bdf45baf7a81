"""docs/datasette.yml, the descriptions of tables and columns for Datasette: `python -m tests.make_datasette` writes it.

Everything about columns is from gdp/model.py; a test compares the file with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gdp.model import (
    CONFIRMATION_FIELDS,
    CURRENT,
    ESTIMATE_FIELDS,
    FLAGS,
    HEADLINE_FIELDS,
    INSTITUTIONS,
    LOAD_FIELDS,
    NOT_A_HEADLINE,
    SOURCE_FLAGS,
    Field,
)
from utils import PROJECT, write_whole

TARGET = PROJECT / "docs" / "datasette.yml"
HEADING = f"""\
# Generated: python -m tests.make_datasette
# For Datasette: pip install "datasette<1" && datasette sqliteDB/World_Economies.db --metadata docs/datasette.yml \\
#   --setting truncate_cells_html 80, which shortens long JSON: a row's own page has all of it
title: GDP by country
description: Nominal GDP by country in billions of US dollars, with every figure that was ever loaded.
databases:
  World_Economies:
    description_html: >-
      Figures of {", ".join(INSTITUTIONS)}, as Wikipedia quotes them or as they publish them. Begin with
      <a href="/World_Economies/GDP_Latest">GDP_Latest</a>: the newest figure of each of them, a row a country.
"""
LATEST = (*HEADLINE_FIELDS, "Subregion", "Institution", "Publisher", "Status")
HISTORY_DAYS = {
    "First_day": "The first day on which the figure was valid at midnight, when the day ends",
    "Last_day": "The last day on which the figure was valid at midnight, when the day ends",
}


def _has_flag(codes: Iterable[str]) -> str:
    return " OR ".join(f"' ' || Flags || ' ' LIKE '% {code} %'" for code in codes)


INSTITUTION_COLUMNS = ",\n       ".join(
    f"max(CASE WHEN Institution = '{name}' THEN GDP_USD_billion END) AS {name.replace(' ', '_')}_USD_billion"
    for name in INSTITUTIONS
)
AS_OF = f"""\
WITH newest AS (
  SELECT Publisher, As_of, CAST(substr(As_of, 1, 4) AS INTEGER) AS now FROM Loads
  WHERE substr(As_of, 1, 10) <= :day AND ', ' || Institutions || ',' LIKE '%, IMF,%'
  ORDER BY As_of DESC, Publisher DESC LIMIT 1),
ranked AS (
  SELECT GDP_Estimates.*, row_number() OVER (PARTITION BY Country ORDER BY Year > now, abs(Year - now)) AS place
  FROM GDP_Estimates JOIN newest ON GDP_Estimates.Publisher = newest.Publisher
   AND GDP_Estimates.As_of <= newest.As_of AND Until > newest.As_of
  WHERE Institution = 'IMF' AND (Flags IS NULL OR NOT ({_has_flag(NOT_A_HEADLINE)})))
SELECT Country, Year, GDP_USD_billion, As_of, Publisher, Source, Flags, Note FROM ranked WHERE place = 1
ORDER BY GDP_USD_billion DESC, Country"""
REGION_MEANS = """\
SELECT Region, round(avg(GDP_USD_billion), 2) AS Mean_GDP_USD_billion, count(*) AS Countries
FROM (SELECT Region, GDP_USD_billion,
             row_number() OVER (PARTITION BY Region ORDER BY GDP_USD_billion DESC, Country) AS place
      FROM Countries_by_GDP WHERE Region IS NOT NULL)
WHERE place <= 5 GROUP BY Region ORDER BY 2 DESC"""


class Query(NamedTuple):
    """A query that is ready in Datasette."""

    title: str
    sql: str
    description: str = ""


QUERIES = {
    "latest": Query(
        "GDP_Latest: the newest figure of each institution, side by side",
        f"SELECT Country, {INSTITUTION_COLUMNS}\n"
        "FROM GDP_Latest WHERE Publisher = 'wikipedia' GROUP BY Country ORDER BY 2 DESC",
    ),
    "large_economies": Query(
        "Countries and territories at or above 100 billion USD",
        "SELECT Country, Region, Year, GDP_USD_billion FROM Countries_by_GDP WHERE GDP_USD_billion >= 100\n"
        "ORDER BY GDP_USD_billion DESC",
    ),
    "region_top5_mean": Query("The mean of each region's five largest economies", REGION_MEANS),
    "as_of": Query(
        "The IMF's figures at the end of a day", AS_OF, "The day as 2026-01-01. A row a country, of the newest vintage."
    ),
    "one_country": Query(
        "One country through the vintages",
        "SELECT Institution, Publisher, Year, As_of, Until, GDP_USD_billion, Flags, Note FROM GDP_Estimates\n"
        "WHERE ISO3 = upper(:iso3) ORDER BY Institution, Publisher, Year, As_of",
        "The ISO code, as KOR.",
    ),
    "flagged": Query(
        "Current figures that a check flagged",
        "SELECT Country, Institution, Year, GDP_USD_billion, Flags, Note, As_of FROM GDP_Estimates\n"
        f"WHERE Until = '{CURRENT}' AND ({_has_flag(code for code in FLAGS if code not in SOURCE_FLAGS)})\n"
        "ORDER BY GDP_USD_billion DESC",
    ),
}


def metadata() -> str:
    """Return the content of docs/datasette.yml."""
    estimates = {name: field.description for name, field in ESTIMATE_FIELDS.items()}
    headlines = _described(HEADLINE_FIELDS)
    latest = "The newest figure of every institution and publisher, a row a country."
    tables = [
        _table("GDP_Latest", latest, "GDP_USD_billion", {name: estimates[name] for name in LATEST}),
        _table("Countries_by_GDP", "The newest IMF figures, a row a country.", "GDP_USD_billion", headlines),
        _table("GDP_Estimates", "Every figure ever loaded, a row for as long as it was current.", "As_of", estimates),
        _table(
            "GDP_History", "GDP_Estimates with the first and the last day on which each figure was current.", "As_of",
            HISTORY_DAYS | estimates,
        ),
        _table("Loads", "Every vintage that was loaded.", "Loaded_at", _described(LOAD_FIELDS)),
        _table("Confirmations", "Findings that a person checked.", "Confirmed_at", _described(CONFIRMATION_FIELDS)),
    ]  # fmt: skip
    queries = [_query(name, query) for name, query in QUERIES.items()]
    return "".join([HEADING, "    tables:\n", *tables, "    queries:\n", *queries])


def _described(fields: Mapping[str, Field]) -> dict[str, str]:
    return {name: field.description for name, field in fields.items()}


def _table(name: str, description: str, sort: str, columns: Mapping[str, str]) -> str:
    lines = [f"      {name}:", f"        description: {_quoted(description)}"]
    lines += [f"        sort_desc: {sort}", "        columns:"]
    lines += [f"          {column}: {_quoted(text)}" for column, text in columns.items()]
    return "\n".join(lines) + "\n"


def _query(name: str, query: Query) -> str:
    lines = [f"      {name}:", f"        title: {_quoted(query.title)}"]
    lines += [f"        description: {_quoted(query.description)}"] * bool(query.description)
    return "\n".join([*lines, "        sql: |-", *(f"          {line}" for line in query.sql.splitlines())]) + "\n"


def _quoted(text: str) -> str:
    """Return a text as a YAML string: JSON's are the same."""
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    write_whole(TARGET, metadata().encode())
