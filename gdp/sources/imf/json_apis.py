"""Two APIs that answer in JSON: the IMF's DataMapper for the current release, and DBnomics for past ones.

The DataMapper has all years at once, in billions of US dollars, with countries and groups of countries side by side;
other addresses of it label them. Version 2 states which release it is and which year is the first projected; version 1
does so at another address. People also download its export, a table. DBnomics is a library of economic data: its
datasets are IMF/WEO:2008-04 to IMF/WEO:2025-04, and IMF/WEOAGG:… for groups. Figures are in billions; "NA" is none.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any
from urllib.parse import urlencode

from gdp.sources import Month, Refused, Unreachable
from gdp.sources.imf.outlook import BILLIONS, INDICATOR, WORLD, WORLD_NAME, Outlook, Series
from gdp.sources.imf.releases import named_in
from gdp.sources.payloads import (
    as_json,
    check_figures,
    day_of,
    fetch_json,
    is_aggregate,
    is_country,
    shaped,
    today,
)
from gdp.sources.tabular_files import MAX_ROWS_BEFORE_HEADER, Table, refuse_repeated_columns, refuse_second_heading

DATAMAPPER_VARIABLE, DBNOMICS_VARIABLE = "GDP_ETL_IMF_URL", "GDP_ETL_DBNOMICS_URL"
DATAMAPPER_URL = "https://www.imf.org/external/datamapper/api/v{version}"
DBNOMICS_URL = "https://api.db.nomics.world/v22"
VERSIONS = ("2", "1")
ABOUT = ("indicators", "countries", "groups", "regions")
ABOUT_DEADLINE_S = 5.0  # the figures are worth more than their labels
Entries = dict[str, dict[str, Any]]


def datamapper_addresses() -> dict[str, str]:
    """Return the DataMapper's addresses by a name without a password: the one that is set, or both, the newer first."""
    if named := os.environ.get(DATAMAPPER_VARIABLE):
        version = named.rpartition("/v")[2]
        return {f"DataMapper v{version}" if version in VERSIONS else "DataMapper": named}
    return {f"DataMapper v{version}": DATAMAPPER_URL.format(version=version) for version in VERSIONS}


def fetch_datamapper(base: str) -> bytes:
    """Return the current release as JSON: the figures, and what the API has about codes and release.

    Raises Unreachable when the figures cannot be had; their labels are optional.
    """
    answer = fetch_json(f"{base}/{INDICATOR}")
    values = answer.get("values") if isinstance(answer, dict) else None
    if not isinstance(values, dict) or INDICATOR not in values:
        raise Unreachable(f"its answer has no values of {INDICATOR}")
    found = {name: answer[name] for name in ("values", "api", *ABOUT) if name in answer}
    found |= {name: _about_of(base, name) for name in ABOUT if name not in found}
    return as_json({**found, "fetched": today().isoformat()})


def _about_of(base: str, name: str) -> Any:
    try:
        return fetch_json(f"{base}/{name}", deadline_s=ABOUT_DEADLINE_S).get(name, {})
    except (Unreachable, AttributeError):
        return {}


