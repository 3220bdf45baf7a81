"""What the sources' servers say, as they do: routes for the server of conftest. Figures of the APIs are made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gdp.figures.countries import reference
from tests.conftest import Answer
from tests.page_builder import Layout, build, page_of_facts

CODES = sorted({country.iso3 for country in reference().countries.values()})
IMF_LABELS = {
    "KOR": "Korea, Republic of",
    "TWN": "Taiwan Province of China",
    "UVK": "Kosovo",
    "WBG": "West Bank and Gaza",
}
GROUPS = {"WEOWORLD": "World", "ADVEC": "Advanced economies", "NEWGRP": "A group that no table knows"}

Route = Callable[[str], Answer]


def as_answer(told: Any, **headers: str) -> Answer:
    return Answer(200, json.dumps(told).encode(), {"Content-Type": "application/json", **headers})


def imf_figures(first: int = 2020, last: int = 2031) -> dict[str, dict[str, float]]:
    """Return billions by code and year: a country each, Kosovo and Palestine under the IMF's own codes, and groups."""
    codes = [code for code in CODES if code not in ("XKX", "PSE", "VEN")][:180]
    codes += ["UVK", "WBG", *({"USA", "CHN", "JPN", "DEU", "GBR", "FRA", "IND", "ITA", "BRA", "CAN", "RUS", "KOR",
                               "ESP", "AUS", "MEX", "TWN"} - set(codes))]  # fmt: skip
    years = range(first, last + 1)
    figures = {code: {str(y): 400 + 7.125 * n + y - 2020 for y in years} for n, code in enumerate(codes)}
    figures["KOR"]["2026"] = 1936.2090000000000600266503169178962707519531
    total = {str(y): sum(series[str(y)] for series in figures.values()) for y in years}
    return {**figures, "WEOWORLD": total, "ADVEC": total, "NEWGRP": total}


def imf(release: str | None = "World Economic Outlook (October 2026)", figures: dict[str, Any] | None = None) -> Route:
    """Return the DataMapper's routes; without a release it has no list of indicators."""
    values = imf_figures() if figures is None else figures
    told: dict[str, Any] = {
        "/NGDPD": {"values": {"NGDPD": values}, "api": {"version": "1", "output-method": "json"}},
        "/countries": {
            "countries": {code: {"label": IMF_LABELS.get(code, code)} for code in values if code not in GROUPS}
        },
        "/groups": {"groups": {code: {"label": label} for code, label in GROUPS.items()}},
        "/regions": {"regions": {}},
    }
    if release:
        about = {"label": "GDP, current prices", "unit": "Billions of U.S. dollars", "source": release}
        told["/indicators"] = {"indicators": {"NGDPD": about}}
    return lambda path: as_answer(told[path]) if path in told else Answer(404)


def world_bank(per_page_as_text: bool = True, updated: str = "2026-04-08") -> Route:
    """Return the World Bank's routes: 217 countries and 4 groups, three years, without Taiwan."""
    names = {country.iso3: country.name for country in reference().countries.values()}
    codes = [code for code in CODES if code not in ("TWN", "ESH", "ATA")][:217]
    rows = [
        {"indicator": {"id": "NY.GDP.MKTP.CD", "value": "GDP (current US$)"}, "countryiso3code": code,
         "country": {"id": code[:2], "value": name}, "date": str(year), "value": value}
        for n, (code, name) in enumerate([("", "Arab World"), ("", "World"), *((code, names[code]) for code in codes)])
        for year, value in ((2025, None), (2024, 1.5e9 * n + 1e11 + 0.44), (2023, 1.4e9 * n + 1e11))
    ]  # fmt: skip
    groups = [{"name": name, "region": {"id": "NA", "value": "Aggregates"}} for name in ("Arab World", "World")]
    countries = [{"name": names[code], "region": {"id": "EAS", "value": "Somewhere"}} for code in codes]

    def route(path: str) -> Answer:
        asked = parse_qs(urlsplit(path).query)
        if "/indicator/" not in path:
            return as_answer([{"page": 1, "pages": 1}, groups + countries])
        size, page = 250, int(asked["page"][0])
        pages = -(-len(rows) // size)
        about = {"page": page, "pages": pages, "per_page": str(size) if per_page_as_text else size, "total": len(rows),
                 "sourceid": "2", "lastupdated": updated}  # fmt: skip
        return as_answer([about, rows[(page - 1) * size : page * size]])

    return route


class Wiki:
    """A MediaWiki: revisions twice a month from January 2015 on; it throttles, lags, and fails now and then."""

    def __init__(self, months: int, troubled: bool = False) -> None:
        start = datetime(2015, 1, 3, 12, tzinfo=timezone.utc)
        self.revisions = {1_000_000 + n: start + timedelta(days=15 * n) for n in range(2 * months)}
        self.asked: list[int] = []
        self.sent: list[int] = []
        self.troubled = troubled
        self.requests = 0

    def route(self, path: str) -> Answer:
        self.requests += 1
        asked = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        trouble = self._trouble() if self.troubled else None
        if trouble:
            return trouble
        return self._list(asked) if urlsplit(path).path == "/w/api.php" else self._page(int(asked["oldid"]))

    def _trouble(self) -> Answer | None:
        if self.requests % 23 == 0:
            return Answer(429, b"slow down", {"Retry-After": "0"})
        if self.requests % 31 == 0:
            return Answer(503, b"busy", {"Retry-After": "0"})
        if self.requests % 37 == 0:
            return Answer(200, b"<html><table>cut", {"Content-Length": "100000"})
        return None

    def _list(self, asked: dict[str, str]) -> Answer:
        assert asked["maxlag"] == "5" and asked["rvdir"] == "newer", asked
        known = [
            {"revid": number, "parentid": 0, "timestamp": f"{saved:%Y-%m-%dT%H:%M:%SZ}"}
            for number, saved in self.revisions.items()
            if asked["rvstart"] <= f"{saved:%Y-%m-%dT%H:%M:%SZ}" <= asked["rvend"]
        ]
        begin = int(asked.get("rvcontinue", "0"))
        told: dict[str, Any] = {"query": {"pages": [{"title": "…", "revisions": known[begin : begin + 50]}]}}
        if begin + 50 < len(known):
            told["continue"] = {"rvcontinue": str(begin + 50), "continue": "||"}
        return as_answer(told)

    def _page(self, number: int) -> Answer:
        self.asked.append(number)
        page = replace(page_of_facts(), saved=self.revisions[number], revision=number)
        content = build(page, Layout()).encode()
        self.sent.append(number)
        return Answer(200, content, {"Content-Type": "text/html"})
