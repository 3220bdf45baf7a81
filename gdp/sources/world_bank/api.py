"""The World Bank's own figures: NY.GDP.MKTP.CD, GDP in current US dollars, by its API, page after page, or its files.

A file is read by what is in it: what we kept, an answer of the API, a version of its archives, or the CSV that its
site offers for download.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from datetime import date
from typing import Any

from gdp.records import RawRecord
from gdp.sources import Extracted, Refused, Unreachable
from gdp.sources.imf.releases import day_of
from gdp.sources.payloads import checked_as_of, fetch_json, is_absent, is_json, plain, read_json, shaped
from gdp.sources.tabular_files import Table, tables_of

API_URL = "https://api.worldbank.org/v2"
INDICATOR = "NY.GDP.MKTP.CD"
UNIT = "GDP (current US$)"  # the API's own words, for a row that came without them
WORLD = "World"  # kept among the countries: the control total
ROWS_A_PAGE = 1000  # larger pages have timed out
MAX_PAGES = 200  # ten times what there is; an answer that promises more is wrong
MAX_DIGITS = 9  # of a count of rows
AGGREGATES = "Aggregates"  # what the country list gives as the region of a group of countries
UPDATED, COUNTRY_COLUMN = "Last Updated Date", "Country Name"


def address() -> str:
    """Return where the World Bank's API is: GDP_ETL_WORLD_BANK_URL, or its own."""
    return os.environ.get("GDP_ETL_WORLD_BANK_URL") or API_URL


# --- asking -----------------------------------------------------------------------------------------------------------


def fetch() -> dict[str, Any]:
    """Return every row of the indicator, and the names of the groups of countries where the API tells them.

    Raises Unreachable when not every page can be had, or the API answers with an error.
    """
    base = address()
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
        return two_parts(fetch_json(url))
    except (Unreachable, Refused) as reason:
        raise Unreachable(f"page {number}: {reason}") from reason


def two_parts(answer: object) -> tuple[dict[str, Any], list[Any]]:
    """Return the two parts of an answer; raises Refused for an error, which comes alone and with status 200."""
    match answer:
        case [dict(about), list(rows)]:
            return about, rows
        case [{"message": [{"value": value}, *_]}]:
            raise Refused(f"it answered with an error: {value}")
    raise Refused(f"its answer has not the two parts that it should: {str(answer)[:60]}")


def _number(about: dict[str, Any], name: str) -> int:
    """Return a count of an answer's first part, which is sometimes sent as a text."""
    text = str(about.get(name))
    if not text.isdecimal() or len(text) > MAX_DIGITS or (name == "pages" and not 1 <= int(text) <= MAX_PAGES):
        raise Unreachable(f"its answer says that it has {text[:20]} {name}")
    return int(text)


def _groups(base: str) -> list[str]:
    """Return the names of the groups in the list of countries; none when it cannot be had: transform knows them."""
    try:
        _, countries = two_parts(fetch_json(f"{base}/country?format=json&per_page={ROWS_A_PAGE}"))
        return [str(one["name"]) for one in countries if one["region"]["value"] == AGGREGATES]
    except (Unreachable, Refused, LookupError, TypeError):
        return []


# --- reading ----------------------------------------------------------------------------------------------------------


def read(content: bytes, today: date) -> Extracted:
    """Return the records of an answer or a file; raises Refused for what is neither, or is cut short."""
    if is_json(content):
        return parse(read_json(content), today)
    for table in tables_of(content):
        if answer := _told_by_table(table):
            return parse(answer, today)
    raise Refused("it is no answer of the World Bank's and no CSV of its site")