def outlook_of_values(answer: dict[str, Any]) -> Outlook:
    """Return the outlook in the DataMapper's answer; raises Refused if it has another shape or another indicator."""
    values = shaped(answer.get("values"), dict, "values")
    others = [code for code, figures in values.items() if figures is not None]
    if others and INDICATOR not in values:
        raise Refused(f"it has {', '.join(others[:3])}, not {INDICATOR}")
    about = _entries(answer, "indicators").get(INDICATOR, {})
    first_projected = str(about.get("projection-year"))
    last_actual = str(int(first_projected) - 1) if re.fullmatch(r"[0-9]{4}", first_projected) else None
    countries = _entries(answer, "countries")
    groups = {**_entries(answer, "groups"), **_entries(answer, "regions")}
    series = []
    for code, figures in shaped(values.get(INDICATOR), dict, f"values of {INDICATOR}").items():
        by_year = shaped(figures, dict, f"figures of {code}").items()
        texts = {year: None if figure is None else str(figure) for year, figure in by_year}
        # some groups are in the list of countries too, without a label
        is_group = not countries[code].get("label") if code in countries else code in groups
        label = (countries.get(code) or groups.get(code) or {}).get("label")
        series.append(Series(code, str(label) if label else None, texts, last_actual, is_group))
    api = answer.get("api")
    version = str(api.get("version")) if isinstance(api, dict) else ""
    outlook = Outlook(
        series, str(about.get("unit") or BILLIONS), _source(version if version in VERSIONS else "1"),
        release=named_in(str(about.get("source"))), modified=day_of(str(about.get("last-modified"))),
        fetched=day_of(str(answer.get("fetched"))),
    )  # fmt: skip
    if not countries:
        outlook.dropped["list of countries: codes are used instead of names"] += 1
    return outlook


def _source(version: str) -> str:
    return f"{DATAMAPPER_URL.format(version=version)}/{INDICATOR}"


def _entries(answer: dict[str, Any], name: str) -> Entries:
    about = answer.get(name) or {}
    return {code: entry for code, entry in about.items() if isinstance(entry, dict)} if isinstance(about, dict) else {}


# --- the DataMapper's export ------------------------------------------------------------------------------------------

HEADING = f"GDP, current prices ({BILLIONS})"  # the first cell of the export that people download
_EXPORT = re.compile(r"[^()]+?\s*\([^()]+\)")
_YEAR = re.compile(r"((?:19|20)\d\d)(?:\.0|-(?:01-01|12-31)(?:[T ]00:00:00)?)?")  # libraries and Excel add these
LAST_ROWS = 5  # among which the line of copyright is
_COPYRIGHT = re.compile(r"\bIMF,?\s+((?:19|20)\d\d)$")  # "©IMF, 2024", in any encoding
_GROUP_CODE = re.compile(r"[A-Z0-9]{2,6}")


def is_export(table: Table) -> bool:
    """Return whether a table is an export of the DataMapper, or is made of one, with a year a column or a row."""
    return bool(_export_in(table))


def _export_in(table: Table) -> Table:
    """Return the rows of an export from its header on, a year a column; none of another table.

    Libraries write a column of row numbers before it, or turn it, so that a country is a column.
    """
    for number, row in enumerate(table[:MAX_ROWS_BEFORE_HEADER]):
        is_indexed = len(row) > 1 and not row[0] and bool(_EXPORT.fullmatch(row[1]))
        if _is_heading(row[is_indexed:]):
            return [one[is_indexed:] for one in table[number:]]
        if row and _is_ours(row[0]):
            return _turned([one for one in table[number:] if any(one[1:])])
    return []


def _is_heading(row: list[str]) -> bool:
    years = [cell for cell in row[1:] if cell]
    return bool(years) and all(map(_YEAR.fullmatch, years)) and bool(_EXPORT.fullmatch(row[0]))


def _is_ours(heading: str) -> bool:
    return re.sub(r"\s*\(", " (", heading) == HEADING


def _turned(rows: Table) -> Table:
    """Return a table whose rows are years with a year a column; none of another table; raises Refused."""
    if len(rows) < 2 or not all(_YEAR.fullmatch(row[0]) for row in rows[1:]):
        return []
    if cut := next((row[0] for row in rows if len(row) < len(rows[0])), None):
        raise Refused(f"the row of {cut} is cut short; fetch it again")
    return [list(column) for column in zip(*rows, strict=False)]


