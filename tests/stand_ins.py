"""What the sources' servers say, as they do: routes for the server of conftest. Figures of the APIs are made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gdp.sources.imf.releases import bundle
from gdp.transform.countries import reference
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


def as_answer(answer: Any, **headers: str) -> Answer:
    return Answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json", **headers})


def billions(code: str, year: int) -> float:
    """Return a country's GDP in a year, as the IMF published it in October 2025; later years grow by 4 %."""
    published = PUBLISHED.get(code, {})
    known = max((one for one in published if one <= year), default=None)
    return published[known] * 1.04 ** (year - known) if known else 0.5 + CODES.index(code) / 50


def imf_figures(first: int = 2020, last: int = 2031) -> dict[str, dict[str, float]]:
    """Return billions by code and year: a country each, Kosovo and Palestine under the IMF's own codes, and groups."""
    years = range(first, last + 1)
    figures = {
        {"XKX": "UVK", "PSE": "WBG"}.get(code, code): {str(y): round(billions(code, y), 3) for y in years}
        for code in PUBLISHED
    }  # fmt: skip
    if "2026" in figures["KOR"]:
        figures["KOR"]["2026"] = 1936.2090000000000600266503169178962707519531
    total = {str(y): sum(series[str(y)] for series in figures.values()) for y in years}
    return {**figures, "WEOWORLD": total, "ADVEC": total, "NEWGRP": total}


def published_figures() -> dict[str, dict[int, float]]:
    """Return the bundled release of October 2025: billions by code and year."""
    figures: dict[str, dict[int, float]] = {}
    for (code, year), text in bundle().texts("2025-10").items():
        if year.isdecimal():
            figures.setdefault(code, {})[int(year)] = float(text)
    return figures


PUBLISHED = published_figures()


def imf(release: str | None = "World Economic Outlook (October 2026)", figures: dict[str, Any] | None = None) -> Route:
    """Return the DataMapper's routes; without a release it has no list of indicators."""
    values = imf_figures() if figures is None else figures
    answer: dict[str, Any] = {
        "/NGDPD": {"values": {"NGDPD": values}, "api": {"version": "1", "output-method": "json"}},
        "/countries": {
            "countries": {code: {"label": IMF_LABELS.get(code, code)} for code in values if code not in GROUPS}
        },
        "/groups": {"groups": {code: {"label": label} for code, label in GROUPS.items()}},
        "/regions": {"regions": {}},
    }
    if release:
        about = {"label": "GDP, current prices", "unit": "Billions of U.S. dollars", "source": release}
        answer["/indicators"] = {"indicators": {"NGDPD": about}}
    return lambda path: as_answer(answer[path]) if path in answer else Answer(404)


def bank_codes() -> list[str]:
    """Return 217 codes: the IMF's countries but Taiwan, and some that it does not have."""
    others = [code for code in CODES if code not in {*PUBLISHED, "ESH", "ATA"}]
    ours = [code for code in PUBLISHED if code in CODES and code != "TWN"]
    return sorted([*ours, *others[: 217 - len(ours)]])


def dollars(code: str, year: int) -> float:
    """Return a country's GDP as the World Bank has it, up to 1 % off the IMF's; that of all for a group."""
    if not code:
        return sum(dollars(one, year) for one in bank_codes())
    return round(1e9 * billions(code, year) * (1 + (sum(map(ord, code)) % 21 - 10) / 1000), 2)


