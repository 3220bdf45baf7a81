"""The IMF's own figures: nominal GDP (NGDPD) of the World Economic Outlook, from wherever they can be had.

The current release comes from the IMF's SDMX, else from its DataMapper; past ones from SDMX's vintages, else from
DBnomics. A file is read by what is in it: an answer of any of these, or one of the IMF's own files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date, datetime, timezone
from functools import partial
from typing import Any, NamedTuple

from gdp.sources import Extracted, NotThere, Refused, Unreachable
from gdp.sources.imf import datamapper, dbnomics, sdmx, weo_files
from gdp.sources.imf.releases import WITHOUT_GDP, ReleaseMonth, releases_between
from gdp.sources.imf.weo_model import INDICATOR, Outlook, extracted
from gdp.sources.payloads import is_json, read_json, refuse_web_page
from gdp.sources.tabular_files import tables_of

ADDRESSES = SDMX_URL, DATAMAPPER_URL, DBNOMICS_URL = ("GDP_ETL_SDMX_URL", "GDP_ETL_IMF_URL", "GDP_ETL_DBNOMICS_URL")


class Answer(NamedTuple):
    """What was sent, byte by byte or as one JSON, and who sent it."""

    content: bytes
    sender: str


# --- asking -----------------------------------------------------------------------------------------------------------


def fetch(release: ReleaseMonth | None = None) -> Answer:
    """Return the current release, or a past one, from the first source that has it.

    Raises NotThere, with what each of them said, when none has it, Unreachable when nobody answers at all.
    """
    if release == WITHOUT_GDP:
        raise NotThere(f"the release of {release} came without {INDICATOR}, as it was cut to six series")
    ways = _ways_to_past(release) if release else _ways_to_current()
    said: list[str] = []
    silent, unnamed = True, None
    for sender, ask in ways:
        try:
            answer = Answer(ask(), sender)
            if _release_of(answer, release):
                return answer
            unnamed = unnamed or answer
        except (Unreachable, Refused) as reason:
            said.append(f"{sender}: {reason}")
            silent &= not isinstance(reason, NotThere | Refused)
    if unnamed:  # nobody else has one: reading it says what is missing
        return unnamed
    raise (Unreachable if silent else NotThere)("; ".join(said) or "its address is not among those that are named")


Ways = list[tuple[str, Callable[[], bytes]]]


def _is_asked(address: str) -> bool:
    """Tell whether a source is asked: where somebody named addresses, only those that they named."""
    return bool(os.environ.get(address)) or not any(map(os.environ.get, ADDRESSES))


def _ways_to_current() -> Ways:
    """Return whom to ask for the current release."""
    ways: Ways = [("SDMX", sdmx.fetch)] if _is_asked(SDMX_URL) else []
    for base in datamapper.addresses() if _is_asked(DATAMAPPER_URL) else ():
        ways.append((datamapper.called(base), partial(_as_json, partial(datamapper.fetch, base))))
    return ways


def _ways_to_past(release: ReleaseMonth) -> Ways:
    """Return whom to ask for a past release: its vintage, DBnomics, and whoever has the current one if that is it."""
    vintage = sdmx.vintage(release)
    today = datetime.now(timezone.utc)
    since = list(releases_between(release, ReleaseMonth(today.year, today.month)))
    may_be_current = len(since) <= 2  # it is the last one, or the last is not out yet
    ways: Ways = [(f"SDMX {vintage}", partial(sdmx.fetch, vintage))] if _is_asked(SDMX_URL) else []
    ways += _ways_to_current() if may_be_current else []
    if _is_asked(DBNOMICS_URL):
        ways.append(("DBnomics", partial(_as_json, partial(dbnomics.fetch, release))))
    return ways


def _as_json(ask: Callable[[], dict[str, Any]]) -> bytes:
    return json.dumps(ask(), ensure_ascii=False, indent=0).encode()


def _release_of(answer: Answer, asked: ReleaseMonth | None) -> ReleaseMonth | None:
    """Return the release that an answer names; raises Refused where it is not the one asked for, or cannot be read."""
    said = outlook_of(answer.content).told_release
    if asked and said and said != asked:
        raise Refused(f"it is of {said}")
    return said


# --- reading ----------------------------------------------------------------------------------------------------------


def read(content: bytes, today: date, release: ReleaseMonth | None = None) -> Extracted:
    """Return the records of an answer or a file; `release` is the one that the user says it is of.

    Raises Refused for what is neither, is cut short, or of another indicator or an unknown release.
    """
    return extracted(outlook_of(content), today, release)


def parse(parsed: Any, today: date, release: ReleaseMonth | None = None) -> Extracted:
    """Return the records of JSON that was read; raises Refused."""
    return extracted(_outlook_of_json(parsed), today, release)


def outlook_of(content: bytes) -> Outlook:
    """Return what an answer or a file says, told by what is in it; raises Refused."""
    refuse_web_page(content, "figures")
    if is_json(content):
        return _outlook_of_json(read_json(content))
    if content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return sdmx.outlook_of_xml(content)
    tables = tables_of(content)
    if sdmx.is_sdmx_table(tables[0] if tables else []):
        return sdmx.outlook_of_rows(tables[0])
    if any(map(weo_files.layout_of, tables)):
        return weo_files.outlook_of_tables(tables)
    raise Refused("it is no answer of the IMF's and no file of its World Economic Outlook")


def _outlook_of_json(parsed: Any) -> Outlook:
    match parsed:
        case dict() if "values" in parsed:
            return datamapper.outlook_of(parsed)
        case dict() if sdmx.is_sdmx_json(parsed):
            return sdmx.outlook_of_json(parsed)
        case dict() if dbnomics.is_dbnomics(parsed):
            return dbnomics.outlook_of(parsed)
        case [dict(), *_] if weo_files.layout_of(table := weo_files.as_table(parsed)):
            return weo_files.outlook_of_tables([table])
        case {"message": str(message)}:
            raise Refused(f"it is an error: {message[:80]}")
        case {"api": _, **others}:
            about = " and ".join(map(str, others)) or "nothing: it has not got the country or the indicator"
            raise Refused(f"it is the DataMapper's answer about {about}, and has no figures")
    raise Refused(f"it is no answer of the IMF's: {json.dumps(parsed, default=str)[:60]}")
