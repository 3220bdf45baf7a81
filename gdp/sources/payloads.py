"""What APIs and files have in common: JSON with its numbers as text, names, absent figures, days and months."""

from __future__ import annotations

import calendar
import functools
import json
import re
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import chain, filterfalse
from typing import TYPE_CHECKING, Any

from gdp.model import RawRecord, is_as_of
from gdp.sources import Answer, Month, Page, Refused, Span, Unreachable
from gdp.sources.http import download
from utils import COUNTRY_TABLE

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MIN_COUNTRIES = 100  # of a whole answer: the IMF has had over 180 members since 2000, the World Bank's list over 200
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,80})", re.IGNORECASE)
_WEB_PAGE = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title)\b", re.IGNORECASE | re.DOTALL)
_ABSENT = frozenset({"", "n/a", "#n/a", "na", "n.a.", "nan", "null", "no data", "..", "...", "…", "—", "–", "-"})
TOO_NARROW = "which Excel shows where a column is too narrow; widen it in the spreadsheet"
_EXPONENT = re.compile(r"\d+(?:\.\d+)?[eE][+-]?\d{1,3}")


# --- JSON and XML -----------------------------------------------------------------------------------------------------


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
        text = content.decode("utf-8-sig")
        answer = json.loads(text, parse_float=str, parse_int=str, object_pairs_hook=_object)
        json.dumps(answer, ensure_ascii=False).encode()  # half a character, which JSON can write, is no text
        return answer
    except json.JSONDecodeError as error:
        cut = ", but cut short" if error.pos >= len(error.doc.rstrip()) - 1 or "Unterminated" in error.msg else ""
        raise Refused(f"it answered with something that is not JSON{cut}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"it answered with something that is not JSON: {error}") from None


def _object(entries: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(entries)
    if len(found) != len(entries):
        for name, value in entries:
            if found[name] != value:
                raise Refused(f"it has two entries of the name {name[:40]!r}, which differ")
    return found


def is_json(content: bytes) -> bool:
    """Return whether a content begins as JSON in UTF-8 does."""
    return b"\0" not in content[:4] and content[:64].removeprefix(BYTE_ORDER_MARK).lstrip().startswith((b"{", b"["))


def as_json(answer: Any) -> bytes:
    """Return an answer that was put together from several downloads, as one JSON."""
    return json.dumps(answer, ensure_ascii=False, indent=0).encode()


def answer_of(content: bytes, sender: str) -> Answer:
    """Return a download as a sender's answer."""
    return Answer(Page(content, f"the answer of {sender}", datetime.now(timezone.utc)), sender)


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


def parsed_xml(content: bytes, kind: str) -> Element:
    """Return the root of an XML; raises Refused for one that is broken or may be hostile."""
    from xml.etree import ElementTree  # which other forms do not need

    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # entities can make a small file fill the memory
        raise Refused(f"it has a document type of its own, which {kind} never has")
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError) as error:
        raise Refused(f"it is cut short, or no XML: {error}"[:160]) from None


def local_name(tag: str) -> str:
    """Return an element's name without its namespace."""
    return tag.rpartition("}")[2]


# --- figures ----------------------------------------------------------------------------------------------------------


def is_absent(figure: str) -> bool:
    """Return whether a cell states that there is no figure."""
    return figure.strip().casefold() in _ABSENT


def plain(figure: str) -> str:
    """Return a figure as it was sent, but 3.0767075E13, which is how machines write, as 30767075000000."""
    return f"{Decimal(figure):f}" if _EXPONENT.fullmatch(figure) else figure


def country_count(records: list[RawRecord]) -> int:
    """Return how many countries and aggregates the records name."""
    return len({record["Country"] for record in records})


def check_figures(figures: Iterable[tuple[tuple[str, ...], str, str]]) -> None:
    """Raise Refused for a spreadsheet's sign in place of a figure, and for two figures of a country and year.

    Each figure comes with the country's names and codes, and its year.
    """
    first: dict[tuple[str, str], str] = {}
    for names, year, figure in figures:
        if figure.startswith("#"):
            reason = "an error of the spreadsheet; repair it" if figure.strip("#") else TOO_NARROW
            raise Refused(f"the figure of {names[0][:60]} in {year} is {figure[:40]!r}, {reason} and save it again")
        for name in filterfalse(is_absent, names):
            if (other := first.setdefault((name, year), figure)) != figure:
                raise Refused(f"it has two figures of {name[:60]} in {year}, {other[:40]} and {figure[:40]}")


def check_whole(records: list[RawRecord]) -> None:
    """Raise Refused when the answer to a request for every country has too few countries."""
    if country_count(records) < MIN_COUNTRIES:
        raise Refused(f"it has figures of {country_count(records)} countries, fewer than {MIN_COUNTRIES}")


# --- names of countries -----------------------------------------------------------------------------------------------

_MARKS = re.compile(r"\[[^\[\]]*\]|[⁰¹²³⁴-⁹]")
_RANK_OR_BRACKETS = re.compile(r"^#?\d{1,3}[.)]?\s+|\s\([^()]*\)")


@functools.lru_cache(8192)  # pages of an archive have the same names
def is_country(name: str) -> bool:
    """Return whether a name or code is a country's in the reference table, without a rank, notes and brackets."""
    return not {_letters(_MARKS.sub(" ", name)), letters_of_name(name)}.isdisjoint(_known_names()[0])


@functools.lru_cache(8192)
def letters_of_name(name: str) -> str:
    """Return the letters of a name without a rank, notes and brackets, to compare two tables' names."""
    return _letters(_RANK_OR_BRACKETS.sub(" ", _MARKS.sub(" ", name)))


@functools.lru_cache(8192)
def is_aggregate(name: str) -> bool:
    """Return whether a name is known as a group of countries."""
    return _letters(name) in _known_names()[1]


def name_or_code(name: str, code: str) -> str:
    """Return a name, or the code beside it if only that is a country's: an encoding may have broken the name."""
    return code if code and not is_country(name) and not is_aggregate(name) and is_country(code) else name


def _letters(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("&", "and"))
    return "".join(character for character in plain.casefold() if character.isalpha())


@functools.cache
def _known_names() -> tuple[frozenset[str], frozenset[str]]:
    """Return the letters of the names and codes of countries, and of the names of groups."""
    table = json.loads(COUNTRY_TABLE.read_text(encoding="utf-8"))
    countries = [[code, one["name"], *one["aliases"]] for code, one in table["countries"].items()]
    return frozenset(map(_letters, chain(*countries))), frozenset(map(_letters, table["aggregates"]))


# --- days and months --------------------------------------------------------------------------------------------------

_SLASHED_DAY = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4}|\d\d)\b")
_EXCEL_DAY = re.compile(r"[3-5]\d{4}(?:\.0+)?")  # since 1982


