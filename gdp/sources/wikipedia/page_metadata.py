"""Which page is this? Its title, revision and time, in any form of the page, and whether it is our list."""

from __future__ import annotations

import html
import re
from datetime import datetime, timezone
from urllib.parse import unquote

from gdp.sources import Refused, Revision
from utils import MONTHS

MAX_TAG_CHARACTERS = 1500  # three times what the patterns below look at
MAX_PLACES = 20  # of words that have no match around them; a real page has two
OUR_TITLE = "List of countries by GDP (nominal)"
# The page's present and former titles, and what redirects to it; folded.
_OUR_TITLES = frozenset(
    {
        "list of countries by gdp (nominal)", "list of countries by nominal gdp", "list of countries by gdp",
        "list of sovereign states by gdp (nominal)", "list of countries by gross domestic product",
        "list of countries by gross domestic product (nominal)", "list of countries by nominal gross domestic product",
        "countries by gdp (nominal)", "list of nations by gdp (nominal)",
    }
)  # fmt: skip
_SITE_NAME = re.compile(r"\s+[-–—|]\s+(?:wikipedia|wikiwand|wiki).*$", re.IGNORECASE)
# Words of other lists' titles, for a page that only the title in the browser's tab names.
_OTHER_LIST = re.compile(
    r"\bppp\b|purchasing power|per[ -]capita|per head|per person|per inhabitant|chained"
    r"|\bpast\b|projected|informal|shadow|\bdebt\b|largest"
    r"|historical|\bgni\b|\bgnp\b|gross national|\bsector|\breal\b|growth"
    r"|\b(?:african?|asian?|europe(?:an)?|oceania"
    r"|american?|arab|latin|caribbean|eu|states? and territories|provinces?|cities)\b",
    re.IGNORECASE,
)
# Where a page states which page it is, each with words of it, the most certain first: MediaWiki's own variable,
# Parsoid, links to itself. Each pattern looks within one tag, and no further than a tag is long, so that ten megabytes
# of "<link" take no longer.
_LINK = r"<link\b(?=[^<>]{0,500}?\brel="
_ON_SITE = r"""/wiki/([^"'?#<>]{1,300})"""
_IN_QUERY = r"""[?;&]title=([^"'&#<>]{1,300})"""
_TITLES = (
    ("wgPageName", re.compile(r'"wgPageName"\s*:\s*"([^"\\]{1,200})"')),
    *(
        (rel, re.compile(rf"""{_LINK}["']?{rel}\b)[^<>]{{0,500}}?\bhref=["'][^"'<>]{{0,300}}{address}""", re.I))
        for rel, address in (("dc:isVersionOf", _ON_SITE), ("canonical", _ON_SITE), ("canonical", _IN_QUERY))
    ),
    ("Retrieved from", re.compile(rf"""Retrieved from[^<]{{0,20}}<a[^<>]{{0,500}}?{_IN_QUERY}""")),
    ("og:title", re.compile(
        r"""<meta\b(?=[^<>]{0,500}?\bproperty=["']og:title["'])[^<>]{0,500}?\bcontent=["']([^"'<>]{1,200})""", re.I
    )),
)  # fmt: skip
_WIKIPEDIAS = re.compile(r"\s[-–—]\s+(?:Wikipedia|Wikiwand)\b", re.IGNORECASE)
_TAB_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{1,200})", re.IGNORECASE)
_REVISIONS = (
    ("wgRevisionId", re.compile(r'"wgRevisionId"\s*:\s*([1-9]\d{0,12})\b')),
    (
        "Special:Redirect/revision/",
        re.compile(r"""\babout=["'][^"'<>]{0,300}Special:Redirect/revision/([1-9]\d{0,12})\b"""),
    ),
    ("oldid=", re.compile(r"""Retrieved from[^<]{0,20}<a[^<>]{0,500}?[?;&]oldid=([1-9]\d{0,12})\b""")),
)
_SAVED = re.compile(r"[Ll]ast (?:edited|modified) on (\d{1,2}) ([A-Z][a-z]+) (\d{4}), at (\d{1,2}):(\d{2})")
_MODIFIED = (
    re.compile(r'"dateModified"\s*:\s*"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z"'),
    # the last: unwrap.py writes the date of an .mhtml so, for a page that states none
    re.compile(r"""property=["']dc:modified["'][^<>]{0,200}?content=["'](\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)"""),
)
# What may be at a list's address instead of it, and how MediaWiki, or a gateway before it, marks that.
_OTHER_PAGES = {
    "a disambiguation page, which names other pages": r"""id=["']disambig|\bdmbox\b""",
    "a redirect to another page": r"""\bredirectMsg\b""",
    "a page that does not exist": r"""\bnoarticletext\b""",
    "a form to edit the article, or its source": r"""id=["']?wpTextbox1""",
    "the article's history": r"""id=["']?pagehistory|"wgAction"\s*:\s*"history\"""",
    "a comparison of two revisions": r"""class=["'][^"']{0,100}\bdiff-""",
    "a workbook of Excel that was saved as a web page; save it as .xlsx or CSV": r"schemas-microsoft-com:office:excel",
    "a page to log in": r"""<input\b[^<>]{0,300}\btype=["']?password""",
    "a check for a human reader": r"<title>[^<]{0,50}(?:captcha|Just a moment|Attention Required|Access denied)",
    "a refusal by a gateway": r"Request Rejected",
    "an error of the server": r"<title>[^<]{0,50}\bError\b",
}


