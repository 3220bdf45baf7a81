"""The World Bank's own figures: NY.GDP.MKTP.CD, GDP in current US dollars, by its API, page after page."""

from __future__ import annotations

import os
from collections import Counter
from datetime import date
from typing import Any

from gdp.records import RawRecord
from gdp.sources import Extracted, Refused, Unreachable
from gdp.sources.answers import checked_as_of, fetch_json, read_json, shaped

API_URL = "https://api.worldbank.org/v2"
INDICATOR = "NY.GDP.MKTP.CD"
UNIT = "GDP (current US$)"  # the API's own words, for a row that came without them
WORLD = "World"  # kept among the countries: the control total
ROWS_A_PAGE = 1000  # larger pages have timed out
MAX_PAGES = 200  # ten times what there is; an answer that promises more is wrong
MAX_DIGITS = 9  # of a count of rows
MIN_COUNTRIES = 100  # it has figures of over 200
AGGREGATES = "Aggregates"  # what the country list gives as the region of a group of countries


def fetch() -> dict[str, Any]:
    """Return every row of the indicator, and the names of the groups of countries where the API tells them.

    Raises Unreachable when not every page can be had, or the API answers with an error.
    """
    base = os.environ.get("GDP_ETL_WORLD_BANK_URL") or API_URL
    about, rows = _page(base, 1)
    for number in range(2, _number(about, "pages") + 1):
        about_this, more = _page(base, number)
        if about_this.get("lastupdated") != about.get("lastupdated"):
            raise Unreachable(f"it was updated while page {number} was fetched; try again")
        rows += more
    if len(rows) != _number(about, "total"):
        raise Unreachable(f"it sent {len(rows)} rows of {about.get('total')}")
    return {"lastupdated": about.get("lastupdated"), "rows": rows, "groups": _groups(base)}


def _page(base: str, number: int) -> tuple[dict[str, Any], list[Any]]:
    try:
        url = f"{base}/country/all/indicator/{INDICATOR}?format=json&per_page={ROWS_A_PAGE}&page={number}"
        return _two_parts(fetch_json(url))
    except Unreachable as reason:
        raise Unreachable(f"page {number}: {reason}") from reason


def _two_parts(told: object) -> tuple[dict[str, Any], list[Any]]:
    """Return the two parts of an answer; raises Unreachable for an error, which comes alone and with status 200."""
    match told:
        case [dict(about), list(rows)]:
            return about, rows
        case [{"message": [{"value": value}, *_]}]:
            raise Unreachable(f"it answered with an error: {value}")
    raise Unreachable(f"its answer has not the two parts that it should: {str(told)[:60]}")


def _number(about: dict[str, Any], name: str) -> int:
    """Return a count of an answer's first part, which is sometimes sent as a text."""
    text = str(about.get(name))
    if not text.isdecimal() or len(text) > MAX_DIGITS or (name == "pages" and not 1 <= int(text) <= MAX_PAGES):
        raise Unreachable(f"its answer says that it has {text[:20]} {name}")
    return int(text)


def _groups(base: str) -> list[str]:
    """Return the names of the groups in the list of countries; none when it cannot be had: transform knows them."""
    try:
        _, countries = _two_parts(fetch_json(f"{base}/country?format=json&per_page={ROWS_A_PAGE}"))
        return [str(one["name"]) for one in countries if one["region"]["value"] == AGGREGATES]
    except (Unreachable, LookupError, TypeError):
        return []


def read(content: bytes, fetched: date) -> Extracted:
    """Return a kept answer's records; raises Refused."""
    return parse(read_json(content), fetched)


def parse(told: Any, fetched: date) -> Extracted:
    """Return the figures of every country and year, and the World's, as raw records; groups are left out and counted.

    Raises Refused for what is not the World Bank's answer.
    """
    as_of = checked_as_of(str(shaped(told, dict, "the answer").get("lastupdated")), fetched)
    groups = set(told.get("groups") or ()) - {WORLD}
    left_out: Counter[str] = Counter()
    records: list[RawRecord] = []
    for row in shaped(told.get("rows"), list, "rows"):
        country = _text(row, "country")
        if country in groups:
            left_out["row of a group of countries"] += 1
        elif row.get("value") is None:
            left_out["year without a figure"] += 1
        else:
            records.append({
                "Country": country, "GDP": str(row["value"]), "Year": str(row.get("date")), "Column": None,
                "Unit": _text(row, "indicator") if row.get("indicator") else UNIT, "Institution": "World Bank",
                "Source": f"{API_URL}/country/all/indicator/{INDICATOR}", "As_of": as_of,
            })  # fmt: skip
    countries = len({record["Country"] for record in records})
    if countries < MIN_COUNTRIES:
        raise Refused(f"it has figures of {countries} countries, fewer than {MIN_COUNTRIES}")
    return Extracted(records, left_out)


def _text(row: object, name: str) -> str:
    try:
        return str(row[name]["value"])  # type: ignore[index]
    except (LookupError, TypeError):
        raise Refused(f"a row has no {name}: {str(row)[:60]}") from None
