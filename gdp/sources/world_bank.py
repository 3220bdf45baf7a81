"""The World Bank's own figures: NY.GDP.MKTP.CD, GDP in current US dollars, by its API or from a file.

Past versions since 1989 come from the archives of the World Development Indicators, which the API calls source 57. A
version is named by year and month, twice: by its number and by a label, which disagree now and then ("201703" has the
label "2017 Apr"). No version states its day of publication.

Its files are the CSV of its site, bulk files, extracts of DataBank, and what libraries write. Columns say what they
are: a country, an indicator, and a year a column; or a year and a value a row.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from gdp.model import WORLD_BANK, RawRecord
from gdp.sources import Answer, Month, Page, Reading, Refused, Releases, Source, Unreachable, tabular_files
from gdp.sources.payloads import (
    answer_of,
    as_json,
    check_figures,
    checked_as_of,
    day_of,
    days_of,
    fetch_json,
    is_absent,
    is_aggregate,
    is_country,
    is_json,
    json_in,
    last_day,
    local_name,
    name_or_code,
    parsed_xml,
    plain,
    read_json,
    shaped,
    today,
)
from gdp.sources.tabular_files import Table
from utils import MONTHS

VARIABLE = "GDP_ETL_WORLD_BANK_URL"
API_URL = "https://api.worldbank.org/v2"
INDICATOR = "NY.GDP.MKTP.CD"
NAME = "GDP (current US$)"  # the API's own words, for a row without them
MARK = (
    f"{INDICATOR} in a column or as the name of one (World Bank; wbgapi: "
    f"DataFrame('{INDICATOR}', index=['economy', 'series'], columns='time'))"
)
WORLD = "World"  # read like a country: the control total
ROWS_A_PAGE = 1000  # larger pages have timed out
MAX_PAGES = 200  # ten times what there is; an answer that promises more is wrong
MAX_DIGITS = 9  # of a count of rows
AGGREGATES = "Aggregates"  # what the country list gives as the region of a group of countries
ARCHIVES = "57"
MAX_VERSIONS = 1000  # there were 142 in July 2026
OLD_CODES = ("ADO", "IMY", "KSV", "ROM", "TMP", "WBG", "ZAR")  # the archives have them beside the current ones
_LABEL = re.compile(r"(\d{4}) ([A-Z][a-z]{2})[a-z]*")


# --- fetching ---------------------------------------------------------------------------------------------------------


def _fetched(path: str) -> Any:
    return fetch_json(f"{os.environ.get(VARIABLE) or API_URL}/{path}")


def fetch(release: Month | None = None) -> Answer:
    """Return the current figures, or a past version; raises Unreachable."""
    if release is None:
        return answer_of(as_json(fetch_current()), "its API")
    return answer_of(as_json(fetch_version(f"{release.year}{release.month:02}")), "the archives of its API")


def fetch_current() -> dict[str, Any]:
    """Return every row of the indicator, and the names of the groups of countries if the API has them.

    Raises Unreachable when not every page can be had, or the API answers with an error.
    """
    about, rows = _page(1)
    for number in range(2, _count(about, "pages") + 1):
        about_this, more = _page(number)
        if about_this.get("lastupdated") != about.get("lastupdated"):
            raise Unreachable(f"it was updated while page {number} was fetched; try again")
        rows += more
    if len(rows) != _count(about, "total"):
        raise Unreachable(f"it sent {len(rows)} rows of {about.get('total')}")
    try:  # transform knows the groups, too
        _, countries = two_parts(_fetched(f"country?format=json&per_page={ROWS_A_PAGE}"))
        groups = [str(one["name"]) for one in countries if one["region"]["value"] == AGGREGATES]
    except (Unreachable, Refused, LookupError, TypeError):
        groups = []
    return {"lastupdated": about.get("lastupdated"), "rows": rows, "groups": groups}


def _page(number: int) -> tuple[dict[str, Any], list[Any]]:
    try:
        path = f"country/all/indicator/{INDICATOR}?format=json&per_page={ROWS_A_PAGE}&page={number}"
        return two_parts(_fetched(path))
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


def _count(about: dict[str, Any], name: str) -> int:
    """Return a count in an answer's first part, which is sometimes sent as text."""
    text = str(about.get(name))
    if not text.isdecimal() or len(text) > MAX_DIGITS or (name == "pages" and not 1 <= int(text) <= MAX_PAGES):
        raise Unreachable(f"its answer has {text[:20]} for the number of {name}")
    return int(text)


