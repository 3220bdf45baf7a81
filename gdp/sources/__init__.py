"""What a source is, and what every source gives: an answer, and the raw records that are read in it.

Each source is one object, a `Source`, at the end of its own module. gdp/sources/registry.py lists them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from gdp.model import Publisher, RawRecord

GZIP_MAGIC, ZIP_MAGIC = b"\x1f\x8b", b"PK\x03\x04"
SIZE_LIMIT_BYTES = 10_000_000  # of a download: twenty-five times the page of 2025
FILE_LIMIT_BYTES = 60_000_000  # of a file, unpacked: three times the largest release of the World Economic Outlook


class Unreachable(Exception):
    """A source could not be reached, or did not send its whole answer; the message gives the reason in a few words."""

    host: str | None = None  # that was asked, where it was one


class Missing(Unreachable):
    """A source answered, and does not have what it was asked for."""


class Refused(Exception):
    """A source answered with something that cannot be read right; the message gives what was found."""


class Month(NamedTuple):
    """A year and a month. They name a release: the World Economic Outlook of October 2024."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02}"


Span = tuple[Month, Month]


class Revision(NamedTuple):
    """What a page states about itself: its revision's number, when that was saved, and the title; None if unknown."""

    number: int | None
    saved: datetime | None
    title: str | None


class Page(NamedTuple):
    """A page or file to read: its bytes, where it is from, and when it was written, for a page that states no date."""

    content: bytes
    location: str
    saved: datetime


class Answer(NamedTuple):
    """What a source sent: the page, who sent it, and the revision that it states."""

    page: Page
    sender: str
    revision: Revision | None = None


class Reading(NamedTuple):
    """What was read in a page: its raw records in order, and how many rows and figures were dropped, by reason."""

    records: list[RawRecord]
    dropped: Counter[str]
    revision: Revision | None = None


class Releases(NamedTuple):
    """The past releases of a source."""

    between: Callable[[Month, Month], list[Month]]  # may raise Unreachable
    days: Callable[[Month], set[str]]  # on which a release may have been published
    meaning: str  # which there are, for a message
    bundled: Callable[[Month], Answer | None] = lambda _release: None  # what comes with the suite, without network
    dropped: Mapping[Month, str] = {}  # releases without nominal GDP, with the reason


class Source(NamedTuple):
    """A source of figures: how it is fetched, recognised and read. `fetch` and `read` take the release wanted, or None.

    `fetch` raises Unreachable or Refused, `read` raises Refused. `detect` returns whether a content is this source's.
    """

    publisher: Publisher
    institution: str | None  # whose figures they are; None if the page names it
    addresses: Mapping[str, str]  # by the environment variable that replaces each
    fetch: Callable[[Month | None], Answer]
    detect: Callable[[bytes], bool]
    read: Callable[[Page, Month | None], Reading]
    releases: Releases | None = None
    mark: str = ""  # by what a table of this source names its quantity and unit, for a message

    @property
    def name(self) -> str:
        """The publisher's name."""
        return self.publisher.name
