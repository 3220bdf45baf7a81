"""The IMF's own figures: nominal GDP (NGDPD) of the World Economic Outlook, by API or from a file.

The current release comes from the IMF's SDMX, else from its DataMapper; past ones from SDMX, else from DBnomics. A file
is recognised by its content: an answer of one of these, or one of the IMF's own files.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from gdp.model import IMF
from gdp.sources import Answer, Missing, Month, Page, Reading, Refused, Releases, Source, Unreachable
from gdp.sources.imf import datamapper, dbnomics, sdmx, weo_files, weo_model
from gdp.sources.imf.bundled import bundled_answer
from gdp.sources.imf.releases import WITHOUT_GDP, possible_days, release_on, releases_between
from gdp.sources.imf.weo_model import BILLIONS, INDICATOR, INSTITUTION, Outlook, reading_of
from gdp.sources.payloads import (
    BYTE_ORDER_MARK,
    day_of,
    is_json,
    json_answer,
    json_in,
    page_of_download,
    read_json,
    refuse_web_page,
    today,
)
from gdp.sources.tabular_files import Table, kind_of_table, tables_in, tables_of

ADDRESSES = {
    sdmx.VARIABLE: sdmx.API_URL, datamapper.VARIABLE: datamapper.API_URL, dbnomics.VARIABLE: dbnomics.API_URL
}  # fmt: skip
PROBED_BYTES = 2000
MARK = f'the heading "{datamapper.SUBJECT} ({BILLIONS})" or {INDICATOR} in a column, with its scale (IMF)'


# --- fetching ---------------------------------------------------------------------------------------------------------


def fetch(release: Month | None = None) -> Answer:
    """Return the current release, or a past one, from the first API that has it.

    Raises Missing, with the reason of each API, when none has it, Unreachable when none answers at all.
    """
    if release == WITHOUT_GDP:
        raise Missing(f"the release of {release} came without {INDICATOR}, as it was cut to six series")
    reasons: list[str] = []
    is_silent, without_release = True, None
    for sender, request in _requests_for_past(release) if release else _requests_for_current():
        try:
            answer = request(sender)
            if _release_of(answer, release):
                return answer
            without_release = without_release or answer
        except (Unreachable, Refused) as reason:
            reasons.append(f"{sender}: {reason}")
            is_silent &= not isinstance(reason, Missing | Refused)
    if without_release:  # no API names the release: reading the answer raises what is missing
        return without_release
    raise (Unreachable if is_silent else Missing)("; ".join(reasons) or "none of the addresses that are set has it")


Requests = list[tuple[str, Callable[[str], Answer]]]


def _is_used(variable: str) -> bool:
    """Return whether an API is used: if addresses are set in the environment, only those."""
    return bool(os.environ.get(variable)) or not any(map(os.environ.get, ADDRESSES))


def _requests_for_current() -> Requests:
    """Return the requests for the current release, by the name of the API."""
    requests: Requests = [("SDMX", partial(_from_sdmx, sdmx.CURRENT))] if _is_used(sdmx.VARIABLE) else []
    for base in datamapper.addresses() if _is_used(datamapper.VARIABLE) else ():
        requests.append((datamapper.name_of(base), partial(_as_json, partial(datamapper.fetch, base))))
    return requests


def _requests_for_past(release: Month) -> Requests:
    """Return the requests for a past release: its dataflow, the current release if that is it, and DBnomics."""
    flow = sdmx.dataflow_of(release)
    since = list(releases_between(release, Month(today().year, today().month)))
    may_be_current = len(since) <= 2  # it is the last one, or the last is not out yet
    requests: Requests = [(f"SDMX {flow}", partial(_from_sdmx, flow))] if _is_used(sdmx.VARIABLE) else []
    requests += _requests_for_current() if may_be_current else []
    if _is_used(dbnomics.VARIABLE):
        requests.append(("DBnomics", partial(_as_json, partial(dbnomics.fetch, release))))
    return requests


def _from_sdmx(flow: str, sender: str) -> Answer:
    return Answer(page_of_download(sdmx.fetch(flow), sender), sender)


def _as_json(request: Callable[[], dict[str, Any]], sender: str) -> Answer:
    return json_answer(request(), sender)


def _release_of(answer: Answer, wanted: Month | None) -> Month | None:
    """Return the release that an answer names; raises Refused if it is not the wanted one, or cannot be read."""
    stated = outlook_of(answer.page.content).stated_release
    if wanted and stated and stated != wanted:
        raise Refused(f"it is of {stated}")
    return stated


# --- reading ----------------------------------------------------------------------------------------------------------


def detect(content: bytes) -> bool:
    """Return whether a content is an answer of one of the IMF's APIs, or a file of the World Economic Outlook."""
    head = content[:PROBED_BYTES].removeprefix(BYTE_ORDER_MARK).lstrip()
    if head.startswith(b"<"):
        return head.startswith(b"<?xml") and b"sdmx" in head
    match json_in(content):
        case (
            {weo_model.INDICATOR: _}
            | {"values": _}
            | {"api": _}
            | {"series": {"docs": _}}
            | {"data": _}
            | {"status": _, "message": _}
        ):
            return True
        case [{"SERIES_CODE": _}, *_]:
            return True
    return any(map(_is_ours, tables_in(content)))


