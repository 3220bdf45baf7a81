"""DBnomics, a library of economic data: it keeps each release of the World Economic Outlook as a dataset of its own.

Its datasets are IMF/WEO:2008-04 to IMF/WEO:2025-04, and IMF/WEOAGG:… for groups of countries; later releases are in the
IMF's own SDMX. Figures are in billions, as in the IMF's files; "NA" is no figure.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlencode

from gdp.sources import Month, Refused, Unreachable
from gdp.sources.imf.releases import named_in
from gdp.sources.imf.weo_model import BILLIONS, INDICATOR, WORLD, Outlook, Series
from gdp.sources.payloads import fetch_json, shaped

VARIABLE = "GDP_ETL_DBNOMICS_URL"
API_URL = "https://api.db.nomics.world/v22"
SERIES_A_PAGE = 1000  # the most that it sends at once; a release has about 190 of nominal GDP
MAX_SERIES = 5000
GROUPS = "WEOAGG"
WORLD_SERIES = f"001.{INDICATOR}.us_dollars"
NAME_ENDS = (" – ", " - ", " · ")  # between the country and the subject in a series' name


def address() -> str:
    """Return the address of DBnomics."""
    return os.environ.get(VARIABLE) or API_URL


def fetch(release: Month) -> dict[str, Any]:
    """Return every series of nominal GDP of a past release, and the World's if there is one, as one answer.

    Raises Unreachable when DBnomics does not have the release, or sends less than it promises.
    """
    docs, promised = _page(release, 0)
    while len(docs) < promised:
        more, _ = _page(release, len(docs))
        if not more:
            raise Unreachable(f"it sent {len(docs)} series of {promised}")
        docs += more
    return {"series": {"docs": docs + _world(release), "num_found": promised}, "fetched_from": "DBnomics"}


def _page(release: Month, offset: int) -> tuple[list[Any], int]:
    query = {
        "dimensions": json.dumps({"weo-subject": [INDICATOR]}), "observations": "1",
        "limit": str(SERIES_A_PAGE), "offset": str(offset),
    }  # fmt: skip
    answer = fetch_json(f"{address()}/series/IMF/WEO:{release}?{urlencode(query)}")
    series = answer.get("series") if isinstance(answer, dict) else None
    match series:
        case {"docs": list(docs), "num_found": found} if str(found).isdecimal() and 0 < int(found) <= MAX_SERIES:
            return docs, int(found)
    raise Unreachable(f"it has no series of {INDICATOR} for {release}: {str(answer)[:60]}")


def _world(release: Month) -> list[Any]:
    """Return the World's series, the control total; none if it cannot be had."""
    try:
        answer = fetch_json(f"{address()}/series/IMF/{GROUPS}:{release}/{WORLD_SERIES}?observations=1")
        return list(answer["series"]["docs"])
    except (Unreachable, LookupError, TypeError):
        return []


def is_dbnomics(answer: dict[str, Any]) -> bool:
    """Return whether an answer is from DBnomics: its series are documents."""
    series = answer.get("series")
    return isinstance(series, dict) and "docs" in series


def outlook_of(answer: dict[str, Any]) -> Outlook:
    """Return the outlook in an answer; raises Refused if series are missing, or are of another subject or release."""
    docs = [shaped(doc, dict, "a series") for doc in shaped(answer["series"]["docs"], list, "docs")]
    own = [doc for doc in docs if _subject(doc) == INDICATOR]
    if not own:
        raise Refused(f"it has {', '.join({_subject(doc) for doc in docs}) or 'no series'}, not {INDICATOR}")
    promised = str(answer["series"].get("num_found", len(docs)))
    if promised.isdecimal() and int(promised[:9]) > len(docs):
        raise Refused(f"it has {len(docs)} series of {promised}; the rest is on other pages")
    releases = {named_in(str(doc.get("dataset_code"))) for doc in own}
    if len(releases) > 1:
        raise Refused("its series are of several releases")
    release = releases.pop()
    source = f"{API_URL}/series/IMF/WEO:{release}" if release else f"{API_URL}/series/IMF/WEO"
    return Outlook([_series(doc) for doc in own], BILLIONS, source, release=release)


def _codes(doc: dict[str, Any]) -> list[str]:
    """Return country and subject: "ABW.NGDPD.us_dollars"."""
    return [*str(doc.get("series_code")).split("."), ""]


def _subject(doc: dict[str, Any]) -> str:
    return _codes(doc)[1]


def _series(doc: dict[str, Any]) -> Series:
    code = _codes(doc)[0]
    years = [str(period)[:4] for period in shaped(doc.get("period"), list, f"period of {code}")]
    values = shaped(doc.get("value"), list, f"value of {code}")
    if len(years) != len(values):
        raise Refused(f"{code} has {len(values)} figures for {len(years)} years")
    figures = {year: None if value is None else str(value) for year, value in zip(years, values, strict=True)}
    name = str(doc.get("series_name") or "")
    ends = [name.index(end) for end in NAME_ENDS if end in name]
    is_group = str(doc.get("dataset_code")).startswith(GROUPS)
    return Series(code, None if code in WORLD else name[: min(ends, default=0)] or None, figures, is_group=is_group)
