"""The World Bank's own figures: NY.GDP.MKTP.CD, GDP in current US dollars, by its API or from a file.

Past versions since 1989 come from the archives of the World Development Indicators, which the API calls source 57. A
version is named by year and month, twice: by its number and by a label, which disagree now and then ("201703" has the
label "2017 Apr"). No version states its day of publication.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import Any

from gdp.model import WORLD_BANK, RawRecord
from gdp.sources import Answer, Month, Page, Reading, Refused, Releases, Source, Unreachable
from gdp.sources.payloads import (
    checked_as_of,
    day_of,
    fetch_json,
    is_absent,
    is_json,
    json_answer,
    json_in,
    last_day,
    plain,
    read_json,
    shaped,
    today,
)
from gdp.sources.tabular_files import kind_of_table, tables_in, tables_of
from gdp.sources.world_bank import files
from utils import MONTHS

VARIABLE = "GDP_ETL_WORLD_BANK_URL"
API_URL = "https://api.worldbank.org/v2"
INDICATOR = "NY.GDP.MKTP.CD"
MARK = (
    f"{INDICATOR} in a column or as the name of one (World Bank; wbgapi: "
    f"DataFrame('{INDICATOR}', index=['economy', 'series'], columns='time'))"
)
UNIT = "GDP (current US$)"  # the API's own words, for a row without them
WORLD = "World"  # read like a country: the control total
ROWS_A_PAGE = 1000  # larger pages have timed out
MAX_PAGES = 200  # ten times what there is; an answer that promises more is wrong
MAX_DIGITS = 9  # of a count of rows
AGGREGATES = "Aggregates"  # what the country list gives as the region of a group of countries
ARCHIVES = "57"
MAX_VERSIONS = 1000  # there were 142 in July 2026


def address() -> str:
    """Return the address of the World Bank's API."""
    return os.environ.get(VARIABLE) or API_URL


# --- fetching ---------------------------------------------------------------------------------------------------------


def fetch(release: Month | None = None) -> Answer:
    """Return the current figures, or a past version; raises Unreachable."""
    if release is None:
        return json_answer(fetch_current(), "its API")
    return json_answer(fetch_version(f"{release.year}{release.month:02}"), "the archives of its API")


def fetch_current() -> dict[str, Any]:
    """Return every row of the indicator, and the names of the groups of countries if the API has them.

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
    raise Refused(f"its answer does not have two parts: {str(answer)[:60]}")


def _number(about: dict[str, Any], name: str) -> int:
    """Return a count in an answer's first part, which is sometimes sent as text."""
    text = str(about.get(name))
    if not text.isdecimal() or len(text) > MAX_DIGITS or (name == "pages" and not 1 <= int(text) <= MAX_PAGES):
        raise Unreachable(f"its answer has {text[:20]} for the number of {name}")
    return int(text)


def _groups(base: str) -> list[str]:
    """Return the names of the groups in the list of countries; none if it cannot be had, as transform knows them."""
    try:
        _, countries = two_parts(fetch_json(f"{base}/country?format=json&per_page={ROWS_A_PAGE}"))
        return [str(one["name"]) for one in countries if one["region"]["value"] == AGGREGATES]
    except (Unreachable, Refused, LookupError, TypeError):
        return []


# --- reading ----------------------------------------------------------------------------------------------------------


def detect(content: bytes) -> bool:
    """Return whether a content is an answer of the World Bank, or one of its files."""
    match json_in(content):
        case [{"message": _}] | [{"page": _}, *_] | {"rows": _} | {"source": _} | [{"indicator": _, "country": _}, *_]:
            return True
    return files.is_xml(content) or any(files.layout_of(table) for table in tables_in(content))


