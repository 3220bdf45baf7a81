"""The years that cells and headings state, and the marks beside them: footnotes, and those that dispute a source."""

from __future__ import annotations

import re
from functools import lru_cache

from gdp.model import DISPUTED, FIRST_YEAR, LAST_YEAR, UNSOURCED

CACHED_TEXTS = 16_384  # distinct texts that are read once; a page has a few hundred

FOOTNOTE = re.compile(r"\[[^\[\]]*\]")
MARKS = re.compile(r"[†‡*^⁺§¶#¹²³⁰-⁹]+")
YEAR_IN_BRACKETS = re.compile(r"\(\s*((?:19|20)\d\d)[^()]*\)")


_UNCITED = r"(?:citations?|sources?|references?|refs?)\s+(?:needed|missing|required)"
_DISPUTES = (
    r"dubious", r"disputed", r"unreliable", r"not\s+reliable", r"failed\s+verification",
    r"not\s+in\s+(?:the\s+)?(?:source|citation)",
    r"better\s+source", r"original\s+research", r"verification\s+needed", r"verify", r"self[-\s]published",
    r"(?:AI|LLM|chatbot)[-\s]generated", r"(?:non-)?primary\s+source", r"third-party\s+source", r"unverified",
)  # fmt: skip
_NO_SOURCE = re.compile(rf"\[[^\[\]]*\b{_UNCITED}\b[^\[\]]*\]|\b(?:unsourced|uncited)\b", re.IGNORECASE)
_DISPUTED = re.compile(rf"\[[^\[\]]*\b(?:{'|'.join(_DISPUTES)})\b[^\[\]]*\]", re.IGNORECASE)


def without_marks(text: str) -> str:
    """Return a text without footnote marks ("[n 1]", "†"), white space folded."""
    return " ".join(MARKS.sub(" ", FOOTNOTE.sub(" ", text)).split())


@lru_cache(CACHED_TEXTS)
def source_flag(text: str | None) -> str | None:
    """Return the flag that a heading or a cell sets on its figures; None where it has no such mark."""
    # disputed first: "better source needed" contains "source needed" but states that there is a source
    if text and _DISPUTED.search(text):
        return DISPUTED
    return UNSOURCED if text and _NO_SOURCE.search(text) else None


class Unreadable(ValueError):
    """A field that is neither a value nor a known sign that there is none; the message quotes it."""


_YEARS = re.compile(r"(?<!\d)((?:19|20)\d\d)(?:\s?[-–—/]\s?((?:19|20)?\d\d)(?!\d))?(?!\d)")
_SHORT_YEAR = re.compile(r"(?:\bFY\s?|(?<!\w)['’])(\d\d)(?!\d)", re.IGNORECASE)  # FY25, '25
_LAST_SHORT_YEAR = 49  # '49 is 2049 and '50 is 1950: no list projects so far or begins so early
_ESTIMATED = re.compile(r"^(?:FY\s?)?(.*?)\s*(?:\(?(?:est\.?|estimates?|[efp])\)?)?$", re.IGNORECASE)
# "2024 or latest available": the year of some figures, and nobody knows which ones.
_VAGUE_YEAR = re.compile(
    r"\b(?:latest|most recent|nearest|closest|last available|or (?:earlier|later|before))\b", re.IGNORECASE
)
# A year after these words is the year of publication, not the figures' year.
_RELEASE = re.compile(
    r"\b(?:WEO|World Economic Outlook|as of|updated?|retrieved|accessed|released?|published)\b[^\d()\[\]]{0,20}\d{4}\b",
    re.IGNORECASE,
)


def year_of_cell(text: str) -> int:
    """Return the year that a year cell states, of a range the last; raises Unreadable."""
    estimated = _ESTIMATED.fullmatch(_with_full_years(text))
    found = _YEARS.fullmatch(estimated[1]) if estimated else None
    if not found:
        raise Unreadable(f"Year is {text[:40]!r}, which is no year")
    return _last_year(found)


@lru_cache(CACHED_TEXTS)
def year_of_heading(text: str) -> tuple[int, bool] | None:
    """Return the year that a heading states, of a range ("2022–24") the last, and whether it states another one too.

    Returns None when it states no year, or that of some figures only ("2024 or latest available"). Raises Unreadable
    when it states two and neither is the year of a release.
    """
    heading = _with_full_years(FOOTNOTE.sub(" ", text))
    if _VAGUE_YEAR.search(heading):
        return None
    stated = list(_YEARS.finditer(heading))
    years = set(map(_last_year, stated))
    if len(years) < 2:
        is_split = any(found[2] and "/" in found[0] for found in stated)  # 2024/25
        return (years.pop(), is_split) if years else None
    of_figures = {_last_year(found) for found in _YEARS.finditer(_RELEASE.sub(" ", heading))}
    if len(of_figures) != 1:
        raise Unreadable(f"the heading {text[:80]!r} states more than one year")
    return of_figures.pop(), True


def _with_full_years(text: str) -> str:
    """Return a text with "FY25" and "'25" written as 2025."""
    return _SHORT_YEAR.sub(lambda found: f"{'20' if int(found[1]) <= _LAST_SHORT_YEAR else '19'}{found[1]}", text)


def _last_year(found: re.Match[str]) -> int:
    first, last = found[1], found[2] or found[1]
    year = int(first[: 4 - len(last)] + last)
    return year_in_range(year if year >= int(first) else year + 100)  # 1999–00


def year_in_range(year: int) -> int:
    """Return a year that national accounts exist for; raises Unreadable for any other."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Unreadable(f"Year is {year}, not between {FIRST_YEAR} and {LAST_YEAR}")
    return year


def checked_year(year: int) -> tuple[int, str | None]:
    """Return a year, and why no national accounts exist for it, or None."""
    try:
        return year_in_range(year), None
    except Unreadable as error:
        return year, str(error)
