"""What the APIs and the files have in common: content that must be what it should, fetched or kept."""

from __future__ import annotations

import json
import re
from collections.abc import Sized
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from gdp.records import RawRecord, is_as_of
from gdp.sources import Refused, Unreachable
from gdp.sources.http import download

MIN_COUNTRIES = 100  # of a whole answer: the IMF has had over 180 members since 2000, the World Bank's list over 200
_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,80})", re.IGNORECASE)
_WEB_PAGE = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title)\b", re.IGNORECASE | re.DOTALL)
# JSON that somebody keeps in a script: comments, and a name that it is given.
_SCRIPT = re.compile(r"(?:\s*//[^\n]*\n)*\s*(?:export\s+)?(?:const|let|var)\s+\w+\s*=\s*")
_ABSENT = frozenset({"", "n/a", "na", "n.a.", "nan", "null", "..", "...", "…", "—", "–", "-"})
_EXPONENT = re.compile(r"\d+(?:\.\d+)?[eE][+-]?\d{1,3}")


def fetch_json(url: str, patient: bool = False, deadline_s: float | None = None) -> Any:
    """Return what a URL answers, its numbers as the texts that they were sent as.

    Raises Unreachable, also for a web page in the place of JSON: a gateway's refusal comes with status 200.
    """
    content = download(url, patient, deadline_s).content
    try:
        return read_json(content)
    except Refused as refused:
        raise Unreachable(str(refused)) from refused


def refuse_web_page(content: bytes, instead_of: str) -> None:
    """Raise Refused, naming its title, for a web page: a gateway's refusal, saved under the name of what was asked."""
    if _WEB_PAGE.match(content[:4096]):
        title = _TITLE.search(content)
        named = f', "{title[1].decode("utf-8", "replace").strip()}",' if title else ""
        raise Refused(f"it answered with a web page{named} where {instead_of} should be")


def read_json(content: bytes) -> Any:
    """Return JSON with its numbers as texts; raises Refused, saying what it is instead."""
    refuse_web_page(content, "JSON")
    try:
        text = content.decode("utf-8-sig")
        if script := _SCRIPT.match(text):
            text = text[script.end() :].strip().removesuffix(";")
        answer = json.loads(text, parse_float=str, parse_int=str)
        json.dumps(answer, ensure_ascii=False).encode()  # half a character, which JSON can write, is no text
        return answer
    except json.JSONDecodeError as error:
        cut = ", but cut short" if error.pos >= len(error.doc.rstrip()) - 1 or "Unterminated" in error.msg else ""
        raise Refused(f"it answered with something that is not JSON{cut}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"it answered with something that is not JSON: {error}") from None


def checked_as_of(as_of: str, fetched: date) -> str:
    """Return a release's day; raises Refused for what is none, or is to come."""
    if not is_as_of(as_of) or as_of[:10] > (fetched + timedelta(days=1)).isoformat():
        raise Refused(f"it says that it is of {as_of[:40]!r}")
    return as_of


def shaped(value: object, shape: type, what: str) -> Any:
    """Return a value that has the shape it should; raises Refused, naming what has not."""
    if not isinstance(value, shape):
        raise Refused(
            f"{what} is {json.dumps(value, default=str)[:60]}, not {'an object' if shape is dict else 'a list'}"
        )
    return value


def is_json(content: bytes) -> bool:
    """Tell whether a content means to be JSON, be it in a script."""
    head = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith((b"{", b"[", b"//", b"export ", b"const ", b"var ", b"let "))


def is_absent(figure: str) -> bool:
    """Tell whether a cell says that there is no figure."""
    return figure.strip().casefold() in _ABSENT


def plain(figure: str) -> str:
    """Return a figure as it was sent, but 3.0767075E13, which is how machines write, as 30767075000000."""
    return f"{Decimal(figure):f}" if _EXPONENT.fullmatch(figure) else figure


def check_whole(records: list[RawRecord]) -> None:
    """Raise Refused when the answer to a request for every country has figures of too few to be one."""
    countries: Sized = {record["Country"] for record in records}
    if len(countries) < MIN_COUNTRIES:
        raise Refused(f"it has figures of {len(countries)} countries, fewer than {MIN_COUNTRIES}")