def today() -> date:
    """Return the day in UTC."""
    return datetime.now(timezone.utc).date()


def checked_as_of(as_of: str) -> str:
    """Return a release's day; raises Refused for what is no day, or is in the future."""
    if not is_as_of(as_of) or as_of[:10] > (today() + timedelta(days=1)).isoformat():
        raise Refused(f"its date is {as_of[:40]!r}")
    return as_of


def day_of(text: str) -> str | None:
    """Return the day in a text, as YYYY-MM-DD; None where there is none, or day and month are unclear."""
    days = days_of(text)
    return days[0] if len(days) == 1 else None


def days_of(text: str) -> list[str]:
    """Return the days that a text may mean, as YYYY-MM-DD: "03/02/2018" is of February for some, of March for others.

    "2025-10-14T13:00:00Z" begins with one, and 43153 is Excel's number of one.
    """
    text = text.strip()
    if _EXCEL_DAY.fullmatch(text):
        return [(date(1899, 12, 30) + timedelta(int(text[:5]))).isoformat()]
    days = [text[:10]]
    if found := _SLASHED_DAY.match(text):
        first, second, year = (int(part) for part in found.groups())
        year += 2000 if year < 100 else 0
        days = sorted({f"{year}-{first:02}-{second:02}", f"{year}-{second:02}-{first:02}"})
    return [day for day in days if _is_day(day)]


def _is_day(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text) and date.fromisoformat(text))
    except ValueError:
        return False


def last_day(month: Month) -> str:
    """Return the last day of a month: what is dated with a month was known by then, and maybe not before."""
    return f"{month}-{calendar.monthrange(month.year, month.month)[1]}"


def month_span(text: str) -> Span:
    """Return the first and last month of "2013-04" or "2007-10..2026-04"; raises ValueError for anything else."""
    if not re.fullmatch(r"\d{4}-\d\d(?:\.\.\d{4}-\d\d)?", text):
        raise ValueError(text)
    months = [Month(day.year, day.month) for part in text.split("..") for day in [date.fromisoformat(f"{part}-01")]]
    if months[0] > months[-1]:
        raise ValueError(text)
    return months[0], months[-1]