def parse(answer: Any, today: date) -> Extracted:
    """Return the figures of every country and year, and the World's, as raw records; groups are left out and counted.

    Raises Refused for what is not the World Bank's answer, or not all of it.
    """
    if isinstance(answer, list):
        answer = _whole_answer(*two_parts(answer))
    rows = shaped(shaped(answer, dict, "the answer").get("rows"), list, "rows")
    as_of = checked_as_of(str(answer.get("lastupdated")), today)
    groups = {str(group) for group in shaped(answer.get("groups") or [], list, "groups")} - {WORLD}
    left_out: Counter[str] = Counter()
    records: list[RawRecord] = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        country, year, reason = _text(row, "country"), str(row.get("date")), _reason_to_leave(row, groups)
        if reason is None and (country, year) in seen:
            reason = "figure said again under another code"
        if reason:
            left_out[reason] += 1
            continue
        seen.add((country, year))
        records.append({
            "Country": country, "GDP": plain(str(row["value"])), "Year": year, "Column": None,
            "Unit": _text(row, "indicator") if row.get("indicator") else UNIT, "Institution": "World Bank",
            "Source": f"{API_URL}/country/all/indicator/{INDICATOR}", "As_of": as_of,
        })  # fmt: skip
    if not records:
        others = {str(_id(row)) for row in rows} - {INDICATOR}
        raise Refused(f"it has {', '.join(sorted(others)[:3]) or 'no figure'}, not {INDICATOR}")
    return Extracted(records, left_out)


def _reason_to_leave(row: dict[str, Any], groups: set[str]) -> str | None:
    """Return why a row gives no record, or None: a group has no code where countries have one."""
    country = _text(row, "country")
    if _id(row) != INDICATOR:
        return "row of another indicator"
    if country in groups or (row.get("countryiso3code") == "" and country != WORLD):
        return "row of a group of countries"
    if row.get("value") is None or is_absent(str(row["value"])):
        return "year without a figure"
    return None


def _id(row: dict[str, Any]) -> object:
    indicator = row.get("indicator")
    return indicator.get("id", INDICATOR) if isinstance(indicator, dict) else INDICATOR


def _text(row: object, name: str) -> str:
    try:
        return str(row[name]["value"])  # type: ignore[index]
    except (LookupError, TypeError):
        raise Refused(f"a row has no {name}: {str(row)[:60]}") from None


def _whole_answer(about: dict[str, Any], rows: list[Any]) -> dict[str, Any]:
    """Return an answer of the API as we keep it; raises Refused for one page of several, or fewer rows than promised.

    Version 1, which is retired, says nothing of when it was updated.
    """
    check_whole_answer(about, len(rows))
    return {"lastupdated": about.get("lastupdated"), "rows": rows}


def check_whole_answer(about: dict[str, Any], number: int) -> None:
    """Raise Refused when an answer is one page of several, or has fewer rows than it promises."""
    page, pages, total = (str(about.get(name, "1")) for name in ("page", "pages", "total"))
    if pages != "1":
        raise Refused(f"it is page {page[:9]} of {pages[:9]}; the rest is missing: fetch it with a larger per_page")
    if total.isdecimal() and "total" in about and total != str(number):
        raise Refused(f"it has {number} rows of {total[:9]}; fetch it again")


# --- the CSV of its site ----------------------------------------------------------------------------------------------

_YEAR = re.compile(r"(?:19|20)\d\d")


def _told_by_table(table: Table) -> dict[str, Any] | None:
    """Return what the site's CSV says, as the API would have; None for another table.

    Raises Refused where a row is cut short.
    """
    updated = next((row[1] for row in table[:10] if len(row) > 1 and row[0] == UPDATED), None)
    start = next((number for number, row in enumerate(table[:10]) if row and row[0] == COUNTRY_COLUMN), None)
    if start is None:
        return None
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


def is_of_world_bank(answer: Any) -> bool:
    """Tell whether JSON is an answer of the World Bank's."""
    match answer:
        case [{"message": _}] | [{"page": _}, *_] | {"rows": _} | {"source": _}:
            return True
    return False


def as_kept(answer: dict[str, Any]) -> bytes:
    """Return an answer as it is kept."""
    return json.dumps(answer, ensure_ascii=False, indent=0).encode()
