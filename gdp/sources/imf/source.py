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
from gdp.sources.imf import json_apis, outlook, sdmx
from gdp.sources.imf.outlook import INDICATOR, Outlook, reading_of
from gdp.sources.imf.releases import (
    WITHOUT_GDP,
    bundled_answer,
    dataflow_of,
    possible_days,
    release_on,
    releases_between,
)
from gdp.sources.payloads import BYTE_ORDER_MARK, answer_of, day_of, is_json, json_in, read_json, refuse_web_page, today
from gdp.sources.tabular_files import Table, refuse_two_members, tables_in, tables_of, unnamed_table

ADDRESSES = {
    sdmx.VARIABLE: sdmx.API_URL, json_apis.DATAMAPPER_VARIABLE: json_apis.DATAMAPPER_URL,
    json_apis.DBNOMICS_VARIABLE: json_apis.DBNOMICS_URL,
}  # fmt: skip
PROBED_BYTES = 2000
MARK = f'the heading "{json_apis.HEADING}" or {INDICATOR} in a column, with its scale (IMF)'
_DAY_IN_NAME = re.compile(r"\bimf-dm-export-?((?:19|20)\d\d)-?(\d\d)-?(\d\d)(?!\d)")


# --- fetching ---------------------------------------------------------------------------------------------------------


def fetch(release: Month | None = None) -> Answer:
    """Return the current release, or a past one, from the first API that has it.

    Raises Missing, with the reason of each API, when none has it, Unreachable when none answers at all.
    """
    if release == WITHOUT_GDP:
        raise Missing(f"the release of {release} came without {INDICATOR}, as it was cut to six series")
    reasons: list[str] = []
    is_silent, without_release = True, None
    for sender, request in _requests(release):
        try:
            answer = answer_of(request(), sender)
            stated = outlook_of(answer.page.content).stated_release
            if release and stated and stated != release:
                raise Refused(f"it is of {stated}")
            if stated:
                return answer
            without_release = without_release or answer
        except (Unreachable, Refused) as reason:
            reasons.append(f"{sender}: {reason}")
            is_silent &= not isinstance(reason, Missing | Refused)
    if without_release:  # no API names the release: reading the answer raises what is missing
        return without_release
    raise (Unreachable if is_silent else Missing)("; ".join(reasons) or "none of the addresses that are set has it")


def _requests(release: Month | None) -> list[tuple[str, Callable[[], bytes]]]:
    """Return the requests by the name of the API: a past release's own, the current release's if that may be it."""
    since = releases_between(release, Month(today().year, today().month)) if release else ()
    may_be_current = len([*since]) <= 2  # it is the last one, or the last is not out yet
    requests: list[tuple[str, Callable[[], bytes]]] = []
    if release and _is_used(sdmx.VARIABLE):
        requests.append((f"SDMX {dataflow_of(release)}", partial(sdmx.fetch, dataflow_of(release))))
    if may_be_current and _is_used(sdmx.VARIABLE):
        requests.append(("SDMX", sdmx.fetch))
    if may_be_current and _is_used(json_apis.DATAMAPPER_VARIABLE):
        addresses = json_apis.datamapper_addresses()
        requests += [(name, partial(json_apis.fetch_datamapper, base)) for name, base in addresses.items()]
    if release and _is_used(json_apis.DBNOMICS_VARIABLE):
        requests.append(("DBnomics", partial(json_apis.fetch_dbnomics, release)))
    return requests


def _is_used(variable: str) -> bool:
    """Return whether an API is used: if addresses are set in the environment, only those."""
    return bool(os.environ.get(variable)) or not any(map(os.environ.get, ADDRESSES))


# --- reading ----------------------------------------------------------------------------------------------------------


def detect(content: bytes) -> bool:
    """Return whether a content is an answer of one of the IMF's APIs, or a file of the World Economic Outlook."""
    head = content[:PROBED_BYTES].removeprefix(BYTE_ORDER_MARK).lstrip()
    if head.startswith(b"<"):
        return head.startswith(b"<?xml") and b"sdmx" in head
    match json_in(content):
        case {"values": _} | {"api": _} | {"series": {"docs": _}} | {"data": _} | {"status": _, "message": _}:
            return True
        case {outlook.INDICATOR: _} | [{"SERIES_CODE": _}, *_]:
            return True
    return any(is_of_form(table) for table in tables_in(content) for is_of_form, _ in _FORMS)


def read(page: Page, release: Month | None = None) -> Reading:
    """Return the records of an answer or a file; `release` is the one that the user names.

    Raises Refused for anything else, and for what is cut short, of another indicator or of an unknown release.
    """
    found = outlook_of(page.content)
    in_name = _DAY_IN_NAME.search(page.location.rpartition("/")[2])  # "imf-dm-export-20241022.csv"
    if in_name and not (found.stated_release or release) and (day := day_of("-".join(in_name.groups()))):
        release = release_on(day)
    return reading_of(found, release)


# The forms of a table, most specific first, and what reads a file that has one.
_FORMS: tuple[tuple[Callable[[Table], object], Callable[[list[Table]], Outlook]], ...] = (
    (sdmx.is_sdmx_table, sdmx.outlook_of_tables),
    (outlook.layout_of, outlook.outlook_of_tables),
    (json_apis.is_export, json_apis.outlook_of_exports),
    (json_apis.is_long_export, json_apis.outlook_of_long_exports),
    (json_apis.has_heading, json_apis.refuse_form),
)


def outlook_of(content: bytes) -> Outlook:
    """Return the outlook in an answer or a file, which is recognised by its content; raises Refused."""
    refuse_web_page(content, "figures")
    if is_json(content):
        return _outlook_of_json(read_json(content))
    if content.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"<"):
        return sdmx.outlook_of_xml(content)
    tables = tables_of(content)
    for is_of_form, outlook_in in _FORMS:
        if any(map(is_of_form, tables)):
            refuse_two_members(content, is_of_form)
            return outlook_in(tables)
    known = "no answer of the IMF and no file of its World Economic Outlook"
    raise Refused(f"it is {unnamed_table(content, MARK) or known}")


def _outlook_of_json(parsed: Any) -> Outlook:
    match parsed:
        case {"values": _}:
            return json_apis.outlook_of_values(parsed)
        case {outlook.INDICATOR: _}:  # the values alone
            return json_apis.outlook_of_values({"values": parsed})
        case {"series": {"docs": _}}:
            return json_apis.outlook_of_docs(parsed)
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
    IMF, outlook.INSTITUTION, ADDRESSES, fetch, detect, read,
    Releases(
        _releases_between, possible_days,
        f"one each April and October, in 2011 September, and in {WITHOUT_GDP} none with nominal GDP",
        bundled_answer, {WITHOUT_GDP: "the IMF published six series then, and no nominal GDP"},
    ),
    mark=MARK,
)  # fmt: skip
