"""What APIs and files have in common: JSON with its numbers as text, absent figures, days and months."""

from __future__ import annotations

import calendar
import functools
import json
import re
from collections.abc import Sized
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from gdp.model import RawRecord, is_as_of
from gdp.sources import Answer, Month, Page, Refused, Span, Unreachable
from gdp.sources.http import download

MIN_COUNTRIES = 100  # of a whole answer: the IMF has had over 180 members since 2000, the World Bank's list over 200
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,80})", re.IGNORECASE)
_WEB_PAGE = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title)\b", re.IGNORECASE | re.DOTALL)
# A gateway's refusal, saved under the name of the file; no page of Wikipedia has such a title.
_REFUSAL = re.compile(rb"<title>\s*(?:Access Denied|Request Rejected|40[13] )", re.IGNORECASE)
_ABSENT = frozenset({"", "n/a", "na", "n.a.", "nan", "null", "no data", "..", "...", "…", "—", "–", "-"})
_EXPONENT = re.compile(r"\d+(?:\.\d+)?[eE][+-]?\d{1,3}")


# --- JSON -------------------------------------------------------------------------------------------------------------


def fetch_json(url: str, patient: bool = False, deadline_s: float | None = None) -> Any:
    """Return the JSON at a URL, its numbers as the text that was sent.

    Raises Unreachable, also for a web page instead of JSON: a gateway refuses with status 200.
    """
    content = download(url, patient, deadline_s).content
    try:
        return read_json(content)
    except Refused as refused:
        raise Unreachable(str(refused)) from refused


def json_in(content: bytes) -> Any:
    """Return the JSON of a content as read_json does; None for anything else."""
    try:
        return read_json(content) if is_json(content) else None
    except Refused:
        return None


@functools.lru_cache(maxsize=1)  # each source that looks at an answer, and the one that reads it, needs the same
def read_json(content: bytes) -> Any:
    """Return JSON with its numbers as text; raises Refused with what it is instead."""
    refuse_web_page(content, "JSON")
    try:
        answer = json.loads(content.decode("utf-8-sig"), parse_float=str, parse_int=str)
        json.dumps(answer, ensure_ascii=False).encode()  # half a character, which JSON can write, is no text
        return answer
    except json.JSONDecodeError as error:
        cut = ", but cut short" if error.pos >= len(error.doc.rstrip()) - 1 or "Unterminated" in error.msg else ""
        raise Refused(f"it answered with something that is not JSON{cut}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"it answered with something that is not JSON: {error}") from None


def is_json(content: bytes) -> bool:
    """Return whether a content begins as JSON does."""
    return content[:64].removeprefix(BYTE_ORDER_MARK).lstrip().startswith((b"{", b"["))


def json_answer(answer: Any, sender: str) -> Answer:
    """Return an answer that was put together from several downloads, as one JSON."""
    return Answer(page_of_download(json.dumps(answer, ensure_ascii=False, indent=0).encode(), sender), sender)


def page_of_download(content: bytes, sender: str) -> Page:
    """Return a download as a page to read."""
    return Page(content, f"the answer of {sender}", datetime.now(timezone.utc))


def shaped(value: object, shape: type, what: str) -> Any:
    """Return a value of the expected shape; raises Refused, which names `what`."""
    if not isinstance(value, shape):
        expected = "an object" if shape is dict else "a list"
        raise Refused(f"{what} is {json.dumps(value, default=str)[:60]}, not {expected}")
    return value


def refuse_web_page(content: bytes, instead_of: str) -> None:
    """Raise Refused, with its title, for a web page: a gateway's refusal, saved under the name of the file."""
    if _WEB_PAGE.match(content[:4096]):
        title = _TITLE.search(content)
        named = f', "{title[1].decode("utf-8", "replace").strip()}",' if title else ""
        raise Refused(f"it answered with a web page{named} instead of {instead_of}")


def refuse_gateway(content: bytes) -> None:
    """Raise Refused for the web page with which a gateway refuses, saved instead of a page or file."""
    if _REFUSAL.search(content[:4096]):
        refuse_web_page(content, "figures")


# --- figures ----------------------------------------------------------------------------------------------------------


def is_absent(figure: str) -> bool:
    """Return whether a cell states that there is no figure."""
    return figure.strip().casefold() in _ABSENT


def plain(figure: str) -> str:
    """Return a figure as it was sent, but 3.0767075E13, which is how machines write, as 30767075000000."""
    return f"{Decimal(figure):f}" if _EXPONENT.fullmatch(figure) else figure


def country_count(records: list[RawRecord]) -> int:
    """Return how many countries and aggregates the records name."""
    countries: Sized = {record["Country"] for record in records}
    return len(countries)


def check_whole(records: list[RawRecord]) -> None:
    """Raise Refused when the answer to a request for every country has too few countries."""
    if country_count(records) < MIN_COUNTRIES:
        raise Refused(f"it has figures of {country_count(records)} countries, fewer than {MIN_COUNTRIES}")


# --- days and months --------------------------------------------------------------------------------------------------

_AMERICAN_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")


def today() -> date:
    """Return the day in UTC."""
    return datetime.now(timezone.utc).date()


def checked_as_of(as_of: str) -> str:
    """Return a release's day; raises Refused for what is no day, or is in the future."""
    if not is_as_of(as_of) or as_of[:10] > (today() + timedelta(days=1)).isoformat():
        raise Refused(f"its date is {as_of[:40]!r}")
    return as_of


def day_of(text: str) -> str | None:
    """Return the day in a text, as YYYY-MM-DD: "2025-10-14T13:00:00Z", or "11/13/2024" as Americans and Excel write."""
    found = _AMERICAN_DAY.match(text.strip())
    day = f"{found[3]}-{int(found[1]):02}-{int(found[2]):02}" if found else text.strip()[:10]
    try:
        return date.fromisoformat(day).isoformat() if re.fullmatch(r"\d{4}-\d\d-\d\d", day) else None
    except ValueError:
        return None


def last_day(month: Month) -> str:
    """Return the last day of a month: what is dated with a month was known by then, and maybe not before."""
    return f"{month}-{calendar.monthrange(month.year, month.month)[1]}"


def month_span(text: str) -> Span:
    """Return the first and last month of "2013-04" or "2007-10..2026-04"; raises ValueError for anything else."""
    first, dots, last = text.partition("..")
    span = _month(first), _month(last if dots else first)
    if span[0] > span[1]:
        raise ValueError(text)
    return span


def _month(text: str) -> Month:
    if not re.fullmatch(r"\d{4}-\d\d", text):
        raise ValueError(text)
    day = date.fromisoformat(f"{text}-01")
    return Month(day.year, day.month)
