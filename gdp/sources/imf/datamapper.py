"""The IMF's DataMapper: an API that serves the current release only, all years at once, in billions of US dollars.

Countries and groups of countries have codes side by side; other addresses of the same API label them. Version 2 states
in its answer which release it is and which year is the first projected; version 1 does so at another address.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

from gdp.sources import Refused, Unreachable
from gdp.sources.imf.releases import named_in
from gdp.sources.imf.weo_model import BILLIONS, INDICATOR, Outlook, Series
from gdp.sources.payloads import day_of, fetch_json, shaped

VARIABLE = "GDP_ETL_IMF_URL"
API_URL = "https://www.imf.org/external/datamapper/api/v{version}"
VERSIONS = ("2", "1")
ABOUT = ("indicators", "countries", "groups", "regions")
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