def outlook_of_exports(tables: list[Table]) -> Outlook:
    """Return the outlook in an export, a sheet an indicator; raises Refused for other indicators, or a short row."""
    exports = [export for table in tables if (export := _export_in(table))]
    ours = [export for export in exports if _is_ours(export[0][0])]
    if not ours:
        raise Refused(f'it has "{exports[0][0][0][:80]}", not "{HEADING}"')
    if len(ours) > 1:
        raise Refused(f'it has two tables of "{HEADING}"; save the right one as a file of its own')
    header, *rows = ours[0]
    refuse_repeated_columns(header, _YEAR)
    refuse_second_heading(ours[0], _is_heading)
    years = {found[1]: place for place, cell in enumerate(header) if (found := _YEAR.fullmatch(cell))}
    series = []
    for row in rows:
        if not any(row[1:]):  # blank, or the line of copyright
            continue
        if len(row) <= max(years.values()):
            raise Refused(f"the row of {row[0][:40]} is cut short; fetch it again")
        series.append(_export_series(row[0], {year: row[place] for year, place in years.items()}))
    return Outlook(series, BILLIONS, _source("1"), copyright_year=_copyright_year(tables))


def _copyright_year(tables: list[Table]) -> int | None:
    lines = (" ".join(row).strip() for table in tables for row in table[-LAST_ROWS:])
    return next((int(found[1]) for line in lines if (found := _COPYRIGHT.search(line))), None)


def _export_series(name: str, figures: dict[str, str | None]) -> Series:
    is_group = not is_country(name) and (is_aggregate(name) or bool(_GROUP_CODE.fullmatch(name)))
    return Series("001" if name == WORLD_NAME else name, name, figures, None, is_group)


def is_long_export(table: Table) -> bool:
    """Return whether a table has an export's figures with a country and a year a row, as libraries write them."""
    return bool(table) and _places_of_long(table[0]) is not None


def _places_of_long(header: list[str]) -> tuple[int, int, int] | None:
    """Return the places of country, year and figure; the heading is that of the figures, or of the countries."""
    names = [cell.casefold() for cell in header]
    year = next((names.index(name) for name in ("year", "time", "date", "variable") if name in names), None)
    heading = next((place for place, cell in enumerate(header) if _is_ours(cell)), None)
    if year is None or heading is None or any(map(_YEAR.fullmatch, header)):
        return None
    rest = [place for place, cell in enumerate(header) if cell and place not in (year, heading)]
    country = next((place for place in rest if names[place] in ("country", "country name", "economy", "entity")), None)
    if country is not None:
        return country, year, heading
    return (heading, year, rest[0]) if len(rest) == 1 else None


def outlook_of_long_exports(tables: list[Table]) -> Outlook:
    """Return the outlook in an export with a country and a year a row; raises Refused for what is cut short."""
    header, *rows = next(filter(is_long_export, tables))
    refuse_repeated_columns(header, re.compile(re.escape(HEADING)))
    country, year, figure = _places_of_long(header) or (0, 0, 0)
    series = []
    for number, row in enumerate(rows, 2):
        if sum(map(bool, row)) <= 1:  # blank, or the line of copyright
            continue
        found = _YEAR.fullmatch(row[year]) if len(row) >= len(header) else None
        if not found:
            raise Refused(f"row {number} is cut short, or has no year: {row[:4]}")
        series.append(_export_series(row[country], {found[1]: row[figure]}))
    return Outlook(series, BILLIONS, _source("1"), copyright_year=_copyright_year(tables))


def has_heading(table: Table) -> bool:
    """Return whether a table has the heading of an export anywhere above its figures."""
    return any(_is_ours(cell) for row in table[:MAX_ROWS_BEFORE_HEADER] for cell in row)


def refuse_form(_tables: list[Table]) -> Outlook:
    """Raise Refused for tables with the heading of an export in a form that is not known."""
    forms = "all other headings must be years, or two columns be named Country and Year"
    raise Refused(f'it has "{HEADING}" in a form that is not read: {forms}')


# --- DBnomics ---------------------------------------------------------------------------------------------------------

SERIES_A_PAGE = 1000  # the most that it sends at once; a release has about 190 of nominal GDP
MAX_SERIES = 5000
GROUPS = "WEOAGG"
NAME_ENDS = (" – ", " - ", " · ")  # between the country and the subject in a series' name


