"""Wikipedia's "List of countries by GDP (nominal)": fetched politely, and read by its headings.

The page's editors rearrange its tables about twice a year. So nothing here counts tables or columns: a table belongs to
the list if one heading is "country" and another names an institution. A column is recognised by the headings over it,
those of an outer layout table included. What is not certain is refused, with what was found.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from gdp.model import WIKIPEDIA, RawRecord
from gdp.places import without_credentials
from gdp.sources import Answer, Month, Page, Reading, Refused, Source, Unreachable
from gdp.sources.http import Download, download
from gdp.sources.wikipedia.country_list import country_tables, records_of
from gdp.sources.wikipedia.headings import named_institutions
from gdp.sources.wikipedia.page_metadata import kind_of_page, read_revision, refuse_other_page
from gdp.sources.wikipedia.tables import Table, visible_tables
from gdp.sources.wikipedia.unwrap import is_page, page_in

VARIABLE = "GDP_ETL_WIKIPEDIA_URL"
SITE_URL = "https://en.wikipedia.org"
REVISION_URL = "https://en.wikipedia.org/w/index.php?title={title}&oldid={revision}"
PAGE_TITLE = "List_of_countries_by_GDP_(nominal)"

MIN_IMF_COUNTRIES = 100  # every page since 2005 had 170 and more; the IMF has had over 180 members since 2000
MAX_CHARACTERS_BEFORE_HTML = 20_000  # a document type, and comments
MAX_REASON_CHARACTERS = 1000
FIRST_DAY = datetime(2001, 1, 15, tzinfo=timezone.utc)  # Wikipedia's: no page was changed before


def site() -> str:
    """Return the address of MediaWiki: Wikipedia, or the mirror in GDP_ETL_WIKIPEDIA_URL."""
    return os.environ.get(VARIABLE) or SITE_URL


# --- fetching ---------------------------------------------------------------------------------------------------------


def fetch(_release: Month | None = None) -> Answer:
    """Return the live page; raises Unreachable and Refused."""
    return fetch_from(f"{site()}/wiki/{PAGE_TITLE}")


def fetch_from(url: str) -> Answer:
    """Return the page at an address, with the revision that it states; raises Unreachable and Refused."""
    found = download_page(url)
    page = Page(found.content, without_credentials(found.url), _last_modified(found.last_modified))
    return Answer(page, without_credentials(url), read_revision(page_in(found.content)))


def _last_modified(header: str | None) -> datetime:
    """Return the moment in a Last-Modified header, or now if no page can have been changed then."""
    from email.utils import parsedate_to_datetime  # which a local page does not need

    now = datetime.now(timezone.utc)
    try:
        moment = parsedate_to_datetime(header or "").astimezone(timezone.utc)
        return moment if FIRST_DAY <= moment <= now + timedelta(days=1) else now
    except (ValueError, OverflowError):  # no date, or one that no calendar has
        return now


def download_page(url: str, patient: bool = False) -> Download:
    """Return the whole page at `url`, in any form.

    Raises Unreachable also when the page breaks off before its end, and Refused when it is no page.
    """
    answer = download(url, patient)
    if not answer.content.strip():
        raise Unreachable("it sent an empty page")
    if not is_whole(page_in(answer.content)):
        raise Unreachable(f"its page broke off after {len(answer.content)} bytes")
    return answer


def is_whole(page: str) -> bool:
    """Return whether a page reaches its end: <html> closes after the last table; a bare table closes too."""
    end = page.rfind("</html>")
    if end > page.rfind("<table") and page.rfind("<!--", 0, end) <= page.rfind("-->", 0, end):
        return True
    before, *comments = page.split("<!--")  # no pattern: it would look for each one's end to the end of the page
    page = (before + "".join(comment.partition("-->")[2] for comment in comments)).lower()
    if "<html" in page[:MAX_CHARACTERS_BEFORE_HTML]:
        return page.rfind("</html>") > page.rfind("<table")
    return page.count("<table") == page.count("</table>")


# --- reading ----------------------------------------------------------------------------------------------------------


def read(page: Page, _release: Month | None = None) -> Reading:
    """Return the records of a page; raises Refused."""
    return parse(page.content, page.location, page.saved)


def parse(content: bytes, location: str, as_of: datetime | None = None) -> Reading:
    """Return every figure of every institution on a page, as raw records in the source's own words.

    `location` is the Source of a page that does not state its revision, `as_of` the date of one that does not state
    when it was saved. Raises Refused, with what was found, when it is not this page or cannot be read right.
    """
    page = page_in(content)
    if not is_whole(page):
        raise Refused(f"the page breaks off after {len(content)} bytes")
    revision = read_revision(page)
    refuse_other_page(page, revision.title)
    saved = revision.saved or as_of
    if saved is None:
        raise Refused("the page does not state when it was saved")
    if saved > datetime.now(timezone.utc) + timedelta(days=1):
        raise Refused(f"the page states that it was saved on {saved:%Y-%m-%d}, which is in the future")
    if revision.number is not None:
        title = quote((revision.title or PAGE_TITLE).replace(" ", "_"), safe="()_,:-.'/")
        location = REVISION_URL.format(title=title, revision=revision.number)
    tables = visible_tables(page)
    dropped: Counter[str] = Counter()
    stamp = f"{saved:%Y-%m-%dT%H:%M:%SZ}"
    found = country_tables(tables, functools.cache(lambda: _institution_in_prose(page)), saved.year, dropped)
    records = [record for ours in found for record in records_of(ours, location, stamp, dropped)]
    _refuse_too_few(records, tables, dropped, page)
    return Reading(records, +dropped, revision)


def _institution_in_prose(page: str) -> str | None:
    """Return the one institution that the page names outside its tables: the page of 2005 names it nowhere else."""
    from bs4 import BeautifulSoup  # its import takes longer than all tables of a page

    soup = BeautifulSoup(page, "html.parser")
    for unread in soup.find_all(["table", "script", "style"]):
        unread.decompose()
    names = named_institutions(soup.get_text(" "))
    return names[0] if len(names) == 1 else None


def _refuse_too_few(records: list[RawRecord], tables: list[Table], dropped: Counter[str], page: str) -> None:
    with_figure = {r["Country"] for r in records if r["Institution"] == "IMF" and any(c.isdigit() for c in r["GDP"])}
    if len(with_figure) >= MIN_IMF_COUNTRIES:
        return
    rows = [[cell.text[:30] for cell in dict.fromkeys(table.rows[0]) if cell] for table in tables if table.rows]
    headings = " | ".join(", ".join(map(repr, texts[:8])) for texts in rows) or "none"
    reasons = "".join(f"{reason}; " for reason in dropped if reason.startswith(("table: ", "column: ")))
    kind = kind_of_page(page)
    is_it = f"it is {kind}: " if kind else ""
    raise Refused(
        f"{is_it}{reasons}{len(with_figure)} countries under IMF, fewer than"
        f" {MIN_IMF_COUNTRIES}, in {len(tables)} tables with the headings {headings}"[:MAX_REASON_CHARACTERS]
    )


SOURCE = Source(WIKIPEDIA, None, {VARIABLE: SITE_URL}, fetch, is_page, read)