def read(page: Page, release: Month | None = None) -> Reading:
    """Return the records of an answer or a file; raises Refused for anything else, and for what is cut short."""
    if is_json(page.content):
        answer = read_json(page.content)
        if isinstance(answer, list) and answer and isinstance(answer[0], dict) and "indicator" in answer[0]:
            answer = {"lastupdated": _day_of_file(None, release), "rows": answer}  # without the part before its rows
        return parse(answer)
    if files.is_xml(page.content):
        return parse(files.answer_of_xml(page.content))
    for table in tables_of(page.content):
        if answer := files.answer_of(table):
            return parse({**answer, "lastupdated": _day_of_file(answer["lastupdated"], release)})
    kind = kind_of_table(page.content)
    unnamed = f": it is {kind}, and its quantity and unit are not named, as by {MARK}" if kind else ""
    raise Refused(f"it is no answer of the World Bank and none of its files{unnamed}")


def _day_of_file(stated: str | None, release: Month | None) -> str:
    """Return the day of a file: the one it states, else the last of the month that the user names."""
    if stated:
        if release and not stated.startswith(str(release)):
            raise Refused(f"it was updated on {stated}, not in {release}")
        return stated
    if release is None:
        raise Refused("nothing in it states when it was updated; name its version with --release, as 2024-06")
    return min(last_day(release), today().isoformat())


def parse(answer: Any) -> Reading:
    """Return the figures of every country and year, and the World's, as raw records; groups are dropped and counted.

    Raises Refused for anything but a whole answer of the World Bank.
    """
    if isinstance(answer, list):
        answer = _whole_answer(*two_parts(answer))
    elif isinstance(answer, dict) and "source" in answer:
        answer = _answer_of_version(answer)
    rows = shaped(shaped(answer, dict, "the answer").get("rows"), list, "rows")
    as_of = checked_as_of(str(answer.get("lastupdated")))
    groups = {str(group) for group in shaped(answer.get("groups") or [], list, "groups")} - {WORLD}
    dropped = Counter({"row of another indicator": answer["others"]} if answer.get("others") else {})
    records: list[RawRecord] = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        country, year, reason = _text(row, "country"), str(row.get("date")), _reason_to_drop(row, groups)
        if reason is None and (country, year) in seen:
            reason = "figure repeated under another code"
        if reason:
            dropped[reason] += 1
            continue
        seen.add((country, year))
        records.append({
            "Country": country, "GDP": plain(str(row["value"])), "Year": year, "Column": None,
            "Unit": _text(row, "indicator") if row.get("indicator") else UNIT, "Institution": WORLD_BANK.label,
            "Source": f"{API_URL}/country/all/indicator/{INDICATOR}", "As_of": as_of,
        })  # fmt: skip
    if not records:
        others = {str(_id(row)) for row in rows} - {INDICATOR}
        raise Refused(f"it has {', '.join(sorted(others)[:3]) or 'no figure'}, not {INDICATOR}")
    return Reading(records, dropped)


def _reason_to_drop(row: dict[str, Any], groups: set[str]) -> str | None:
    """Return why a row is dropped, or None: a group has no code, but countries have one."""
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
    """Return an answer of the API as `fetch_current` does; raises Refused for one page of several, or missing rows."""
    check_whole_answer(about, len(rows))
    return {"lastupdated": about.get("lastupdated"), "rows": rows}


def check_whole_answer(about: dict[str, Any], number: int) -> None:
    """Raise Refused when an answer is one page of several, or has fewer rows than it promises."""
    page, pages, total = (str(about.get(name, "1")) for name in ("page", "pages", "total"))
    if pages != "1":
        raise Refused(f"it is page {page[:9]} of {pages[:9]}; the rest is missing: fetch it with a larger per_page")
    if total.isdecimal() and "total" in about and total != str(number):
        raise Refused(f"it has {number} rows of {total[:9]}; fetch it again")


# --- past versions ----------------------------------------------------------------------------------------------------