def fetch_version(version: str) -> dict[str, Any]:
    """Return every row of the indicator in a past version, as one answer; raises Unreachable when it cannot be had."""
    answer: dict[str, Any] = {}
    data: list[Any] = []
    for number in range(1, MAX_PAGES + 1):
        path = f"sources/{ARCHIVES}/country/all/series/{INDICATOR}/time/all/version/{version}/data"
        answer = _fetched(f"{path}?format=json&per_page={ROWS_A_PAGE}&page={number}")
        try:
            data += answer["source"]["data"]
            pages = int(answer["pages"])
        except (LookupError, TypeError, ValueError):
            raise Unreachable(f"page {number}: its answer holds no version {version}: {str(answer)[:60]}") from None
        if number >= pages:
            break
    if str(answer.get("total")) != str(len(data)):
        raise Unreachable(f"it sent {len(data)} rows of {answer.get('total')}")
    source = {"id": ARCHIVES, "data": data}
    return {**answer, "page": 1, "pages": 1, "source": source, "fetched": today().isoformat()}


def versions_between(first: Month, last: Month) -> list[Month]:
    """Return the versions in the archives from one month to another, in order; raises Unreachable."""
    answer = _fetched(f"sources/{ARCHIVES}/version?format=json&per_page={MAX_VERSIONS}")
    try:
        named = [str(one["id"]) for concept in answer["source"][0]["concept"] for one in concept["variable"]]
    except (LookupError, TypeError):
        raise Unreachable(f"its answer holds no list of versions: {str(answer)[:60]}") from None
    months = [Month(int(version[:4]), int(version[4:])) for version in named if re.fullmatch(r"\d{6}", version)]
    return sorted(month for month in months if first <= month <= last)


# --- reading ----------------------------------------------------------------------------------------------------------


def detect(content: bytes) -> bool:
    """Return whether a content is an answer of the World Bank, or one of its files."""
    match json_in(content):
        case [{"message": _}] | [{"page": _}, *_] | {"rows": _} | {"source": _} | [{"indicator": _, "country": _}, *_]:
            return True
    return is_xml(content) or any(map(layout_of, tabular_files.tables_in(content)))


def read(page: Page, release: Month | None = None) -> Reading:
    """Return the records of an answer or a file; raises Refused for anything else, and for what is cut short."""
    if is_json(page.content):
        return parse(read_json(page.content), release)
    if is_xml(page.content):
        return parse(answer_of_xml(page.content))
    for table in tabular_files.tables_of(page.content):
        if layout := layout_of(table):
            tabular_files.refuse_two_members(page.content, layout_of)
            answer = _answer_of_table(table, layout)
            return parse({**answer, "lastupdated": _day_of_file(answer["lastupdated"], release)})
    unnamed = tabular_files.unnamed_table(page.content, MARK)
    raise Refused(f"it is {unnamed or 'no answer of the World Bank and none of its files'}")


def _day_of_file(stated: list[str], release: Month | None) -> str:
    """Return the day of a file: the one in what it states, else the last of the month that the user names."""
    days = next(filter(None, map(days_of, stated)), [])
    fitting = [day for day in days if day.startswith(str(release or ""))]
    if len(fitting) == 1:
        return fitting[0]
    if days and not fitting:
        raise Refused(f"it was updated on {' or '.join(days)}, not in {release}")
    if release is None:
        problem = "nothing in it states when it was updated"
        if stated:
            problem = f"it was updated on {stated[0][:20]!r}, which is {' or '.join(days) or 'no day'}"
        raise Refused(f"{problem}; name its version with --release, as 2024-06")
    return min(last_day(release), today().isoformat())