def fetch_dbnomics(release: Month) -> bytes:
    """Return every series of nominal GDP of a past release, and the World's if there is one, as one JSON.

    Raises Unreachable when DBnomics does not have the release, or sends less than it promises.
    """
    docs, promised = _page(release, 0)
    while len(docs) < promised:
        more, _ = _page(release, len(docs))
        if not more:
            raise Unreachable(f"it sent {len(docs)} series of {promised}")
        docs += more
    try:  # the World's series is the control total
        world = fetch_json(f"{_dbnomics()}/{GROUPS}:{release}/001.{INDICATOR}.us_dollars?observations=1")
        docs += world["series"]["docs"]
    except (Unreachable, LookupError, TypeError):
        pass
    return as_json({"series": {"docs": docs, "num_found": promised}, "fetched_from": "DBnomics"})


def _dbnomics() -> str:
    return f"{os.environ.get(DBNOMICS_VARIABLE) or DBNOMICS_URL}/series/IMF"


def _page(release: Month, offset: int) -> tuple[list[Any], int]:
    query = {
        "dimensions": json.dumps({"weo-subject": [INDICATOR]}), "observations": "1",
        "limit": str(SERIES_A_PAGE), "offset": str(offset),
    }  # fmt: skip
    answer = fetch_json(f"{_dbnomics()}/WEO:{release}?{urlencode(query)}")
    match answer:
        case {"series": {"docs": list(docs), "num_found": size}} if (
            str(size).isdecimal() and 0 < int(size) <= MAX_SERIES
        ):
            return docs, int(size)
    raise Unreachable(f"it has no series of {INDICATOR} for {release}: {str(answer)[:60]}")


def outlook_of_docs(answer: dict[str, Any]) -> Outlook:
    """Return the outlook in DBnomics' answer; raises Refused if series are missing, or are of another release."""
    docs = [shaped(doc, dict, "a series") for doc in shaped(answer["series"]["docs"], list, "docs")]
    subjects = [[*str(doc.get("series_code")).split("."), ""][1] for doc in docs]  # of "ABW.NGDPD.us_dollars"
    own = [doc for doc, subject in zip(docs, subjects, strict=True) if subject == INDICATOR]
    if not own:
        raise Refused(f"it has {', '.join({*subjects}) or 'no series'}, not {INDICATOR}")
    promised = str(answer["series"].get("num_found", len(docs)))
    if promised.isdecimal() and int(promised[:9]) > len(docs):
        raise Refused(f"it has {len(docs)} series of {promised}; the rest is on other pages")
    releases = {named_in(str(doc.get("dataset_code"))) for doc in own}
    if len(releases) > 1:
        raise Refused("its series are of several releases")
    release = releases.pop()
    source = f"{DBNOMICS_URL}/series/IMF/WEO"
    return Outlook(
        [*map(_series, own)], BILLIONS, f"{source}:{release}" if release else source, release=release
    )  # fmt: skip


def _series(doc: dict[str, Any]) -> Series:
    code = str(doc.get("series_code")).partition(".")[0]
    years = [str(period)[:4] for period in shaped(doc.get("period"), list, f"period of {code}")]
    values = shaped(doc.get("value"), list, f"value of {code}")
    if len(years) != len(values):
        raise Refused(f"{code} has {len(values)} figures for {len(years)} years")
    check_figures(((code,), year, str(value)) for year, value in zip(years, values, strict=True))
    figures = {year: None if value is None else str(value) for year, value in zip(years, values, strict=True)}
    name = str(doc.get("series_name") or "")
    ends = [name.index(end) for end in NAME_ENDS if end in name]
    is_group = str(doc.get("dataset_code")).startswith(GROUPS)
    return Series(code, None if code in WORLD else name[: min(ends, default=0)] or None, figures, is_group=is_group)
