"""Which source something kept, or found in a folder, is of: told by what is in it, never by its name."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from gdp.records import IMF_ITSELF, PAGE, WORLD_BANK_ITSELF
from gdp.sources import Extracted, Refused
from gdp.sources.cache import Page
from gdp.sources.imf import outlook as imf
from gdp.sources.imf.releases import ReleaseMonth
from gdp.sources.payloads import is_json, read_json
from gdp.sources.tabular_files import ZIP_MAGIC
from gdp.sources.wikipedia import page as wikipedia
from gdp.sources.wikipedia import unwrap as forms
from gdp.sources.world_bank import api as world_bank
from gdp.sources.world_bank import archive as wdi_archive

PROBED_BYTES = 2000
# A gateway's refusal, which people have saved under the name of what they asked for; no page of Wikipedia is called so.
_REFUSAL = re.compile(rb"<title>\s*(?:Access Denied|Request Rejected|40[13] )", re.IGNORECASE)
_WORLD_BANK_FILE = re.compile(rb"World Development Indicators|Country Name\W+Country Code")


def source_in(content: bytes) -> str:
    """Return which of the sources a content is of, as records.PUBLISHERS names them; PAGE for any web page."""
    head = content[:PROBED_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"<"):
        is_page = not (head.startswith(b"<?xml") and b"sdmx" in head) and not _REFUSAL.search(head)
        return PAGE if is_page else IMF_ITSELF
    if is_json(content):
        return _source_of_json(content)
    if content.startswith(ZIP_MAGIC):
        return WORLD_BANK_ITSELF if b"API_NY" in content else IMF_ITSELF
    first_lines = content[:PROBED_BYTES].replace(b"\0", b"")  # of UTF-16 too, as headers are ASCII
    if _WORLD_BANK_FILE.search(first_lines):
        return WORLD_BANK_ITSELF
    first = first_lines.partition(b"\n")[0]
    return IMF_ITSELF if first.count(b"\t") > 1 or first.count(b",") > 1 else PAGE


def _source_of_json(content: bytes) -> str:
    try:
        answer = read_json(content)
    except Refused:  # which reading it will say again
        return IMF_ITSELF
    if forms.is_page_in_json(answer):
        return PAGE
    return WORLD_BANK_ITSELF if world_bank.is_of_world_bank(answer) else IMF_ITSELF


def read_kind(page: Page, release: ReleaseMonth | None = None) -> Extracted:
    """Return the records of whatever a file is; raises Refused."""
    source = source_in(page.content)
    if source == PAGE:
        return wikipedia.parse(page.content, page.location, page.saved)
    return read_answer(source, page, release)


def read_answer(source: str, page: Page, release: ReleaseMonth | None = None) -> Extracted:
    """Return the records of an answer or file of the IMF's or the World Bank's; raises Refused."""
    today = datetime.now(timezone.utc).date()
    if source == IMF_ITSELF:
        return imf.read(page.content, today, release)
    return wdi_archive.read(page.content, today)