def parse(answer: Any, release: Month | None = None) -> Reading:
    """Return the figures of every country and year, and the World's, as raw records; groups are dropped and counted.

    `release` is of rows that came alone. Raises Refused for anything but a whole answer of the World Bank.
    """
    match answer:
        case [{"indicator": _}, *_]:  # the rows without the part before them
            answer = {"lastupdated": _day_of_file([], release), "rows": answer}
        case [*_]:
            about, rows = two_parts(answer)
            check_whole_answer(about, len(rows))
            answer = {"lastupdated": about.get("lastupdated"), "rows": rows}
        case {"source": _}:
            answer = _answer_of_version(answer)
    rows = shaped(shaped(answer, dict, "the answer").get("rows"), list, "rows")
    as_of = checked_as_of(str(answer.get("lastupdated")))
    groups = {str(group) for group in shaped(answer.get("groups") or [], list, "groups")} - {WORLD}
    dropped = Counter({"row of another indicator": answer["others"]} if answer.get("others") else {})
    records: dict[tuple[str, str], RawRecord] = {}
    check_figures(_figures_of(rows, groups))
    for row in rows:
        key = country, year = _text(row, "country"), str(row.get("date"))
        reason = _reason_to_drop(row, country, groups)
        if reason or key in records:
            dropped[reason or "figure repeated"] += 1
            continue
        records[key] = {
            "Country": country, "GDP": plain(str(row["value"])), "Year": year, "Column": None,
            "Unit": _text(row, "indicator") if row.get("indicator") else NAME, "Institution": WORLD_BANK.label,
            "Source": f"{API_URL}/country/all/indicator/{INDICATOR}", "As_of": as_of,
        }  # fmt: skip
    if not records:
        others = {str(_id(row)) for row in rows} - {INDICATOR}
        raise Refused(f"it has {', '.join(sorted(others)[:3]) or 'no figure'}, not {INDICATOR}")
    return Reading([*records.values()], dropped)


def _reason_to_drop(row: dict[str, Any], country: str, groups: set[str]) -> str | None:
    """Return why a row is dropped, or None: a group has no code, but countries have one."""
    if _id(row) != INDICATOR:
        return "row of another indicator"
    if country in groups or (row.get("countryiso3code") == "" and country != WORLD):
        return "row of a group of countries"
    is_figure = row.get("value") is not None and not is_absent(str(row["value"]))
    return None if is_figure else "year without a figure"


