"""The IMF's own figures: nominal GDP (NGDPD) of the World Economic Outlook, by the DataMapper's API.

It serves the current release only, all years at once, in billions of US dollars. Countries and groups of countries come
under codes side by side; other addresses of the same API label them, and say which release it is.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from datetime import date
from typing import Any

from gdp.records import RawRecord
from gdp.sources import Extracted, Refused, Unreachable
from gdp.sources.answers import checked_as_of, fetch_json, read_json, shaped
from utils import MONTHS

API_URL = "https://www.imf.org/external/datamapper/api/v1"
INDICATOR = "NGDPD"
UNIT = "Billions of U.S. dollars"  # the API's own words, for an answer that came without them
WORLD = "WEOWORLD"  # kept among the countries: the control total
ABOUT = ("countries", "groups", "regions", "indicators")
ABOUT_DEADLINE_S = 5.0  # the figures are worth more than their labels
MIN_COUNTRIES = 100  # the IMF has had over 180 members since 2000
PROJECTED_YEARS = 5  # a release of 2024 reaches to 2029
APRIL, OCTOBER = 4, 10  # the months of the two releases a year


def fetch() -> dict[str, Any]:
    """Return the current release: the figures, and what the API tells about codes and release where it does.

    Raises Unreachable when the figures cannot be had; their labels only make them easier to read.
    """
    base = os.environ.get("GDP_ETL_IMF_URL") or API_URL
    told = _shaped_answer(fetch_json(f"{base}/{INDICATOR}"))
    for name in ABOUT:
        try:
            told[name] = fetch_json(f"{base}/{name}", deadline_s=ABOUT_DEADLINE_S).get(name, {})
        except (Unreachable, AttributeError):
            told[name] = {}
    return {name: told[name] for name in ("values", *ABOUT)}


def _shaped_answer(told: object) -> dict[str, Any]:
    values = told.get("values") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(values, dict) or INDICATOR not in values:
        raise Unreachable(f"its answer has no values of {INDICATOR}")
    return told


def read(content: bytes, fetched: date) -> Extracted:
    """Return a kept answer's records; raises Refused."""
    return parse(read_json(content), fetched)


def parse(told: Any, fetched: date) -> Extracted:
    """Return the figures of every country and year, and the World's, as raw records; groups are left out and counted.

    `fetched` tells the release where the answer does not. Raises Refused for what is not the DataMapper's answer.
    """
    values = shaped(told, dict, "the answer").get("values")
    by_code = shaped(shaped(values, dict, "values").get(INDICATOR), dict, f"values of {INDICATOR}")
    labels = {code: about.get("label") for code, about in _about(told, "countries").items()}
    groups = {code: about.get("label") for name in ("groups", "regions") for code, about in _about(told, name).items()}
    left_out: Counter[str] = Counter()
    if not labels:
        left_out["list of countries: codes stand in the place of names"] += 1
    as_of = checked_as_of(_release(told, by_code, fetched), fetched)
    unit = _about(told, "indicators").get(INDICATOR, {}).get("unit")
    records: list[RawRecord] = []
    for code, figures in by_code.items():
        if not code.strip():
            left_out["figures under an empty code"] += 1
        elif code in groups and code != WORLD and code not in labels:
            left_out["group of countries"] += 1
        else:
            name = str(labels.get(code) or groups.get(code) or code)
            records += _records(name, shaped(figures, dict, f"figures of {code}"), str(unit or UNIT), as_of, left_out)
    countries = len({record["Country"] for record in records})
    if countries < MIN_COUNTRIES:
        raise Refused(f"it has figures of {countries} countries, fewer than {MIN_COUNTRIES}")
    return Extracted(records, left_out)


def _about(told: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    about = told.get(name) or {}
    return {code: entry for code, entry in about.items() if isinstance(entry, dict)} if isinstance(about, dict) else {}


def _records(country: str, figures: dict[str, Any], unit: str, as_of: str, left_out: Counter[str]) -> list[RawRecord]:
    records: list[RawRecord] = []
    for year, figure in figures.items():
        if figure is None:
            left_out["year without a figure"] += 1
            continue
        records.append({
            "Country": country, "GDP": str(figure), "Year": year, "Column": None, "Unit": unit,
            "Institution": "IMF", "Source": f"{API_URL}/{INDICATOR}", "As_of": as_of,
        })  # fmt: skip
    return records


_RELEASE = re.compile(rf"\b({MONTHS[APRIL - 1]}|{MONTHS[OCTOBER - 1]}) (20\d\d)\b")


def _release(told: dict[str, Any], by_code: dict[str, Any], fetched: date) -> str:
    """Return the first day of the month of the release.

    The API names it beside the indicator. Without that, its last year tells the year, and the day it was fetched the
    month: in October, before the release, the April's figures would be taken for October's, which the next run mends.
    """
    named = _RELEASE.search(str(_about(told, "indicators").get(INDICATOR, {}).get("source")))
    if named:
        return f"{named[2]}-{MONTHS.index(named[1]) + 1:02}-01"
    years = [
        int(y)
        for figures in by_code.values()
        if isinstance(figures, dict)
        for y in figures
        if re.fullmatch(r"\d{4}", y)
    ]
    if not years:
        raise Refused("it has no year")
    year = min(max(years) - PROJECTED_YEARS, fetched.year)
    month = OCTOBER if year < fetched.year or fetched.month >= OCTOBER else APRIL
    return f"{year}-{month:02}-01" if (year, month) <= (fetched.year, fetched.month) else f"{year - 1}-{OCTOBER}-01"