def world_bank(per_page_as_text: bool = True, updated: str = "2026-04-08") -> Route:
    """Return the World Bank's routes: 217 countries and 4 groups, three years, without Taiwan."""
    names = {country.iso3: country.name for country in reference().countries.values()}
    codes = bank_codes()
    rows = [
        {"indicator": {"id": "NY.GDP.MKTP.CD", "value": "GDP (current US$)"}, "countryiso3code": code,
         "country": {"id": code[:2], "value": name}, "date": str(year), "value": value}
        for code, name in [("", "Arab World"), ("", "World"), *((code, names[code]) for code in codes)]
        for year, value in ((2025, None), (2024, dollars(code, 2024)), (2023, dollars(code, 2023)))
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


def sdmx(flows: dict[str, str] | None = None, figures: dict[str, Any] | None = None) -> Route:
    """Return SDMX's routes: each dataflow, with its day of publication; an unknown one is 404, in JSON.

    Values are whole dollars, groups have codes of their own, and the last actual year is in a Group.
    """
    published = {"WEO": "2026-04-14T13:00:00Z"} if flows is None else flows
    values = imf_figures() if figures is None else figures

    def route(path: str) -> Answer:
        flow = path.partition("IMF.RES,")[2].partition("/")[0]
        if flow not in published:
            return Answer(404, json.dumps({"status": 404, "message": f"No such dataflow found: {flow}"}).encode())
        return Answer(200, sdmx_xml(flow, published[flow], values).encode(), {"Content-Type": "application/xml"})

    return route


SDMX_CODES = {"UVK": "KOS", "WEOWORLD": "G001", "ADVEC": "G110", "NEWGRP": "G999"}


def sdmx_xml(flow: str, published: str, figures: dict[str, Any], scale: str = "9") -> str:
    """Return StructureSpecificData as the IMF sends it."""
    namespace = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message"
    lines = [
        f'<?xml version="1.0" encoding="UTF-8"?>\n<message:StructureSpecificData xmlns:message="{namespace}">',
        f'<message:Header><message:Structure><Ref agencyID="IMF.RES" id="{flow}" version="9.0.0"/></message:Structure>',
        f'</message:Header><message:DataSet PUBLICATION_DATE="{published}" UPDATE_DATE="2026-04-15T13:00:00Z">',
    ]
    for code, series in figures.items():
        key = f'COUNTRY="{SDMX_CODES.get(code, code)}" INDICATOR="NGDPD"'
        last = "FY2023/24" if code == "IND" else "2024"
        lines.append(f'<Group {key} LATEST_ACTUAL_ANNUAL_DATA="{last}"/><Series {key} FREQUENCY="A" SCALE="{scale}">')
        lines += [
            f'<Obs TIME_PERIOD="{year}" OBS_VALUE="{round(value * 1e9)}"/>' if value else f'<Obs TIME_PERIOD="{year}"/>'
            for year, value in series.items()
        ]
        lines.append("</Series>")
    return "\n".join([*lines, "</message:DataSet></message:StructureSpecificData>"])


def dbnomics(releases: Sequence[str], figures: dict[str, Any] | None = None) -> Route:
    """Return DBnomics' routes: a dataset a release, its series page by page, "NA" for none; an unknown one is 404."""

    @cache
    def values_of(dataset: str) -> dict[str, Any]:
        year = int(dataset.partition(":")[2][:4])
        return imf_figures(year - 3, year + 5) if figures is None else figures

    def document(dataset: str, code: str) -> dict[str, Any]:
        values = values_of(dataset)
        years = list(values[code])
        number = "001" if code == "WEOWORLD" else code
        return {
            "dataset_code": dataset, "provider_code": "IMF", "series_code": f"{number}.NGDPD.us_dollars",
            "series_name": f"{IMF_LABELS.get(code, code)} – Gross domestic product, current prices – U.S. dollars",
            "period": [*years, "1979"], "value": [*(values[code][year] for year in years), "NA"],
        }  # fmt: skip

    def route(path: str) -> Answer:
        dataset = path.partition("/series/IMF/")[2].partition("?")[0].partition("/")[0]
        release = dataset.partition(":")[2]
        if release not in releases:
            return Answer(404, json.dumps({"message": f"Dataset {dataset} not found"}).encode())
        if dataset.startswith("WEOAGG"):
            found = [document(dataset, "WEOWORLD")]
            return as_answer({"series": {"docs": found, "num_found": 1}})
        asked = {
            name: int(answer[0]) for name, answer in parse_qs(urlsplit(path).query).items() if answer[0].isdecimal()
        }
        countries = [code for code in values_of(dataset) if code not in GROUPS]
        size = min(asked["limit"], 100)
        page = [document(dataset, code) for code in countries[asked["offset"] : asked["offset"] + size]]
        return as_answer({"series": {"docs": page, "num_found": len(countries), "offset": asked["offset"]}})

    return route


def wdi_archive(versions: dict[str, str], wrong: str = "") -> Route:
    """Return the routes of the World Bank's archives: versions by number with their labels, page by page.

    The order of the concepts changes from row to row, and Andorra is there twice, without figures under ADO.
    """
    countries = {country.iso3: country.name for country in reference().countries.values()}
    codes = bank_codes()

    def rows(version: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        named = [("ADO", "Andorra"), ("WLD", "World"), *((code, countries[code]) for code in codes)]
        for place, (code, name) in enumerate(named):
            concepts = [
                {"concept": "Country", "id": code, "value": name}, {"concept": "Time", "id": "YR2015", "value": "2015"},
                {"concept": "Series", "id": "NY.GDP.MKTP.CD", "value": "GDP (current US$)"},
                {"concept": "Version", "id": version, "value": versions[version]},
            ]  # fmt: skip
            turned = concepts[place % 4 :] + concepts[: place % 4]
            found.append(
                {"variable": turned, "value": None if code == "ADO" else dollars("" if code == "WLD" else code, 2015)}
            )
        return found

    def route(path: str) -> Answer:
        if "/version?" in path:
            listed = [{"id": version, "value": label} for version, label in versions.items()]
            return as_answer({"page": 1, "pages": 1, "source": [{"id": "57", "concept": [{"variable": listed}]}]})
        version = path.partition("/version/")[2].partition("/")[0]
        if version not in versions or version == wrong:
            return as_answer([{"message": [{"id": "160", "key": "Data not found.", "value": "It was not found"}]}])
        page, found = int(parse_qs(urlsplit(path).query)["page"][0]), rows(version)
        about = {"page": page, "pages": -(-len(found) // 100), "per_page": "100", "total": len(found)}
        data = found[(page - 1) * 100 : page * 100]
        return as_answer({**about, "lastupdated": "2025-10-29", "source": {"id": "57", "data": data}})

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
        answer: dict[str, Any] = {"query": {"pages": [{"title": "…", "revisions": known[begin : begin + 50]}]}}
        if begin + 50 < len(known):
            answer["continue"] = {"rvcontinue": str(begin + 50), "continue": "||"}
        return as_answer(answer)

    def _page(self, number: int) -> Answer:
        self.asked.append(number)
        page = replace(page_of_facts(), saved=self.revisions[number], revision=number)
        content = build(page, Layout()).encode()
        self.sent.append(number)
        return Answer(200, content, {"Content-Type": "text/html"})
