"""The places that figures come from, a module each; they know web pages and APIs, nothing of files or databases."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from gdp.records import RawRecord

SIZE_LIMIT_BYTES = 10_000_000  # of an answer that is fetched: twenty-five times the page of 2025
FILE_LIMIT_BYTES = 60_000_000  # of a file, unpacked: three times the largest release of the World Economic Outlook


class Unreachable(Exception):
    """A source could not be reached, or did not send all of its answer; the message is the reason, in a few words."""


class NotThere(Unreachable):
    """A source answered, and says that it has not got what it was asked for."""


class Refused(Exception):
    """A source answered with something that cannot be read right; the message says what was found."""


@dataclass(frozen=True)
class Revision:
    """What a page says of itself: its revision's number, when that was saved, and the title; None where it does not."""

    number: int | None
    saved: datetime | None
    title: str | None


@dataclass(frozen=True)
class Extracted:
    """What a source says: its raw records in order, what was left out, counted by reason, and a page's revision."""

    records: list[RawRecord]
    left_out: Counter[str] = field(default_factory=Counter)
    revision: Revision | None = None
