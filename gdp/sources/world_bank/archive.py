"""The archives of the World Development Indicators: what the World Bank said in each past version, since 1989.

The API calls them source 57. A version is named by year and month, twice: by its number and by a label, which disagree
now and then ("201703" is labelled "2017 Apr"). No version says on which day it was published.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from typing import Any

from gdp.sources import Extracted, Refused, Unreachable
from gdp.sources.imf.releases import ReleaseMonth, day_of, last_day
from gdp.sources.payloads import fetch_json, is_json, read_json, shaped
from gdp.sources.world_bank import api as world_bank
from gdp.sources.world_bank.api import INDICATOR, MAX_PAGES, ROWS_A_PAGE, address, check_whole_answer
from utils import MONTHS

SOURCE = "57"
MAX_VERSIONS = 1000  # there were 142 in July 2026


def fetch(version: str) -> dict[str, Any]:
    """Return every row of the indicator in a past version, as one answer; raises Unreachable when it cannot be had."""
    answer: dict[str, Any] = {}
    data: list[Any] = []
    for number in range(1, MAX_PAGES + 1):
        url = f"{address()}/sources/{SOURCE}/country/all/series/{INDICATOR}/time/all/version/{version}/data"
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
    return {**answer, "page": 1, "pages": 1, "source": {"id": SOURCE, "data": data},
            "fetched": datetime.now(timezone.utc).date().isoformat()}  # fmt: skip


def versions_between(first: ReleaseMonth, last: ReleaseMonth) -> list[str]:
    """Return the versions that the archives hold from one month to another, in order; raises Unreachable."""
    answer = fetch_json(f"{address()}/sources/{SOURCE}/version?format=json&per_page={MAX_VERSIONS}")
    try:
        named = [str(one["id"]) for concept in answer["source"][0]["concept"] for one in concept["variable"]]
    except (LookupError, TypeError):
        raise Unreachable(f"its answer holds no list of versions: {str(answer)[:60]}") from None
    begin, end = (f"{month.year}{month.month:02}" for month in (first, last))
    return sorted(version for version in named if re.fullmatch(r"\d{6}", version) and begin <= version <= end)


def read(content: bytes, today: date) -> Extracted:
    """Return the records of what the World Bank says, of today or out of its archives; raises Refused."""
    answer = read_json(content) if is_json(content) else None
    if isinstance(answer, dict) and "source" in answer:
        return world_bank.parse(told_by_archive(answer, today), today)
    return world_bank.read(content, today)


def told_by_archive(answer: dict[str, Any], today: date) -> dict[str, Any]:
    """Return what a version says, as the API of the current one would have; raises Refused where that cannot be.

    What a row is of stands in concepts, in any order. Codes that were given up (ADO) stand beside those that are used.
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
        as_of.add(min(_last_day(*version), day_of(str(answer.get("fetched"))) or today.isoformat()))
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
    variables = shaped(shaped(row, dict, "a row").get("variable"), list, "what a row is of")
    return {
        str(one.get("concept")): (str(one.get("id")), str(one.get("value")))
        for one in variables if isinstance(one, dict)
    }  # fmt: skip


_LABEL = re.compile(r"(\d{4}) ([A-Z][a-z]{2})[a-z]*")


def _last_day(number: str, label: str) -> str:
    """Return the last day of a version's month, of the later one where number and label disagree."""
    months: list[tuple[int, int]] = []
    if re.fullmatch(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])", number):
        months.append((int(number[:4]), int(number[4:])))
    found = _LABEL.fullmatch(label)
    month = next((n for n, name in enumerate(MONTHS, 1) if found and name.startswith(found[2])), None)
    if found and month:
        months.append((int(found[1]), month))
    if not months:
        raise Refused(f"its version is {number[:20]!r}, which is no month")
    return last_day(*max(months))