def fetch_version(version: str) -> dict[str, Any]:
    """Return every row of the indicator in a past version, as one answer; raises Unreachable when it cannot be had."""
    answer: dict[str, Any] = {}
    data: list[Any] = []
    for number in range(1, MAX_PAGES + 1):
        url = f"{address()}/sources/{ARCHIVES}/country/all/series/{INDICATOR}/time/all/version/{version}/data"
        answer = fetch_json(f"{url}?format=json&per_page={ROWS_A_PAGE}&page={number}")
        try:
            data += answer["source"]["data"]
            pages = int(answer["pages"])
        except (LookupError, TypeError, ValueError):
            raise Unreachable(f"page {number}: its answer holds no version {version}: {str(answer)[:60]}") from None
        if number >= pages:
            break
    if str(answer.get("total")) != str(len(data)):
        raise Unreachable(f"it sent {len(data)} rows of {answer.get('total')}")
    return {**answer, "page": 1, "pages": 1, "source": {"id": ARCHIVES, "data": data},
            "fetched": today().isoformat()}  # fmt: skip


def versions_between(first: Month, last: Month) -> list[Month]:
    """Return the versions in the archives from one month to another, in order; raises Unreachable."""
    answer = fetch_json(f"{address()}/sources/{ARCHIVES}/version?format=json&per_page={MAX_VERSIONS}")
    try:
        named = [str(one["id"]) for concept in answer["source"][0]["concept"] for one in concept["variable"]]
    except (LookupError, TypeError):
        raise Unreachable(f"its answer holds no list of versions: {str(answer)[:60]}") from None
    months = [Month(int(version[:4]), int(version[4:])) for version in named if re.fullmatch(r"\d{6}", version)]
    return sorted(month for month in months if first <= month <= last)


def _answer_of_version(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a past version in the shape of the current one's answer; raises Refused.

    A row's country, series and year are concepts, in any order. Old codes (ADO) are there beside current ones.
    """
    if isinstance(answer["source"], list):
        raise Refused("it is a list of what the archives hold, and has no figures")
    data = shaped(shaped(answer["source"], dict, "source").get("data"), list, "data")
    rows: list[dict[str, Any]] = []
    as_of: set[str] = set()
    for one in data:
        concepts = _concepts(one)
        try:
            country, series, time, version = (concepts[name] for name in ("Country", "Series", "Time", "Version"))
        except KeyError as missing:
            raise Refused(f"a row has no {missing}: {str(one)[:60]}") from None
        as_of.add(min(_day_of_version(*version), day_of(str(answer.get("fetched"))) or today().isoformat()))
        rows.append({
            "country": {"value": country[1]}, "indicator": {"id": series[0], "value": series[1]},
            "date": time[1], "value": one.get("value"),
        })  # fmt: skip
    if rows and all(row["indicator"]["id"] != INDICATOR for row in rows):
        raise Refused(f"it has {rows[0]['indicator']['id']}, not {INDICATOR}")
    check_whole_answer(answer, len(data))
    if len(as_of) > 1:
        raise Refused("its rows are of several versions")
    return {"lastupdated": next(iter(as_of), None), "rows": rows}


def _concepts(row: Any) -> dict[str, tuple[str, str]]:
    variables = shaped(shaped(row, dict, "a row").get("variable"), list, "the variable of a row")
    return {
        str(one.get("concept")): (str(one.get("id")), str(one.get("value")))
        for one in variables if isinstance(one, dict)
    }  # fmt: skip


_LABEL = re.compile(r"(\d{4}) ([A-Z][a-z]{2})[a-z]*")


def _day_of_version(number: str, label: str) -> str:
    """Return the last day of a version's month, of the later month if number and label disagree."""
    months: list[Month] = []
    if re.fullmatch(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])", number):
        months.append(Month(int(number[:4]), int(number[4:])))
    found = _LABEL.fullmatch(label)
    month = next((n for n, name in enumerate(MONTHS, 1) if found and name.startswith(found[2])), None)
    if found and month:
        months.append(Month(int(found[1]), month))
    if not months:
        raise Refused(f"its version is {number[:20]!r}, which is no month")
    return last_day(max(months))


SOURCE = Source(
    WORLD_BANK, WORLD_BANK.label, {VARIABLE: API_URL}, fetch, detect, read,
    Releases(versions_between, lambda version: {last_day(version)}, "those that /v2/sources/57/version lists"),
    mark=MARK,
)  # fmt: skip