def _figures_of(rows: list[Any], groups: set[str]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield the figures of the countries; those under an old code may differ from the current ones."""
    for row in rows:
        country = _text(row, "country")
        if _reason_to_drop(row, country, groups) is None and (country == WORLD or not is_aggregate(country)):
            code = str(row.get("countryiso3code") or row["country"].get("id") or "")
            yield (code,) if code in OLD_CODES else (country, code), str(row.get("date")), str(row["value"])


def _id(row: dict[str, Any]) -> object:
    indicator = row.get("indicator")
    return indicator.get("id", INDICATOR) if isinstance(indicator, dict) else INDICATOR


def _text(row: object, name: str) -> str:
    try:
        return str(row[name]["value"])  # type: ignore[index]
    except (LookupError, TypeError):
        raise Refused(f"a row has no {name}: {str(row)[:60]}") from None


def check_whole_answer(about: dict[str, Any], number: int) -> None:
    """Raise Refused when an answer is one page of several, or has fewer rows than it promises."""
    page, pages, total = (str(about.get(name, "1")) for name in ("page", "pages", "total"))
    if pages != "1":
        raise Refused(f"it is page {page[:9]} of {pages[:9]}; the rest is missing: fetch it with a larger per_page")
    if total.isdecimal() and "total" in about and total != str(number):
        raise Refused(f"it has {number} rows of {total[:9]}; fetch it again")


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
        variables = shaped(shaped(one, dict, "a row").get("variable"), list, "the variable of a row")
        concepts = {
            str(concept.get("concept")): (str(concept.get("id")), str(concept.get("value")))
            for concept in variables if isinstance(concept, dict)
        }  # fmt: skip
        try:
            country, series, time, version = (concepts[name] for name in ("Country", "Series", "Time", "Version"))
        except KeyError as missing:
            raise Refused(f"a row has no {missing}: {str(one)[:60]}") from None
        as_of.add(min(_day_of_version(*version), day_of(str(answer.get("fetched"))) or today().isoformat()))
        rows.append({
            "country": {"id": country[0], "value": country[1]}, "indicator": {"id": series[0], "value": series[1]},
            "date": time[1], "value": one.get("value"),
        })  # fmt: skip
    if rows and all(row["indicator"]["id"] != INDICATOR for row in rows):
        raise Refused(f"it has {rows[0]['indicator']['id']}, not {INDICATOR}")
    check_whole_answer(answer, len(data))
    if len(as_of) > 1:
        raise Refused("its rows are of several versions")
    return {"lastupdated": next(iter(as_of), None), "rows": rows}


def _day_of_version(number: str, label: str) -> str:
    """Return the last day of a version's month, of the later month if number and label disagree."""
    months: list[Month] = []
    if re.fullmatch(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])", number):
        months.append(Month(int(number[:4]), int(number[4:])))
    if found := _LABEL.fullmatch(label):
        months += [Month(int(found[1]), n) for n, name in enumerate(MONTHS, 1) if name.startswith(found[2])]
    if not months:
        raise Refused(f"its version is {number[:20]!r}, which is no month")
    return last_day(max(months))


def is_xml(content: bytes) -> bool:
    """Return whether a content is an answer of the API as XML."""
    head = content[:1000].lstrip()
    return head.startswith((b"<?xml", b"\xef\xbb\xbf<?xml", b"<wb:")) and b"www.worldbank.org" in head


def answer_of_xml(content: bytes) -> list[Any]:
    """Return the API's XML in the shape of its JSON; raises Refused."""
    root = parsed_xml(content, "the World Bank's XML")
    rows = []
    for row in root:
        part = {local_name(child.tag): child for child in row}
        if not {"country", "date", "value", "indicator"} <= part.keys():
            raise Refused(f"it is no answer with figures: a row has {', '.join(part) or 'nothing'}"[:160])
        rows.append({
            "country": {"value": part["country"].text or ""}, "date": part["date"].text, "value": part["value"].text,
            "indicator": {"id": part["indicator"].get("id"), "value": part["indicator"].text},
        })  # fmt: skip
        if (code := part.get("countryiso3code")) is not None:
            rows[-1]["countryiso3code"] = code.text or ""
    return [dict(root.attrib), rows]


# --- tables -----------------------------------------------------------------------------------------------------------