def _is_ours(table: Table) -> bool:
    is_export = datamapper.export_header(table) is not None
    return sdmx.is_sdmx_table(table) or is_export or weo_files.layout_of(table) is not None


def read(page: Page, release: Month | None = None) -> Reading:
    """Return the records of an answer or a file; `release` is the one that the user names.

    Raises Refused for anything else, and for what is cut short, of another indicator or of an unknown release.
    """
    outlook = outlook_of(page.content)
    if not (outlook.stated_release or release) and (day := _day_of_export(page)):
        release = release_on(day)
    return reading_of(outlook, release)


def _day_of_export(page: Page) -> str | None:
    """Return the day in the name of an export of the DataMapper, "imf-dm-export-20241022.csv"."""
    found = _DAY_IN_NAME.search(page.location.rpartition("/")[2])
    return day_of("-".join(found.groups())) if found else None


_DAY_IN_NAME = re.compile(r"\bimf-dm-export-?((?:19|20)\d\d)-?(\d\d)-?(\d\d)(?!\d)")


def outlook_of(content: bytes) -> Outlook:
    """Return the outlook in an answer or a file, which is recognised by its content; raises Refused."""
    refuse_web_page(content, "figures")
    if is_json(content):
        return _outlook_of_json(read_json(content))
    if content.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"<"):
        return sdmx.outlook_of_xml(content)
    tables = tables_of(content)
    if sdmx.is_sdmx_table(tables[0] if tables else []):
        return sdmx.outlook_of_rows(tables[0])
    if any(map(weo_files.layout_of, tables)):
        return weo_files.outlook_of_tables(tables)
    exports = [table for table in tables if datamapper.export_header(table) is not None]
    if exports:  # a sheet for each indicator
        return datamapper.outlook_of_export(next(filter(datamapper.is_nominal_gdp, exports), exports[0]))
    table = kind_of_table(content)
    unnamed = f": it is {table}, and its quantity and unit are not named, as by {MARK}" if table else ""
    raise Refused(f"it is no answer of the IMF and no file of its World Economic Outlook{unnamed}")


def _outlook_of_json(parsed: Any) -> Outlook:
    match parsed:
        case dict() if "values" in parsed:
            return datamapper.outlook_of(parsed)
        case {weo_model.INDICATOR: _}:  # the values alone
            return datamapper.outlook_of({"values": parsed})
        case dict() if dbnomics.is_dbnomics(parsed):
            return dbnomics.outlook_of(parsed)
        case {"data": {"dataSets": _} | {"dataflows": _} | {"structures": _} | {"dataStructures": _}}:
            raise Refused("it is SDMX as JSON, which is not read; download it as XML or CSV")
        case [{"SERIES_CODE": _}, *_]:
            raise Refused("it is an export of the IMF's portal turned into JSON, which is not read; export it as CSV")
        case {"message": str(message)}:
            raise Refused(f"it is an error: {message[:80]}")
        case {"api": _, **others}:
            about = " and ".join(map(str, others)) or "nothing: it does not have the country or the indicator"
            raise Refused(f"it is the DataMapper's answer about {about}, and has no figures")
    raise Refused(f"it is no answer of the IMF: {json.dumps(parsed, default=str)[:60]}")


def _releases_between(first: Month, last: Month) -> list[Month]:
    return [release for release in releases_between(first, last) if release != WITHOUT_GDP]


SOURCE = Source(
    IMF, INSTITUTION, ADDRESSES, fetch, detect, read,
    Releases(
        _releases_between, possible_days,
        f"one each April and October, in 2011 September, and in {WITHOUT_GDP} none with nominal GDP",
        bundled_answer, {WITHOUT_GDP: "the IMF published six series then, and no nominal GDP"},
    ),
    mark=MARK,
)  # fmt: skip
