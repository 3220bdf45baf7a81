"""What the two APIs have in common: JSON that must be what it should, fetched or kept."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import Any

from gdp.records import is_as_of
from gdp.sources import Refused, Unreachable
from gdp.sources.http import download

_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,80})", re.IGNORECASE)


def fetch_json(url: str, patient: bool = False, deadline_s: float | None = None) -> Any:
    """Return what a URL answers, its numbers as the texts that they were sent as.

    Raises Unreachable, also for a web page in the place of JSON: a gateway's refusal comes with status 200.
    """
    content = download(url, patient, deadline_s).content
    try:
        return read_json(content)
    except Refused as refused:
        raise Unreachable(str(refused)) from refused


def read_json(content: bytes) -> Any:
    """Return JSON with its numbers as texts; raises Refused, saying what it is instead."""
    if content.lstrip()[:1] == b"<":
        title = _TITLE.search(content)
        named = f', "{title[1].decode("utf-8", "replace").strip()}",' if title else ""
        raise Refused(f"it answered with a web page{named} where JSON should be")
    try:
        told = json.loads(content.decode("utf-8-sig"), parse_float=str, parse_int=str)
        json.dumps(told, ensure_ascii=False).encode()  # half a character, which JSON can write, is no text
        return told
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