ROWS_BEFORE_HEADER = 10
NOTE_CELLS = 2  # of a line of notes: "Last Updated: 06/28/2024"
# What a column is for, by its names in files and libraries. Points and underscores in them are spaces here.
COLUMNS = {
    "country": ("country name", "country value", "country", "economy", "entity", "ref area"),
    "iso": ("country code", "iso3c", "countryiso3code", "code", "economy"),
    "code": ("indicator code", "series code", "indicatorid", "indicator id", "series"),
    "name": ("indicator name", "series name", "indicator value"),
    "year": ("year", "date", "time", "time period", "variable", "ny gdp mktp cd:t"),  # wbgapi has the last
    "value": ("value", "obs value"),
    "indicator": ("indicator",),  # a name, a code, or both as pandas writes an object
    "power": ("unit mult",),  # of ten, in SDMX
    "updated": ("lastupdated", "last updated"),
}
# Codes of groups of countries, where a table has no names.
WORLD_CODE = "WLD"
GROUP_CODES = [
    "AFE", "AFW", "ARB", "CEB", "CSS", "EAP", "EAR", "EAS", "ECA", "ECS", "EMU", "EUU", "FCS", "HIC",
    "HPC", "IBD", "IBT", "IDA", "IDB", "IDX", "INX", "LAC", "LCN", "LDC", "LIC", "LMC", "LMY", "LTE",
    "MEA", "MIC", "MNA", "NAC", "OED", "OSS", "PRE", "PSS", "PST", "SAS", "SSA", "SSF", "SST", "TEA",
    "TEC", "TLA", "TMN", "TSA", "TSS", "UMC",
]  # fmt: skip
_VALUE = re.compile(r"(?:GDP \(current US\$\) ?)?\[?NY\.GDP\.MKTP\.CD\]?|GDP \(current US\$\)", re.IGNORECASE)
_YEAR = re.compile(r"(?:X|YR)?((?:19|20)\d\d)(?:\s*\[YR\1\]|\.\.YR\1\.)?(?:\.0|-(?:01-01|12-31)(?:[T ]00:00:00)?)?")
_ECONOMY = re.compile(r"(?:.+ \[)?([A-Z]{3})\]?")  # "FRA", or DataBank's "France [FRA]"
_OBJECT = re.compile(r"\{'id': '(?P<id>[^']*)', 'value': (['\"])(?P<value>.*)\2\}")
_UPDATED = re.compile(r"last\s+updated(?:\s+date)?\s*:?\s*", re.IGNORECASE)


class Layout(NamedTuple):
    """A table's layout: the row of its header, its columns by what they hold, and its columns of figures.

    A column of figures has a country and a year, "" for those of its rows, and its place.
    """

    header: int
    columns: dict[str, int]
    figures: list[tuple[str, str, int]]
    is_of_one_indicator: bool  # its column of values is named by the indicator


def layout_of(table: Table) -> Layout | None:
    """Return a table's layout, or None if it is no file of the World Bank."""
    return next((found for place in enumerate(table[:ROWS_BEFORE_HEADER]) if (found := _layout(*place))), None)


def _layout(number: int, row: list[str]) -> Layout | None:
    """Return the layout of a header, None for any other row."""
    names = [re.sub(r"[._ ]+", " ", cell).strip().casefold() for cell in row]
    columns = {what: names.index(name) for what, known in COLUMNS.items() for name in reversed(known) if name in names}
    if "obs value" in names and "ref area" not in names:
        return None  # the IMF's SDMX
    figures = [("", found[1], place) for place, cell in enumerate(row) if (found := _YEAR.fullmatch(cell))]
    named = None if figures else next((place for place, cell in enumerate(row) if _VALUE.fullmatch(cell)), None)
    if figures:
        columns.pop("indicator", None)  # the IMF has it beside years
    elif "country" not in columns:
        figures = _country_columns(row, columns)
    elif named is not None or {"year", "value"} <= columns.keys():
        figures = [("", "", columns["value"] if named is None else named)]
    is_named = named is not None or bool(columns.keys() & {"code", "name", "indicator"})
    has_country = "country" in columns or bool(figures and figures[0][0])
    return Layout(number, columns, figures, named is not None) if figures and is_named and has_country else None


def _country_columns(row: list[str], columns: dict[str, int]) -> list[tuple[str, str, int]]:
    """Return the columns that are named by a country or its code, where a row is a year."""
    rest = [(cell, place) for place, cell in enumerate(row) if place not in columns.values()]
    codes = [(found[1] if (found := _ECONOMY.fullmatch(cell)) else cell, place) for cell, place in rest]
    named = [(code, "", place) for code, place in codes if _ECONOMY.fullmatch(code) or is_country(code)]
    return named if "year" in columns and any(is_country(code) for code, *_ in named) else []


