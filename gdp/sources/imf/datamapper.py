"""The IMF's DataMapper: an API that serves the current release only, all years at once, in billions of US dollars.

Countries and groups of countries have codes side by side; other addresses of the same API label them. Version 2 states
in its answer which release it is and which year is the first projected; version 1 does so at another address.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from typing import Any

from gdp.sources import Refused, Unreachable
from gdp.sources.country_names import is_aggregate, is_country
from gdp.sources.imf.releases import named_in
from gdp.sources.imf.weo_model import BILLIONS, INDICATOR, Outlook, Series
from gdp.sources.payloads import day_of, fetch_json, shaped
from gdp.sources.tabular_files import Table

VARIABLE = "GDP_ETL_IMF_URL"
API_URL = "https://www.imf.org/external/datamapper/api/v{version}"
VERSIONS = ("2", "1")
ABOUT = ("indicators", "countries", "groups", "regions")
MAX_ROWS_BEFORE_HEADER = 20
ABOUT_DEADLINE_S = 5.0  # the figures are worth more than their labels


def addresses() -> list[str]:
    """Return the DataMapper's addresses: GDP_ETL_IMF_URL, or the IMF's own two versions, the newer first."""
    named = os.environ.get(VARIABLE)
    return [named] if named else [API_URL.format(version=version) for version in VERSIONS]


def name_of(base: str) -> str:
    """Return a name for the DataMapper at an address, without the address, which may hold a password."""
    version = base.rpartition("/v")[2]
    return f"DataMapper v{version}" if version in VERSIONS else "DataMapper"


def fetch(base: str) -> dict[str, Any]:
    """Return the current release: the figures, and what the API has about codes and release.

    Raises Unreachable when the figures cannot be had; their labels are optional.
    """
    answer = fetch_json(f"{base}/{INDICATOR}")
    values = answer.get("values") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(values, dict) or INDICATOR not in values:
        raise Unreachable(f"its answer has no values of {INDICATOR}")
    found = {name: answer[name] for name in ("values", "api", *ABOUT) if name in answer}
    for name in ABOUT:
        if name not in found:
            found[name] = _about_of(base, name)
    return {**found, "fetched": datetime.now(timezone.utc).date().isoformat()}


def _about_of(base: str, name: str) -> Any:
    try:
        return fetch_json(f"{base}/{name}", deadline_s=ABOUT_DEADLINE_S).get(name, {})
    except (Unreachable, AttributeError):
        return {}


def outlook_of(answer: dict[str, Any]) -> Outlook:
    """Return the outlook in an answer; raises Refused if it has another shape or another indicator."""
    values = shaped(answer.get("values"), dict, "values")
    others = [code for code, figures in values.items() if figures is not None]
    if others and INDICATOR not in values:
        raise Refused(f"it has {', '.join(others[:3])}, not {INDICATOR}")
    by_code = shaped(values.get(INDICATOR), dict, f"values of {INDICATOR}")
    about = _about(answer, "indicators").get(INDICATOR, {})
    first_projected = str(about.get("projection-year"))
    last_actual = str(int(first_projected) - 1) if first_projected.isdecimal() and len(first_projected) == 4 else None
    countries = _about(answer, "countries")
    groups = {**_about(answer, "groups"), **_about(answer, "regions")}
    series = [
        Series(code, _label(countries.get(code) or groups.get(code)), _texts(figures, code), last_actual,
               _is_group(code, countries, groups))
        for code, figures in by_code.items()
    ]  # fmt: skip
    api = answer.get("api")
    version = str(api.get("version")) if isinstance(api, dict) else ""
    source = API_URL.format(version=version if version in VERSIONS else "1")
    outlook = Outlook(
        series, str(about.get("unit") or BILLIONS), f"{source}/{INDICATOR}",
        release=named_in(str(about.get("source"))), modified=day_of(str(about.get("last-modified"))),
        fetched=day_of(str(answer.get("fetched"))),
    )  # fmt: skip
    if not countries:
        outlook.dropped["list of countries: codes are used instead of names"] += 1
    return outlook


def _about(answer: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    about = answer.get(name) or {}
    return {code: entry for code, entry in about.items() if isinstance(entry, dict)} if isinstance(about, dict) else {}


def _label(entry: dict[str, Any] | None) -> str | None:
    label = entry.get("label") if entry else None
    return str(label) if label else None


def _is_group(code: str, countries: dict[str, dict[str, Any]], groups: dict[str, dict[str, Any]]) -> bool:
    """Return whether a code is a group's: some are in the list of countries too, without a label."""
    return not _label(countries[code]) if code in countries else code in groups


def _texts(figures: Any, code: str) -> dict[str, str | None]:
    years = shaped(figures, dict, f"figures of {code}")
    return {year: None if figure is None else str(figure) for year, figure in years.items()}


# --- its export -------------------------------------------------------------------------------------------------------

# The first cell of the export that people download: "GDP, current prices (Billions of U.S. dollars)".
_EXPORT = re.compile(r"(?P<subject>[^()]+?)\s*\((?P<unit>[^()]+)\)")
_YEAR = re.compile(r"(?:19|20)\d\d")
_GROUP_CODE = re.compile(r"[A-Z0-9]{2,6}")
SUBJECT = "GDP, current prices"


def export_header(table: Table) -> int | None:
    """Return the row number of the header of an export of the DataMapper, or None for another table."""
    for number, row in enumerate(table[:MAX_ROWS_BEFORE_HEADER]):
        years = [cell for cell in row[1:] if cell]
        if years and all(map(_YEAR.fullmatch, years)) and _EXPORT.fullmatch(row[0]):
            return number
    return None


def is_nominal_gdp(table: Table) -> bool:
    """Return whether an export is of nominal GDP in billions of US dollars."""
    found = _EXPORT.fullmatch(table[export_header(table) or 0][0])
    return found is not None and (found["subject"], found["unit"]) == (SUBJECT, BILLIONS)


def outlook_of_export(table: Table) -> Outlook:
    """Return the outlook in an export; raises Refused for another indicator or unit, or a short row."""
    start = export_header(table) or 0
    if not is_nominal_gdp(table):
        raise Refused(f'it has "{table[start][0][:80]}", not "{SUBJECT} ({BILLIONS})"')
    years = {cell: place for place, cell in enumerate(table[start]) if place and cell}
    series = []
    for row in table[start + 1 :]:
        if not any(row[1:]):  # the line of copyright
            continue
        if len(row) <= max(years.values()):
            raise Refused(f"the row of {row[0][:40]} is cut short; fetch it again")
        series.append(_series_of_export(row, years))
    return Outlook(series, BILLIONS, f"{API_URL.format(version='1')}/{INDICATOR}")


def _series_of_export(row: list[str], years: dict[str, int]) -> Series:
    name = row[0]
    is_group = not is_country(name) and (is_aggregate(name) or bool(_GROUP_CODE.fullmatch(name)))
    figures: dict[str, str | None] = {year: row[place] for year, place in years.items()}
    return Series("001" if name == "World" else name, name, figures, None, is_group)