def kind_of_page(page: str) -> str | None:
    """Return what kind of page has no table of ours, if a mark in it shows that."""
    return next((kind for kind, marks in _OTHER_PAGES.items() if re.search(marks, page, re.IGNORECASE)), None)


def read_revision(page: str) -> Revision:
    """Return what a page states about its own revision, in any form."""
    return Revision(_number(page), _saved(page), stated_title(page))


def stated_title(page: str) -> str | None:
    """Return the page's title on its site, as it is written there, or None if it states none."""
    found = next((found for words, pattern in _TITLES if (found := _search(page, words, pattern))), None)
    return unquote(html.unescape(found[1])) if found else None


def _search(page: str, words: str, pattern: re.Pattern[str]) -> re.Match[str] | None:
    """Return the first match of a pattern around its words; to look for them takes a hundredth of the time."""
    place = page.find(words)
    for _ in range(MAX_PLACES):
        if place < 0:
            return None
        if found := pattern.search(page, max(0, place - MAX_TAG_CHARACTERS), place + MAX_TAG_CHARACTERS):
            return found
        place = page.find(words, place + 1)
    return None


def refuse_other_page(page: str, title: str | None) -> None:
    """Raise Refused, with the title, when the page states that it is not our list."""
    if title is not None:
        if _folded(title) not in _OUR_TITLES:
            raise Refused(f'the page is "{title}", not nominal GDP: expected "{OUR_TITLE}"')
        return
    tab = _TAB_TITLE.search(page)
    if tab and _is_another(tab[1]):
        raise Refused(f'the page is "{html.unescape(tab[1]).strip()}", not nominal GDP: expected "{OUR_TITLE}"')


def _is_another(tab: str) -> bool:
    """Return whether the title in the browser's tab is another page's: to the letter if it is Wikipedia's own."""
    if _WIKIPEDIAS.search(html.unescape(tab)):
        return _folded(tab) not in _OUR_TITLES
    return bool(_OTHER_LIST.search(_folded(tab)))


def _folded(title: str) -> str:
    return _SITE_NAME.sub("", " ".join(html.unescape(title).replace("_", " ").split())).casefold()


def _number(page: str) -> int | None:
    found = next((found for words, pattern in _REVISIONS if (found := _search(page, words, pattern))), None)
    return int(found[1]) if found else None


def _last_footer(page: str) -> tuple[str, ...] | None:
    """Return the date in the page's footer; a sentence of the article may look like it, but is not the last."""
    place = len(page)
    while (place := max(page.rfind(words, 0, place) for words in ("ast edited on ", "ast modified on "))) > 0:
        if found := _SAVED.match(page, place - 1):
            return found.groups("")
    return None


def _saved(page: str) -> datetime | None:
    try:
        if footer := _last_footer(page):
            day, month, year, hour, minute = footer
            return datetime(int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), tzinfo=timezone.utc)
        for pattern in _MODIFIED:
            if found := pattern.search(page):
                return datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc)
    except ValueError:  # the 31st of June
        pass
    return None