def _answer_of_table(table: Table, layout: Layout) -> dict[str, Any]:
    """Return a table in the shape of the API's answer, its day as what it states of it; raises Refused."""
    if "year" not in layout.columns and not layout.figures[0][1]:
        raise Refused(f"it has {INDICATOR} of a year that nothing in it states; with wbgapi, ask for timeColumns=True")
    header = table[layout.header]
    tabular_files.refuse_repeated_columns(header, _YEAR)
    tabular_files.refuse_repeated_columns(header, _VALUE)
    of_country = [layout.columns[what] for what in ("country", "iso") if what in layout.columns]
    tabular_files.refuse_second_heading(
        table, lambda row: any(row[n : n + 1] == header[n : n + 1] for n in of_country), layout.header
    )
    others = 0
    rows: list[dict[str, Any]] = []
    updated: set[str] = set()
    last = max([*layout.columns.values(), *(place for *_, place in layout.figures)])
    for row in table[layout.header + 1 :]:
        if sum(map(bool, row)) <= NOTE_CELLS and len(row) <= NOTE_CELLS + len(layout.columns):
            continue  # blank, or a note at the end
        if len(row) <= last:
            raise Refused(f"the row of {row[0][:40]} is cut short; fetch it again")
        found = list(_rows_of(row, layout))
        rows += found
        others += not found
        if found and "updated" in layout.columns:
            updated.add(row[layout.columns["updated"]])
    if not rows:
        place = next((layout.columns[what] for what in ("code", "name", "indicator") if what in layout.columns), 0)
        names = dict.fromkeys(row[place] for row in table[layout.header + 1 :] if len(row) > place and row[place])
        raise Refused(f"it has {', '.join(list(names)[:3]) or 'no figure'}, not {INDICATOR}")
    stated = [*_updated(table), *sorted(filter(None, updated), key=days_of, reverse=True)]
    return {"lastupdated": stated, "rows": rows, "others": others, "groups": GROUP_CODES}


def _rows_of(row: list[str], layout: Layout) -> Iterator[dict[str, Any]]:
    """Yield the figures of a row of the indicator as the API has them."""
    cell = {what: row[place] for what, place in layout.columns.items()}
    named = cell.get("code") or cell.get("name") or cell.get("indicator", "")
    if not layout.is_of_one_indicator and _code_of(named) != INDICATOR:
        return
    if cell.get("power", "0") not in ("", "0"):
        raise Refused(f"its figures are in 10^{cell['power'][:9]} US dollars (UNIT_MULT); export it in whole dollars")
    indicator = {"value": cell.get("name") or NAME, "id": INDICATOR}
    own_country = name_or_code(_part(cell.get("country", ""), "value"), cell.get("iso", ""))
    found = _YEAR.fullmatch(cell.get("year", ""))
    own_year = found[1] if found else ""
    for of_country, of_year, place in layout.figures:
        country, year = of_country or own_country, of_year or own_year
        country = WORLD if country == WORLD_CODE else country
        if year:
            of = {"id": "" if of_country else cell.get("iso", ""), "value": country}
            yield {"indicator": indicator, "country": of, "date": year, "value": row[place]}
        elif country and not is_absent(row[place]):
            raise Refused(f"the row of {country[:40]} is of {cell['year'][:20]!r}, which is no year")


def _part(cell: str, name: str) -> str:
    """Return the id or the value in a cell with an object of the API, {'id': 'FR', 'value': 'France'}; or the cell."""
    found = _OBJECT.fullmatch(cell)
    return found[name] if found else cell


def _code_of(named: str) -> str:
    """Return an indicator's code: WB_WDI_NY_GDP_MKTP_CD is its name in SDMX."""
    code = _part(named, "id")
    return INDICATOR if code == NAME else code.removeprefix("WB_WDI_").replace("_", ".")


def _updated(table: Table) -> list[str]:
    """Return what a table states of its day, in a line before its header or at its end."""
    texts = (" ".join(row[:2]).strip() for row in (*table[:ROWS_BEFORE_HEADER], *table[-ROWS_BEFORE_HEADER:]))
    return [text[found.end() :] for text in texts if (found := _UPDATED.match(text)) and text[found.end() :]]


SOURCE = Source(
    WORLD_BANK, WORLD_BANK.label, {VARIABLE: API_URL}, fetch, detect, read,
    Releases(versions_between, lambda version: {last_day(version)}, "those that /v2/sources/57/version lists"),
    mark=MARK,
)  # fmt: skip
